"""The SQLite store: a ledger in one file, durable at every commit, readable by other processes while it grows.

Owns the file, its schema (sqlite.sql), its pragmas (WAL, ``synchronous=FULL``, ``secure_delete=ON``) and its
connections: one for writing, under ``BEGIN IMMEDIATE``, and the library's pool for reading. Builds on the
``eventsourcing`` recorder, which reads entries through the view ``stored_events``; its way of inserting is closed,
since it would not seal. What finds entries again is in a file of its own and may lag (sqlite_index); the last ones are
found by the writer's tail (sqlite_tail).
Never seals, hashes, encrypts or judges what it keeps.
"""

from __future__ import annotations

import functools
import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from eventsourcing.persistence import ApplicationRecorder, Notification, StoredEvent, Subscription
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor

from ledger.errors import Conflict, NotFound, StoreError
from ledger.store.protocol import PAGE, Batch, Head, Row, Selection, WrappedKey
from ledger.store.sqlite_errors import LOCK_TIMEOUT, translated
from ledger.store.sqlite_index import ADVICE, Column, Index, Indexer
from ledger.store.sqlite_pool import ReadingPool
from ledger.store.sqlite_subscription import FileFollower
from ledger.store.sqlite_tail import GENERATION, Tail, placed
from ledger.store.subscription import WokenSubscription

SCHEMA_VERSION = "1"
LONGEST_TAIL = 8 * GENERATION
"""Entries that may await indexing; a writer that is further ahead indexes them itself first."""
_LAST = 2**62
"""Above every position; SQLite's integers end at 2^63."""
_PARAMETERS = 500
"""Values bound to one IN (...) list: far below SQLite's limit, and one cached statement for full lists."""


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
        """Make the file with its schema, empty, at ``head``. Raises ``Conflict`` when it exists."""
        if path.exists():
            raise Conflict(f"{path} exists already")
        path.touch(mode=0o600)  # copied out of its folder, it is no more open than in it
        schema = resources.files("ledger.store").joinpath("sqlite.sql").read_text(encoding="utf-8")
        connection = _connect(path)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN;\n{schema}\nCOMMIT;")
            connection.execute("INSERT INTO head VALUES (1, ?, ?, ?, ?)", head)
            connection.executemany("INSERT INTO meta VALUES (?, ?)", [("origin", origin), ("schema", SCHEMA_VERSION)])
        finally:
            connection.close()
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
    def writing(self) -> Iterator[SQLiteWrites]:
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
            rows = cursor.execute(f"{_ROWS} WHERE rowid BETWEEN ? AND ?", (tail.end + 1, size))
            tail.add(placed(Row(*row)) for row in rows)
        return tail

    def add_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint, durably; one that is kept already stays as it is."""
        with self.writing() as transaction:
            transaction.keep_checkpoint(size, note)

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


class SQLiteReads:
    """Reads on one cursor within one transaction; see ``protocol.Reads``. The index is caught up when it is needed."""

    def __init__(self, cursor: sqlite3.Cursor, index: Index) -> None:
        self._cursor = cursor
        self._index = index

    def head(self) -> Head:
        """The end of the log."""
        return Head(*self._cursor.execute("SELECT size, leaf, recorded, epoch FROM head").fetchone())

    def rows(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position."""
        last = _LAST if selection.last is None else min(selection.last, _LAST)
        if not 0 <= selection.first <= last:
            return []
        for column in ("stream", "member", "type"):  # the narrowest first
            name = getattr(selection, column)
            if name is not None:
                return self._rows_by_index(column, name, selection._replace(last=last), limit)
        found = self._cursor.execute(
            f"{_ROWS} WHERE rowid BETWEEN ? AND ? LIMIT ?", (selection.first + 1, last + 1, limit)
        )
        return list(map(_row, found))

    def columns(self, first: int, count: int) -> tuple[Sequence[int], Sequence[bytes]]:
        """The positions and entries there are at ``count`` positions from ``first``, in order: for long scans."""
        found = self._cursor.execute(f"{_ROWS} WHERE rowid BETWEEN ? AND ?", (first + 1, first + count))
        flat: list[Any] = list(itertools.chain.from_iterable(found))
        return flat[::2], flat[1::2]

    def stream(self, name: str) -> list[Row]:
        """All rows of a stream, by version."""
        return self._rows_at(self._stream_positions([name]).get(name, []))

    def _rows_by_index(self, column: Column, name: str, selection: Selection, limit: int) -> list[Row]:
        assert selection.last is not None  # noqa: S101 - the caller has set it
        self._index.catch_up(self.head().size)
        first, chosen = selection.first, list[Row]()
        while len(chosen) < limit:
            positions = self._index.positions(column, name, first, selection.last, limit)
            chosen += [row for row in self._rows_at(positions) if _matches(row, selection)]
            if len(positions) < limit:
                break
            first = positions[-1] + 1
        return chosen[:limit]

    def _rows_at(self, positions: Sequence[int]) -> list[Row]:
        """The rows at those positions, ascending; missing ones are left out."""
        rowids = [position + 1 for position in positions]
        return [Row(*row) for row in self._among(f"{_ROWS} WHERE rowid IN (%s) ORDER BY rowid", rowids)]

    def _stream_positions(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Where the entries of each stream are, ascending."""
        self._index.catch_up(self.head().size)
        return self._index.all_positions(names)

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile, full or partial; empty when there is none."""
        found = self._cursor.execute(
            "SELECT hashes FROM tiles WHERE level = ? AND number = ?", (level, index)
        ).fetchone()
        return bytes(found[0]) if found else b""

    def disclosures(self, positions: Sequence[int]) -> dict[int, bytes]:
        """The sealed disclosures by position; positions without any are left out."""
        sql = "SELECT rowid - 1, sealed FROM disclosures WHERE rowid IN (%s)"
        return dict(self._among(sql, [position + 1 for position in positions]))

    def data_keys(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], WrappedKey]:
        """The wrapped data keys by (member, stream); unknown pairs are left out."""
        wanted = list(pairs)
        places = self._stream_positions([stream for _, stream in wanted]) if wanted else {}
        found: dict[tuple[str, str], WrappedKey] = {}
        for member, stream in wanted:
            rowids = [position + 1 for position in places.get(stream, ())]
            sql = "SELECT rowid - 1, member, stream, epoch, wrapped FROM data_keys WHERE member = ? AND rowid IN (%s)"
            for row in self._among(sql, rowids, member):
                found[member, stream] = WrappedKey(*row)
                break
        return found

    def checkpoints(self, after: int, limit: int = PAGE) -> list[tuple[int, bytes]]:
        """(size, note) of the signed checkpoints above a size, ascending."""
        sql = "SELECT size, note FROM checkpoints WHERE size > ? ORDER BY size LIMIT ?"
        return [(size, bytes(note)) for size, note in self._cursor.execute(sql, (after, limit))]

    def latest_checkpoint(self) -> bytes | None:
        """The note of the largest signed checkpoint."""
        found = self._cursor.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
        return bytes(found[0]) if found else None

    def _among(self, sql: str, values: Sequence[Any], *first: Any) -> Iterator[Any]:
        """The rows of a statement with an IN (...) list, a bounded part of the list at a time."""
        for start in range(0, len(values), _PARAMETERS):
            part = values[start : start + _PARAMETERS]
            # Not `yield from`: a reader that stops early would close the cursor with the generator.
            for row in self._cursor.execute(sql % ",".join("?" * len(part)), [*first, *part]):  # noqa: UP028
                yield row


class SQLiteWrites(SQLiteReads):
    """The write transaction; see ``protocol.Writes``. What the index lacks, the tail has."""

    def __init__(self, cursor: sqlite3.Cursor, index: Index, tail: Tail) -> None:
        super().__init__(cursor, index)
        self._tail = tail

    def find_ids(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The positions of those (source, id) that are known."""
        found: dict[tuple[str, str], int] = {}
        by_source: dict[str, list[str]] = {}
        for source, event_id in ids:
            position = self._tail.position(source, event_id)
            if position is None:
                by_source.setdefault(source, []).append(event_id)
            else:
                found[source, event_id] = position
        for source, wanted in by_source.items():
            for event_id, position in self._index.find_ids(source, wanted).items():
                found[source, event_id] = position
        return found

    def streams(self, names: Sequence[str]) -> dict[str, list[bytes]]:
        """The entries of each named stream, by version; streams without any are left out."""
        places = self._stream_positions(names)
        entries = {row.position: row for row in self._rows_at(sorted(itertools.chain(*places.values())))}
        found = {name: [entries[at] for at in positions if at in entries] for name, positions in places.items()}
        for name, rows in found.items():
            held = [(content.event.stream, content.seal.version) for row in rows for content in (row.content(),)]
            if held != [(name, version) for version in range(1, len(rows) + 1)]:
                raise StoreError(f"the index does not find {name} whole", advice=ADVICE)
        return {name: [row.entry for row in rows] for name, rows in found.items()}

    def member_versions(self, names: Sequence[str]) -> dict[str, int]:
        """The highest member version of each named member; members without any are left out."""
        found = {name: version for name in names if (version := self._tail.member_version(name)) is not None}
        last = self._index.last_positions("member", [name for name in names if name not in found])
        for row in map(placed, self._rows_at(sorted(last.values()))):
            if row.member is not None and row.member_version is not None and last.get(row.member) == row.position:
                found[row.member] = row.member_version
        if not last.keys() <= found.keys():
            raise StoreError("the index does not find the last entry of a member", advice=ADVICE)
        return found

    def write(self, batch: Batch) -> None:
        """Write a batch within the transaction."""
        many = self._cursor.executemany
        self._tail.add(batch.rows)
        many("INSERT INTO entries VALUES (?, ?)", [(row[0] + 1, row[1]) for row in batch.rows])
        many("INSERT INTO disclosures VALUES (?, ?)", [(at + 1, sealed) for at, sealed in batch.disclosures])
        many(
            "INSERT INTO data_keys VALUES (?, ?, ?, ?, ?)",
            [(key.position + 1, key.stream, key.member, key.epoch, key.wrapped) for key in batch.keys],
        )
        many(
            "INSERT INTO tiles VALUES (?, ?, ?) ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
            batch.tiles,
        )
        self._cursor.execute("UPDATE head SET size = ?, leaf = ?, recorded = ?, epoch = ?", batch.head)

    def rows(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position, with those written in this transaction."""
        last = _LAST if selection.last is None else min(selection.last, _LAST)
        found = self._cursor.execute(
            f"{_ROWS} WHERE rowid BETWEEN ? AND ? ORDER BY rowid", (selection.first + 1, last + 1)
        )
        return list(itertools.islice((row for row in map(Row._make, found) if _matches(row, selection)), limit))

    def _stream_positions(self, names: Sequence[str]) -> dict[str, list[int]]:
        found = self._index.all_positions(names)
        for name in names:
            known = found.get(name, [])
            last = known[-1] if known else -1
            if newer := [position for position in self._tail.of_stream(name) if position > last]:
                found[name] = known + newer
        return found

    def keep_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint, unless there is one of that size."""
        sql = "INSERT INTO checkpoints SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM checkpoints WHERE size = ?1)"
        self._cursor.execute(sql, (size, note))


_ROWS = "SELECT rowid - 1, entry FROM entries"
_row = functools.partial(tuple.__new__, Row)
"""``Row._make`` at a third of its time, for long scans."""


def _matches(row: Row, selection: Selection) -> bool:
    """Whether a row is of the selection in all that it names."""
    wanted = (selection.stream, selection.member, selection.type)
    if wanted == (None, None, None):
        return True
    event = row.content().event
    have = (event.stream, event.member, event.type)
    return all(want is None or want == one for want, one in zip(wanted, have, strict=True))


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
