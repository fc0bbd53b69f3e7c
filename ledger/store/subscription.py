"""Following a store as it grows: subscriptions that are woken, and whoever wakes them.

Owns the set of subscriptions of one opened store and the life of the thread that watches for commits of other
processes. A wake-up carries no data: each subscription, or whoever watches, then reads from the database after the last
entry it has, in order of positions, which are gapless; so a late, doubled or lost wake-up can't make it skip or repeat
one.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from eventsourcing.persistence import ApplicationRecorder, ListenNotifySubscription


class Woken(Protocol):
    """Whoever is to be woken."""

    def wake(self) -> None:
        """Look again: the store may have changed."""
        ...

    def end(self) -> None:
        """The store is being closed: stop, and be done when this returns."""
        ...


class Follower(ABC):
    """Wakes subscriptions when the store changes. Its thread runs only while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below
        self._subscriptions: set[Woken] = set()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def add(self, subscription: Woken) -> None:
        """Wake this subscription from now on; if the store is closed already, end it, since nobody else will."""
        with self._lock:
            self._subscriptions.add(subscription)
            closed = self._closed.is_set()
            if self._thread is None and not closed:
                self._thread = threading.Thread(target=self._watch, name="ledger-follower", daemon=True)
                self._thread.start()
        if closed:
            subscription.end()

    def remove(self, subscription: Woken) -> None:
        """Wake it no more. Idempotent."""
        with self._lock:
            self._subscriptions.discard(subscription)

    def notify(self) -> None:
        """Wake all subscriptions: this process has committed, or the watcher saw a change."""
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.wake()

    def close(self) -> None:
        """Stop the thread and the subscriptions. Idempotent."""
        with self._lock:
            self._closed.set()
            thread, subscriptions = self._thread, list(self._subscriptions)
        for subscription in subscriptions:
            subscription.end()
        if thread is not None:
            thread.join()

    @abstractmethod
    def _watch(self) -> None:
        """The thread: ``notify`` at each commit of another process, until closed or ``_idle``."""

    def _idle(self) -> bool:
        """Whether there is nobody to wake; the thread then ends, and the next subscription starts another."""
        with self._lock:
            if self._subscriptions:
                return False
            self._thread = None
            return True


class WokenSubscription(ListenNotifySubscription[ApplicationRecorder]):
    """The library's subscription, woken by a ``Follower``."""

    def __init__(
        self, recorder: ApplicationRecorder, follower: Follower, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._follower = follower
        follower.add(self)

    def wake(self) -> None:
        """Read again."""
        self._has_been_notified.set()

    def end(self) -> None:
        """Stop, and wait until nothing is read for this subscription any more."""
        self.stop()
        self._pull_thread.join()

    def stop(self) -> None:
        """End the iteration. Idempotent."""
        follower = getattr(self, "_follower", None)  # a pull that fails at once stops before construction ends
        if follower is not None:
            follower.remove(self)
        super().stop()


class Watch:
    """Tells one thread that the store may have grown, without reading it. ``close`` it."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._woken = threading.Event()
        self.ended = False
        """Whether the store is closed, or this is."""
        follower.add(self)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the store may have changed since this was last called, or has ended; whether that is so by now."""
        if not self._woken.wait(seconds):
            return self.ended  # nothing to clear: a wake-up that comes at this moment is for the next call
        if not self.ended:
            self._woken.clear()
        return True

    def wake(self) -> None:
        """Let ``wait`` return."""
        self._woken.set()

    def end(self) -> None:
        """Let ``wait`` return, now and ever after."""
        self.ended = True
        self._woken.set()

    def close(self) -> None:
        """Be told no more. Idempotent."""
        self._follower.remove(self)
        self.end()
