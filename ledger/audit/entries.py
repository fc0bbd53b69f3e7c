"""The checks of an entry at its position: hash, form, seal and versions.

Owns what has to hold at each position and the order in which it is looked at. Entries are checked many at a time, with
comparisons of whole lists and byte strings; only where one of those fails, or says too little, are they looked at one
by one, and that way alone decides what the fault is. Never reads a store.

Invariant: the way of many accepts nothing that the way of one would refuse.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Any

import msgspec
import orjson
from msgspec import UNSET, Meta

from ledger import canonical
from ledger.audit.counters import Counters
from ledger.audit.faults import (
    CREATED,
    FORMAT,
    MEMBER_VERSION,
    POSITION,
    PREV,
    RECORDED,
    UNREADABLE,
    VERSION,
    Fault,
)
from ledger.canonical import MAX_INTEGER
from ledger.entry import FORMAT_VERSION, MAX_ENTRY, Actor, Entry, EventBody, Seal, decode
from ledger.errors import LedgerError
from ledger.flush import LEDGER_STREAM
from ledger.merkle import HASH_SIZE
from ledger.note import VerifierKey
from ledger.store.protocol import Row

Altered = Callable[[int, Sequence[bytes], bytes], Fault]
"""(position, leaf hashes from the page's first to the one before, leaf hash of the bytes) -> the fault there."""

_RECORDED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

_Integer = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
_Flat = bool | _Integer | str | None
_Shallow = bool | _Integer | str | list[_Flat] | dict[str, _Flat] | None
_Data = dict[str, bool | _Integer | str | list[_Shallow] | dict[str, _Shallow] | None]
"""Public data without floats, down to a depth that nearly all have; deeper ones are looked at one by one."""


def _quick(struct: type[msgspec.Struct], **types: Any) -> Any:
    """The same fields as ``struct``, some with other types, for decoding many: absent ones are None, none is traced."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for field in msgspec.structs.fields(struct):
        kind = types.get(field.name, field.type)
        fields.append((field.name, kind) if field.required else (field.name, kind, None))
    return msgspec.defstruct(
        f"Quick{struct.__name__}",
        fields,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,
    )


_QuickActor = _quick(Actor)
_QuickBody = _quick(
    EventBody,
    actor=_QuickActor,
    correlation=str | None,
    data=_Data,
    forced=str | None,
    member=str | None,
    private=Annotated[dict[str, str], Meta(min_length=1)] | None,
    tags=list[str] | None,
)
_QuickEntry = _quick(Entry, event=_QuickBody, seal=_quick(Seal, member_version=_Integer | None))

_decode_lines = msgspec.json.Decoder(_QuickEntry).decode_lines
_encode_lines = msgspec.json.Encoder(order="deterministic").encode_lines


class Entries:
    """Checks the entries of one ledger, from position 0 on."""

    def __init__(self, origin: str, keys: Sequence[VerifierKey], counters: tuple[Counters, Counters]) -> None:
        self._origin = origin
        self._keys = keys
        self._streams, self._members = counters
        self.leaf = bytes(HASH_SIZE)
        self.recorded = ""

    def check(self, rows: Sequence[Row], stored: bytes, altered: Altered) -> tuple[list[bytes], Fault | None]:
        """Check rows at consecutive positions against the stored leaf hashes beside them.

        Returns the leaf hashes of the good ones, and the fault of the first that is not. ``altered`` says which fault
        it is that an entry's bytes don't have the stored hash.
        """
        if not rows:
            return [], None
        many = self._check_many(rows, stored)
        if many is None:
            return self._check_each(rows, stored, altered)
        leaves, entries = many
        bad = self._streams.advance(
            [entry.event.stream for entry in entries], [entry.seal.version for entry in entries]
        )
        bad_member = self._members.advance(
            [entry.event.member for entry in entries], [entry.seal.member_version for entry in entries]
        )
        if bad is None and bad_member is None:
            self.leaf = leaves[-1]
            return leaves, None
        if bad is not None and (bad_member is None or bad <= bad_member):
            return leaves[:bad], self._gap(rows[bad].position, entries[bad])
        worst = bad_member or 0
        return leaves[:worst], self._member_gap(rows[worst].position, entries[worst])

    # --- Many at a time ----------------------------------------------------------------------------------------------

    def _check_many(self, rows: Sequence[Row], stored: bytes) -> tuple[list[bytes], list[Any]] | None:
        """Leaf hashes and entries, if all are good but for gaps in versions; None if any is not, or can't be told."""
        positions, entries = zip(*rows, strict=True)
        if set(map(type, entries)) != {bytes} or max(map(len, entries)) > MAX_ENTRY:
            return None
        leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
        if (joined := b"".join(leaves)) != stored:
            return None
        text = b"\n".join(entries) + b"\n"
        # An escape has several spellings, and keys beyond ASCII another order: rare, so left to the way of one.
        if b"\\" in text or not text.isascii():
            return None
        try:
            decoded = _decode_lines(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        # Encoding writes a line each and no other line feed: so each entry is one line, and canonical.
        if len(decoded) != len(rows) or _encode_lines(decoded) != text:
            return None
        seals = [entry.seal for entry in decoded]
        times, prevs = [seal.recorded for seal in seals], [seal.prev for seal in seals]
        good = (
            [seal.position for seal in seals] == list(positions)
            and "".join(prevs) == self.leaf.hex() + joined[:-HASH_SIZE].hex()
            and set(map(len, prevs)) == {2 * HASH_SIZE}
            and self._in_time(times)
            and all(_in_order(tags) for entry in decoded if (tags := entry.event.tags) is not None)
            and (positions[0] > 0 or self._check_created(rows[0], decode(rows[0].entry)) is None)
        )
        if not good:
            return None
        self.recorded = times[-1]
        return leaves, decoded

    def _in_time(self, times: list[str]) -> bool:
        return times[0] >= self.recorded and times == sorted(times) and all(map(_is_recorded, set(times)))

    # --- One at a time -----------------------------------------------------------------------------------------------

    def _check_each(self, rows: Sequence[Row], stored: bytes, altered: Altered) -> tuple[list[bytes], Fault | None]:
        leaves: list[bytes] = []
        for at, row in enumerate(rows):
            if type(row.entry) is not bytes:
                return leaves, Fault(row.position, UNREADABLE, f"the row holds {type(row.entry).__name__}, not bytes")
            leaf = sha256(b"\x00" + row.entry).digest()
            if leaf != stored[at * HASH_SIZE : (at + 1) * HASH_SIZE]:
                return leaves, altered(row.position, leaves, leaf)
            if (fault := self._check_one(row)) is not None:
                return leaves, fault
            self.leaf = leaf
            leaves.append(leaf)
        return leaves, None

    def _check_one(self, row: Row) -> Fault | None:
        """All that has to hold of an entry whose bytes are as sealed, in order."""
        position = row.position
        if (form := fault_of_form(row.entry)) is not None:
            return Fault(position, FORMAT, form)
        entry = decode(row.entry)
        seal = entry.seal
        if seal.position != position:
            return Fault(position, POSITION, f"its seal states position {seal.position}")
        if seal.prev != self.leaf.hex():
            return Fault(position, PREV, f"its seal follows {seal.prev}, the entry before has {self.leaf.hex()}")
        if not _is_recorded(seal.recorded):
            return Fault(position, RECORDED, f"its seal states the time {seal.recorded!r}")
        if seal.recorded < self.recorded:
            return Fault(position, RECORDED, f"recorded {seal.recorded}, but the entry before {self.recorded}")
        self.recorded = seal.recorded
        return self._check_versions(position, entry) or self._check_created(row, entry)

    def _check_versions(self, position: int, entry: Entry) -> Fault | None:
        event, seal = entry.event, entry.seal
        if self._streams.advance([event.stream], [seal.version]) is not None:
            return self._gap(position, entry)
        if self._members.advance([event.member or None], [seal.member_version or None]) is not None:
            return self._member_gap(position, entry)
        return None

    def _check_created(self, row: Row, entry: Entry) -> Fault | None:
        """Entry 0 begins the ledger: this one, in this format, with these keys."""
        if row.position:
            return None
        event = entry.event
        if (event.type, event.stream) != ("ledger.created", LEDGER_STREAM):
            return Fault(0, CREATED, f"the log begins with {event.type} on {event.stream}")
        data = event.public()
        if data.get("format") != FORMAT_VERSION:
            return Fault(0, CREATED, f"it states format {data.get('format')}, this audit knows {FORMAT_VERSION}")
        if data.get("origin") != self._origin:
            return Fault(0, CREATED, f"it begins {data.get('origin')}, the store claims to be {self._origin}")
        ours, listed = [str(key) for key in self._keys if key.name == self._origin], data.get("verifier_keys")
        if not ours or not isinstance(listed, list) or not set(ours) <= set(map(str, listed)):
            return Fault(0, CREATED, "it does not name the verifier keys that this audit was given")
        return None

    def _gap(self, position: int, entry: Any) -> Fault:
        stream, expected = entry.event.stream, self._streams.expected(entry.event.stream)
        return Fault(position, VERSION, f"version {entry.seal.version} of {stream}, expected {expected}")

    def _member_gap(self, position: int, entry: Any) -> Fault:
        member, version = entry.event.member, entry.seal.member_version
        stated = f"member version {version}" if version else "no member version"
        if not member:
            return Fault(position, MEMBER_VERSION, f"{stated}, but the event names no member")
        return Fault(position, MEMBER_VERSION, f"{stated} of {member}, expected {self._members.expected(member)}")


def fault_of_form(entry: bytes) -> str | None:
    """What keeps bytes from being an entry (canonical, an event and then a seal, each of known fields), or None."""
    if len(entry) > MAX_ENTRY:
        return f"it has {len(entry):,} bytes, of at most {MAX_ENTRY:,}"
    try:
        value = orjson.loads(entry)
        canonical.check(value, "$", -2)  # the limit of depth is that of data, which stands two levels down
        if orjson.dumps(value, option=orjson.OPT_SORT_KEYS) != entry:
            return "its bytes are not the canonical ones of their content"
        body = decode(entry).event
    except (LedgerError, ValueError, RecursionError) as error:
        return f"it does not read: {error}"
    if not isinstance(value["event"]["data"], dict):
        return "its data is not an object"
    if body.private is not UNSET and not body.private:
        return "it has an empty set of private fields"
    if body.tags is not UNSET and not _in_order(body.tags):
        return "its tags are not in order"
    return None


def _in_order(tags: Sequence[str]) -> bool:
    return bool(tags) and list(tags) == sorted(set(tags))


def _is_recorded(text: str) -> bool:
    if not _RECORDED.fullmatch(text):
        return False
    try:
        dt.datetime.fromisoformat(text[:-1])
    except ValueError:
        return False
    return True
