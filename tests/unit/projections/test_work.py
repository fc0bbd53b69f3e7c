"""The cache between handlers and store: whatever is loaded, kept or let go, handlers see the rows that there are."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from projections.work import Work
from tests.support.projecting import SEEN, STEPS, VISITS, Seen, Step, Visit

STREAMS = [f"reservation:R-{number}" for number in range(5)]
streams = st.sampled_from(STREAMS)


class Machine(RuleBasedStateMachine):
    """A work over a store that is a dict, beside a dict that says what is true."""

    complete = False

    def __init__(self):
        super().__init__()
        self.stored = {} if self.complete else {STREAMS[0]: (STREAMS[0], 1, "", None)}
        self.truth = {key: values[1] for key, values in self.stored.items()}
        self.work = Work(self.load, complete=self.complete)

    def load(self, table, key):
        assert table is SEEN
        return self.stored.get(key)

    def load_many(self, table, keys):
        return {key: self.stored[key] for key in keys if key in self.stored}

    @rule(key=streams)
    def get(self, key):
        row = self.work.get(SEEN, key)
        assert (row and row.count) == self.truth.get(key)

    @rule(key=streams)
    def change(self, key):
        row = self.work.change(SEEN, key)
        assert (row is None) == (key not in self.truth)
        if row is not None:
            row.count += 1
            self.truth[key] += 1

    @rule(key=streams, count=st.integers(0, 9))
    def put(self, key, count):
        assert self.work.put(SEEN, Seen(key, count, "")).count == count
        self.truth[key] = count

    @rule(key=streams)
    def remove(self, key):
        self.work.remove(SEEN, key)
        self.truth.pop(key, None)

    @rule(keys=st.sets(streams), begins=st.booleans())
    def prefetch(self, keys, begins):
        begun = {key: begins and key not in self.truth and key not in self.stored for key in keys}
        self.work.prefetch({"reservation": begun}, self.load_many)

    @rule(most=st.integers(0, 4))
    def trim(self, most):
        self.work.trim(most)

    @rule()
    def take(self):
        changes = self.work.take().get(SEEN)
        if changes is not None:
            keys = [row[0] for row in changes.new + changes.changed] + changes.removed
            assert len(keys) == len(set(keys))
            assert not [row for row in changes.new if row[0] in self.stored]
            self.stored |= {row[0]: row for row in changes.new + changes.changed}
            for key in changes.removed:
                self.stored.pop(key, None)
        assert {key: row[1] for key, row in self.stored.items()} == self.truth
        assert self.work.take() == {}

    @invariant()
    def everything_is_seen(self):
        assert all((row := self.work.get(SEEN, key)) is None or row.count == self.truth[key] for key in STREAMS)


class CompleteMachine(Machine):
    complete = True


TestWork = Machine.TestCase
TestCompleteWork = CompleteMachine.TestCase


def never(*_):
    raise AssertionError("looked up")


def test_a_complete_work_looks_nothing_up():
    work = Work(never, complete=True)
    assert work.get(VISITS, ("M-1", "reservation:R-1")) is None
    work.put(VISITS, Visit("M-1", "reservation:R-1", 4))
    work.add(STEPS, Step(4, "t"))
    work.prefetch({"reservation": {"reservation:R-1": False}}, never)
    taken = work.take()
    assert (taken[VISITS].new, taken[STEPS].new) == ([("M-1", "reservation:R-1", 4)], [(4, "t")])
    assert taken[VISITS].changed == taken[VISITS].removed == []


def test_rows_of_a_kind_that_was_asked_for_are_loaded_together_and_those_that_begin_not_at_all():
    singly, together = [], []
    work = Work(lambda table, key: singly.append(key))

    def many(table, keys):
        together.extend(keys)
        return {}

    work.change(SEEN, STREAMS[0])
    begins = dict.fromkeys(STREAMS[:3], False) | {STREAMS[3]: True}
    work.prefetch({"reservation": begins, "piece": {"p:1": False}}, many)
    assert [work.change(SEEN, stream) for stream in STREAMS[:4]] == [None] * 4
    assert (singly, together) == (STREAMS[:1], STREAMS[1:3])


@given(st.lists(streams), st.integers(0, 5))
def test_no_more_rows_than_asked_for_are_kept(keys, most):
    work = Work(lambda table, key: None)
    for key in keys:
        work.put(SEEN, Seen(key, 1, ""))
    work.trim(most)
    assert len(work.take().get(SEEN).changed) == len(set(keys)) if keys else True
    work.trim(most)
    assert len(work._caches[SEEN].rows) <= most if keys else True
