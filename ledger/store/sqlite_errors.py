"""What SQLite says when it fails, told in our errors, and how a new file is switched to WAL.

Owns the one place where a lock is told from damage. Never opens or closes a database.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from eventsourcing.persistence import PersistenceError

from ledger.errors import StoreDamaged, StoreError, StoreFull, StoreLocked

LOCK_TIMEOUT = 30
"""Seconds that a connection waits for another's transaction."""
_LOCKS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_ERROR,  # among others a table that is gone; our own statements are right
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_TOOBIG,
)


@contextmanager
def translated(
    what: str = "the database failed", advice: str = "audit the ledger before appending again"
) -> Iterator[None]:
    """Turn database errors into our own. ``what`` failed, and ``advice`` is what to do.

    Raises ``StoreLocked``, ``StoreFull``, ``StoreDamaged`` or ``StoreError``. The recorder library's pool wraps what it
    meets in errors of its own; they are unwrapped.
    """
    try:
        yield
    except (sqlite3.Error, PersistenceError) as error:
        cause = error.__cause__ if isinstance(error, PersistenceError) and error.__cause__ is not None else error
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in _LOCKS:
            raise StoreLocked(f"{what}: {error}", advice="see which program holds the lock") from error
        if code == sqlite3.SQLITE_FULL:
            raise StoreFull(f"{what}: {error}", advice="make room on the ledger's disk; appends then go on") from error
        # Without a code: Python's own, of text that is not Unicode.
        damaged = code in _DAMAGE or (not code and isinstance(cause, sqlite3.OperationalError))
        kind = StoreDamaged if damaged else StoreError
        if isinstance(cause, sqlite3.OperationalError):
            raise kind(f"{what}: {error}", advice=f"see that the disk has room and is sound; else {advice}") from error
        raise kind(f"{what}: {error}", advice=advice) from error


def use_wal(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL. Two processes that do so at once don't wait for each other by themselves."""
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
