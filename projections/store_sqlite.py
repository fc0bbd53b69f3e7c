"""Where the rows of projections are kept: one SQLite file beside the ledger's own.

Owns the file, its tables and connections. Rows and the mark of how far they are folded are written in one transaction,
so that a crash at any moment leaves them agreeing. The file holds nothing that the log doesn't say; a lost write is
folded again, so commits need not wait for the disk (``synchronous=NORMAL``). Never folds and never reads the log.

The ``eventsourcing`` library's tracking recorders don't serve here: a tracking position only ever rises, while a
rebuild starts again from nothing, and it can tell neither the version of the code that made the rows nor which log they
were made from.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.errors import StoreError
from ledger.store.sqlite_errors import LOCK_TIMEOUT, use_wal
from projections.projection import Projection, Row, Table

_PARAMETERS: Final = 500
"""Values bound to one IN (...) list: far below SQLite's limit, and one cached statement for full lists."""
_TYPES: Final = {"text": "TEXT", "integer": "INTEGER", "json": "TEXT"}


class Mark(NamedTuple):
    """How far a projection is folded: its fingerprint, the last position (-1: none), and that entry's leaf hash."""

    fingerprint: str
    position: int
    leaf: bytes


class Reads:
    """Reads within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def marks(self) -> dict[str, Mark]:
        """The mark of each projection that was ever started, by name."""
        found = self._connection.execute("SELECT name, fingerprint, position, leaf FROM projections")
        return {name: Mark(*mark) for name, *mark in found}

    def last(self, table: Table, values: Iterable[Any]) -> dict[Any, Row]:
        """The last row in key order for each of these values of the first key column; those without are left out."""
        wanted = list(values)
        first, second = _quoted(table.key[0].name), table.key_length == 2 and _quoted(table.key[1].name)
        columns = ", ".join(_quoted(column.name) for column in table.columns)
        # With max() SQLite takes the other columns from the row that holds it (lang_select.html, 2.5).
        chosen, group = (f"{columns}, max({second})", f" GROUP BY {first}") if second else (columns, "")
        width, rows = len(table.columns), {}
        for start in range(0, len(wanted), _PARAMETERS):
            part = wanted[start : start + _PARAMETERS]
            marks = ",".join("?" * len(part))
            sql = f"SELECT {chosen} FROM {_quoted(table.name)} WHERE {first} IN ({marks}){group}"  # noqa: S608 - names are ours
            for row in self._connection.execute(sql, part):
                rows[row[0]] = row[:width]
        return rows

    def all(self, table: Table, value: Any = None) -> list[Row]:
        """The rows of a table in key order; those of one value of the first key column, if it is given."""
        columns = ", ".join(_quoted(column.name) for column in table.columns)
        where = "" if value is None else f" WHERE {_quoted(table.key[0].name)} = ?"
        order = ", ".join(_quoted(column.name) for column in table.key)
        sql = f"SELECT {columns} FROM {_quoted(table.name)}{where} ORDER BY {order}"  # noqa: S608 - names are ours
        return self._connection.execute(sql, () if value is None else (value,)).fetchall()


class Writes(Reads):
    """One write transaction; no other begins before it ends."""

    def reset(self, projection: Projection) -> Mark:
        """Make the projection's tables afresh, empty, and mark it as not begun."""
        for table in projection.tables:
            self._connection.execute(f"DROP TABLE IF EXISTS {_quoted(table.name)}")
            self._connection.execute(_create(table))
        mark = Mark(projection.fingerprint(), -1, b"")
        self.mark(projection.name, mark)
        return mark

    def put(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows, each in place of one with the same key if there is one."""
        if rows:
            self._connection.executemany(_upsert(table), sorted(rows))  # neighbours in the index, one after the other

    def mark(self, name: str, mark: Mark) -> None:
        """Set how far a projection is folded."""
        self._connection.execute("INSERT OR REPLACE INTO projections VALUES (?, ?, ?, ?)", (name, *mark))


class ProjectionStore:
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
    def reading(self) -> Iterator[Reads]:
        """A consistent view for a short read."""
        with self._read_lock, _translated(self.path), _transaction(self._reader, "BEGIN"):
            yield Reads(self._reader)

    @contextmanager
    def writing(self) -> Iterator[Writes]:
        """The one write transaction, across processes too; commits on a clean exit, else leaves no trace."""
        with self._write_lock, _translated(self.path), _transaction(self._writer, "BEGIN IMMEDIATE"):
            yield Writes(self._writer)

    def close(self) -> None:
        """Release the connections. Idempotent."""
        with self._write_lock, self._read_lock:
            self._writer.close()
            self._reader.close()


def _quoted(name: str) -> str:
    return f'"{name}"'


def _create(table: Table) -> str:
    columns = ", ".join(
        f"{_quoted(column.name)} {_TYPES[column.type]}{' NOT NULL' if column.required else ''}"
        for column in table.columns
    )
    key = ", ".join(_quoted(column.name) for column in table.key)
    # With a rowid, rows are appended and only the small index is written all over; without, every batch touches all.
    return f"CREATE TABLE {_quoted(table.name)} ({columns}, PRIMARY KEY ({key})) STRICT"


def _upsert(table: Table) -> str:
    marks = ",".join("?" * len(table.columns))
    key = ", ".join(_quoted(column.name) for column in table.key)
    names = [_quoted(column.name) for column in table.columns[table.key_length :]]
    rest = ", ".join(f"{name} = excluded.{name}" for name in names)
    return f"INSERT INTO {_quoted(table.name)} VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {rest}"  # noqa: S608 - names are ours


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
        connection.execute(
            "CREATE TABLE IF NOT EXISTS projections "
            "(name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, position INTEGER NOT NULL, leaf BLOB NOT NULL) "
            "STRICT, WITHOUT ROWID"
        )
    except BaseException:
        connection.close()
        raise
    return connection


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
def _translated(path: Path) -> Iterator[None]:
    """Turn database errors into ``StoreError``; whatever befell the file, the log can make it again."""
    try:
        yield
    except sqlite3.OperationalError as error:
        unbuilt = str(error).startswith("no such table")
        advice = (
            "build them: continuity rebuild" if unbuilt else "see that the disk has room and no program holds a lock"
        )
        raise StoreError(f"the projections in {path} failed: {error}", advice=advice) from error
    except sqlite3.Error as error:
        raise StoreError(
            f"the projections in {path} failed: {error}", advice="delete that file; it is made again from the log"
        ) from error
