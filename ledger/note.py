"""Signed notes, verifier keys and signers: text that proves who signed it.

Owns the form of a note and of a key, and the decision whether a note may be believed (``open_note``, the one entry
point). Never gives out the text of a note that no trusted key has signed, never trusts a key named by the note itself,
never shows or keeps a seed. What a cosignature is made over stands in ``ledger.cosignature``.

Invariants: everything has one spelling, so that parsing and formatting are inverse to each other; one failing signature
of a known key sinks the whole note; unknown keys are ignored, however many.

Sources: https://c2sp.org/signed-note, https://c2sp.org/tlog-cosignature.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from ledger import strict
from ledger.cosignature import Checkpoint, cosigned_text, cosigned_tree
from ledger.errors import BadSignature, MalformedNote, UnknownKey

ED25519 = 1
"""Signature type: Ed25519 over the note text."""

COSIGNATURE_ED25519 = 4
"""Signature type: Ed25519 over the note text and a time."""

ML_DSA_44 = 6
"""Signature type: ML-DSA-44 over the tree that the checkpoint states, the signer's name and a time."""

SEED_SIZE = 32
"""Bytes of the seed of a signing key, of any type."""

MAX_SIGNATURES = 100
"""Signatures on one note; the specification wants at least 16 accepted, and some limit."""

MAX_NOTE_BYTES = 1_000_000
"""Bytes of one note; the 100 largest signatures take half of it."""

_TYPE_NAMES = {ED25519: "Ed25519", COSIGNATURE_ED25519: "Ed25519 cosigner", ML_DSA_44: "ML-DSA-44"}
_KEY_SIZES = {ED25519: 32, COSIGNATURE_ED25519: 32, ML_DSA_44: 1312}
_KEY_ID_SIZE = 4
_TIME_SIZE = 8
_DASH = "\N{EM DASH}"
_KEY_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key and the name it goes by. ``key_id`` follows from the rest; ``str()`` gives the verifier key text.

    Raises ``MalformedNote`` for an impossible name, an unknown type or a key of the wrong length.
    """

    name: str
    type: int
    key: bytes = field(repr=False)
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.type not in _KEY_SIZES:
            raise MalformedNote(f"verifier key {self.name}: nobody here can verify signatures of type {self.type}")
        if len(self.key) != _KEY_SIZES[self.type]:
            raise MalformedNote(
                f"verifier key {self.name}: {len(self.key)} bytes of key, expected {_KEY_SIZES[self.type]}"
            )
        digest = sha256(b"%b\n%c%b" % (self.name.encode(), self.type, self.key)).digest()
        object.__setattr__(self, "key_id", digest[:_KEY_ID_SIZE])

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{strict.write_base64(bytes([self.type]) + self.key)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read ``name+key ID in hex+base64``; the inverse of ``str()``. Raises ``MalformedNote``."""
        parts = text.split("+", 2)  # base64 holds plus signs too
        if len(parts) != 3 or not _KEY_ID.fullmatch(parts[1]):
            raise MalformedNote("not a verifier key: expected name+ID+key, the ID in eight hexadecimal digits")
        name, key_id, encoded = parts
        try:
            data = strict.read_base64(encoded)
        except ValueError as fault:
            raise MalformedNote(f"verifier key {name!r}: {fault}") from None
        if not data:
            raise MalformedNote(f"verifier key {name!r}: there is no key in it")
        key = cls(name, data[0], data[1:])
        if key.key_id.hex() != key_id:
            raise MalformedNote(f"verifier key {name}: ID {key_id} given, but name and key make {key.key_id.hex()}")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: whose it claims to be, and ``value``, all that stands after the key ID."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it stands, believed by nobody yet: ``text`` ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note that at least one trusted key has signed.

    ``verified`` holds these keys in the order of their first signatures, each once; ``times`` the POSIX time that each
    states, None for a type without one.
    """

    text: str
    verified: tuple[VerifierKey, ...]
    times: tuple[int | None, ...]


def parse_note(data: bytes) -> Note:
    """Read a note; the inverse of ``format_note``. Verifies nothing. Raises ``MalformedNote``."""
    if len(data) > MAX_NOTE_BYTES:
        raise MalformedNote(f"the note has {len(data)} bytes, at most {MAX_NOTE_BYTES} are read")
    try:
        whole = data.decode("utf-8")
        strict.check_no_control(whole)
    except UnicodeDecodeError:
        raise MalformedNote("the note is not UTF-8") from None
    except ValueError as fault:
        raise MalformedNote(f"the note is malformed: {fault}") from None
    divide = whole.rfind("\n\n")
    if divide < 0:
        raise MalformedNote("the note has no empty line between text and signatures")
    lines = whole[divide + 2 :].split("\n")
    if lines.pop() or not lines:
        raise MalformedNote("the note does not end in signature lines")
    if len(lines) > MAX_SIGNATURES:
        raise MalformedNote(f"the note has {len(lines)} signatures, at most {MAX_SIGNATURES} are read")
    return Note(whole[: divide + 1], tuple(_parse_signature(line) for line in lines))


def format_note(note: Note) -> bytes:
    """Write a note. Raises ``MalformedNote`` for what ``parse_note`` would not give back as it was."""
    lines = [f"{_DASH} {each.name} {strict.write_base64(each.key_id + each.value)}\n" for each in note.signatures]
    try:
        data = f"{note.text}\n{''.join(lines)}".encode()
    except UnicodeEncodeError:
        raise MalformedNote("the note holds a lone surrogate, which UTF-8 can't carry") from None
    if parse_note(data) != note:
        raise MalformedNote("the note would not read back as it was: text, names or key IDs are malformed")
    return data


def open_note(data: bytes, keys: Sequence[VerifierKey]) -> OpenedNote:
    """Read a note and verify every signature on it that claims one of the trusted ``keys``.

    Raises ``MalformedNote`` if it is none, ``BadSignature`` if one of these signatures fails, ``UnknownKey`` if there
    is none of them.
    """
    note = parse_note(data)
    known = _by_identity(keys)
    verified: dict[VerifierKey, int | None] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            time = _verify(note.text, signature.value, key)
            verified.setdefault(key, time)
    if not verified:
        signers = ", ".join(f"{each.name}+{each.key_id.hex()}" for each in note.signatures)
        raise UnknownKey(
            f"no trusted key has signed the note; signed by {signers}",
            advice="give the log's verifier keys, from a source other than the log itself; "
            "where it has rotated its keys, its rotations too (--rotations)",
        )
    return OpenedNote(note.text, tuple(verified), tuple(verified.values()))


class Signer(ABC):
    """A signing key with its name. Shows only its public half, keeps no seed."""

    __slots__ = ("_key",)

    def __init__(self, name: str, kind: int, public: bytes) -> None:
        self._key = VerifierKey(name, kind, public)

    @property
    def key(self) -> VerifierKey:
        """The key that verifies what this one signs."""
        return self._key

    def sign(self, text: str, time: int = 0) -> Signature:
        """Sign a note text. ``time`` is POSIX seconds, and only of use to types that state one."""
        return Signature(self._key.name, self._key.key_id, self._value(text, time))

    def sign_labelled(self, label: str, content: bytes) -> bytes:
        """The bare signature over what is no note but ``content`` for the purpose that ``label`` names."""
        return self._raw(labelled(label, content))

    @abstractmethod
    def _value(self, text: str, time: int) -> bytes:
        """What follows the key ID in the signature line."""

    @abstractmethod
    def _raw(self, message: bytes) -> bytes:
        """The bare signature over a message."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._key.name}+{self._key.key_id.hex()}>"


class Ed25519Signer(Signer):
    """Signs the note text itself (type 1). ``seed``: 32 bytes, as in RFC 8032. The time is not signed."""

    __slots__ = ("_private",)

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(_checked_seed(seed))
        super().__init__(name, ED25519, self._private.public_key().public_bytes_raw())

    def _value(self, text: str, time: int) -> bytes:
        return self._raw(text.encode())

    def _raw(self, message: bytes) -> bytes:
        return self._private.sign(message)


class Ed25519Cosigner(Signer):
    """Signs a checkpoint as a witness does (type 4): its text and a time. ``seed``: 32 bytes, for this name alone."""

    __slots__ = ("_private",)

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(_checked_seed(seed))
        super().__init__(name, COSIGNATURE_ED25519, self._private.public_key().public_bytes_raw())

    def _value(self, text: str, time: int) -> bytes:
        return _time_bytes(time) + self._raw(cosigned_text(text, time))

    def _raw(self, message: bytes) -> bytes:
        return self._private.sign(message)


class MLDSA44Signer(Signer):
    """Signs the tree that a checkpoint states, as a log or a witness (type 6). ``seed``: the 32 bytes of FIPS 204.

    Signatures are randomised: the same text gives another one each time. ``sign`` raises ``MalformedNote`` for a text
    that is no checkpoint, or one with extension lines.
    """

    __slots__ = ("_private",)

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = MLDSA44PrivateKey.from_seed_bytes(_checked_seed(seed))
        super().__init__(name, ML_DSA_44, self._private.public_key().public_bytes_raw())

    def _value(self, text: str, time: int) -> bytes:
        message = cosigned_tree(self._key.name, Checkpoint.parse(text), time)
        return _time_bytes(time) + self._raw(message)

    def _raw(self, message: bytes) -> bytes:
        return self._private.sign(message)


def labelled(label: str, content: bytes) -> bytes:
    """What is signed of content that is no note: a label, a newline, a zero byte, the content.

    No text of a note holds a zero byte, so that no such signature can be taken for one on a note; nor for one of type
    6, whose label is another. Raises ``ValueError`` for that label, or one that is not plain text.
    """
    if label == "subtree/v1" or not label.isascii() or not label.isprintable():
        raise ValueError(f"{label!r} can't label what is signed")
    return label.encode() + b"\n\x00" + content


def verify_labelled(label: str, content: bytes, signature: bytes, key: VerifierKey) -> None:
    """Verify a bare signature of ``Signer.sign_labelled``. Raises ``BadSignature``."""
    message = labelled(label, content)
    try:
        if key.type == ML_DSA_44:
            MLDSA44PublicKey.from_public_bytes(key.key).verify(signature, message)
        else:
            Ed25519PublicKey.from_public_bytes(key.key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise BadSignature(
            f"the signature of {key.name}+{key.key_id.hex()} ({_TYPE_NAMES[key.type]}) on a {label} does not verify",
            advice="don't believe what it is on, and keep it as evidence",
        ) from None


def _verify(text: str, value: bytes, key: VerifierKey) -> int | None:
    """Verify one signature; return the time it states. Raises ``BadSignature``."""
    time = None
    try:
        if key.type == ED25519:
            Ed25519PublicKey.from_public_bytes(key.key).verify(value, text.encode())
            return time
        time = int.from_bytes(value[:_TIME_SIZE], "big")
        if time > strict.MAX_INTEGER:
            raise MalformedNote("its time is beyond 63 bits")
        if key.type == COSIGNATURE_ED25519:
            Ed25519PublicKey.from_public_bytes(key.key).verify(value[_TIME_SIZE:], cosigned_text(text, time))
        else:
            message = cosigned_tree(key.name, Checkpoint.parse(text), time)
            MLDSA44PublicKey.from_public_bytes(key.key).verify(value[_TIME_SIZE:], message)
    except (InvalidSignature, ValueError, MalformedNote) as fault:
        why = f": {fault}" if str(fault) else ""
        raise BadSignature(
            f"the signature of {key.name}+{key.key_id.hex()} ({_TYPE_NAMES[key.type]}) does not verify{why}",
            advice="don't believe the text; fetch the note again, and keep this one as evidence",
        ) from None
    return time


def _by_identity(keys: Sequence[VerifierKey]) -> dict[tuple[str, bytes], VerifierKey]:
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            # Anyone can make a key whose 32-bit ID collides; whoever trusts both can't tell the signatures apart.
            raise UnknownKey(f"two trusted keys share the name and ID {key.name}+{key.key_id.hex()}")
    return known


def _parse_signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH:
        raise MalformedNote("a signature line is not: em dash, space, key name, space, base64")
    _, name, encoded = parts
    _check_name(name)
    try:
        data = strict.read_base64(encoded)
    except ValueError as fault:
        raise MalformedNote(f"the signature of {name}: {fault}") from None
    if len(data) <= _KEY_ID_SIZE:
        raise MalformedNote(f"the signature of {name} holds {len(data)} bytes, expected a key ID and more")
    return Signature(name, data[:_KEY_ID_SIZE], data[_KEY_ID_SIZE:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise MalformedNote(f"a key name is not empty and has no spaces and no plus sign: {name!r}")
    try:
        strict.check_no_control(name)
    except ValueError as fault:
        raise MalformedNote(f"key name {name!r}: {fault}") from None


def _checked_seed(seed: bytes) -> bytes:
    if len(seed) != SEED_SIZE:
        raise ValueError(f"a seed has {SEED_SIZE} bytes, not {len(seed)}")
    return seed


def _time_bytes(time: int) -> bytes:
    if not 0 <= time <= strict.MAX_INTEGER:
        raise ValueError(f"{time} is not a POSIX time from 0 to {strict.MAX_INTEGER}")
    return time.to_bytes(_TIME_SIZE, "big")
