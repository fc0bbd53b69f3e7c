"""The SQLite store: one file a ledger, durable at every commit, readable by other processes while it grows.

Owns the file, its schema (sqlite.sql), its pragmas (WAL, ``synchronous=FULL``, ``secure_delete=ON``) and its
connections: one for writing, under ``BEGIN IMMEDIATE``, and the library's pool for reading. Builds on the
``eventsourcing`` recorder, which reads entries through the view ``stored_events``; its way of inserting is closed,
since it would not seal. Never seals, hashes, encrypts or judges what it keeps.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from eventsourcing.persistence import ApplicationRecorder, PersistenceError, StoredEvent, Subscription
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor, SQLiteDatastore

from ledger.errors import Conflict, NotFound, StoreError
from ledger.store.protocol import PAGE, Batch, Head, Row, Selection, WrappedKey
from ledger.store.sqlite_subscription import Follower, SQLiteSubscription

SCHEMA_VERSION = "1"
LOCK_TIMEOUT = 30
"""Seconds that a writer waits for another process's transaction."""
_PARAMETERS = 500
"""Values bound to one IN (...) list: far below SQLite's limit, and one cached statement for full lists."""
_NUMBERS = 200_000
"""Names whose numbers a writer remembers."""


class SQLiteStore(SQLiteApplicationRecorder):
    """A ledger in one SQLite file. Make it with ``create``, open it with the constructor."""

    def __init__(self, path: Path) -> None:
        """Open an existing file. Raises ``NotFound`` when there is none, ``StoreError`` when it is no ledger's."""
        if not path.is_file():
            raise NotFound(f"there is no ledger file {path}")
        self.path = path
        super().__init__(
            SQLiteDatastore(str(path), lock_timeout=LOCK_TIMEOUT, originator_id_type="text"), "stored_events"
        )
        self._write_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._numbers: dict[str, int] = {}  # committed names that the writer met; guarded by the write lock
        self._follower = Follower(path)
        try:
            meta = self._meta()
        except StoreError:
            self.close()
            raise
        self._origin = meta["origin"]

    @classmethod
    def create(cls, path: Path, origin: str, head: Head) -> SQLiteStore:
        """Make the file with its schema, empty, at ``head``. Raises ``Conflict`` when it exists."""
        if path.exists():
            raise Conflict(f"{path} exists already")
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
        try:
            with self.datastore.transaction(commit=False) as cursor:
                cursor.execute("SELECT name, value FROM meta")
                meta = dict(map(tuple, cursor.fetchall()))
        except (sqlite3.Error, PersistenceError) as error:
            raise StoreError(f"{self.path} is not readable as a ledger: {error}") from None
        if meta.get("schema") != SCHEMA_VERSION or "origin" not in meta:
            raise StoreError(
                f"{self.path} has schema {meta.get('schema')}, this program knows {SCHEMA_VERSION}",
                advice="use the version of the program that wrote it",
            )
        return meta

    @contextmanager
    def reading(self) -> Iterator[SQLiteReads]:
        """A consistent view for a short read, on a connection of the library's pool."""
        with _translated(), self.datastore.transaction(commit=False) as cursor:
            yield SQLiteReads(_plain(cursor))

    @contextmanager
    def writing(self) -> Iterator[SQLiteWrites]:
        """The one write transaction. Commits durably on a clean exit; any error leaves no trace."""
        with self._write_lock, _translated():
            if self._writer is None:
                self._writer = _connect(self.path)
            cursor = self._writer.cursor()
            cursor.execute("BEGIN IMMEDIATE")  # a deferred one could fail to upgrade after it has read the head
            try:
                writes = SQLiteWrites(cursor, self._numbers)
                yield writes
                cursor.execute("COMMIT")
                writes.keep_numbers()
            except BaseException:
                with suppress(sqlite3.Error):  # a failed COMMIT on a full disk may have rolled back already
                    cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()
        self._follower.notify()

    def add_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint, durably; one that is kept already stays as it is."""
        with self.writing() as transaction:
            transaction.keep_checkpoint(size, note)

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: Any) -> NoReturn:
        """Closed: the library's insert would write rows without a seal."""
        raise StoreError("entries are written by ledger.log only", advice="append through the log, which seals them")

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """A subscription to entries with a notification id (position + 1) above ``gt``, from any process."""
        return SQLiteSubscription(self, self._follower, gt, topics)

    def close(self) -> None:
        """Release connections and threads. Idempotent."""
        self._follower.close()
        with self._write_lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self.datastore.close()


class SQLiteReads:
    """Reads on one cursor within one transaction; see ``protocol.Reads``."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def head(self) -> Head:
        """The end of the log."""
        return Head(*self._cursor.execute("SELECT size, leaf, recorded, epoch FROM head").fetchone())

    def rows(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position."""
        where, order, values = _where(selection)
        found = self._cursor.execute(f"{_ROWS} WHERE {where} ORDER BY {order} LIMIT ?", [*values, limit])
        return [Row(*row) for row in found]

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
        sql = (
            "SELECT epoch, wrapped FROM data_keys "
            "WHERE stream = (SELECT number FROM names WHERE name = ?1) "
            "AND member = CASE ?2 WHEN '' THEN 0 ELSE (SELECT number FROM names WHERE name = ?2) END"
        )
        found = ((pair, self._cursor.execute(sql, (pair[1], pair[0])).fetchone()) for pair in pairs)
        return {pair: WrappedKey(*pair, *row) for pair, row in found if row is not None}

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
            yield from self._cursor.execute(sql % ",".join("?" * len(part)), [*first, *part])


class SQLiteWrites(SQLiteReads):
    """The write transaction; see ``protocol.Writes``. ``numbers`` are those of the names known before it."""

    def __init__(self, cursor: sqlite3.Cursor, numbers: dict[str, int]) -> None:
        super().__init__(cursor)
        self._known = numbers
        self._fresh: dict[str, int] = {}

    def find_ids(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The positions of those (source, id) that are known."""
        by_source: dict[str, list[str]] = {}
        for source, event_id in ids:
            by_source.setdefault(source, []).append(event_id)
        numbers = self._find(by_source)
        sql = "SELECT id, position FROM ids WHERE source = ? AND id IN (%s)"
        return {
            (source, event_id): position
            for source, number in numbers.items()
            for event_id, position in self._among(sql, by_source[source], number)
        }

    def streams(self, names: Sequence[str]) -> dict[str, list[bytes]]:
        """The entries of each named stream, by version; streams without any are left out."""
        sql = "SELECT entry FROM entries WHERE stream = ? ORDER BY version"
        numbers = self._find(names)
        found = {name: [entry for (entry,) in self._cursor.execute(sql, (n,))] for name, n in numbers.items()}
        return {name: entries for name, entries in found.items() if entries}  # a member may go by that name

    def member_versions(self, names: Sequence[str]) -> dict[str, int]:
        """The highest member version of each named member; members without any are left out."""
        sql = "SELECT max(member_version) FROM entries WHERE member = ?"  # one step down the index, for each name
        numbers = self._find(names)
        found = {name: self._cursor.execute(sql, (number,)).fetchone()[0] for name, number in numbers.items()}
        return {name: version for name, version in found.items() if version is not None}

    def write(self, batch: Batch) -> None:
        """Write a batch within the transaction."""
        number = self._number_all(batch)
        many = self._cursor.executemany
        many(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (position + 1, number[stream], version, number[kind], number.get(member), member_version, entry)
                for position, stream, version, kind, member, member_version, entry in batch.rows
            ],
        )
        many("INSERT INTO ids VALUES (?, ?, ?)", [(number[source], name, at) for source, name, at in batch.ids])
        many("INSERT INTO disclosures VALUES (?, ?)", [(at + 1, sealed) for at, sealed in batch.disclosures])
        many(
            "INSERT INTO data_keys VALUES (?, ?, ?, ?)",
            [(number[key.stream], number.get(key.member, 0), key.epoch, key.wrapped) for key in batch.keys],
        )
        many(
            "INSERT INTO tiles VALUES (?, ?, ?) ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
            batch.tiles,
        )
        self._cursor.execute("UPDATE head SET size = ?, leaf = ?, recorded = ?, epoch = ?", batch.head)

    def keep_numbers(self) -> None:
        """After the commit: what was numbered here is known from now on."""
        if len(self._known) > _NUMBERS:
            self._known.clear()
        self._known.update(self._fresh)

    def _find(self, names: Iterable[str]) -> dict[str, int]:
        """The numbers of those names that have one."""
        numbers: dict[str, int] = {}
        missing = []
        for name in names:
            number = self._known.get(name) or self._fresh.get(name)
            if number is None:
                missing.append(name)
            else:
                numbers[name] = number
        found = dict(self._among("SELECT name, number FROM names WHERE name IN (%s)", missing))
        self._fresh.update(found)
        numbers.update(found)
        return numbers

    def _number_all(self, batch: Batch) -> dict[str | None, int]:
        """The numbers of all names in a batch, new ones given and written."""
        wanted: dict[str | None, None] = {}  # a dict, since it keeps the order of first mention
        for row in batch.rows:
            wanted[row[1]] = wanted[row[3]] = wanted[row[4]] = None
        for source, _, _ in batch.ids:
            wanted[source] = None
        names = [name for name in wanted if name is not None]
        numbers = self._find(names)
        if new := [name for name in names if name not in numbers]:
            (last,) = self._cursor.execute("SELECT coalesce(max(number), 0) FROM names").fetchone()
            given = {name: number for number, name in enumerate(new, last + 1)}
            self._cursor.executemany("INSERT INTO names (name, number) VALUES (?, ?)", given.items())
            self._fresh.update(given)
            numbers.update(given)
        return dict(numbers.items())

    def keep_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint, unless there is one of that size."""
        self._cursor.execute("INSERT INTO checkpoints VALUES (?, ?) ON CONFLICT DO NOTHING", (size, note))


_ROWS = """
    SELECT entries.rowid - 1, streams.name, version, types.name, members.name, member_version, entry
    FROM entries
    LEFT JOIN names AS streams ON streams.number = stream
    LEFT JOIN names AS types ON types.number = type
    LEFT JOIN names AS members ON members.number = member
"""
"""Rows with their names; left joins, so that a row whose columns were altered is still shown, and can be audited."""


def _where(selection: Selection) -> tuple[str, str, list[Any]]:
    """Conditions, order and values of a selection, phrased so that its narrowest index serves it in order.

    Within a stream or a member the versions stand in the order of positions; ``+`` keeps the planner on that index.
    """
    narrow = selection.stream is not None or selection.member is not None
    plus = "+" if narrow else ""
    terms = [f"{plus}entries.rowid >= ?"]
    values: list[Any] = [selection.first + 1]
    if selection.last is not None:
        terms.append(f"{plus}entries.rowid <= ?")
        values.append(selection.last + 1)
    for column in ("stream", "member", "type"):
        if (wanted := getattr(selection, column)) is not None:
            term = f"{column} = (SELECT number FROM names WHERE name = ?)"  # noqa: S608 - the columns are named above
            terms.append(plus + term if column == "type" else term)
            values.append(wanted)
    order = "version" if selection.stream is not None else "member_version" if narrow else "entries.rowid"
    return " AND ".join(terms), order, values


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


@contextmanager
def _translated() -> Iterator[None]:
    """Turn database errors into ``StoreError``, with what to do where it is known."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"the database failed: {error}", advice="see that the disk has room and no program holds a lock"
        ) from error
    except (sqlite3.Error, PersistenceError) as error:  # the library's pool wraps what it meets in its own
        raise StoreError(f"the database failed: {error}", advice="audit the ledger before appending again") from error
