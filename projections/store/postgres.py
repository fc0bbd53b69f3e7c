"""Projections in PostgreSQL: a schema of their own beside the ledger's.

Owns the schema ``state_NAME`` of the ledger ``ledger_NAME``: its tables, views and transactions. Whoever folds makes
and drops tables here all the time, which the ledger's own schema must allow to nobody but its owner. Commits don't wait
for the disk (``synchronous_commit = off``): after a crash of the server the schema holds an earlier moment, whole.
Never folds and never reads the log.
"""

# ruff: noqa: S608 - names are ours
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg import Connection, Cursor, errors
from psycopg.sql import SQL, Identifier

from ledger.errors import StoreError
from ledger.store.postgres_datastore import FOLDING, READING, LedgerDatastore, translated
from ledger.store.postgres_schema import state_schema_of
from ledger.store.postgres_transactions import COPY_ROWS, plain
from projections.projection import Key, Projection, Table, Values
from projections.store import sql
from projections.store.protocol import PAGE, Generation, RowsRefused, State
from projections.store.sql import Dialect, columns_of, quoted
from projections.work import Changes

LAYOUT: Final = 1
"""The form of the schema itself; one of another form is made anew."""
CONNECTIONS: Final = 5
"""Connections of one opened store, at most; one is kept open."""
SWITCH_SECONDS: Final = 5
"""How long a switch or a drop waits for those who read a view, or a table that goes."""

_TEXT: Final = 'text COLLATE "C"'
_DIALECT: Final = Dialect("%s", {"text": _TEXT, "integer": "bigint", "json": _TEXT}, "")
_ARRAYS: Final = {"text": "text", "integer": "int8", "json": "text"}
_PREPARE: Final = f"""
    CREATE TABLE {{s}}.layout (version integer NOT NULL);
    INSERT INTO {{s}}.layout VALUES ({LAYOUT});
    CREATE TABLE {{s}}.{sql.NUMBERS} (projection {_TEXT} PRIMARY KEY, last bigint NOT NULL);
    CREATE TABLE {{s}}.{sql.CATALOGUE} (
        projection {_TEXT} NOT NULL, number bigint NOT NULL, version bigint NOT NULL, fingerprint text NOT NULL,
        tables text NOT NULL, state text NOT NULL, position bigint NOT NULL, leaf bytea NOT NULL,
        fault_position bigint, fault_reason text,
        PRIMARY KEY (projection, number)
    ) WITH (fillfactor = 50);
"""


class PostgresReads:
    """Reads within one transaction; see ``protocol.Reads``."""

    def __init__(self, connection: Connection[Any], schema: str) -> None:
        self._connection = connection
        self._cursor: Cursor[tuple[Any, ...]] = plain(connection)
        self._schema = quoted(schema)
        self._live: dict[str, int] | None = None  # the number of the live generation by table, once it is asked for

    def generations(self) -> list[Generation]:
        """The catalogue, by projection and number."""
        found = self._all(f"SELECT {sql.COLUMNS} FROM {self._in(sql.CATALOGUE)} ORDER BY projection, number")
        return list(map(sql.generation_of, found))

    def row(self, table: Table[Any], key: Key, generation: int | None = None) -> Values | None:
        """The row with a key, or None."""
        statement = _DIALECT.by_key(table, self._source(table, generation))
        with _read(table):
            found = self._all(statement, *sql.key_values(key))
        return found[0] if found else None

    def rows_of(self, table: Table[Any], keys: Sequence[str], generation: int | None = None) -> dict[str, Values]:
        """The rows with these keys, of a table whose key is one column; keys without a row are left out."""
        source = self._source(table, generation)
        with _read(table):
            found = self._all(
                f"SELECT {columns_of(table)} FROM {source} AS r WHERE {sql.key_of(table)} = ANY(%s)", list(keys)
            )
        return {row[0]: row for row in found}

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
            return self._all(text, *values, limit)

    def _all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._cursor.execute(statement.encode(), values).fetchall()

    def _in(self, name: str) -> str:
        return f"{self._schema}.{quoted(name)}"

    def _source(self, table: Table[Any], generation: int | None) -> str:
        """The table to read; the views are not, so that a reader is in no switch's way."""
        if generation is None:
            if self._live is None:
                self._live = sql.live_numbers(self.generations())
            generation = self._live.get(table.name)
            if generation is None:
                raise sql.unready(table)
        return self._in(sql.stored_name(table.name, generation))


class PostgresWrites(PostgresReads):
    """The write transaction; see ``protocol.Writes``."""

    def create(self, projection: Projection) -> Generation:
        """Make the tables of a further generation, empty, filling."""
        next_number = (
            f"INSERT INTO {self._in(sql.NUMBERS)} AS n VALUES (%s, 1)"
            " ON CONFLICT (projection) DO UPDATE SET last = n.last + 1 RETURNING last"
        )
        ((number,),) = self._all(next_number, projection.name)
        made = sql.beginning(projection, number)
        for table in projection.tables:
            self._execute(_DIALECT.create(table, self._source(table, number)))
        line = sql.line_of(made)
        self._execute(f"INSERT INTO {self._in(sql.CATALOGUE)} VALUES ({_DIALECT.marks(len(line))})", *line)
        return made

    def put(self, table: Table[Any], generation: int, changes: Changes) -> None:
        """Write changes; what changed is deleted and added, like rows that are new, by COPY if there is much of it."""
        source = self._source(table, generation)
        gone: list[tuple[Any, ...]] = [sql.key_values(key) for key in changes.removed]
        gone += [row[: len(table.key)] for row in changes.changed]
        try:
            if gone:
                self._delete(table, source, gone)
            if added := changes.new + changes.changed:
                self._add(table, source, added)
        except Exception as error:
            if not _is_refusal(error):
                raise
            reason = str(error).partition("\n")[0]
            raise RowsRefused(f"the rows of {table.name} don't fit: {reason}") from error

    def _delete(self, table: Table[Any], source: str, keys: Sequence[tuple[Any, ...]]) -> None:
        arrays = ", ".join(f"%b::{_ARRAYS[column.type]}[]" for column in table.key)
        condition = " AND ".join(f"{source}.{quoted(column.name)} = k.k{at}" for at, column in enumerate(table.key))
        names = ", ".join(f"k{at}" for at in range(len(table.key)))
        text = f"DELETE FROM {source} USING unnest({arrays}) AS k ({names}) WHERE {condition}"
        self._execute(text, *map(list, zip(*keys, strict=True)))

    def _add(self, table: Table[Any], source: str, rows: Sequence[Values]) -> None:
        types = [_ARRAYS[column.type] for column in table.columns]
        if len(rows) < COPY_ROWS:
            arrays = ", ".join(f"%b::{kind}[]" for kind in types)
            columns = map(list, zip(*rows, strict=True))
            self._execute(f"INSERT INTO {source} SELECT * FROM unnest({arrays})", *columns)
            return
        with self._cursor.copy(f"COPY {source} FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A part of the transaction that is taken back alone when it ends with an error."""
        with self._connection.transaction():
            yield

    def mark(self, generations: Sequence[Generation]) -> None:
        """Set how far generations are: the position, leaf and fault of each."""
        if not generations:
            return
        lines = [
            (one.projection, one.number, one.position, one.leaf, *(one.fault or (None, None))) for one in generations
        ]
        self._execute(
            f"UPDATE {self._in(sql.CATALOGUE)} AS c SET position = m.position, leaf = m.leaf,"
            " fault_position = m.fault_position, fault_reason = m.fault_reason"
            " FROM unnest(%b::text[], %b::int8[], %b::int8[], %b::bytea[], %b::int8[], %b::text[])"
            " AS m (projection, number, position, leaf, fault_position, fault_reason)"
            " WHERE c.projection = m.projection AND c.number = m.number",
            *map(list, zip(*lines, strict=True)),
        )

    def switch(self, projection: Projection | None, generation: Generation, *, replaced: State = "previous") -> None:
        """Make a generation live, all its tables at once."""
        if projection is not None:
            for table in projection.tables:
                for number, columns in enumerate(table.indexes, 1):
                    name = quoted(sql.index_name(table.name, generation.number, number))
                    listed = sql.indexed(table, columns)
                    self._execute(f"CREATE INDEX {name} ON {self._source(table, generation.number)} ({listed})")
        self._execute(f"SET LOCAL lock_timeout = '{SWITCH_SECONDS}s'")
        for other in self.generations():
            if other.projection == generation.projection and other.state == "live":
                for name in set(other.tables) - set(generation.tables):
                    self._execute(f"DROP VIEW {self._in(name)}")
                self._set_state(other, replaced)
        for table_name in generation.tables:
            self._show(table_name, generation)
        self._set_state(generation, "live")

    def _show(self, table_name: str, generation: Generation) -> None:
        """Point a view to a generation; it keeps what others were granted on it, as long as its columns stay."""
        stored = self._in(sql.stored_name(table_name, generation.number))
        view = f"VIEW {self._in(table_name)} AS SELECT * FROM {stored}"
        try:
            with self.attempt():
                self._execute(f"CREATE OR REPLACE {view}")
        except errors.InvalidTableDefinition:
            self._execute(f"DROP VIEW {self._in(table_name)}")
            self._execute(f"CREATE {view}")

    def drop(self, generation: Generation) -> None:
        """Remove a generation and all its rows; if it was live, its views too."""
        self._execute(f"SET LOCAL lock_timeout = '{SWITCH_SECONDS}s'")
        if any(one[:2] == generation[:2] and one.state == "live" for one in self.generations()):
            for name in generation.tables:
                self._execute(f"DROP VIEW {self._in(name)}")
        for name in generation.tables:
            self._execute(f"DROP TABLE {self._in(sql.stored_name(name, generation.number))}")
        self._execute(f"DELETE FROM {self._in(sql.CATALOGUE)} WHERE projection = %s AND number = %s", *generation[:2])
        self._live = None

    def _set_state(self, generation: Generation, state: State) -> None:
        self._execute(
            f"UPDATE {self._in(sql.CATALOGUE)} SET state = %s WHERE projection = %s AND number = %s",
            *(state, *generation[:2]),
        )
        self._live = None

    def _execute(self, statement: str, *values: Any) -> None:
        self._cursor.execute(statement.encode(), values)


class PostgresProjections:
    """The projections of a ledger in its database. Safe for use from several threads and processes."""

    def __init__(self, url: str, ledger_schema: str) -> None:
        """Open the projections beside a ledger's schema, making what is missing. Raises ``StoreError``."""
        self.schema = state_schema_of(ledger_schema)
        self._sessions = LedgerDatastore(url, self.schema, CONNECTIONS)
        try:
            with translated():
                self._prepare()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[PostgresReads]:
        """A consistent view for a short read, on a connection of the pool."""
        with translated(), self._sessions.begun(_begin_reading, READING) as (connection, _):
            try:
                yield PostgresReads(connection, self.schema)
            finally:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[PostgresWrites]:
        """The one write transaction, across processes too; commits on a clean exit, else leaves no trace."""
        with translated(), self._sessions.begun(self._begin_writing, FOLDING) as (connection, _):
            try:
                yield PostgresWrites(connection, self.schema)
                if connection.execute("COMMIT").statusmessage != "COMMIT":  # it says ROLLBACK when one had failed
                    raise StoreError("the transaction was rolled back", advice="try again")
            except BaseException:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Release the connections. Idempotent."""
        self._sessions.close()

    def _begin_writing(self, connection: Connection[Any]) -> None:
        """Begin, and take the turn: its row is locked until the end. What is read then is what the last one left."""
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute(SQL("SELECT version FROM {}.layout FOR UPDATE").format(Identifier(self.schema)))

    def _prepare(self) -> None:
        """Make the catalogue, unless there is one. Raises ``StoreError``."""
        name = Identifier(self.schema)
        with self._sessions.get_connection() as connection:
            if not _is_there(connection, "to_regclass", f"{name.as_string()}.layout"):
                with (
                    suppress(errors.DuplicateSchema, errors.DuplicateTable, errors.UniqueViolation),
                    connection.transaction(),
                ):
                    if not _is_there(connection, "to_regnamespace", name.as_string()):
                        _create_schema(connection, name)
                    connection.execute(SQL(_PREPARE).format(s=name))
            found = plain(connection).execute(SQL("SELECT version FROM {}.layout").format(name)).fetchall()
        if found != [(LAYOUT,)]:
            raise StoreError(
                f"the schema {self.schema} is not of this version of the program",
                advice=f"drop it, it is made again from the log: DROP SCHEMA {self.schema} CASCADE",
            )


def _begin_reading(connection: Connection[Any]) -> None:
    """Begin a transaction that sees one moment of the database, whatever others commit meanwhile."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _is_there(connection: Connection[Any], function: str, name: str) -> bool:
    return plain(connection).execute(f"SELECT {function}(%s) IS NOT NULL".encode(), [name]).fetchall() == [(True,)]


def _create_schema(connection: Connection[Any], name: Identifier) -> None:
    try:
        connection.execute(SQL("CREATE SCHEMA {}").format(name))
    except errors.InsufficientPrivilege as error:
        raise StoreError(
            f"there is no schema {name.as_string()} for the projections, and this role may not make it",
            advice="let the owner make it: see docs/how-to/postgresql.md",
        ) from error


@contextmanager
def _read(table: Table[Any]) -> Iterator[None]:
    """Tell a table or column that is not there from other failures, and let no handler be blamed for any."""
    try:
        with translated():
            yield
    except StoreError as error:
        if isinstance(error.__cause__, errors.UndefinedTable | errors.UndefinedColumn):
            raise sql.unready(table) from error
        raise


def _is_refusal(error: Exception) -> bool:
    """Whether the server, or the driver before it, found that values don't fit."""
    if isinstance(error, psycopg.IntegrityError | psycopg.DataError | OverflowError | TypeError | ValueError):
        return True
    return isinstance(error, psycopg.ProgrammingError) and error.sqlstate in (None, *_MISMATCHES)


_MISMATCHES: Final = ("42804", "42846", "42883")
"""datatype_mismatch, cannot_coerce and undefined_function: a value's own type, where it tells the server's choice."""
