"""State roots: one hash for all rows of a projection, the same on every store and after every erasure.

Owns the bytes of a row as they are hashed, and the order of tables and rows (docs/format.md, "State roots"). Pure: rows
in, a root out. Never reads a store, and meets no private value: rows hold commitments.

Invariant: equal rows give equal roots, and rows that differ anywhere give different ones, whatever store they lie in
and in whatever order they were written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from ledger.merkle import Frontier, leaf_hash
from projections.projection import Key, Table, Values

_CHUNK = 1024
_encode = msgspec.json.Encoder(order="sorted").encode


class StateRoot(NamedTuple):
    """The root over a projection's rows, 32 bytes, and how many these are."""

    rows: int
    root: bytes


class Difference(NamedTuple):
    """The first row that two states don't share: its table and key, and its columns there and here, None for no row."""

    table: str
    key: Key
    expected: dict[str, Any] | None
    actual: dict[str, Any] | None

    def worded(self) -> str:
        """The difference in words, with the columns that differ."""
        row = f"{self.table}: the row {self.key!r}"
        if self.actual is None:
            return f"{row} is missing"
        if self.expected is None:
            return f"{row} is not what any entry says"
        columns = (name for name, value in self.expected.items() if self.actual[name] != value)
        return f"{row} has " + ", ".join(
            f"{name} {self.actual[name]!r}, by the log {self.expected[name]!r}" for name in columns
        )


def row_bytes(table: Table[Any], values: Values) -> bytes:
    """The canonical JSON of a row, as it is hashed: ``{"row":{column:value,…},"table":name}``, nothing left out."""
    return b'{"row":%b,"table":"%b"}' % (_encode(table.row(*values)), table.name.encode("ascii"))


def state_root(tables: Iterable[tuple[Table[Any], Iterable[Values]]]) -> StateRoot:
    """The root over the rows of some tables; each table's rows have to come in the order of their keys."""
    tree = Frontier()
    for table, rows in sorted(tables, key=lambda each: each[0].name):
        remaining = iter(rows)
        while chunk := [leaf_hash(row_bytes(table, values)) for values in islice(remaining, _CHUNK)]:
            tree.extend(chunk)
    return StateRoot(tree.size, tree.root())


def first_difference(table: Table[Any], expected: Iterable[Values], actual: Iterable[Values]) -> Difference | None:
    """The first row, in the order of keys, that ``actual`` has otherwise than ``expected``, more or less of."""
    for here, there in _side_by_side(table, expected, actual):
        if here != there:
            key = _key(table, here if here is not None else there or ())
            return Difference(table.name, key, _named(table, here), _named(table, there))
    return None


def _side_by_side(
    table: Table[Any], expected: Iterable[Values], actual: Iterable[Values]
) -> Iterator[tuple[Values | None, Values | None]]:
    """Rows of equal keys together, and those that only one side has with None."""
    left, right = iter(expected), iter(actual)
    here, there = next(left, None), next(right, None)
    while here is not None or there is not None:
        before = there is None or (here is not None and _order(table, here) < _order(table, there))
        after = here is None or (there is not None and _order(table, there) < _order(table, here))
        yield (None if after else here), (None if before else there)
        here = here if after else next(left, None)
        there = there if before else next(right, None)


def _order(table: Table[Any], values: Values) -> tuple[Any, ...]:
    """A key as both stores order it: text by its bytes in UTF-8, numbers by size."""
    return tuple(value.encode() if isinstance(value, str) else value for value in values[: len(table.key)])


def _key(table: Table[Any], values: Values) -> Key:
    key: Key = table.key_of(table.row(*values))
    return key


def _named(table: Table[Any], values: Values | None) -> dict[str, Any] | None:
    if values is None:
        return None
    return {column.name: value for column, value in zip(table.columns, values, strict=True)}
