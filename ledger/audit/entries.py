"""The checks of an entry at its position: hash, form, seal and versions.

Owns what has to hold at each position and the order in which it is looked at. Entries are checked many at a time, by
comparing whole columns; where two columns differ, the first place at which they do is the fault. Never reads a store.

Invariant: the fault found is that of the lowest position, and there the first in the order of the checks.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ledger.audit.counters import Counts
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
from ledger.audit.form import Form, Stated, fault_of_form
from ledger.audit.places import first_misplaced
from ledger.audit.signing import NOT_NAMED, STREAM, Announcement
from ledger.audit.source import agreement
from ledger.entry import FORMAT_VERSION, LEDGER_STREAM, decode
from ledger.merkle import HASH_SIZE, leaf_hash, leaf_hashes
from ledger.rotation import is_rotation

Altered = Callable[[int, Sequence[bytes], bytes], Fault]
"""(position, leaf hashes from the page's first to the one before, leaf hash of the bytes) -> the fault there."""

_RECORDED = re.compile(rb"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z)+")
_RECORDED_SIZE = len("2026-03-01T09:30:00.000000Z")


class Entries:
    """Checks the entries of one ledger in order. ``leaf`` and ``recorded`` are those of the last good one.

    ``named`` says whether the log may announce the keys that the auditor trusts.
    """

    def __init__(
        self,
        origin: str,
        counters: tuple[Counts, Counts],
        *,
        named: bool = True,
        leaf: bytes = bytes(HASH_SIZE),
        recorded: bytes = b"",
    ) -> None:
        self._origin = origin
        self._named = named
        self._streams, self._members = counters
        self._forms = Form(), Form(places=True)
        self.leaf = leaf
        self.recorded = recorded
        self._announcements: list[Announcement] = []

    def take_announcements(self) -> list[Announcement]:
        """The good entries since the last call that announce signing keys, in their order."""
        taken, self._announcements = self._announcements, []
        return taken

    def check(
        self,
        first: int,
        entries: Sequence[bytes],
        stored: bytes,
        altered: Altered,
        places: Sequence[Sequence[Any]] = (),
    ) -> tuple[list[bytes], Fault | None]:
        """Check what stands for entries at consecutive positions against what is stored beside it.

        That is the leaf hashes, and the columns that find entries, where there are any (``Columns.places``).
        Returns the leaf hashes of the good ones, and the fault of the first that is not. ``altered`` says which fault
        it is that an entry's bytes don't have the stored hash.
        """
        leaves, bad_hash = _hashed(entries, stored)
        stated, bad_form = self._forms[bool(places)].read(entries[: len(leaves)])
        good, bad_seal = self._check_seals(first, entries, leaves, stated)
        if places and (misplaced := first_misplaced(first, entries[:good], stated, places)) is not None:
            return leaves[: misplaced.position - first], misplaced
        if good:
            self.leaf, self.recorded = leaves[good - 1], stated.recorded[good - 1]
            self._note_announcements(first, entries, stated.streams[:good])
        if bad_seal is not None:
            return leaves[:good], bad_seal
        if bad_form is not None:
            return leaves[:good], Fault(first + good, FORMAT, bad_form)
        if bad_hash is not None:
            return leaves, altered(first + good, leaves, bad_hash)
        if good < len(entries):
            kind = type(entries[good]).__name__
            return leaves, Fault(first + good, UNREADABLE, f"the row holds {kind}, not bytes")
        return leaves, None

    def _note_announcements(self, first: int, entries: Sequence[bytes], streams: Sequence[bytes]) -> None:
        if STREAM in streams:
            for at, stream in enumerate(streams):
                if stream == STREAM and (first + at == 0 or is_rotation(entries[at])):
                    self._announcements.append(Announcement(first + at, entries[at]))

    def _check_seals(
        self, position: int, entries: Sequence[bytes], leaves: Sequence[bytes], stated: Stated
    ) -> tuple[int, Fault | None]:
        """Check what entries of good form state: how many of them are right, and the fault of the next."""
        count = len(stated.positions)
        if not count:
            return 0, None
        followed = (self.leaf + b"".join(leaves))[: count * HASH_SIZE].hex(",", HASH_SIZE).encode()
        ends = (
            _agreement(stated.positions, decimals(position, count)),
            _agreement(stated.prevs, followed),
            self._in_time(stated.recorded),
        )
        good = min(ends)
        fault = None
        if good < count:
            fault = self._fault_of_seal(position + good, good, entries, stated, followed, ends.index(good))
        bad = self._streams.advance(stated.streams[:good], stated.versions[:good])
        if bad is not None:
            good, fault = bad, self._gap(position + bad, bad, stated)
        bad = self._members.advance(stated.members[:good], stated.member_versions[:good])
        if bad is not None:
            good, fault = bad, self._member_gap(position + bad, bad, stated)
        if position == 0 and good and (wrong := self._check_created(entries[0])) is not None:
            good, fault = 0, wrong
        return good, fault

    def _in_time(self, recorded: Sequence[bytes]) -> int:
        """How many of these are times, none before another."""
        times = set(recorded)
        if (
            set(map(len, times)) <= {_RECORDED_SIZE}
            and (not times or _RECORDED.fullmatch(b"".join(times)))
            and all(map(_is_date, {time[:10] for time in times}))
            and [self.recorded, *recorded] == sorted([self.recorded, *recorded])
        ):
            return len(recorded)
        last = self.recorded
        for index, time in enumerate(recorded):
            if time < last or not is_recorded(time):
                return index
            last = time
        return len(recorded)

    # --- What is wrong -----------------------------------------------------------------------------------------------

    def _fault_of_seal(
        self, position: int, at: int, entries: Sequence[bytes], stated: Stated, followed: bytes, check: int
    ) -> Fault:
        if (form := fault_of_form(entries[at])) is not None:
            return Fault(position, FORMAT, form)
        if check == 0:
            return Fault(position, POSITION, f"its seal states position {_text(stated.positions[at])}")
        if check == 1:
            prev, leaf = _text(stated.prevs[at]), _text(followed.split(b",")[at])
            return Fault(position, PREV, f"its seal follows {prev}, the entry before has {leaf}")
        time, before = stated.recorded[at], stated.recorded[at - 1] if at else self.recorded
        if not is_recorded(time):
            return Fault(position, RECORDED, f"its seal states the time {_text(time)!r}")
        return Fault(position, RECORDED, f"recorded {_text(time)}, but the entry before {_text(before)}")

    def _check_created(self, entry: bytes) -> Fault | None:
        """Entry 0 begins the ledger: this one, in this format, with these keys."""
        event = decode(entry).event
        if (event.type, event.stream) != ("ledger.created", LEDGER_STREAM):
            return Fault(0, CREATED, f"the log begins with {event.type} on {event.stream}")
        data = event.public()
        if data.get("format") != FORMAT_VERSION:
            return Fault(0, CREATED, f"it states format {data.get('format')}, this audit knows {FORMAT_VERSION}")
        if data.get("origin") != self._origin:
            return Fault(0, CREATED, f"it begins {data.get('origin')}, the store claims to be {self._origin}")
        return None if self._named else Fault(0, CREATED, NOT_NAMED)

    def _gap(self, position: int, at: int, stated: Stated) -> Fault:
        stream = stated.streams[at]
        expected = self._streams.expected(stream)
        return Fault(position, VERSION, f"version {stated.versions[at]} of {_text(stream)}, expected {expected}")

    def _member_gap(self, position: int, at: int, stated: Stated) -> Fault:
        member, version = stated.members[at], stated.member_versions[at]
        found = "no member version" if version is None else f"member version {version}"
        if member is None:
            return Fault(position, MEMBER_VERSION, f"{found}, but the event names no member")
        expected = self._members.expected(member)
        return Fault(position, MEMBER_VERSION, f"{found} of {_text(member)}, expected {expected}")


def is_recorded(time: bytes) -> bool:
    """Whether this is a time as seals state it: UTC, six decimals."""
    return len(time) == _RECORDED_SIZE and _RECORDED.fullmatch(time) is not None and _is_date(time[:10])


@lru_cache
def _is_date(day: bytes) -> bool:
    try:
        dt.date.fromisoformat(day.decode())
    except ValueError:
        return False
    return True


def _hashed(entries: Sequence[Any], stored: bytes) -> tuple[list[bytes], bytes | None]:
    """The leaf hashes of entries as far as they are the stored ones, and that of the next; None if it is not bytes."""
    try:
        leaves = leaf_hashes(entries)
    except TypeError:
        pass
    else:
        if b"".join(leaves) == stored:
            return leaves, None
    leaves = []
    for at, entry in enumerate(entries):
        if type(entry) is not bytes:
            return leaves, None
        leaf = leaf_hash(entry)
        if leaf != stored[at * HASH_SIZE : (at + 1) * HASH_SIZE]:
            return leaves, leaf
        leaves.append(leaf)
    return leaves, None


def decimals(first: int, count: int) -> bytes:
    """The numbers from ``first`` on in decimal, with commas between them: thousand by thousand, the last digits ready.

    >>> decimals(998, 4)
    b'998,999,1000,1001'
    """
    texts = []
    for start in range(first - first % 1000, first + count, 1000):
        some = _LAST_DIGITS[max(0, first - start) : first + count - start]
        if start:
            thousand = b"%d" % (start // 1000)
            texts.append(thousand + (b"," + thousand).join(some))
        else:
            texts += [digits.lstrip(b"0") or b"0" for digits in some]
    return b",".join(texts)


_LAST_DIGITS = [b"%03d" % number for number in range(1000)]


def _agreement(found: Sequence[bytes], wanted: bytes) -> int:
    """How many of the texts found are those wanted, which have commas between them."""
    if b",".join(found) == wanted:
        return len(found)
    return agreement(found, wanted.split(b","))


def _text(stated: bytes) -> str:
    return stated.decode()
