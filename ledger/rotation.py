"""The rotation of a ledger's signing keys as a statement: what is signed, by whom, and how it stands in an entry.

Owns the bytes that old and new keys sign (docs/format.md, "Rotation of keys"), and their way into the data of
``ledger.key_rotated`` and back. Pure: never decides whether a rotation follows from the keys before it, which is for
``ledger.key_history``, and never holds a private key.

Invariants: a ``Rotation`` that exists is well formed; parsing and formatting are inverse to each other; no statement
can be taken for a note or a cosignature, nor for one of another ledger, at another position, or over another tree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ledger import strict
from ledger.entry import LEDGER_STREAM, decode
from ledger.errors import LedgerError, MalformedRotation
from ledger.merkle import HASH_SIZE
from ledger.note import ED25519, ML_DSA_44, Signer, VerifierKey, verify_labelled

LABEL = "continuity-key-rotation/v1"
TYPE = "ledger.key_rotated"
MAX_KEYS = 8
_REASON = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FIELDS = {"reason", "retired_keys", "root", "signatures", "verifier_keys"}


@dataclass(frozen=True, slots=True)
class Rotation:
    """That ``keys`` take the place of ``retired``, by the entry at position ``size``, over the tree before it.

    ``root`` is that of the tree of ``size`` leaves. ``signatures`` has one of each retired key, then of each new one,
    not verified yet; none in a statement that is still to be signed. Raises ``MalformedRotation``.
    """

    size: int
    root: bytes
    reason: str
    retired: tuple[VerifierKey, ...]
    keys: tuple[VerifierKey, ...]
    signatures: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        every = (*self.retired, *self.keys)
        if not 1 <= self.size <= strict.MAX_INTEGER or len(self.root) != HASH_SIZE:
            raise MalformedRotation(f"a rotation of keys stands at position 1 or later over a root, not at {self.size}")
        if not _REASON.fullmatch(self.reason):
            raise MalformedRotation(f"the reason of a rotation is a code, not {self.reason[:80]!r}")
        if not (1 <= len(self.retired) <= MAX_KEYS and 1 <= len(self.keys) <= MAX_KEYS):
            raise MalformedRotation(f"a rotation retires 1 to {MAX_KEYS} keys and brings as many")
        if len({key.name for key in every}) != 1:
            raise MalformedRotation("a rotation names keys of more than one origin")
        if any(key.type not in (ED25519, ML_DSA_44) for key in every):
            raise MalformedRotation("a rotation names a key of a type that no log signs with")
        if len({(key.type, key.key) for key in every}) != len(every):
            raise MalformedRotation("a rotation names the same key twice: new keys are other keys than the old ones")
        if self.signatures and len(self.signatures) != len(every):
            raise MalformedRotation(f"a rotation of {len(every)} keys has {len(self.signatures)} signatures")

    @property
    def origin(self) -> str:
        """The ledger's origin: the name of its keys."""
        return self.keys[0].name

    def content(self) -> bytes:
        """What is signed, behind the label: lines of text."""
        lines = [self.origin, str(self.size), strict.write_base64(self.root), self.reason]
        for keys in (self.retired, self.keys):
            lines += [str(len(keys)), *map(str, keys)]
        return "".join(f"{line}\n" for line in lines).encode()

    def signed(self, signers: Sequence[Signer]) -> Rotation:
        """The same, signed by the signers of all its keys, given in their order. Raises ``MalformedRotation``."""
        if tuple(signer.key for signer in signers) != (*self.retired, *self.keys):
            raise MalformedRotation("a rotation is signed by each key that goes and each that comes")
        content = self.content()
        return replace(self, signatures=tuple(signer.sign_labelled(LABEL, content) for signer in signers))

    def verify(self) -> None:
        """Verify the signatures of all keys, old and new.

        Raises ``MalformedRotation`` where there are none, ``BadSignature``.
        """
        if not self.signatures:
            raise MalformedRotation("the rotation is not signed")
        content = self.content()
        for key, signature in zip((*self.retired, *self.keys), self.signatures, strict=True):
            verify_labelled(LABEL, content, signature, key)

    def data(self) -> dict[str, Any]:
        """The data of the event that states it."""
        return {
            "reason": self.reason,
            "retired_keys": [str(key) for key in self.retired],
            "root": strict.write_base64(self.root),
            "signatures": [strict.write_base64(one) for one in self.signatures],
            "verifier_keys": [str(key) for key in self.keys],
        }

    @classmethod
    def parse(cls, position: int, data: Any) -> Rotation:
        """Read the data of such an event at a position; the inverse of ``data``. Verifies nothing.

        Raises ``MalformedRotation``, or ``MalformedNote`` for what is no verifier key.
        """
        if not isinstance(data, dict) or set(data) != _FIELDS:
            raise MalformedRotation(f"a rotation of keys has the fields {', '.join(sorted(_FIELDS))}")
        try:
            retired, keys = (tuple(map(VerifierKey.parse, _texts(data[name]))) for name in _KEY_FIELDS)
            root, *signatures = map(strict.read_base64, _texts([data["root"], *_texts(data["signatures"])]))
        except ValueError as fault:
            raise MalformedRotation(f"not a rotation of keys: {fault}") from None
        if not signatures:
            raise MalformedRotation("the rotation is not signed")
        (reason,) = _texts([data["reason"]])
        return cls(position, root, reason, retired, keys, tuple(signatures))

    @classmethod
    def of_entry(cls, entry: bytes) -> Rotation:
        """The rotation that an entry states. Raises ``MalformedRotation``, ``MalformedNote``."""
        try:
            content = decode(entry)
        except LedgerError as fault:
            raise MalformedRotation(f"not a rotation of keys: {fault}") from None
        if (content.event.type, content.event.stream) != (TYPE, LEDGER_STREAM):
            raise MalformedRotation(f"an entry of type {content.event.type} is no rotation of keys")
        return cls.parse(content.seal.position, content.event.public())


def is_rotation(entry: bytes) -> bool:
    """Whether an entry says that it is a rotation, well formed or not. Raises ``StoreError`` for what is no entry."""
    return _MARK in entry and decode(entry).event.type == TYPE


_MARK = f'"type":"{TYPE}"'.encode()
_KEY_FIELDS = ("retired_keys", "verifier_keys")


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise MalformedRotation("not a rotation of keys: texts are expected")
    return value
