"""Publishing at an interval: when it is tried again, what is told, and how it ends."""

import threading

import pytest

from ledger.errors import QuorumMissed, ReadOnly, StoreError
from tools import publishing
from tools.publish import Stopped
from tools.publishing import LONGEST_BACKOFF, Publishing, Round, backoff
from tools.vaults.protocol import VaultUnreachable
from tools.witnessing import Answer

SECONDS = 10.0
COSIGNED = Answer("w0", "cosigned")
REFUSED = Answer("w1", "refused", "422: no")


class Script:
    """A publication that does what it is told, one step an attempt; after the last it does that again."""

    place = "the vault"

    def __init__(self, *steps):
        self.steps = list(steps)
        self.done = threading.Semaphore(0)

    def once(self):
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        self.done.release()
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step

    def await_(self, count):
        for _ in range(count):
            assert self.done.acquire(timeout=SECONDS)


@pytest.fixture
def running():
    """Starts publishings and closes them at the end."""
    started = []

    def start(script, seconds=3600.0):
        alarms = []
        one = Publishing(lambda stopping: script, seconds, alarms.append, clock=lambda: 1_767_225_600.0)
        one.start()
        started.append(one)
        return one, alarms

    yield start
    for one in started:
        one.close()


def test_it_publishes_at_the_start_and_says_so(running):
    one, alarms = running(Script(Round(7, 3, [COSIGNED, REFUSED])))

    standing = one.now().result(SECONDS)

    assert (standing.size, standing.time, standing.failures) == (7, "2026-01-01T00:00:00.000000Z", 0)
    assert standing.witnesses == (COSIGNED, REFUSED)
    assert alarms == []


def test_it_publishes_at_the_interval(running):
    script = Script(Round(7, 3, []))
    running(script, seconds=0.01)
    script.await_(3)


def test_a_failure_is_told_once_kept_and_told_again_when_it_is_over(running, monkeypatch):
    monkeypatch.setattr(publishing, "SHORTEST_BACKOFF", 0.001)
    away = VaultUnreachable("nobody there")
    script = Script(Round(7, 3, []), away, away, away, Round(9, 1, []))
    one, alarms = running(script, seconds=0.001)
    script.await_(6)

    assert alarms == [
        "can't publish to the vault: nobody there",
        "published again, 9 entries, after 3 failures",
    ]
    assert (one.standing().size, one.standing().failures, one.standing().fault) == (9, 0, None)


def test_whoever_asked_is_told_why_it_failed_and_what_is_published_stays_known(running):
    one, _ = running(Script(Round(7, 3, [COSIGNED]), StoreError("gone")))
    one.now().exception(SECONDS)

    with pytest.raises(StoreError, match="gone"):
        one.now().result(SECONDS)

    assert (one.standing().size, one.standing().fault) == (7, "gone")


def test_without_a_quorum_each_witness_that_did_not_cosign_is_named(running):
    one, alarms = running(Script(Round(None, 0, [COSIGNED, REFUSED, Answer("w2", "unreachable", "no route")])))

    with pytest.raises(QuorumMissed, match="w1 refused: 422: no; w2 unreachable: no route"):
        one.now().result(SECONDS)

    assert one.standing().size is None
    assert [answer.name for answer in one.standing().witnesses] == ["w0", "w1", "w2"]
    assert "w0" not in alarms[0]


def test_a_fault_of_the_program_does_not_end_it_and_tells_nothing_of_what_it_held(running):
    one, alarms = running(Script(ValueError("Wilhelmina"), Round(7, 1, [])))
    while one.standing().size is None:
        one.now().exception(SECONDS)
    assert alarms[0] == "can't publish to the vault: ValueError"


def test_closing_ends_an_attempt_and_whoever_waits_is_told(running):
    entered, left = threading.Event(), threading.Event()

    def stand():
        entered.set()
        assert left.wait(SECONDS)
        raise Stopped("stopped")

    one, alarms = running(Script(stand))
    assert entered.wait(SECONDS)
    waiting = one.now()
    closing = threading.Thread(target=one.close)
    closing.start()
    while not one._is_closed():
        pass
    left.set()
    closing.join(SECONDS)
    assert not closing.is_alive()

    for future in (waiting, one.now()):
        with pytest.raises(ReadOnly, match="being stopped"):
            future.result(SECONDS)
    assert alarms == []


def test_pauses_grow_with_failures_up_to_a_bound():
    assert [backoff(60, failures) for failures in (0, 1, 2, 3, 4, 100)] == [60, 60, 120, 240, LONGEST_BACKOFF, 300]
    assert [backoff(0.5, failures) for failures in (0, 1, 2)] == [0.5, 1, 2]
    assert [backoff(3600, failures) for failures in (0, 1, 2, 9)] == [3600] * 4
