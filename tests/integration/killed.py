"""A process that appends until it is killed, and says in shared memory how far its transaction had come.

The shipped code has no hooks for this: here alone, the connections and the signer are wrapped, so that each step is
stamped into a word that outlives the process. It can also be told to stand still at a step, to be killed right there.
The steps have the same names on both stores; docs/how-to/test-faults.md says which there are and why it is done so.
"""

from __future__ import annotations

import mmap
import sqlite3
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ledger import log as log_module
from ledger import signer as signer_module
from ledger.store.postgres import PostgresStore
from ledger.store.postgres_transactions import PostgresWrites
from ledger.store.sqlite import SQLiteStore
from tests.support.events import Place, estimate_changed, requested

SIZES = (1, 7, 1, 70, 2, 400, 1, 25)
"""Events a batch, in turn. PostgreSQL takes the large ones by COPY."""


class Step(IntEnum):
    """How far the writer has come; all but the first and the last are inside its transaction."""

    WAITING = 0
    BEGUN = 1
    DECIDED = 2
    ROWS_WRITTEN = 3
    TILES_WRITTEN = 4
    BEFORE_COMMIT = 5
    IN_COMMIT = 6
    COMMITTED = 7
    SIGNED = 8  # the signer's: signed, and not yet remembered
    REMEMBERED = 9  # the signer's: remembered, and not yet kept in the store


INSIDE = range(Step.BEGUN, Step.COMMITTED)
SIGNING = (Step.SIGNED, Step.REMEMBERED)


class Word:
    """The shared memory: the writer's step, the signer's step, where to stand still, and whether that is done."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 16)

    @property
    def writer(self) -> Step:
        return Step(self._memory[0])

    @property
    def signer(self) -> Step:
        return Step(self._memory[1])

    @property
    def stands_still(self) -> bool:
        return bool(self._memory[3])

    def reset(self, stop_at: Step, after: int) -> None:
        """Stand still at a step once it has come ``after`` times; never at ``WAITING``."""
        self._memory[:5] = bytes([0, 0, stop_at, 0, after])

    def stamp(self, step: Step, by_signer: bool) -> None:
        memory = self._memory
        memory[1 if by_signer else 0] = step
        if step == memory[2] != Step.WAITING and by_signer == (step in SIGNING):
            if memory[4]:
                memory[4] -= 1
                return
            memory[3] = 1
            time.sleep(60)


_BEFORE = {"INSERT INTO entries": Step.DECIDED, "COMMIT": Step.IN_COMMIT}
_AFTER = {
    "BEGIN IMMEDIATE": Step.BEGUN,
    "INSERT INTO entries": Step.ROWS_WRITTEN,
    "INSERT INTO tiles": Step.TILES_WRITTEN,
    "UPDATE head SET": Step.BEFORE_COMMIT,
    "COMMIT": Step.COMMITTED,
    "ROLLBACK": Step.WAITING,
}
"""The steps by the first words of the statements that begin and end them."""


def _by_signer() -> bool:
    return threading.current_thread().name != "ledger-writer"


def stamped_connection(word: Word) -> type[sqlite3.Connection]:
    """A connection that stamps the steps of the writer's transactions."""

    def stamped(sql: str, run: Callable[[], Any]) -> Any:
        table = " ".join(sql.split(maxsplit=3)[:3])
        before, after = _BEFORE.get(table), _AFTER.get(table)
        if _by_signer():
            return run()
        if before is not None:
            word.stamp(before, by_signer=False)
        result = run()
        if after is not None:
            word.stamp(after, by_signer=False)
        return result

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *values: Any) -> Any:
            return stamped(sql, lambda: super(Cursor, self).execute(sql, *values))

        def executemany(self, sql: str, values: Any) -> Any:
            return stamped(sql, lambda: super(Cursor, self).executemany(sql, values))

    class StampedConnection(sqlite3.Connection):
        def cursor(self) -> Any:
            return super().cursor(Cursor)

    return StampedConnection


def wrap_sqlite(word: Word) -> None:
    """Wrap SQLite's connections of this process."""
    connect, factory = sqlite3.connect, stamped_connection(word)

    def stamped_connect(*args: Any, **options: Any) -> sqlite3.Connection:
        return connect(*args, **{"factory": factory, **options})

    sqlite3.connect = stamped_connect


def wrap_postgres(word: Word) -> None:
    """Wrap the write transaction of PostgreSQL in this process. Tiles and head are written by one statement there."""
    steps = (
        (PostgresStore, "_begin_writing", None, Step.BEGUN),
        (PostgresWrites, "write", Step.DECIDED, Step.BEFORE_COMMIT),
        (PostgresWrites, "_copied", None, Step.ROWS_WRITTEN),
        (PostgresStore, "_commit", Step.IN_COMMIT, Step.COMMITTED),
    )
    for owner, name, before, after in steps:
        setattr(owner, name, _stamped(word, getattr(owner, name), before, after))


def _stamped(word: Word, run: Callable[..., Any], before: Step | None, after: Step) -> Callable[..., Any]:
    def stamped(*arguments: Any) -> Any:
        if before is not None:
            word.stamp(before, by_signer=False)
        result = run(*arguments)
        if result != arguments[-1] or run.__name__ != "_copied":  # which gives back what is too little for COPY
            word.stamp(after, by_signer=False)
        return result

    return stamped


def wrap_signer(word: Word, store: type[PostgresStore | SQLiteStore]) -> None:
    """Wrap the signer of this process, and the keeping of its checkpoints."""
    write_private, add_checkpoint = signer_module.write_private, store.add_checkpoint

    def stamped_write(path: Path, content: bytes) -> None:
        word.stamp(Step.SIGNED, by_signer=True)
        write_private(path, content)
        word.stamp(Step.REMEMBERED, by_signer=True)

    def stamped_add(store: Any, size: int, note: bytes) -> None:
        add_checkpoint(store, size, note)
        word.stamp(Step.WAITING, by_signer=True)

    signer_module.write_private = stamped_write
    store.add_checkpoint = stamped_add
    log_module.SIGN_SECONDS = 0.01


def batch(tag: str, number: int) -> list[bytes]:
    """The batch of that number, the same whenever it is asked for: new reservations, and changes to shared ones."""
    events = []
    for part in range(SIZES[number % len(SIZES)]):
        name = f"{tag}-{number}-{part}"
        member = f"M-{(number + part) % 9}"
        notes = {"notes": f"{name} is private"}
        if part % 2:
            events.append(estimate_changed(f"shared-{part % 5}", member, id=name, data=notes))
        else:
            events.append(requested(name, member, id=name, data=notes))
    return events


def append_until_killed(pipe: Connection, place: Place, tag: str, shared: Path) -> None:
    """Announce each batch, append it, and report its receipts once they are had."""
    word = Word(shared)
    if place.database is None:
        wrap_sqlite(word)
        wrap_signer(word, SQLiteStore)
    else:
        wrap_postgres(word)
        wrap_signer(word, PostgresStore)
    log = place.open()
    for number in range(1_000_000):
        pipe.send(("trying", number))
        receipts = log.append(batch(tag, number))
        word.stamp(Step.WAITING, by_signer=False)
        pipe.send(("done", receipts))
