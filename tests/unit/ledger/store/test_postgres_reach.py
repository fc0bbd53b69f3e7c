"""How long a server that is away is waited for, by an account of it that is kept the plain way."""

import math

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ledger.errors import StoreUnreachable
from ledger.store.postgres_reach import LOOK, Reach, reach_of

WAIT = 10


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reach(clock):
    return Reach(clock)


def ask(reach, insists=False):
    with reach.asking(WAIT, insists=insists):
        return True


def test_a_server_of_which_nothing_is_known_is_waited_for(reach, clock):
    assert reach.until(WAIT) == clock.now + WAIT


def test_an_outage_is_waited_for_once_and_not_by_each_caller_anew(reach, clock):
    reach.missed(clock.now - 4)
    assert reach.until(WAIT) == clock.now + 6
    with reach.asking(WAIT, insists=False):
        assert ask(reach)


def test_in_a_long_outage_one_looks_and_the_others_are_told_at_once(reach, clock):
    reach.missed(clock.now - WAIT)
    assert reach.until(WAIT) == clock.now + LOOK
    with reach.asking(WAIT, insists=False):
        with pytest.raises(StoreUnreachable, match="away") as caught:
            ask(reach)
        assert "see that PostgreSQL runs" in caught.value.advice
        assert ask(reach, insists=True)
    assert ask(reach)


def test_a_look_that_fails_is_given_up_for_the_next(reach, clock):
    reach.missed(clock.now - WAIT)
    with pytest.raises(ZeroDivisionError), reach.asking(WAIT, insists=False):
        raise ZeroDivisionError
    assert ask(reach)


def test_a_server_that_answers_is_back_for_all(reach, clock):
    reach.missed(clock.now - WAIT)
    with reach.asking(WAIT, insists=False):
        reach.answered()
        assert ask(reach)
    assert reach.until(WAIT) == clock.now + WAIT


def test_an_attempt_that_began_before_the_last_answer_says_nothing_of_now(reach, clock):
    began = clock.now
    clock.now += 1
    reach.answered()
    clock.now += 40
    reach.missed(began)
    assert reach.until(WAIT) == clock.now + WAIT


def test_all_that_leads_to_one_server_knows_the_same():
    assert reach_of("postgresql://here/one") is reach_of("postgresql://here/one")
    assert reach_of("postgresql://here/one") is not reach_of("postgresql://there/one")


class Outages(RuleBasedStateMachine):
    """Callers come and go while a server does: at most one looks, and nobody waits beyond the bound."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.reach = Reach(self.clock)
        self.away = None
        self.answered = -math.inf
        self.inside = []

    @rule(seconds=st.floats(0.1, 15))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @rule()
    def it_answers(self):
        self.reach.answered()
        self.answered, self.away = self.clock.now, None

    @rule(seconds=st.floats(0, 50))
    def it_is_missed(self, seconds):
        since = self.clock.now - seconds
        self.reach.missed(since)
        if self.answered <= since:
            self.away = since if self.away is None else min(self.away, since)

    @rule(insists=st.booleans())
    def somebody_asks(self, insists):
        long = self.away is not None and self.clock.now >= self.away + WAIT
        asking = self.reach.asking(WAIT, insists=insists)
        if long and not insists and any(looks for _, looks in self.inside):
            with pytest.raises(StoreUnreachable):
                asking.__enter__()
        else:
            asking.__enter__()
            self.inside.append((asking, long and not insists))

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def somebody_ends(self, data):
        asking, _ = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        asking.__exit__(None, None, None)

    @invariant()
    def nobody_waits_beyond_the_bound(self):
        left = self.reach.until(WAIT) - self.clock.now
        assert min(LOOK, WAIT) <= left + 1e-6
        assert left <= WAIT + 1e-6
        if self.away is not None:
            assert left <= max(LOOK, self.away + WAIT - self.clock.now) + 1e-6


TestOutages = Outages.TestCase
