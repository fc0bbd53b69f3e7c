"""A subscription misses nothing and repeats nothing, whoever appends and however they end."""

import contextlib
import threading
import time

import pytest

from ledger.errors import LedgerError
from tests.integration.children import append_for_ever, append_requests, start
from tests.support.events import requested

BATCH = 2


@pytest.fixture
def log(place):
    with place.create() as log:
        yield log


def collect(rows, into, until):
    for row in rows:
        into.append(row.position)
        if row.position >= until:
            return


def follower(log, after, until):
    """A thread that follows up to a position, and the positions it has seen."""
    seen = []
    thread = threading.Thread(target=collect, args=(log.follow(after), seen, until), daemon=True)
    thread.start()
    return thread, seen


def append_here(log, tag, count):
    for at in range(0, count, BATCH):
        log.append(
            [requested(f"{tag}-{number}", id=f"{tag}-{number}", member=None) for number in range(at, at + BATCH)]
        )


@pytest.mark.parametrize("each", [800, pytest.param(5_000, marks=pytest.mark.slow)])
def test_appends_from_here_and_from_another_process_each_arrive_once_in_order(place, log, each):
    last = 2 * each
    child, pipe = start(append_requests, place, "there", each, BATCH)
    assert pipe.recv() == "ready"
    followers = [follower(log, -1, last) for _ in range(3)]
    threads = [threading.Thread(target=append_here, args=(log, f"here-{one}", each // 4)) for one in range(4)]
    pipe.send("go")
    for thread in threads:
        thread.start()
    late = follower(log, each // 2, last)
    assert pipe.poll(90)
    there = [receipt.position for receipt in pipe.recv()]
    for thread in [*threads, *(thread for thread, _ in followers), late[0]]:
        thread.join(60)
    child.join(30)
    assert len(there) == each
    for _, seen in followers:
        assert seen == list(range(last + 1))
    assert late[1] == list(range(each // 2 + 1, last + 1))
    # Both were at it at once: the positions of the other process are no single run.
    assert there != list(range(there[0], there[0] + each))


def test_single_appends_of_another_process_are_seen_without_any_of_our_own(place, log):
    child, pipe = start(append_requests, place, "there", 200, 1)
    assert pipe.recv() == "ready"
    thread, seen = follower(log, -1, 200)
    pipe.send("go")
    thread.join(30)
    child.join(30)
    assert seen == list(range(201))


def test_a_follower_in_another_handle_on_the_ledger_sees_appends_of_this_one(place, log):
    with place.open() as other:
        thread, seen = follower(other, 0, 100)
        append_here(log, "a", 100)
        thread.join(30)
    assert seen == list(range(1, 101))


def test_nothing_is_missed_when_the_other_process_is_killed_while_it_appends(place, log):
    thread, seen = follower(log, -1, 10**9)
    acknowledged = []
    for attempt in range(3):
        child, pipe = start(append_for_ever, place, f"child-{attempt}")
        acknowledged += pipe.recv()
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            acknowledged += pipe.recv()
        child.kill()
        child.join(30)
    append_here(log, "after", BATCH)
    size = log.head().size
    deadline = time.monotonic() + 10
    while len(seen) < size and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seen == list(range(size))
    assert {receipt.position for receipt in acknowledged} <= set(seen)
    log.close()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("from_another_thread", [True, False])
def test_stop_ends_a_subscription_that_waits(log, from_another_thread):
    ended = []

    def listen():
        with log.store.subscribe(gt=0) as subscription:
            listening.append(subscription)
            ended.append([notification.id for notification in subscription])

    listening = []
    if from_another_thread:
        thread = threading.Thread(target=listen)
        thread.start()
        log.append([requested("R-1"), requested("R-2")])
        time.sleep(0.2)
        listening[0].stop()
        listening[0].stop()
        thread.join(10)
        assert not thread.is_alive()
        assert ended == [[1, 2, 3]]
    else:
        with log.store.subscribe(gt=0) as subscription:
            assert next(subscription).id == 1
            subscription.stop()
            assert list(subscription) == []


def test_leaving_a_follower_half_way_leaves_no_thread_behind(log):
    log.append([requested("R-1")])
    rows = log.follow()
    assert next(rows).position == 0
    rows.close()
    deadline = time.monotonic() + 5
    while _followers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _followers() == []


def _followers():
    return [
        thread.name for thread in threading.enumerate() if "follower" in thread.name or "_loop_on_pull" in thread.name
    ]


def test_subscriptions_that_come_and_go_are_all_woken(log):
    """The watching thread ends with the last subscription and begins with the next: no wake-up falls in between."""
    for number in range(1, 40):
        with log.store.subscribe(gt=number) as subscription:
            appender = threading.Thread(target=log.append, args=([requested(f"R-{number}", id=str(number))],))
            appender.start()
            assert next(subscription).id == number + 1
            appender.join()
        if number % 10 == 0:
            time.sleep(0.03)


def test_following_an_idle_ledger_costs_next_to_nothing(log):
    thread, seen = follower(log, -1, 1)
    time.sleep(0.1)
    began = time.process_time()
    time.sleep(1)
    spent = time.process_time() - began
    log.append([requested()])
    thread.join(10)
    assert seen == [0, 1]
    assert spent < 0.25


def ends(work):
    """Whether some work comes to its end, however."""

    def run():
        with contextlib.suppress(LedgerError):
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    return not thread.is_alive()


def test_a_subscription_that_is_made_while_its_store_is_being_closed_ends_like_the_others(place):
    with place.create() as log:
        watcher = log.store._follower if place.database is None else log.store._listener
        watcher.close()  # and the rest of the store not yet
        assert ends(lambda: list(log.follow()))


class StoppedAsItIsCleared(threading.Event):
    """The worst moment for a subscription to be stopped: its wake-up comes just before it is cleared."""

    def __init__(self, subscription):
        super().__init__()
        self._subscription = subscription

    def clear(self):
        self._subscription.stop()
        super().clear()


def test_a_subscription_that_is_stopped_as_it_is_woken_ends(place):
    with place.create() as log:
        subscription = log.store.subscribe()
        next(subscription)
        waits_for = subscription._has_been_notified
        subscription._has_been_notified = StoppedAsItIsCleared(subscription)
        subscription.wake()
        waits_for.set()  # whichever of the two it waits for
        assert ends(subscription._pull_thread.join)
