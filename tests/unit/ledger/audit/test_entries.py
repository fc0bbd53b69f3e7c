"""The checks of entries in columns, against the same checks written down one by one, plainly."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit import Fault
from ledger.audit.counters import Counters
from ledger.audit.entries import Entries, decimals, is_recorded
from ledger.audit.form import fault_of_form
from tests.support.forgery import canonical, leaf
from tests.support.memory import ORIGIN, Memory, content

SIZE = 40
RECORDED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
STRANGE = [5, "text", None, b"", b"{}", b"x\n", 1.5]


class Plain:
    """What has to hold of each entry, in order. Shares with the audit only what tells whether bytes are an entry."""

    def __init__(self) -> None:
        self.prev, self.recorded = "0" * 64, ""
        self.streams: Counter[str] = Counter()
        self.members: Counter[str] = Counter()

    def fault(self, entries: Sequence[Any], stored: bytes) -> tuple[int, str] | None:
        """Position and kind of the first fault."""
        for position, entry in enumerate(entries):
            kind = self.kind(position, entry, stored[position * 32 : position * 32 + 32])
            if kind is not None:
                return position, kind
        return None

    def kind(self, position: int, entry: Any, stored: bytes) -> str | None:
        if type(entry) is not bytes:
            return "unreadable"
        if leaf(entry) != stored:
            return "altered"
        if fault_of_form(entry) is not None:
            return "format"
        return self.kind_of_seal(position, entry)

    def kind_of_seal(self, position: int, entry: bytes) -> str | None:
        made = orjson.loads(entry)
        event, seal, time = made["event"], made["seal"], made["seal"]["recorded"]
        if seal["position"] != position:
            return "position"
        if seal["prev"] != self.prev:
            return "prev"
        if time < self.recorded or not RECORDED.fullmatch(time) or not is_recorded(time.encode()):
            return "recorded"
        self.prev, self.recorded = leaf(entry).hex(), time
        self.streams[event["stream"]] += 1
        if self.streams[event["stream"]] != seal["version"]:
            return "version"
        if "member" in event:
            self.members[event["member"]] += 1
        expected = self.members[event["member"]] if "member" in event else None
        return "member_version" if expected != seal.get("member_version") else None


Change = Callable[[dict[str, Any]], object]

changes: list[Change] = [
    *(
        lambda made, name=name, value=value: made["seal"].update({name: value})
        for name, values in {
            "position": [0, 7, 1_007, -1],
            "prev": ["", "f" * 64, "F" * 64, "0" * 64, "\n", "é"],
            "recorded": ["2026-03-01T09:29:00.000000Z", "2026-03-01T24:00:00.000000Z", "2026-02-30T00:00:00.000000Z"],
            "version": [0, -1, 1, 2, 3, 2_000],
            "member_version": [0, -1, 1, 2, 3, 2_000],
        }.items()
        for value in values
    ),
    *(
        lambda made, name=name, value=value: made["event"].update({name: value})
        for name, value in {"stream": "reservation:R-1", "member": "M-1", "data": [], "tags": [], "id": "é"}.items()
    ),
    lambda made: made["seal"].pop("member_version", None),
    lambda made: made["event"].pop("member", None),
    lambda made: made["event"].pop("v", None),
]


def chained(changed: dict[int, list[Change]]) -> list[bytes]:
    """Entries whose seals follow one another, whatever else some of them state."""
    entries: list[bytes] = []
    streams: Counter[str] = Counter()
    members: Counter[str] = Counter()
    for position in range(SIZE):
        made = content(position)
        event, seal = made["event"], made["seal"]
        streams[event["stream"]] += 1
        seal |= {"position": position, "prev": leaf(entries[-1]).hex() if entries else "0" * 64}
        seal["version"] = streams[event["stream"]]
        if "member" in event:
            members[event["member"]] += 1
            seal["member_version"] = members[event["member"]]
        for change in changed.get(position, []):
            change(made)
        entries.append(canonical(made))
    return entries


def altered(position: int, before: Sequence[bytes], _: bytes) -> Fault:
    return Fault(position, "altered", f"after {len(before)}")


def checked(entries: Sequence[Any], stored: bytes, step: int) -> tuple[Fault | None, int]:
    """The first fault, and how many leaf hashes there are of those before it."""
    audit, good = Entries(ORIGIN, (Counters(), Counters())), 0
    for start in range(0, len(entries), step):
        some = entries[start : start + step]
        leaves, fault = audit.check(start, some, stored[start * 32 : (start + len(some)) * 32], altered)
        assert b"".join(leaves) == stored[start * 32 : (start + len(leaves)) * 32]
        good += len(leaves)
        if fault is not None:
            return fault, good
    return None, good


@given(
    changed=st.dictionaries(
        st.integers(1, SIZE - 1), st.lists(st.sampled_from(changes), min_size=1, max_size=2), max_size=3
    ),
    put=st.dictionaries(st.integers(0, SIZE - 1), st.sampled_from(STRANGE), max_size=1),
    hashed_anew=st.booleans(),
    cut=st.integers(0, 3),
    step=st.sampled_from([1, 7, SIZE]),
)
def test_the_first_fault_is_that_which_is_found_one_by_one(
    changed: dict[int, list[Change]], put: dict[int, Any], hashed_anew: bool, cut: int, step: int
) -> None:
    entries: list[Any] = chained(changed)
    leaves = [leaf(entry) for entry in entries]
    for position, value in put.items():
        entries[position] = value
        if hashed_anew and isinstance(value, bytes):
            leaves[position] = leaf(value)
    stored = b"".join(leaves[: SIZE - cut])
    wanted = Plain().fault(entries, stored)
    fault, good = checked(entries, stored, step)
    assert (None if fault is None else fault[:2]) == wanted
    assert good == (SIZE if wanted is None else wanted[0])


def test_the_end_of_a_line_within_a_seal_is_a_fault_of_form_there() -> None:
    entries = chained({})
    for name in (b"prev", b"recorded"):
        spoilt = list(entries)
        spoilt[20] = re.sub(b'"%b":"([^"]*)"' % name, b'"%b":"\n"' % name, entries[20])
        assert checked(spoilt, b"".join(map(leaf, spoilt)), SIZE)[0][:2] == (20, "format")
        cut = entries[20].index(b'"%b":"' % name) + 15
        spoilt[20:22] = [entries[20][:cut], entries[20][cut:]]  # read together, a line feed in one text
        assert checked(spoilt, b"".join(map(leaf, spoilt)), SIZE)[0][:2] == (20, "format")


def test_a_sound_log_counts_its_last_leaf_and_time() -> None:
    source = Memory(SIZE)
    audit = Entries(ORIGIN, (Counters(), Counters()))
    audit.check(0, [row.entry for row in source.entries], source.hashes[0, 0], altered)
    assert (audit.leaf, audit.recorded.decode()) == (source.ends.leaf, source.ends.recorded)
    assert audit.check(SIZE, [], b"", altered) == ([], None)


def test_a_fault_tells_what_was_stated_and_what_was_expected() -> None:
    def told(position: int, change: Change) -> str:
        entries = chained({position: [change]})
        fault, _ = checked(entries, b"".join(map(leaf, entries)), SIZE)
        assert fault is not None
        return fault.detail

    assert told(30, changes[1]) == "its seal states position 7"
    assert told(12, lambda made: made["seal"].update(version=9)) == "version 9 of reservation:R-2, expected 2"
    assert told(12, lambda made: made["seal"].update(member_version=1)) == (
        "member version 1, but the event names no member"
    )
    assert told(13, lambda made: made["seal"].update(member_version=1)) == "member version 1 of M-1, expected 4"
    assert told(13, lambda made: made["seal"].pop("member_version")) == "no member version of M-1, expected 4"
    assert told(9, lambda made: made["seal"].update(recorded="x")) == "its seal states the time 'x'"
    assert told(9, lambda made: made["seal"].update(recorded="2026-01-01T00:00:00.000000Z")) == (
        "recorded 2026-01-01T00:00:00.000000Z, but the entry before 2026-03-01T09:30:00.000008Z"
    )
    assert told(9, lambda made: made["seal"].update(prev="a")).startswith("its seal follows a, the entry before has ")


@given(first=st.integers(0, 3_000) | st.integers(0, 2**40), count=st.integers(1, 2_500))
def test_decimals_are_the_numbers_in_a_row(first: int, count: int) -> None:
    assert decimals(first, count) == b",".join(b"%d" % number for number in range(first, first + count))


@pytest.mark.parametrize(
    ("time", "good"),
    [
        ("2026-03-01T09:30:00.000000Z", True),
        ("2024-02-29T23:59:59.999999Z", True),
        ("2026-02-29T00:00:00.000000Z", False),
        ("2026-03-01T24:00:00.000000Z", False),
        ("2026-03-01T23:60:00.000000Z", False),
        ("2026-03-01T23:59:60.000000Z", False),
        ("0000-01-01T00:00:00.000000Z", False),
        ("2026-03-01T09:30:00.00000Z", False),
        ("2026-03-01 09:30:00.000000Z", False),
        ("2026-03-01T09:30:00.000000+", False),
        ("", False),
    ],
)
def test_a_recorded_time_is_a_real_one_in_one_form(time: str, good: bool) -> None:
    assert is_recorded(time.encode()) is good
