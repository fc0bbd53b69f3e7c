"""Following a PostgreSQL ledger as it grows: LISTEN, supervised.

Owns the one listening connection of an opened store. A notification only says that it is worth looking at the head; so
does the clock, every ``POLL_SECONDS``, for a notification that never came (a writer may die between its commit and its
NOTIFY, a proxy may drop the connection). A connection that breaks is made again for as long as there is somebody to
wake, and whoever waits is woken when it stands: nothing is missed.
"""

from __future__ import annotations

import selectors
import socket
import time
from typing import Any

import psycopg
from eventsourcing.persistence import InterfaceError, OperationalError
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger.errors import StoreUnreachable
from ledger.store.postgres_datastore import connect
from ledger.store.subscription import Follower, WokenSubscription

POLL_SECONDS = 1.0
"""How late a commit is noticed whose notification was lost."""
RETRY_SECONDS = 0.2
"""Pause before the next attempt to reach a server that is away."""
UNREACHABLE = (OperationalError, InterfaceError, StoreUnreachable)


class Listener(Follower):
    """Wakes subscriptions when the head moves."""

    def __init__(self, url: str, schema: str) -> None:
        super().__init__()
        self._url = url
        self._listen = SQL("LISTEN {}").format(Identifier(schema))
        self._size = SQL("SELECT size FROM {}.head").format(Identifier(schema))
        self._stop, self._stopped = socket.socketpair()

    def close(self) -> None:
        """Stop the thread and the subscriptions. Idempotent."""
        if not self._closed.is_set():
            self._stop.close()  # which wakes the thread
        super().close()
        self._stopped.close()

    def _watch(self) -> None:
        while not self._closed.is_set() and not self._idle():
            try:
                with connect(self._url) as connection:
                    connection.add_notify_handler(lambda notification: None)  # else the driver would collect them
                    connection.execute(self._listen)
                    self._wake_while_wanted(connection)
            except psycopg.Error:
                self._closed.wait(RETRY_SECONDS)

    def _wake_while_wanted(self, connection: Connection[Any]) -> None:
        """Look at the head now, at each notification and from time to time; wake when it has moved."""
        seen = None
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            while not self._closed.is_set():
                size = connection.execute(self._size).fetchone()
                if size != seen:
                    seen = size
                    self.notify()
                if self._idle_now():
                    return
                selector.select(POLL_SECONDS)

    def _idle_now(self) -> bool:
        with self._lock:
            return not self._subscriptions


class SteadySubscription(WokenSubscription):
    """A woken subscription that outlives the server's absence: it reads on from where it was."""

    def _loop_on_pull(self) -> None:
        try:
            while not self._has_been_stopped:
                try:
                    self._pull()
                except UNREACHABLE:
                    time.sleep(RETRY_SECONDS)
                else:
                    if not self._has_been_stopped:  # or its wake-up may have been cleared by the pull
                        self._has_been_notified.wait()
        except BaseException as error:  # noqa: BLE001 - raised to whoever iterates
            if self._thread_error is None:
                self._thread_error = error
            self.stop()
