"""What is read and written within one PostgreSQL transaction.

Owns the statements on a ledger's tables, and how rows travel: by binary COPY in large batches, by arrays in small ones,
where all that one flush writes is one statement. Never begins or ends a transaction, and never uses the driver's
pipeline: it waits for ever on parameters that exceed the socket's buffer.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import Connection, Copy, Cursor
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier
from psycopg.types.numeric import Int8

from ledger.errors import StoreError
from ledger.store.postgres_binary import Encoded, array
from ledger.store.protocol import PAGE, Batch, Columns, Head, Row, Selection, WrappedKey

COPY_ROWS = 64
"""From this many entries on COPY is faster than arrays (measured: equal near 30, a fifth faster at 1,000)."""
COPY_SMALL_ROWS = 2_000
"""And of what has fewer columns and keys: arrays, sent with all else, are a tenth faster at 1,000, slower here."""
LAST = 2**62
"""Above every position; a bigint ends at 2^63."""

_COLUMNS = "position, entry, stream, version, type, member, member_version, source, id"  # in the order of `NewRow`
_KINDS = ["int8", "bytea", "text", "int8", "text", "text", "int8", "text", "text"]
_DISCLOSURE_KINDS = ["int8", "bytea"]
_KEY_COLUMNS = "position, member, stream, epoch, wrapped"  # in the order of `WrappedKey`
_KEY_KINDS = ["int8", "text", "text", "int8", "bytea"]
_TILE_KINDS = ["int8", "int8", "bytea"]
_PAIR_KINDS = ["text", "text"]
_AnyRow = TypeVar("_AnyRow", bound=tuple[Any, ...])


def _arrays(kinds: list[str]) -> str:
    return ", ".join(f"%b::{kind}[]" for kind in kinds)


_WRITE = f"""
    WITH new_entries AS (
        INSERT INTO {{s}}.entries ({_COLUMNS}) SELECT * FROM unnest({_arrays(_KINDS)})
    ), new_disclosures AS (
        INSERT INTO {{s}}.disclosures SELECT * FROM unnest({_arrays(_DISCLOSURE_KINDS)})
    ), new_data_keys AS (
        INSERT INTO {{s}}.data_keys ({_KEY_COLUMNS}) SELECT * FROM unnest({_arrays(_KEY_KINDS)})
    ), grown_tiles AS (
        INSERT INTO {{s}}.tiles SELECT * FROM unnest({_arrays(_TILE_KINDS)})
        ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes
    )
    UPDATE {{s}}.head SET size = %s, leaf = %s, recorded = %s, epoch = %s
"""  # noqa: S608 - names of this module only
_NOTIFICATIONS = "SELECT stream, version, type, entry, position + 1 FROM {s}.entries WHERE position BETWEEN %s AND %s"

_row = functools.partial(tuple.__new__, Row)
"""``Row._make`` at a third of its time, for long scans."""


class Statements:
    """The statements on one schema, its name filled in and quoted once."""

    def __init__(self, schema: str) -> None:
        name = Identifier(schema)

        def on(text: str) -> str:
            return SQL(text).format(s=name).as_string()

        self.meta = on("SELECT name, value FROM {s}.meta")
        self.head = on("SELECT size, leaf, recorded, epoch FROM {s}.head")
        self.lock_head = self.head + " FOR UPDATE"
        self.notify = on("NOTIFY {s}")
        self.rows = on("SELECT position, entry FROM {s}.entries WHERE position BETWEEN %s AND %s")
        self.columns = on(
            f"SELECT {_COLUMNS} FROM {{s}}.entries WHERE position BETWEEN %s AND %s ORDER BY position"  # noqa: S608
        )
        self.copy_entries = on(f"COPY {{s}}.entries ({_COLUMNS}) FROM STDIN (FORMAT BINARY)")
        self.copy_disclosures = on("COPY {s}.disclosures FROM STDIN (FORMAT BINARY)")
        self.copy_data_keys = on(f"COPY {{s}}.data_keys ({_KEY_COLUMNS}) FROM STDIN (FORMAT BINARY)")
        self.write = on(_WRITE)
        self.last_notification = on("SELECT max(position) + 1 FROM {s}.entries")
        self.notifications = on(_NOTIFICATIONS + " ORDER BY position LIMIT %s")
        self.notifications_of_types = on(_NOTIFICATIONS + " AND type = ANY(%s) ORDER BY position LIMIT %s")
        self.find_ids_of_one = on(
            "SELECT source, id, position FROM {s}.entries WHERE source = %s AND id = ANY(%b::text[])"
        )
        self.find_ids = on(
            f"SELECT source, id, position FROM unnest({_arrays(_PAIR_KINDS)}) AS wanted (source, id)"  # noqa: S608
            " JOIN {s}.entries USING (source, id)"
        )
        self.streams = on(
            "SELECT stream, version, entry FROM {s}.entries WHERE stream = ANY(%b::text[]) ORDER BY stream, version"
        )
        self.member_versions = on(
            "SELECT name, (SELECT max(member_version) FROM {s}.entries WHERE member = name)"
            " FROM unnest(%b::text[]) AS name"
        )
        self.tile = on("SELECT hashes FROM {s}.tiles WHERE level = %s AND number = %s")
        self.tiles = on(
            f"SELECT level, number, hashes FROM unnest({_arrays(_TILE_KINDS[:2])}) AS wanted (level, number)"  # noqa: S608
            " JOIN {s}.tiles USING (level, number)"
        )
        self.disclosures = on("SELECT position, sealed FROM {s}.disclosures WHERE position = ANY(%s)")
        self.data_keys = on(
            f"SELECT {_KEY_COLUMNS} FROM unnest({_arrays(_PAIR_KINDS)}) AS wanted (member, stream)"  # noqa: S608
            " JOIN {s}.data_keys USING (member, stream)"
        )
        self.key_counts = on("SELECT epoch, count(*) FROM {s}.data_keys GROUP BY epoch")
        self.keys_before = on(
            f"SELECT {_KEY_COLUMNS} FROM {{s}}.data_keys"  # noqa: S608
            " WHERE (stream, member) > (%s, %s) AND epoch < %s ORDER BY stream, member LIMIT %s"
        )
        self.erase_disclosures = on("DELETE FROM {s}.disclosures WHERE position = ANY(%s)")
        self.erase_data_keys = on(
            f"DELETE FROM {{s}}.data_keys WHERE (member, stream) IN (SELECT * FROM unnest({_arrays(_PAIR_KINDS)}))"  # noqa: S608
        )
        self.insert_data_keys = on(
            f"INSERT INTO {{s}}.data_keys ({_KEY_COLUMNS}) SELECT * FROM unnest({_arrays(_KEY_KINDS)})"  # noqa: S608
        )
        self.turn = on("UPDATE {s}.head SET epoch = %s")
        self.checkpoints = on("SELECT size, note FROM {s}.checkpoints WHERE size > %s ORDER BY size LIMIT %s")
        self.latest_checkpoint = on("SELECT note FROM {s}.checkpoints ORDER BY size DESC LIMIT 1")
        self.drop_checkpoints = on("DELETE FROM {s}.checkpoints WHERE size = ANY(%s)")
        self.add_checkpoint = on("INSERT INTO {s}.checkpoints VALUES (%s, %s) ON CONFLICT (size) DO NOTHING")


def plain(connection: Connection[Any]) -> Cursor[tuple[Any, ...]]:
    """A cursor that gives plain tuples, from values in binary."""
    return connection.cursor(binary=True, row_factory=tuple_row)


class PostgresReads:
    """Reads within one transaction; see ``protocol.Reads``."""

    def __init__(self, cursor: Cursor[tuple[Any, ...]], sql: Statements) -> None:
        self._cursor = cursor
        self._sql = sql

    def all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows that a statement finds."""
        return self._cursor.execute(statement, values, prepare=True).fetchall()

    def one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row that a statement finds, or None."""
        return self._cursor.execute(statement, values, prepare=True).fetchone()

    def head(self) -> Head:
        """The end of the log."""
        return Head(*self.all(self._sql.head)[0])

    def rows(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position.

        Versions ascend with positions: a stream's or a member's rows come in order from the index on them.
        """
        last = LAST if selection.last is None else min(selection.last, LAST)
        if not 0 <= selection.first <= last:
            return []
        statement, values = self._sql.rows, list[Any]([Int8(selection.first), Int8(last)])
        order = "position"
        for column, by in (("type", "position"), ("member", "member_version"), ("stream", "version")):
            if (wanted := getattr(selection, column)) is not None:
                statement += f" AND {column} = %s"
                values.append(wanted)
                order = by
        statement += f" ORDER BY {order} LIMIT %s"
        return list(map(_row, self.all(statement, *values, Int8(limit))))

    def columns(self, first: int, count: int) -> Columns:
        """The rows there are at ``count`` positions from ``first``, with all that stands beside them."""
        found = self.all(self._sql.columns, Int8(first), Int8(first + count - 1))
        positions, entries, *places = zip(*found, strict=True) if found else [()] * len(_KINDS)
        return Columns(positions, entries, places)

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile, full or partial; empty when there is none."""
        found = self.one(self._sql.tile, Int8(level), Int8(index))
        return found[0] if found else b""

    def tiles(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """The hashes of tiles by (level, index), as ``tile`` gives each, in one exchange with the server."""
        if not wanted:
            return []
        rows = self.all(self._sql.tiles, *arrays(_TILE_KINDS[:2], wanted))
        found = {(level, index): hashes for level, index, hashes in rows}
        return [found.get(each, b"") for each in wanted]

    def disclosures(self, positions: Sequence[int]) -> dict[int, bytes]:
        """The sealed disclosures by position; positions without any are left out."""
        return dict(self.all(self._sql.disclosures, list(map(Int8, positions)))) if positions else {}

    def data_keys(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], WrappedKey]:
        """The wrapped data keys by (member, stream); unknown pairs are left out."""
        wanted = list(pairs)
        if not wanted:
            return {}
        found = (WrappedKey(*row) for row in self.all(self._sql.data_keys, *arrays(_PAIR_KINDS, wanted)))
        return {(key.member, key.stream): key for key in found}

    def key_counts(self) -> dict[int, int]:
        """How many wrapped data keys there are of each epoch that has any."""
        return {epoch: count for epoch, count in self.all(self._sql.key_counts)}  # noqa: C416 - tuples of any length

    def keys_before(self, epoch: int, after: WrappedKey | None = None, limit: int = PAGE) -> list[WrappedKey]:
        """The first ``limit`` wrapped keys of epochs before ``epoch``, beyond ``after``."""
        place = ("", "") if after is None else (after.stream, after.member)
        return [WrappedKey(*row) for row in self.all(self._sql.keys_before, *place, Int8(epoch), Int8(limit))]

    def checkpoints(self, after: int, limit: int = PAGE) -> list[tuple[int, bytes]]:
        """(size, note) of the signed checkpoints above a size, ascending."""
        return [(size, note) for size, note in self.all(self._sql.checkpoints, Int8(after), Int8(limit))]

    def latest_checkpoint(self) -> bytes | None:
        """The note of the largest signed checkpoint."""
        found = self.one(self._sql.latest_checkpoint)
        return found[0] if found else None


class PostgresWrites(PostgresReads):
    """The write transaction; see ``protocol.Writes``. It holds the head's lock, so it knows the head.

    While a large batch is being made, its entries are on their way already: the server works on them in parallel. The
    connection can do nothing else before that COPY has ended, so whatever else is done ends it first.
    """

    part = 64

    def __init__(self, cursor: Cursor[tuple[Any, ...]], sql: Statements, head: Head) -> None:
        super().__init__(cursor, sql)
        self._head = head
        self._copying = ExitStack()
        self._copy: Copy | None = None
        self._sent = 0

    def head(self) -> Head:
        """The end of the log, as this transaction has left it."""
        return self._head

    def all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows that a statement finds."""
        self._end_copy()
        return super().all(statement, *values)

    def one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row that a statement finds, or None."""
        self._end_copy()
        return super().one(statement, *values)

    def find_ids(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The positions of those (source, id) that are known."""
        if not ids:
            return {}
        sources, names = zip(*ids, strict=True)
        if len(set(sources)) == 1:  # nearly always, and found in two thirds of the time
            found = self.all(self._sql.find_ids_of_one, sources[0], array("text", names))
        else:
            found = self.all(self._sql.find_ids, array("text", sources), array("text", names))
        return {(source, name): position for source, name, position in found}

    def streams(self, names: Sequence[str]) -> dict[str, list[bytes]]:
        """The entries of each named stream, by version; streams without any are left out."""
        found: dict[str, list[bytes]] = {}
        for name, version, entry in self.all(self._sql.streams, array("text", names)):
            entries = found.setdefault(name, [])
            entries.append(entry)
            if version != len(entries):
                raise StoreError(f"the store does not hold {name} whole", advice="audit the ledger")
        return found

    def member_versions(self, names: Sequence[str]) -> dict[str, int]:
        """The highest member version of each named member; members without any are left out."""
        found = self.all(self._sql.member_versions, array("text", names))
        return {name: version for name, version in found if version is not None}

    def extend(self, batch: Batch) -> None:
        """Send the entries that a batch holds by now."""
        if self._copy is None:
            self._copy = self._copying.enter_context(self._cursor.copy(self._sql.copy_entries))
            self._copy.set_types(_KINDS)
        for row in batch.rows[self._sent :]:
            self._copy.write_row(row)
        self._sent = len(batch.rows)

    def _end_copy(self) -> None:
        """End the COPY that is under way, if there is one: wait until the server has written it."""
        if self._copy is not None:
            self._copy = None
            self._copying.close()

    def break_off(self, error: BaseException) -> None:
        """End a COPY that is under way because of an error, so that the transaction can be ended."""
        with suppress(psycopg.Error):  # the server's answer, that it was told to fail
            self._copying.__exit__(type(error), error, error.__traceback__)

    def write(self, batch: Batch) -> None:
        """Write a batch, or what is left of it, within the transaction."""
        if self._copy is not None:
            self.extend(batch)
            self._end_copy()
        rows = self._copied(self._sql.copy_entries, _KINDS, batch.rows[self._sent :], COPY_ROWS)
        disclosures = self._copied(self._sql.copy_disclosures, _DISCLOSURE_KINDS, batch.disclosures, COPY_SMALL_ROWS)
        keys = self._copied(self._sql.copy_data_keys, _KEY_KINDS, batch.keys, COPY_SMALL_ROWS)
        size, leaf, recorded, epoch = batch.head
        self._cursor.execute(
            self._sql.write,
            [
                *arrays(_KINDS, rows),
                *arrays(_DISCLOSURE_KINDS, disclosures),
                *arrays(_KEY_KINDS, keys),
                *arrays(_TILE_KINDS, batch.tiles),
                *(Int8(size), leaf, recorded, Int8(epoch)),
            ],
            prepare=True,
        )
        self._head = batch.head

    def erase(self, positions: Sequence[int], pairs: Sequence[tuple[str, str]]) -> None:
        """Delete the disclosures at those positions and the wrapped keys of those (member, stream), as far as there."""
        self._end_copy()
        if positions:
            self._cursor.execute(self._sql.erase_disclosures, [list(map(Int8, positions))])
        if pairs:
            self._cursor.execute(self._sql.erase_data_keys, arrays(_PAIR_KINDS, pairs))

    def rewrap(self, keys: Sequence[WrappedKey]) -> None:
        """Put these in the place of the wrapped keys that their (member, stream) have.

        By deleting and inserting: the service's role may not change a key in its place.
        """
        self._end_copy()
        if keys:
            pairs = [(key.member, key.stream) for key in keys]
            self._cursor.execute(self._sql.erase_data_keys, arrays(_PAIR_KINDS, pairs))
            self._cursor.execute(self._sql.insert_data_keys, arrays(_KEY_KINDS, keys))

    def turn(self, epoch: int) -> None:
        """Set the head's epoch."""
        self._end_copy()
        self._cursor.execute(self._sql.turn, [Int8(epoch)])
        self._head = self._head._replace(epoch=epoch)

    def _copied(self, statement: str, kinds: list[str], rows: Sequence[_AnyRow], many: int) -> Sequence[_AnyRow]:
        """Send rows by COPY if they are ``many``; what is left to be sent otherwise."""
        if len(rows) < many:
            return rows
        with self._cursor.copy(statement) as copy:
            copy.set_types(kinds)
            for row in rows:
                copy.write_row(row)
        return ()


def arrays(kinds: list[str], rows: Sequence[tuple[Any, ...]]) -> list[Encoded]:
    """Rows turned into one array a column."""
    columns: Iterable[Sequence[Any]] = zip(*rows, strict=True) if rows else [()] * len(kinds)
    return [array(kind, column) for kind, column in zip(kinds, columns, strict=True)]
