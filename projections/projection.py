"""What a projection declares, and the shapes that pass between its fold and whoever stores its rows.

Owns the declarations: tables with typed columns and a key, the event types that are folded, and the fold itself. Pure:
a fold gets entries and the rows they touch, and answers with rows. Never reads or writes a store.

Invariants: a fold answers the same rows whether its entries come in one batch or in many; what it needs to know of
earlier entries it finds in its own rows. So rows depend on the log alone, and any of them can be thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from ledger import catalog
from ledger.entry import Entry

Row = tuple[Any, ...]
"""The values of a table's columns, in their order; None where there is nothing to say."""

Loaded = Mapping[str, Mapping[Any, Row]]
"""By table name: the rows that were asked for, by the value of the first key column."""

Changes = Mapping[str, Sequence[Row]]
"""By table name: rows to put, each in place of one with the same key if there is one."""


class Column(NamedTuple):
    """A column. ``json`` is JSON text, of a list or an object; times, dates and decimals are ``text``."""

    name: str
    type: Literal["text", "integer", "json"]
    description: str
    required: bool = False


class Table(Struct, frozen=True):
    """A table: its columns, and how many of the first of them make the key (one or two).

    The fold finds rows again by the first key column; where the key has a second one, it gets the row in which that is
    greatest.
    """

    name: str
    columns: tuple[Column, ...]
    key_length: int = 1

    def __post_init__(self) -> None:
        if self.key_length not in (1, 2) or not all(column.required for column in self.key):
            raise ValueError(f"{self.name}: the key is the first one or two columns, and they are required")

    @property
    def key(self) -> tuple[Column, ...]:
        """The columns that tell rows apart."""
        return self.columns[: self.key_length]


class Projection(Struct, frozen=True, kw_only=True):
    """One read model. ``version`` rises with each change of what ``fold`` answers; rows of another are thrown away.

    ``types`` are the event types it folds; it never sees others. ``needs`` tells which rows ``fold`` wants loaded for
    these entries (by table name, values of the first key column), ``fold`` makes of entries and rows what changes.
    """

    name: str
    version: int
    types: frozenset[str]
    tables: tuple[Table, ...]
    needs: Callable[[Sequence[Entry]], Mapping[str, set[Any]]]
    fold: Callable[[Sequence[Entry], Loaded], Changes]

    def fingerprint(self) -> str:
        """All that must be as it was for stored rows to stay good: version, columns, and the versions of the types."""
        columns = ";".join(
            f"{table.name}/{table.key_length}:" + ",".join(f"{column.name} {column.type}" for column in table.columns)
            for table in self.tables
        )
        types = ",".join(f"{name}/{catalog.get(name).version}" for name in sorted(self.types))
        return f"{self.version}|{columns}|{types}"


def types_of(kind: str) -> frozenset[str]:
    """The names of all event types of a kind of stream."""
    return frozenset(name for name in catalog.names() if catalog.get(name).kind == kind)
