"""Waiting for a store to change, without one."""

import threading

import pytest

from ledger.store.subscription import Follower, Watch


class Nothing(Follower):
    """A follower that sees no commits of other processes."""

    def _watch(self):
        self._closed.wait()


class Late(threading.Event):
    """An event that is set just as somebody has given up waiting for it."""

    def wait(self, timeout=None):
        found = super().wait(0)
        self.set()
        return found


@pytest.fixture
def follower():
    made = Nothing()
    yield made
    made.close()


def test_a_wake_up_that_comes_as_a_wait_ends_is_there_for_the_next(follower):
    watch = Watch(follower)
    watch._woken = Late()
    assert not watch.wait(0.01)
    assert watch.wait(0.01)


def test_a_wait_takes_one_wake_up_and_what_came_with_it(follower):
    watch = Watch(follower)
    follower.notify()
    follower.notify()
    assert watch.wait(0)
    assert not watch.wait(0)


@pytest.mark.parametrize("early", [True, False])
def test_a_watch_of_a_closed_store_never_waits(follower, early):
    watch = Watch(follower) if early else None
    follower.close()
    watch = watch or Watch(follower)
    assert all(watch.wait() for _ in range(3))
    watch.close()
    watch.close()
