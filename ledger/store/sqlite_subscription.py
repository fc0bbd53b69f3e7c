"""Following a SQLite ledger as it grows: a subscription that misses nothing, from this process or another.

Owns the thread that watches ``PRAGMA data_version``, which changes whenever any other connection commits, and wakes the
subscriptions. A wake-up carries no data: each subscription then reads from the database after the last entry it has, in
order of positions, which are gapless; so a late, doubled or lost wake-up can't make it skip or repeat one.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from eventsourcing.persistence import ApplicationRecorder, ListenNotifySubscription

POLL_SECONDS = 0.02
"""How late a commit of another process is noticed, at most; a commit of this one wakes at once."""


class Follower:
    """Wakes subscriptions when the file changes. Its thread runs only while there are any."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # guards the two below
        self._subscriptions: set[SQLiteSubscription] = set()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def add(self, subscription: SQLiteSubscription) -> None:
        """Wake this subscription from now on."""
        with self._lock:
            self._subscriptions.add(subscription)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="ledger-follower", daemon=True)
                self._thread.start()

    def remove(self, subscription: SQLiteSubscription) -> None:
        """Wake it no more. Idempotent."""
        with self._lock:
            self._subscriptions.discard(subscription)

    def notify(self) -> None:
        """Wake all subscriptions: this process has committed."""
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.wake()

    def close(self) -> None:
        """Stop the thread and the subscriptions. Idempotent."""
        self._closed.set()
        with self._lock:
            thread, subscriptions = self._thread, list(self._subscriptions)
        for subscription in subscriptions:
            subscription.end()
        if thread is not None:
            thread.join()

    def _watch(self) -> None:
        """Poll the data version, and wake on any change. A failing poll wakes too: the read then shows the fault."""
        connection: sqlite3.Connection | None = None
        seen: object = None
        try:
            while not self._closed.wait(POLL_SECONDS):
                with self._lock:
                    if not self._subscriptions:
                        self._thread = None
                        return
                try:
                    if connection is None:
                        connection = sqlite3.connect(self._path, check_same_thread=False)
                    version: object = connection.execute("PRAGMA data_version").fetchone()[0]
                except sqlite3.Error:
                    version = time.monotonic()
                if version != seen:
                    seen = version
                    self.notify()
        finally:
            if connection is not None:
                connection.close()


class SQLiteSubscription(ListenNotifySubscription[ApplicationRecorder]):
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
