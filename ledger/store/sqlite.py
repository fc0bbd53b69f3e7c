"""The SQLite store: a ledger in one file, durable at every commit, readable by other processes while it grows.

Owns the file, its schema (sqlite.sql), its pragmas (WAL, ``synchronous=FULL``, ``secure_delete=ON``), its
connections (one for writing, under ``BEGIN IMMEDIATE``, and the library's pool for reading), and the beginning and end
of transactions; what is done within them is in sqlite_transactions. Builds on the
``eventsourcing`` recorder, which reads entries through the view ``stored_events``; its way of inserting is closed,
since it would not seal. What finds entries again is in a file of its own and may lag (sqlite_index); the last ones are
found by the writer's tail (sqlite_tail).
Never seals, hashes, encrypts or judges what it keeps.
"""

from __future__ import annotations

import functools
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from eventsourcing.persistence import ApplicationRecorder, Notification, StoredEvent, Subscription
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor

from ledger.errors import Conflict, NotFound, StoreError
from ledger.store.protocol import Head, Meanwhile, Row, nothing, placed
from ledger.store.sqlite_errors import LOCK_TIMEOUT, translated
from ledger.store.sqlite_index import Index, Indexer
from ledger.store.sqlite_pool import ReadingPool
from ledger.store.sqlite_subscription import FileFollower
from ledger.store.sqlite_tail import GENERATION, Tail
from ledger.store.sqlite_transactions import ROWS, SQLiteReads, SQLiteWrites
from ledger.store.subscription import Watch, WokenSubscription

SCHEMA_VERSION = "1"
SCRUB_WAIT = 200
"""Milliseconds that a scrub, and all appends with it, wait for readers."""
LONGEST_TAIL = 8 * GENERATION
"""Entries that may await indexing; a writer that is further ahead indexes them itself first."""


class SQLiteStore(SQLiteApplicationRecorder):
    """A ledger in one SQLite file. Make it with ``create``, open it with the constructor."""

    local = True

    def __init__(self, path: Path) -> None:
        """Open an existing file. Raises ``NotFound`` when there is none, ``StoreError`` when it is no ledger's."""
        if not path.is_file():
            raise NotFound(f"there is no ledger file {path}")
        self.path = path
        self._pool = ReadingPool(str(path), lock_timeout=LOCK_TIMEOUT, originator_id_type="text")
        super().__init__(self._pool, "stored_events")
        self.select_max_notification_id_statement = "SELECT max(rowid) FROM entries"  # not by the view: a walk
        self._write_lock = threading.Lock()  # guards the two below
        self._writer: sqlite3.Connection | None = None
        self._tail: Tail | None = None
        self._follower = FileFollower(path)
        try:
            meta = self._meta()
        except StoreError:
            self.close()
            raise
        self._origin = meta["origin"]
        self._index = Index(path)
        self._indexer = Indexer(self._index)

    @classmethod
    def create(cls, path: Path, origin: str, head: Head) -> SQLiteStore:
        """Make the file with its schema, empty, at ``head``. Raises ``Conflict`` when it exists, ``StoreError``."""
        if path.exists():
            raise Conflict(f"{path} exists already")
        path.touch(mode=0o600)  # copied out of its folder, it is no more open than in it
        schema = resources.files("ledger.store").joinpath("sqlite.sql").read_text(encoding="utf-8")
        meta = [("origin", origin), ("schema", SCHEMA_VERSION)]
        with translated(f"{path} can't be made", "see the disk"), closing(_connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN;\n{schema}\nCOMMIT;")
            connection.execute("INSERT INTO head VALUES (1, ?, ?, ?, ?)", head)
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
        return cls(path)

    @property
    def origin(self) -> str:
        """The ledger's origin, as set at its creation."""
        return self._origin

    @property
    def recorder(self) -> ApplicationRecorder:
        """This store: it is a recorder of the library."""
        return self

    def _meta(self) -> dict[str, str]:
        unreadable = translated(f"{self.path} is not readable as a ledger")
        with unreadable, self.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT name, value FROM meta")
            meta = dict(map(tuple, cursor.fetchall()))
        if meta.get("schema") != SCHEMA_VERSION or "origin" not in meta:
            raise StoreError(
                f"{self.path} has schema {meta.get('schema')}, this program knows {SCHEMA_VERSION}",
                advice="use the version of the program that wrote it",
            )
        return meta

    @contextmanager
    def reading(self) -> Iterator[SQLiteReads]:
        """A consistent view for a short read, on a connection of the library's pool."""
        with translated(), self.datastore.transaction(commit=False) as cursor:
            yield SQLiteReads(_plain(cursor), self._index)

    @contextmanager
    def writing(self, meanwhile: Meanwhile = nothing) -> Iterator[SQLiteWrites]:
        """The one write transaction. Commits durably on a clean exit; any error leaves no trace."""
        self._indexer.check()
        self._bring_index_near()
        with self._write_lock, translated():
            self._pool.check_open()
            if self._writer is None:
                self._writer = _connect(self.path)
            cursor = self._writer.cursor()
            cursor.execute("BEGIN IMMEDIATE")  # a deferred one could fail to upgrade after it has read the head
            try:
                tail = self._tail = self._tail_at(cursor)
                writes = SQLiteWrites(cursor, self._index, tail)
                yield writes
                cursor.execute("COMMIT")
            except BaseException:
                self._tail = None  # it may hold what was never committed
                with suppress(sqlite3.Error):  # a failed COMMIT on a full disk may have rolled back already
                    cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()
            tail.drop(self._indexer.reached)
        self._follower.notify()
        self._indexer.wake(tail.end)

    def _bring_index_near(self) -> None:
        """Before the first transaction, index what is there: under the head's lock others would wait for it."""
        if self._tail is None:
            with self.reading() as reads:
                size = reads.head().size
            self._index.check()  # the file may have been replaced by an older one
            self._index.catch_up(size)

    def _tail_at(self, cursor: sqlite3.Cursor) -> Tail:
        """The tail up to the head of this transaction: ours, with what other processes appended since."""
        (size,) = cursor.execute("SELECT size FROM head").fetchone()
        tail = self._tail
        if tail is None or tail.end > size or size - tail.start > LONGEST_TAIL:
            self._index.check()  # the file may have been replaced by an older one
            self._index.catch_up(size)
            return Tail(size)
        if tail.end < size:
            rows = cursor.execute(f"{ROWS} WHERE rowid BETWEEN ? AND ?", (tail.end + 1, size))
            tail.add(placed(Row(*row)) for row in rows)
        return tail

    def add_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint, durably; one that is kept already stays as it is."""
        with self.writing() as transaction:
            transaction.keep_checkpoint(size, note)

    def drop_checkpoints(self, sizes: Sequence[int]) -> None:
        """Let go of checkpoints that need not be kept; all stay if a trigger keeps one of them."""
        with suppress(StoreError), self.writing() as transaction:  # housekeeping: what stays is more than is needed
            transaction.drop_checkpoints(sizes)

    def scrub(self) -> bool:
        """Move all that was written into the file and cut its log to nothing; False when readers kept it from that.

        What is deleted is overwritten in the file as it is deleted (``secure_delete``), but its log still holds the
        pages as they were before. Appends wait for it, so it waits for readers only ``SCRUB_WAIT`` milliseconds.
        """
        with self._write_lock, translated():
            self._pool.check_open()
            if self._writer is None:
                self._writer = _connect(self.path)
            self._writer.execute(f"PRAGMA busy_timeout = {SCRUB_WAIT}")
            try:
                (busy, *_) = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._writer.execute(f"PRAGMA busy_timeout = {int(LOCK_TIMEOUT * 1000)}")
        return not busy

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: Any) -> NoReturn:
        """Closed: the library's insert would write rows without a seal."""
        raise StoreError("entries are written by ledger.log only", advice="append through the log, which seals them")

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The library's read of one stream, by our index."""
        with self.reading() as reads:
            rows = reads.stream(str(originator_id))
        events = [
            StoredEvent(
                originator_id=str(originator_id),
                originator_version=content.seal.version,
                topic=content.event.type,
                state=row.entry,
            )
            for row in rows
            for content in (row.content(),)
        ]
        chosen = [
            event
            for event in events
            if (gt is None or event.originator_version > gt) and (lte is None or event.originator_version <= lte)
        ]
        return (chosen[::-1] if desc else chosen)[:limit]

    def select_notifications(self, *args: Any, **options: Any) -> Sequence[Notification]:
        """The library's read of the log, with our errors."""
        with translated():
            return super().select_notifications(*args, **options)

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """A subscription to entries with a notification id (position + 1) above ``gt``, from any process."""
        return WokenSubscription(self, self._follower, gt, topics)

    def opener(self) -> Callable[[], SQLiteStore]:
        """What opens this file once more, in any process."""
        return functools.partial(SQLiteStore, self.path.absolute())

    def watch(self) -> Watch:
        """Something that is woken at each commit, from any process."""
        return Watch(self._follower)

    def close(self) -> None:
        """Release connections and threads. Idempotent."""
        self._follower.close()
        if hasattr(self, "_indexer"):  # not when the file could not be opened
            self._indexer.close()
            self._index.close()
        self.datastore.close()  # after the index, whose connection may only read: the last one tidies the log of writes
        with self._write_lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None


def _connect(path: Path) -> sqlite3.Connection:
    """A connection that writes durably and leaves nothing of what it deletes."""
    connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: fewer, larger moves of the log into the file
    return connection


def _plain(cursor: SQLiteCursor | sqlite3.Cursor) -> sqlite3.Cursor:
    """The library's cursor without its row factory: plain tuples."""
    plain = cursor.sqlite_cursor if isinstance(cursor, SQLiteCursor) else cursor
    plain.row_factory = None
    return plain
