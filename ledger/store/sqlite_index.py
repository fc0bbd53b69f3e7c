"""The index of a SQLite ledger: finds entries by stream, member, type and id, off the path of appends.

Owns ``index.db`` beside the ledger's file. It is a cache: made from the entries by a few statements over thousands
of them at a time, which write far less than four index pages an append would, and run without Python's
interpreter lock. It lags; whoever needs it up to a position brings it there with ``catch_up``. Lost, stale or of
another history, it is made anew. Invariant: it holds all entries below ``size()``, and none twice. Never writes to the
ledger.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Literal

import orjson

from ledger.errors import StoreError
from ledger.store.sqlite_errors import LOCK_TIMEOUT, translated, use_wal
from ledger.store.sqlite_pool import ReadingPool

Column = Literal["stream", "member", "type"]
SCHEMA_VERSION = "1"
PASS = 32_768
"""Entries that one transaction indexes at most: some tenths of a second."""
ADVICE = "stop all that use the ledger, delete index.db (it holds nothing of its own and is made anew), and audit"

_STAGED = "CREATE TEMP TABLE staged (position INTEGER PRIMARY KEY, stream, member, type, source, id)"
_STAGE = """
    INSERT INTO temp.staged
    SELECT rowid - 1, json_extract(text, '$.event.stream'), json_extract(text, '$.event.member'),
        json_extract(text, '$.event.type'), json_extract(text, '$.event.source'), json_extract(text, '$.event.id')
    FROM (
        SELECT rowid, CASE WHEN json_valid(CAST(entry AS TEXT)) THEN CAST(entry AS TEXT) END AS text
        FROM log.entries WHERE rowid > :low AND rowid <= :high
    )
"""
"""An entry that can't be read is left out, for the audit to name; it must not keep the others from being found."""
_NAMES = """
    INSERT OR IGNORE INTO names (name)
    SELECT stream FROM staged UNION SELECT member FROM staged WHERE member IS NOT NULL
    UNION SELECT type FROM staged UNION SELECT source FROM staged
"""
_COLUMN = "INSERT INTO by_{0} SELECT number, position FROM staged CROSS JOIN names ON name = {0} ORDER BY 1, 2"
_IDS = """
    INSERT OR IGNORE INTO ids
    SELECT number, id, position FROM staged CROSS JOIN names ON name = source WHERE id IS NOT NULL ORDER BY 1, 2, 3
"""
"""Of an id that stands twice, which only a tampered index lets in, the first is found."""


class Index:
    """The index of one ledger file. Safe for use from several threads and processes."""

    def __init__(self, ledger: Path) -> None:
        """The index of the file ``ledger``. Nothing is opened before it is needed."""
        self._ledger = ledger
        self.path = ledger.with_name("index.db")
        self._lock = threading.Lock()  # guards the builder, and the opening of both
        self._builder: sqlite3.Connection | None = None
        self._reader: ReadingPool | None = None
        self._closed = False

    def _opened(self) -> ReadingPool:
        """The connections for reading, after making sure that there is an index. Raises ``StoreError``."""
        if self._reader is not None:  # without the lock, which a pass of the builder may hold for long
            return self._reader
        with self._lock:
            if self._closed:
                raise StoreError("the ledger is closed")
            if self._reader is None:
                with translated(f"{self.path} is no usable index", ADVICE):
                    self._open()
                self._reader = ReadingPool(str(self.path), lock_timeout=LOCK_TIMEOUT)
            return self._reader

    def _open(self) -> None:
        place = f"file:{_quoted(self.path)}"
        with suppress(OSError):  # there already; or what is wrong with the folder, SQLite says next
            self.path.touch(mode=0o600, exist_ok=False)
        builder: sqlite3.Connection | None = None
        try:
            builder = sqlite3.connect(
                place, uri=True, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            use_wal(builder)
            builder.execute("PRAGMA synchronous = NORMAL")  # a lost commit is indexed again
            builder.execute("PRAGMA temp_store = MEMORY")
            builder.execute(_STAGED)
            builder.execute("ATTACH DATABASE ? AS log", (f"file:{_quoted(self._ledger)}?mode=ro",))
            self._builder = builder
            self._empty_if_unusable()
        except BaseException:
            if builder is not None:
                builder.close()
            self._builder = None
            raise

    # --- Making ------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """See that the index is of this very history; if not, empty it. Raises ``StoreError``."""
        self._opened()
        with self._lock, translated(f"{self.path} is no usable index", ADVICE):
            self._empty_if_unusable()

    def _empty_if_unusable(self) -> None:
        """Empty what is no index of this version over this history.

        In place and under SQLite's own lock, since another process may have the file open.
        """
        with self._transaction() as cursor:
            try:
                schema, size, last = cursor.execute("SELECT schema, size, last FROM state").fetchone()
                usable = schema == SCHEMA_VERSION and last == _last(cursor, size)
            except sqlite3.OperationalError:  # no such table or column
                usable = False
            if not usable:
                self._empty(cursor)
            making = cursor.execute("SELECT making FROM state").fetchone()
        self._making = making

    def _empty(self, cursor: sqlite3.Cursor) -> None:
        tables = cursor.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall()
        if tables and ("state",) not in tables:  # a copy of, or a link to, some other database
            raise StoreError(f"{self.path} is a database, but no index", advice="move it away")
        for (table,) in tables:
            cursor.execute(f"DROP TABLE main.{table}")
        schema = resources.files("ledger.store").joinpath("sqlite_index.sql").read_text(encoding="utf-8")
        for statement in schema.split(";"):
            cursor.execute(statement)
        cursor.execute("INSERT INTO state VALUES (1, ?, ?, 0, NULL)", (SCHEMA_VERSION, os.urandom(16)))

    def catch_up(self, size: int) -> int:
        """Index the entries below ``size``; return the size that the index then has, which may be larger.

        Raises ``StoreError`` when the database fails.
        """
        reached = self.size()
        if reached < size:
            with self._lock:
                while reached < size:
                    reached = self._index_some(size)
        return reached

    def _index_some(self, size: int) -> int:
        """One transaction: the next ``PASS`` entries. Others at it are waited for; a crash leaves none of it."""
        with translated("the index could not be brought up to date", ADVICE), self._transaction() as cursor:
            low = cursor.execute("SELECT size FROM state").fetchone()[0]
            (end,) = cursor.execute("SELECT size FROM log.head").fetchone()
            high: int = min(low + PASS, max(size, end))
            if high > low:
                self._fill(cursor, {"low": low, "high": high})
            return high

    def _fill(self, cursor: sqlite3.Cursor, span: dict[str, int]) -> None:
        cursor.execute("DELETE FROM temp.staged")
        cursor.execute(_STAGE, span)
        cursor.execute(_NAMES)
        for column in ("stream", "member", "type"):
            cursor.execute(_COLUMN.format(column))
        cursor.execute(_IDS)
        cursor.execute("UPDATE state SET size = ?, last = ?", (span["high"], _last(cursor, span["high"])))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        """The builder's transaction; commits on a clean exit, else leaves nothing."""
        if self._builder is None:
            raise StoreError("the ledger is closed")
        cursor = self._builder.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                cursor.execute("ROLLBACK")
            raise
        finally:
            cursor.close()

    # --- Finding -----------------------------------------------------------------------------------------------------

    def size(self) -> int:
        """How many entries are indexed, from position 0 on."""
        with self._reading() as cursor:
            size: int = cursor.execute("SELECT size FROM state").fetchone()[0]
            return size

    def positions(self, column: Column, name: str, first: int, last: int, limit: int) -> list[int]:
        """The first ``limit`` positions in [first, last] whose ``column`` is ``name``, ascending."""
        sql = (
            f"SELECT position FROM by_{column} WHERE name = (SELECT number FROM names WHERE name = ?) "  # noqa: S608
            "AND position >= ? AND position <= ? ORDER BY position LIMIT ?"
        )
        with self._reading() as cursor:
            return [position for (position,) in cursor.execute(sql, (name, first, last, limit))]

    def find_ids(self, source: str, ids: Sequence[str]) -> dict[str, int]:
        """The positions of those ids of a source that are indexed."""
        sql = "SELECT ids.id, position FROM json_each(?) CROSS JOIN ids ON source = ? AND ids.id = value"
        with self._reading() as cursor:
            number = cursor.execute("SELECT number FROM names WHERE name = ?", (source,)).fetchone()
            return dict(cursor.execute(sql, (_listed(ids), *number))) if number else {}

    def all_positions(self, names: Sequence[str]) -> dict[str, list[int]]:
        """All indexed positions of each named stream that has any, ascending."""
        sql = (
            "SELECT names.name, position FROM json_each(?) CROSS JOIN names ON names.name = value"
            " CROSS JOIN by_stream ON by_stream.name = number ORDER BY position"
        )
        found: dict[str, list[int]] = {}
        with self._reading() as cursor:
            for name, position in cursor.execute(sql, (_listed(names),)):
                found.setdefault(name, []).append(position)
        return found

    def last_positions(self, column: Column, names: Sequence[str]) -> dict[str, int]:
        """The last indexed position of each name that has any."""
        sql = (
            f"SELECT name, (SELECT max(position) FROM by_{column} AS places WHERE places.name = number)"  # noqa: S608
            " FROM json_each(?) CROSS JOIN names ON name = value"
        )
        with self._reading() as cursor:
            found = cursor.execute(sql, (_listed(names),)).fetchall()
        return {name: position for name, position in found if position is not None}

    def close(self) -> None:
        """Release the connections. Idempotent."""
        with self._lock:
            self._closed = True
            reader, self._reader = self._reader, None
            builder, self._builder = self._builder, None
        if reader is not None:
            reader.close()
        if builder is not None:
            builder.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Cursor]:
        pool = self._opened()
        with translated("the index is damaged", ADVICE), pool.transaction(commit=False) as cursor:
            plain = cursor.sqlite_cursor
            plain.row_factory = None
            if plain.execute("SELECT making FROM state").fetchone() != self._making:
                raise StoreError(f"{self.path} was emptied or replaced while in use", advice="open the ledger again")
            yield plain


def _listed(texts: Sequence[str]) -> str:
    """Texts as one value, for ``json_each``: a mark for each would make another statement of each number of them."""
    return orjson.dumps(texts).decode()


def _last(cursor: sqlite3.Cursor, size: int) -> bytes | None:
    """A digest of the last of ``size`` entries, which tells histories apart; None where there is none."""
    row = cursor.execute("SELECT entry FROM log.entries WHERE rowid = ?", (size,)).fetchone()
    return sha256(bytes(row[0])).digest() if row else None


def _quoted(path: Path) -> str:
    """A path for use in a ``file:`` URI (SQLite documentation, "URI Filenames")."""
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


class Indexer:
    """The thread that keeps an index near the end of the log: in large passes under load, soon when it grows quiet."""

    QUIET_SECONDS = 0.1
    WORTH_A_PASS = PASS

    def __init__(self, index: Index) -> None:
        self._index = index
        self._wanted = 0
        self._changed = threading.Event()
        self._closed = False
        self._failure: Exception | None = None
        self._lock = threading.Lock()  # guards the start of the thread
        self._thread: threading.Thread | None = None
        self.reached = 0
        """The size that the index has reached, as far as this thread knows."""

    def wake(self, size: int) -> None:
        """Note that the log has grown to ``size``. Called by the one writer."""
        self._wanted = size
        self._changed.set()
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="ledger-indexer", daemon=True)
                self._thread.start()

    def check(self) -> None:
        """If the thread failed, do its work, or raise why not: nothing is appended that will not be found again."""
        if self._failure is not None:
            self.reached = self._index.catch_up(self._wanted)
            with self._lock:
                self._failure = self._thread = None  # the next wake begins another

    def close(self) -> None:
        """Index what is left, and stop. Idempotent."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        self._changed.set()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            while not self._closed or self.reached < self._wanted:
                self._changed.wait(None if not self._closed else 0)
                self._changed.clear()
                while self._wanted - self.reached < self.WORTH_A_PASS and not self._closed:
                    if not self._changed.wait(self.QUIET_SECONDS):
                        break
                    self._changed.clear()
                self.reached = self._index.catch_up(self._wanted)
        except Exception as error:  # noqa: BLE001 - it is raised to the writer
            self._failure = error
