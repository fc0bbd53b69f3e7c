"""The entry: event and seal as bytes, exactly as they are hashed (docs/format.md).

Owns the layout ``{"event":{...},"seal":{...}}``, its size limit and its typed reading. The event's bytes are encoded
once, before the writer sees them; the seal stands last, so that sealing only joins bytes and checking only compares
them. Never re-serialises stored bytes, never reads a clock.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from msgspec import UNSET, Raw, Struct, UnsetType

from ledger.errors import OversizedEvent, StoreError

MAX_ENTRY = 65_535
FORMAT_VERSION = 1
NO_PREVIOUS = "0" * 64
LEDGER_STREAM = "ledger:main"
"""The stream of the ledger's own events; position 0 is its first."""
_SEAL = b',"seal":{'


class Actor(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Who did what the event says: an opaque id, and the role they acted in."""

    id: str
    role: str


class EventBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The event as an entry holds it: what a caller claims. Fields stand in canonical order; absent ones are left out.

    ``data`` is the public part as canonical JSON; ``private`` maps each private field's name to its commitment.
    """

    actor: Actor
    correlation: str | UnsetType = UNSET
    data: Raw
    forced: str | UnsetType = UNSET
    id: str
    member: str | UnsetType = UNSET
    private: dict[str, str] | UnsetType = UNSET
    source: str
    stream: str
    tags: list[str] | UnsetType = UNSET
    time: str
    type: str
    v: int

    def public(self) -> dict[str, Any]:
        """The public data as a fresh dict."""
        value: dict[str, Any] = orjson.loads(bytes(self.data))
        return value

    def commitments(self) -> dict[str, str]:
        """The commitments of the private fields by name; empty where there are none."""
        return self.private or {}


class Seal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What the ledger vouches for: who posted it, where it stands, and the leaf hash of the entry before it (hex)."""

    by: str
    member_version: int | UnsetType = UNSET
    position: int
    prev: str
    recorded: str
    version: int


class Entry(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Event and seal, read from an entry's bytes."""

    event: EventBody
    seal: Seal


_decoder = msgspec.json.Decoder(Entry)
_encode_body = msgspec.json.Encoder().encode


def encode_body(body: EventBody) -> bytes:
    """The canonical bytes of an event. ``data`` must be canonical; ``private`` and ``tags`` must be sorted."""
    return _encode_body(body)


def body(encoded: bytes) -> EventBody:
    """The inverse of ``encode_body``, for bytes that it made."""
    return msgspec.json.decode(encoded, type=EventBody)


def build(
    body: bytes, by: str, member_version: int | None, position: int, prev: str, recorded: str, version: int
) -> bytes:
    """Seal an event's canonical bytes into an entry.

    ``prev`` is the hex leaf hash of the entry before, ``recorded`` UTC text with six decimals, ``by`` a credential id
    of plain ASCII. Raises ``OversizedEvent`` above ``MAX_ENTRY`` bytes (a C2SP entry bundle holds no more).
    """
    member = "" if member_version is None else f'"member_version":{member_version},'
    seal = f'{{"by":"{by}",{member}"position":{position},"prev":"{prev}","recorded":"{recorded}","version":{version}}}'
    entry = b'{"event":' + body + f',"seal":{seal}}}'.encode("ascii")
    if len(entry) > MAX_ENTRY:
        raise OversizedEvent(
            f"the entry would take {len(entry):,} bytes, of at most {MAX_ENTRY:,}",
            advice="store large content elsewhere and record its digest and place",
        )
    return entry


def split(entry: bytes) -> tuple[bytes, bytes]:
    """The event's bytes and the seal's bytes of an entry. Raises ``StoreError`` when it is not of that layout."""
    at = entry.rfind(_SEAL)  # the seal holds no text that could spell this again: quotes in strings are escaped
    if at < 0 or not entry.startswith(b'{"event":{') or not entry.endswith(b"}}"):
        raise StoreError("an entry is not an event followed by a seal")
    return entry[9:at], entry[at + len(_SEAL) - 1 : -1]


def decode(entry: bytes) -> Entry:
    """The typed content of an entry. Raises ``StoreError`` when the bytes are no entry of this format."""
    try:
        return _decoder.decode(entry)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"an entry does not read: {error}") from None
