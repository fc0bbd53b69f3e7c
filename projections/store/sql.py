"""The statements that both kinds of store speak, but for how they write a parameter, a type and a table's options.

Owns names and text. Never runs a statement. All names are of our own declarations, and quoted.
"""

# ruff: noqa: S608 - names are ours
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from projections.projection import Projection, Table
from projections.store.protocol import Fault, Generation, Unready

CATALOGUE = "generations"
"""The table with a line a generation; no projection has a table of this name."""
NUMBERS = "generation_numbers"
"""The table with the last number of each projection: none is ever used again."""
COLUMNS = "projection, number, version, fingerprint, tables, state, position, leaf, fault_position, fault_reason"


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return f'"{name}"'


def stored_name(table: str, generation: int) -> str:
    """The table that holds the rows of ``table`` in a generation."""
    return f"{table}__g{generation}"


def index_name(table: str, generation: int, number: int) -> str:
    """The name of an index on such a table; numbered, so that long names of columns can't make it too long."""
    return f"{stored_name(table, generation)}__i{number}"


def columns_of(table: Table[Any]) -> str:
    """The columns of a table that is read ``AS r``: without that, SQLite takes a name it doesn't know for a text."""
    return ", ".join(f"r.{quoted(column.name)}" for column in table.columns)


def key_of(table: Table[Any]) -> str:
    """The key columns of a table."""
    return ", ".join(quoted(column.name) for column in table.key)


def indexed(table: Table[Any], columns: Sequence[str]) -> str:
    """The columns of an index, and those of the key behind them: what is found by it comes in the order of the key."""
    rest = (column.name for column in table.key if column.name not in columns)
    return ", ".join(map(quoted, (*columns, *rest)))


class Dialect(NamedTuple):
    """How one database writes a parameter, the types of columns, and what ends a table's definition."""

    mark: str
    types: Mapping[str, str]
    options: str

    def create(self, table: Table[Any], source: str) -> str:
        """Make a table."""
        columns = ", ".join(
            f"{quoted(column.name)} {self.types[column.type]}{' NOT NULL' if column.required else ''}"
            for column in table.columns
        )
        return f"CREATE TABLE {source} ({columns}, PRIMARY KEY ({key_of(table)})){self.options}"

    def marks(self, count: int) -> str:
        """Parameters of a list."""
        return ", ".join([self.mark] * count)

    def by_key(self, table: Table[Any], source: str) -> str:
        """The row with a key."""
        return f"SELECT {columns_of(table)} FROM {source} AS r WHERE {self.has_key(table)}"

    def has_key(self, table: Table[Any]) -> str:
        """The condition on a row's key."""
        return " AND ".join(f"{quoted(column.name)} = {self.mark}" for column in table.key)

    def some(
        self, table: Table[Any], source: str, where: Mapping[str, str | int | None], after: Sequence[str | int]
    ) -> tuple[str, list[Any]]:
        """Rows by key, and the parameters up to the limit, which is the last. Raises ``KeyError``."""
        conditions, values = [], list[Any]()
        for name, value in where.items():
            column = quoted(table.column(name).name)
            conditions.append(f"{column} IS NULL" if value is None else f"{column} = {self.mark}")
            values += [] if value is None else [value]
        if after:
            conditions.append(f"({key_of(table)}) > ({self.marks(len(after))})")
            values += after
        chosen = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = f"ORDER BY {key_of(table)} LIMIT {self.mark}"
        return f"SELECT {columns_of(table)} FROM {source} AS r{chosen} {order}", values


def key_values(key: Any) -> tuple[str | int, ...]:
    """A key as the values of its columns; none for None."""
    if key is None:
        return ()
    return key if isinstance(key, tuple) else (key,)


def beginning(projection: Projection, number: int) -> Generation:
    """A new generation of what is declared."""
    names = tuple(table.name for table in projection.tables)
    return Generation(projection.name, number, projection.version, projection.fingerprint(), names, "filling")


def live_numbers(found: Iterable[Generation]) -> dict[str, int]:
    """The number of the live generation of each table that has one."""
    return {table: one.number for one in found if one.state == "live" for table in one.tables}


def unready(table: Table[Any]) -> Unready:
    """The error for a table that has no live generation, or none with its columns."""
    return Unready(f"the projection of {table.name} is not built", advice="build it: continuity rebuild")


def line_of(generation: Generation) -> tuple[Any, ...]:
    """A generation as its line in the catalogue."""
    position, reason = generation.fault or (None, None)
    *start, tables, state, at, leaf, _ = generation
    return (*start, ",".join(tables), state, at, leaf, position, reason)


def generation_of(line: Sequence[Any]) -> Generation:
    """The generation of a line of the catalogue."""
    *start, tables, state, at, leaf, position, reason = line
    projection, number, version, fingerprint = start
    fault = None if position is None else Fault(position, reason)
    return Generation(projection, number, version, fingerprint, tuple(tables.split(",")), state, at, leaf, fault)
