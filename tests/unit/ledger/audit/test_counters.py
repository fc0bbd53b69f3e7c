"""The counters of streams and members: of any memory, and joined from ranges."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ledger.audit.counters import Counters, Run

Names = list[bytes | None]
Counts = list[int | None]

names_of_entries = st.lists(st.sampled_from([None, *(b"%c" % letter for letter in b"abcdefghij")]), max_size=80)


def counted(names: Names) -> Counts:
    seen: dict[bytes, int] = {}
    counts: Counts = []
    for name in names:
        if name is not None:
            seen[name] = seen.get(name, 0) + 1
        counts.append(None if name is None else seen[name])
    return counts


def first_wrong(counters: Counters, names: Names, counts: Counts, step: int) -> int | None:
    for start in range(0, len(names), step):
        wrong = counters.advance(names[start : start + step], counts[start : start + step])
        if wrong is not None:
            return start + wrong
    return None


@given(
    names=names_of_entries,
    kept=st.integers(1, 6),
    step=st.integers(1, 9),
    fault=st.none() | st.tuples(st.integers(0, 79), st.sampled_from([-1, 0, 1, 2])),
)
def test_counters_of_any_memory_find_the_first_count_that_is_not_the_next(
    names: Names, kept: int, step: int, fault: tuple[int, int] | None
) -> None:
    counts = counted(names)
    wrong = None
    if fault is not None and fault[0] < len(names):
        wrong, shift = fault
        right = counts[wrong]
        counts[wrong] = 1 if right is None else None if shift == 0 else right + shift
    counters = Counters(kept)
    assert first_wrong(counters, names, counts, step) == wrong
    if wrong is not None and (name := names[wrong]) is not None:
        assert counters.expected(name) == names[:wrong].count(name) + 1
    counters.close()
    counters.close()


def test_a_count_without_a_name_is_wrong_whatever_it_is() -> None:
    assert Counters().advance([None], [0]) == 0
    assert Run().advance([None], [0]) == 0


@given(
    names=names_of_entries,
    kept=st.integers(1, 6),
    cuts=st.lists(st.integers(0, 80), max_size=5),
    fault=st.none() | st.tuples(st.integers(0, 79), st.sampled_from([-2, -1, 1, 2, None])),
)
def test_ranges_that_are_counted_apart_are_joined_if_and_only_if_all_together_count_up(
    names: Names, kept: int, cuts: list[int], fault: tuple[int, int | None] | None
) -> None:
    counts = counted(names)
    if fault is not None and fault[0] < len(names):
        right = counts[fault[0]]
        counts[fault[0]] = 1 if right is None else None if fault[1] is None else right + fault[1]
    joined, whole = Counters(kept), Counters()
    edges = [0, *sorted(min(cut, len(names)) for cut in cuts), len(names)]
    good = True
    for start, end in pairwise(edges):
        run = Run()
        good = good and run.advance(names[start:end], counts[start:end]) is None and joined.fits(run.runs())
        if good:
            joined.join(run.runs())
    assert good == (whole.advance(names, counts) is None)
    if good:
        assert all(joined.expected(name) == whole.expected(name) for name in set(names) - {None} if name is not None)
    joined.close()


def test_a_range_that_does_not_fit_leaves_the_counts_as_they_were() -> None:
    counters, run = Counters(), Run()
    assert run.advance([b"a", b"b", b"b"], [1, 4, 5]) is None
    assert (run.expected(b"b"), run.expected(b"c")) == (6, 1)
    assert not counters.fits(run.runs())
    assert (counters.expected(b"a"), counters.expected(b"b")) == (1, 1)
