"""Private values: salted commitments that go into entries, and the sealed disclosures that stand beside them.

Owns commitments and disclosures (RFC 9901 section 4.2) and their encryption: AES-256-GCM under the data key of a
(member, stream), itself wrapped under an epoch key. Never stores a key, reads a clock or touches a file. A value enters
an entry only as its commitment; without the disclosure's 128-bit salt nobody can guess it back.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from ledger.errors import OversizedEvent, StoreError

MAX_DISCLOSURE = 65_535
KEY_SIZE = 32
NONCE_SIZE = 12
SALT_SIZE = 16
_SEPARATOR = b"~"  # no base64url digit, so a list of disclosures needs no other framing (as in RFC 9901)
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_encode = msgspec.json.Encoder(order="sorted").encode  # of what passed the catalogue, so this is canonical JSON


class Committed(Struct, frozen=True, gc=False):
    """One private field: its name, its commitment (goes into the entry) and its disclosure (stays beside it)."""

    name: str
    commitment: str
    disclosure: bytes


class Opened(NamedTuple):
    """A disclosure as it is handed on, and the value in it."""

    disclosure: bytes
    value: Any


def _base64url(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE, b"=")


def drawn(size: int, count: int) -> Iterator[bytes]:
    """Fresh random values of ``size`` bytes without end, drawn from the system ``count`` at a time.

    For one request or flush only: kept longer, those drawn could be given out twice, here and after a fork.
    """
    while True:
        together = os.urandom(size * max(count, 1))
        for at in range(0, len(together), size):
            yield together[at : at + size]


def commitment_of(disclosure: bytes) -> str:
    """The commitment of a disclosure: base64url without padding of SHA-256 over its ASCII bytes (RFC 9901 4.2.3)."""
    return _base64url(sha256(disclosure).digest()).decode()


def commit(name: str, value: Any, salt: bytes | None = None) -> Committed:
    """Commit to a private value with a fresh 128-bit salt, drawn here unless given.

    The disclosure is base64url without padding of the JSON ``[salt, name, value]`` (RFC 9901 4.2.1). Raises
    ``OversizedEvent`` when it exceeds ``MAX_DISCLOSURE`` bytes. The value must have passed the catalogue, so that it is
    canonical JSON already.
    """
    text = _base64url(salt or os.urandom(SALT_SIZE)).decode()
    disclosure = _base64url(_encode([text, name, value]))
    if len(disclosure) > MAX_DISCLOSURE:
        raise OversizedEvent(
            f"the private value takes {len(disclosure):,} bytes as a disclosure, of at most {MAX_DISCLOSURE:,}",
            f"$.data.{name}",
            advice="store large content elsewhere and record its digest and place",
        )
    return Committed(name, commitment_of(disclosure), disclosure)


def open_disclosure(disclosure: bytes) -> tuple[str, Any]:
    """The name and value of a disclosure. Raises ``StoreError`` when the bytes are no disclosure."""
    try:
        padded = disclosure + b"=" * (-len(disclosure) % 4)
        parts = orjson.loads(binascii.a2b_base64(padded.translate(_STANDARD)))
    except ValueError:
        raise StoreError("a stored disclosure is damaged") from None
    match parts:
        case [str(), str(name), value]:
            return name, value
    raise StoreError("a stored disclosure is damaged")


def associated(origin: str, source: str, event_id: str, names: Sequence[str]) -> bytes:
    """The associated data that binds sealed disclosures to their ledger, event and field names."""
    return _encode([origin, source, event_id, names])


def seal(key: AESGCM, disclosures: Sequence[bytes], bound_to: bytes, nonce: bytes | None = None) -> bytes:
    """Encrypt the disclosures of one event: 96-bit random nonce, drawn here unless given, then ciphertext and tag."""
    nonce = nonce or os.urandom(NONCE_SIZE)
    return nonce + key.encrypt(nonce, _SEPARATOR.join(disclosures), bound_to)


def unseal(key: AESGCM, sealed: bytes, bound_to: bytes) -> list[bytes]:
    """The disclosures that ``seal`` packed. Raises ``StoreError`` when key, binding or bytes do not fit."""
    try:
        return key.decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], bound_to).split(_SEPARATOR)
    except (InvalidTag, ValueError):
        raise StoreError("stored disclosures do not open: the bytes, the key or the event differ") from None


def wrap(epoch_key: AESGCM, data_key: bytes, bound_to: bytes, nonce: bytes | None = None) -> bytes:
    """Encrypt a data key under an epoch key; ``bound_to`` comes from ``key_binding``. For ``nonce`` see ``seal``."""
    nonce = nonce or os.urandom(NONCE_SIZE)
    return nonce + epoch_key.encrypt(nonce, data_key, bound_to)


def unwrap(epoch_key: AESGCM, wrapped: bytes, bound_to: bytes) -> bytes:
    """The data key that ``wrap`` packed. Raises ``StoreError`` when it does not open."""
    try:
        return epoch_key.decrypt(wrapped[:NONCE_SIZE], wrapped[NONCE_SIZE:], bound_to)
    except (InvalidTag, ValueError):
        raise StoreError("a wrapped data key does not open under its epoch key") from None


def key_binding(origin: str, member: str, stream: str, epoch: int) -> bytes:
    """The associated data of a wrapped data key; ``member`` is empty for an event about nobody."""
    return _encode([origin, member, stream, epoch])


def matched(commitments: Mapping[str, str], disclosures: Sequence[bytes]) -> dict[str, Opened]:
    """The disclosures by name, each covered by the entry's commitments; another is a fault.

    Raises ``StoreError`` for a disclosure that no commitment of the entry covers.
    """
    found: dict[str, Opened] = {}
    for disclosure in disclosures:
        name, value = open_disclosure(disclosure)
        if commitments.get(name) != commitment_of(disclosure):
            raise StoreError(f"a stored disclosure of {name!r} does not match its commitment")
        found[name] = Opened(disclosure, value)
    return found


def disclosed(commitments: Mapping[str, str], disclosures: Sequence[bytes]) -> dict[str, Any]:
    """The values by name of those disclosures that match the entry's commitments. Raises as ``matched`` does."""
    return {name: one.value for name, one in matched(commitments, disclosures).items()}
