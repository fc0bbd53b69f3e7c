"""The connections that read a SQLite ledger, closed only when none is in use.

Owns the wait for reads under way. The recorder library closes connections under running statements of other threads,
and SQLite then crashes the process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eventsourcing.sqlite import SQLiteCursor, SQLiteDatastore

from ledger.errors import StoreError

CLOSE_TIMEOUT = 10
"""Seconds that closing waits for reads under way; they are short."""


class ReadingPool(SQLiteDatastore):
    """The library's pool of connections, which refuses reads once closed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._idle = threading.Condition()  # guards the two below
        self._used = 0
        self._shut = False
        super().__init__(*args, **options)

    def check_open(self) -> None:
        """Raise ``StoreError`` once closed."""
        if self._shut:
            raise StoreError("the ledger is closed")

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """As the library's; refused once closed."""
        with self._idle:
            self.check_open()
            self._used += 1
        try:
            with super().transaction(commit=commit) as cursor:
                yield cursor
        finally:
            with self._idle:
                self._used -= 1
                self._idle.notify_all()

    def close(self) -> None:
        """Refuse new reads, wait for those under way, and close. A read that never ends keeps its connection."""
        with self._idle:
            self._shut = True
            ended = self._idle.wait_for(lambda: not self._used, CLOSE_TIMEOUT)
        if ended:
            super().close()
