"""Projections in one SQLite file beside the ledger's own.

Owns the file, its tables, views and connections: one for writing, one for reading. Commits don't wait for the disk
(``synchronous=NORMAL``): after a power cut the file holds an earlier moment, whole. Never folds and never reads the
log.
"""

# ruff: noqa: S608 - names are ours
from __future__ import annotations

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, compress, repeat
from operator import is_not, itemgetter
from pathlib import Path
from typing import Any, Final, cast

from ledger.errors import StoreError, StoreLocked
from ledger.store.sqlite_errors import LOCK_TIMEOUT, use_wal
from projections.projection import Key, Projection, Table, Values
from projections.store import sql
from projections.store.protocol import PAGE, Generation, RowsRefused, State
from projections.store.sql import Dialect, columns_of, quoted
from projections.work import Changes

LAYOUT: Final = 1
"""The form of the file itself, kept as its ``user_version``; a file of another form is made anew."""
_PARAMETERS: Final = 500
"""Values bound to one IN (...) list: far below SQLite's limit, and one cached statement for full lists."""
_FEW: Final = 16
"""Rows that are not worth a statement of their own."""
_TOGETHER: Final = 100
"""Rows that one INSERT writes where there are many: SQLite takes two thirds of the time over them."""
_PARAMETERS_MOST: Final = 4_000
"""Values that one INSERT takes."""
_SPARSE: Final = 8
"""Columns that may be empty, from which on rows are written without those that are."""


# None stays None: the driver finds this in a third of the time that it takes to find that there is no adapter.
sqlite3.register_adapter(type(None), cast("Any", {}.get))
_DIALECT: Final = Dialect("?", {"text": "TEXT", "integer": "INTEGER", "json": "TEXT"}, " STRICT")
# With a rowid, rows are appended and only the small index is written all over; without, every batch touches all.
_CATALOGUE: Final = f"""
    CREATE TABLE {sql.CATALOGUE} (
        projection TEXT NOT NULL, number INTEGER NOT NULL, version INTEGER NOT NULL, fingerprint TEXT NOT NULL,
        tables TEXT NOT NULL, state TEXT NOT NULL, position INTEGER NOT NULL, leaf BLOB NOT NULL,
        fault_position INTEGER, fault_reason TEXT,
        PRIMARY KEY (projection, number)
    ) STRICT, WITHOUT ROWID
"""
_NUMBERS: Final = f"CREATE TABLE {sql.NUMBERS} (projection TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT"
_NEXT_NUMBER: Final = (
    f"INSERT INTO {sql.NUMBERS} VALUES (?, 1) ON CONFLICT (projection) DO UPDATE SET last = last + 1 RETURNING last"
)
_REFUSALS: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeEncodeError,
)
_LOCKS: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class SQLiteReads:
    """Reads within one transaction; see ``protocol.Reads``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._live: dict[str, int] | None = None  # the number of the live generation by table, once it is asked for

    def generations(self) -> list[Generation]:
        """The catalogue, by projection and number."""
        found = self._connection.execute(f"SELECT {sql.COLUMNS} FROM {sql.CATALOGUE} ORDER BY projection, number")
        return list(map(sql.generation_of, found))

    def row(self, table: Table[Any], key: Key, generation: int | None = None) -> Values | None:
        """The row with a key, or None."""
        statement = _DIALECT.by_key(table, self._source(table, generation))
        with _read(table):
            found: Values | None = self._connection.execute(statement, sql.key_values(key)).fetchone()
        return found

    def rows_of(self, table: Table[Any], keys: Sequence[str], generation: int | None = None) -> dict[str, Values]:
        """The rows with these keys, of a table whose key is one column; keys without a row are left out."""
        start = f"SELECT {columns_of(table)} FROM {self._source(table, generation)} AS r WHERE {sql.key_of(table)} IN "
        rows: dict[str, Values] = {}
        with _read(table):
            for at in range(0, len(keys), _PARAMETERS):
                part = keys[at : at + _PARAMETERS]
                for row in self._connection.execute(f"{start}({_DIALECT.marks(len(part))})", part):
                    rows[row[0]] = row
        return rows

    def rows(
        self,
        table: Table[Any],
        *,
        where: Mapping[str, str | int | None] | None = None,
        after: Key | None = None,
        limit: int = PAGE,
        generation: int | None = None,
    ) -> list[Values]:
        """The first ``limit`` rows whose columns have these values, with a key above ``after``, by key."""
        text, values = _DIALECT.some(table, self._source(table, generation), where or {}, sql.key_values(after))
        with _read(table):
            return self._connection.execute(text, [*values, limit]).fetchall()

    def _source(self, table: Table[Any], generation: int | None) -> str:
        """The table to read; the views are not, so that a reader is in no switch's way."""
        if generation is None:
            if self._live is None:
                self._live = sql.live_numbers(self.generations())
            generation = self._live.get(table.name)
            if generation is None:
                raise sql.unready(table)
        return _source(table, generation)


class SQLiteWrites(SQLiteReads):
    """The write transaction; see ``protocol.Writes``."""

    def create(self, projection: Projection) -> Generation:
        """Make the tables of a further generation, empty, filling."""
        (number,) = self._connection.execute(_NEXT_NUMBER, (projection.name,)).fetchone()
        made = sql.beginning(projection, number)
        for table in projection.tables:
            self._connection.execute(_DIALECT.create(table, _source(table, number)))
        line = sql.line_of(made)
        self._connection.execute(f"INSERT INTO {sql.CATALOGUE} VALUES ({_DIALECT.marks(len(line))})", line)
        return made

    def put(self, table: Table[Any], generation: int, changes: Changes) -> None:
        """Write changes, each kind in the order of keys: neighbours in the index, one after the other."""
        source, many = _source(table, generation), self._connection.executemany
        try:
            for names, rows in _by_columns(table, changes.new):
                self._write(f"INSERT INTO {source} ({', '.join(map(quoted, names))}) VALUES ", "", rows)
            for names, rows in _by_columns(table, changes.changed):
                into = f"INSERT INTO {source} ({', '.join(map(quoted, names))}) VALUES "
                self._write(into, _over(table), rows)
            if changes.removed:
                keys = [sql.key_values(key) for key in changes.removed]
                many(f"DELETE FROM {source} WHERE {_DIALECT.has_key(table)}", keys)
        except _REFUSALS as error:
            raise RowsRefused(f"the rows of {table.name} don't fit: {error}") from error

    def _write(self, start: str, end: str, rows: Sequence[Values]) -> None:
        """Write rows of equal length by ``start``, their values and ``end``: many by one statement, the rest by one."""
        marks = f"({_DIALECT.marks(len(rows[0]))})"
        together = max(1, min(_TOGETHER, _PARAMETERS_MOST // len(rows[0])))
        whole = len(rows) - len(rows) % together
        if whole:
            text = f"{start}{', '.join([marks] * together)}{end}"
            chunks = (list(chain.from_iterable(rows[at : at + together])) for at in range(0, whole, together))
            self._connection.executemany(text, chunks)
        if whole < len(rows):
            self._connection.executemany(f"{start}{marks}{end}", rows[whole:])

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A part of the transaction that is taken back alone when it ends with an error."""
        self._connection.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):  # on a full disk the whole transaction may have been rolled back already
                self._connection.execute("ROLLBACK TO attempt")
                self._connection.execute("RELEASE attempt")
            raise
        self._connection.execute("RELEASE attempt")

    def mark(self, generations: Sequence[Generation]) -> None:
        """Set how far generations are: the position, leaf and fault of each."""
        self._connection.executemany(
            f"UPDATE {sql.CATALOGUE} SET position = ?, leaf = ?, fault_position = ?, fault_reason = ?"
            " WHERE projection = ? AND number = ?",
            [(one.position, one.leaf, *(one.fault or (None, None)), one.projection, one.number) for one in generations],
        )

    def switch(self, projection: Projection | None, generation: Generation, *, replaced: State = "previous") -> None:
        """Make a generation live, all its tables at once."""
        if projection is not None:
            for table in projection.tables:
                for number, columns in enumerate(table.indexes, 1):
                    name = quoted(sql.index_name(table.name, generation.number, number))
                    listed = sql.indexed(table, columns)
                    self._connection.execute(f"CREATE INDEX {name} ON {_source(table, generation.number)} ({listed})")
        for other in self.generations():
            if other.projection == generation.projection and other.state == "live":
                self._drop_views(other)
                self._set_state(other, replaced)
        for table_name in generation.tables:
            stored = quoted(sql.stored_name(table_name, generation.number))
            self._connection.execute(f"CREATE VIEW {quoted(table_name)} AS SELECT * FROM {stored}")
        self._set_state(generation, "live")

    def drop(self, generation: Generation) -> None:
        """Remove a generation and all its rows; if it was live, its views too."""
        if any(one[:2] == generation[:2] and one.state == "live" for one in self.generations()):
            self._drop_views(generation)
        for table_name in generation.tables:
            self._connection.execute(f"DROP TABLE {quoted(sql.stored_name(table_name, generation.number))}")
        self._connection.execute(f"DELETE FROM {sql.CATALOGUE} WHERE projection = ? AND number = ?", generation[:2])

    def _drop_views(self, generation: Generation) -> None:
        for table_name in generation.tables:
            self._connection.execute(f"DROP VIEW {quoted(table_name)}")

    def _set_state(self, generation: Generation, state: State) -> None:
        self._live = None
        self._connection.execute(
            f"UPDATE {sql.CATALOGUE} SET state = ? WHERE projection = ? AND number = ?", (state, *generation[:2])
        )


class SQLiteProjections:
    """The projections' file, made if it is missing. Safe for use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises ``StoreError`` when it is not usable."""
        self.path = path
        self._write_lock = threading.Lock()  # guards _writer
        self._read_lock = threading.Lock()  # guards _reader
        with _translated(path):
            self._writer = _connect(path)
            try:
                self._reader = _connect(path)
            except BaseException:
                self._writer.close()
                raise

    @contextmanager
    def reading(self) -> Iterator[SQLiteReads]:
        """A consistent view for a short read."""
        with self._read_lock, _translated(self.path), _transaction(self._reader, "BEGIN"):
            yield SQLiteReads(self._reader)

    @contextmanager
    def writing(self) -> Iterator[SQLiteWrites]:
        """The one write transaction, across processes too; commits on a clean exit, else leaves no trace."""
        with self._write_lock, _translated(self.path), _transaction(self._writer, "BEGIN IMMEDIATE"):
            yield SQLiteWrites(self._writer)

    def close(self) -> None:
        """Release the connections. Idempotent."""
        with self._write_lock, self._read_lock:
            self._writer.close()
            self._reader.close()


def _source(table: Table[Any], generation: int) -> str:
    return quoted(sql.stored_name(table.name, generation))


def _by_columns(table: Table[Any], rows: Iterable[Values]) -> Iterator[tuple[list[str], list[Values]]]:
    """Rows in the order of keys, those of a wide table together by which columns have a value.

    The driver takes longer over a None than over a text, and most columns of a wide row have none.
    """
    names = [column.name for column in table.columns]
    if sum(not column.required for column in table.columns) < _SPARSE:
        if ordered := sorted(rows, key=itemgetter(0)):
            yield names, ordered
        return
    groups: defaultdict[tuple[bool, ...], list[Values]] = defaultdict(list)
    for row in rows:
        groups[tuple(map(is_not, row, repeat(None)))].append(row)
    few: list[Values] = []
    for has, group in groups.items():
        if len(group) < _FEW or sum(has) == 1:  # an itemgetter of one gives no tuple
            few += group
        else:
            chosen = itemgetter(*compress(range(len(names)), has))
            yield list(compress(names, has)), sorted(map(chosen, group), key=itemgetter(0))
    if few:
        yield names, sorted(few, key=itemgetter(0))


def _over(table: Table[Any]) -> str:
    """What an INSERT ends with, so that its rows take the place of those with their keys."""
    rest = [quoted(column.name) for column in table.columns[len(table.key) :]]
    act = f"UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in rest)}" if rest else "NOTHING"
    return f" ON CONFLICT ({sql.key_of(table)}) DO {act}"


def _connect(path: Path) -> sqlite3.Connection:
    with suppress(OSError):  # there already; or what is wrong with the folder, SQLite says next
        path.touch(mode=0o600, exist_ok=False)
    connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA page_size = 8192")
        use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -32768")  # KiB: the indexes of some 100,000 streams
        connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: fewer, larger moves of the log into the file
        if _layout(connection) != LAYOUT:
            _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _layout(connection: sqlite3.Connection) -> int:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    return int(found)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    with _transaction(connection, "BEGIN IMMEDIATE"):
        if _layout(connection) == LAYOUT:  # made by another just now
            return
        if connection.execute("SELECT name FROM sqlite_schema LIMIT 1").fetchone() is not None:
            raise StoreError(f"{path} is not of this version of the program", advice=_DELETE)
        connection.execute(_CATALOGUE)
        connection.execute(_NUMBERS)
        connection.execute(f"PRAGMA user_version = {LAYOUT}")


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a failed COMMIT may have rolled back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _read(table: Table[Any]) -> Iterator[None]:
    """Tell a table or column that is not there from other failures, and let no handler be blamed for any."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if str(error).startswith(("no such table", "no such column")):
            raise sql.unready(table) from error
        raise StoreError(f"the rows of {table.name} can't be read: {error}", advice=_ROOM) from error


_DELETE: Final = "delete that file; it is made again from the log"
_ROOM: Final = "see that the disk has room and no program holds a lock"


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn database errors into ``StoreError``; whatever befell the file, the log can make it again."""
    try:
        yield
    except sqlite3.Error as error:
        kind = StoreLocked if getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOCKS else StoreError
        advice = _ROOM if isinstance(error, sqlite3.OperationalError) else _DELETE
        raise kind(f"the projections in {path} failed: {error}", advice=advice) from error
