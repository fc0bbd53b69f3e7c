"""What a store of projections does, and the shapes that pass between it and whoever runs them.

Owns the protocol. A projection's rows stand in numbered generations, each a set of tables ``NAME__gNUMBER`` of its own;
views ``NAME`` show the live one to people and their tools. The catalogue says of each generation which code made it and
how far it is. Rows and catalogue change in one transaction, so that a crash at any moment leaves them agreeing; a lost
write is folded again, so commits need not wait for the disk. Never folds and never reads the log.

The ``eventsourcing`` library's tracking recorders don't serve here: a tracking position only ever rises and only one
is kept, while a rebuild starts again from nothing beside the live rows; and it can tell neither the version of the code
that made the rows nor which log they were made from. Nor does its ``Projection``, which is given one event a
transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Literal, NamedTuple, Protocol

from ledger.errors import StoreError
from projections.projection import Key, Projection, Table, Values
from projections.work import Changes

PAGE: Final = 1_000
"""Rows that one read returns at most, unless it is asked for more."""

State = Literal["filling", "live", "previous", "withdrawn"]
"""Of a generation: being filled beside the live one; read by queries; live before that, and kept to go back to; or
withdrawn by an operator who went back, so that code that made it does not bring it back by itself."""


class Fault(NamedTuple):
    """Where a projection stopped: the position of the event that its handler could not fold, and why."""

    position: int
    reason: str


class Generation(NamedTuple):
    """A line of the catalogue. ``position`` is that of the last entry folded, -1 for none; ``leaf`` its leaf hash.

    ``fingerprint`` and ``version`` are those of the code that makes it, ``tables`` the names of its tables.
    """

    projection: str
    number: int
    version: int
    fingerprint: str
    tables: tuple[str, ...]
    state: State
    position: int = -1
    leaf: bytes = b""
    fault: Fault | None = None


class Unready(StoreError):
    """A projection has no live generation, or one without the columns that are asked for: it is being built."""


class RowsRefused(StoreError):
    """The database takes no such rows: a key that stands twice, a value of another type, or none where one must be."""


class Reads(Protocol):
    """Reads within one consistent view. Where no generation is given, the live one is read. Raises ``Unready``."""

    def generations(self) -> list[Generation]:
        """The catalogue, by projection and number."""
        ...

    def row(self, table: Table[Any], key: Key, generation: int | None = None) -> Values | None:
        """The row with a key, or None."""
        ...

    def rows_of(self, table: Table[Any], keys: Sequence[str], generation: int | None = None) -> dict[str, Values]:
        """The rows with these keys, of a table whose key is one column of text; keys without a row are left out."""
        ...

    def rows(
        self,
        table: Table[Any],
        *,
        where: Mapping[str, str | int | None] | None = None,
        after: Key | None = None,
        limit: int = PAGE,
        generation: int | None = None,
    ) -> list[Values]:
        """The first ``limit`` rows whose columns have these values (None: none), with a key above ``after``, by key.

        Keys are ordered column by column, text by the bytes of its UTF-8. Raises ``KeyError`` for a column there isn't.
        """
        ...


class Writes(Reads, Protocol):
    """The one write transaction: what it reads stays true until it ends."""

    def create(self, projection: Projection) -> Generation:
        """Make the tables of a further generation, empty, filling."""
        ...

    def put(self, table: Table[Any], generation: int, changes: Changes) -> None:
        """Write changes. Raises ``RowsRefused``; what ``attempt`` does not take back is then undefined."""
        ...

    def attempt(self) -> AbstractContextManager[None]:
        """A part of the transaction that is taken back alone when it ends with an error."""
        ...

    def mark(self, generations: Sequence[Generation]) -> None:
        """Set how far generations are: the position, leaf and fault of each."""
        ...

    def switch(self, projection: Projection | None, generation: Generation, *, replaced: State = "previous") -> None:
        """Make a generation live, all its tables at once, and the live one, if there is one, ``replaced``.

        One that was filling first gets the indexes that ``projection`` declares; None is for one that has them.
        """
        ...

    def drop(self, generation: Generation) -> None:
        """Remove a generation and all its rows; if it was live, its views too."""
        ...


class ProjectionStore(Protocol):
    """The rows of all projections of one ledger. Safe for use from several threads and processes."""

    def reading(self) -> AbstractContextManager[Reads]:
        """A consistent view for a short read. Raises ``StoreError``."""
        ...

    def writing(self) -> AbstractContextManager[Writes]:
        """The one write transaction, across processes too; commits on a clean exit, else leaves no trace."""
        ...

    def close(self) -> None:
        """Release connections. Idempotent."""
        ...
