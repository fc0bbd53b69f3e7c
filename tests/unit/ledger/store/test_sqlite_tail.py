"""The tail finds what the index does not hold yet, forgets only what it does hold, and refuses what contradicts it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import StoreError
from ledger.store import protocol, sqlite_tail
from ledger.store.sqlite_tail import Tail
from tests.contract.stores import new_row, stored


def rows(first, count, stream="s:1", member="M-1"):
    return [new_row(at, stream, at + 1, "t.a", (member, at + 1)) for at in range(first, first + count)]


def test_it_finds_entries_by_id_stream_and_member():
    tail = Tail(0)
    tail.add([*rows(0, 2), new_row(2, "s:2", 1)])
    assert (tail.start, tail.end) == (0, 3)
    assert tail.find_ids([("urn:test", "id-1"), ("urn:test", "id-9"), ("urn:x", "id-1")]) == {("urn:test", "id-1"): 1}
    assert (tail.of_stream("s:1"), tail.of_stream("s:2"), tail.of_stream("s:9")) == ([0, 1], [2], [])
    assert (tail.member_version("M-1"), tail.member_version("M-9")) == (2, None)


@given(sizes=st.lists(st.integers(1, 7), max_size=12), lags=st.lists(st.integers(0, 40), min_size=12, max_size=12))
def test_whatever_the_index_lags_an_entry_is_in_the_tail_or_in_the_index(sizes, lags):
    tail, end, indexed = Tail(0), 0, 0
    original, sqlite_tail.GENERATION = sqlite_tail.GENERATION, 5
    try:
        for size, lag in zip(sizes, lags, strict=False):
            tail.add(rows(end, size))
            end += size
            indexed = max(indexed, end - lag)
            tail.drop(indexed)
            known = set(tail.find_ids([("urn:test", f"id-{at}") for at in range(end)]).values())
            assert known | set(range(indexed)) == set(range(end))
            assert tail.start <= indexed
            assert tail.end == end
            assert tail.of_stream("s:1") == sorted(known)
    finally:
        sqlite_tail.GENERATION = original


@pytest.mark.parametrize(
    "row",
    [
        new_row(2, "s:1", 2, event_id="new"),
        new_row(2, "s:1", 4, event_id="new"),
        new_row(2, "s:2", 1, "t.a", ("M-1", 2), event_id="new"),
        new_row(2, "s:2", 1, event_id="id-0"),
    ],
    ids=["version again", "version skipped", "member version again", "id again"],
)
def test_an_entry_that_contradicts_the_last_ones_is_refused(row):
    tail = Tail(0)
    tail.add(rows(0, 2))
    with pytest.raises(StoreError):
        tail.add([row])


def test_what_finds_a_stored_entry_is_read_from_its_bytes():
    row = new_row(3, "s:1", 4, "t.a", ("M-1", 2))
    (read,) = stored([row])
    assert protocol.placed(read) == row
    nobody = new_row(3, "s:1", 4)
    (read,) = stored([nobody])
    assert protocol.placed(read) == nobody
