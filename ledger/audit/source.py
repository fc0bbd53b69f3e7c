"""Where the audit reads from, and how it reads what may be damaged.

Owns the protocol of a source, which every store satisfies as it is, and the reading of rows, tiles and checkpoints such
that damage becomes a value: a short page with a fault, an empty tile. Where the store does not say that it is damaged,
but that it is away, locked or closed, its error goes through. Reads are short, so that an audit holds back nobody.
Never judges content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from operator import eq
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ledger.audit.faults import MISSING, UNREADABLE, Fault
from ledger.errors import StoreDamaged
from ledger.merkle import HASH_SIZE
from ledger.store.protocol import Columns, Head, Row, Selection
from ledger.tiles import TILE_BITS, TILE_WIDTH

DAMAGE = (StoreDamaged, TypeError, ValueError, OverflowError, MemoryError)
"""What reading raises on damage: the database's word for it, and the errors of values that are not of their type."""

TILES_A_READ = 8
"""Tiles of entries that one read takes."""
NO_ENTRY = "there is no entry here"


class SourceReads(Protocol):
    """Reads within one consistent view; see ``ledger.store.protocol.Reads``."""

    def head(self) -> Head:
        """The end of the log, as claimed."""
        ...

    def rows(self, selection: Selection, limit: int = ...) -> list[Row]:
        """The first ``limit`` rows of a range of positions, by position."""
        ...

    def columns(self, first: int, count: int) -> Columns:
        """The rows there are at ``count`` positions from ``first``."""
        ...

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile, full or partial; empty when there is none."""
        ...

    def tiles(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """The hashes of tiles by (level, index), as ``tile`` gives each, in one exchange with the database."""
        ...

    def checkpoints(self, after: int, limit: int = ...) -> list[tuple[int, bytes]]:
        """(size, note) of the signed checkpoints above a size, ascending."""
        ...


class Source(Protocol):
    """What can be audited. Every ``ledger.store.protocol.Store`` is one."""

    @property
    def origin(self) -> str:
        """The origin that the source claims."""
        ...

    def reading(self) -> AbstractContextManager[SourceReads]:
        """A consistent view for a short read."""
        ...


class OpenedSource(Source, Protocol):
    """A source that was opened, and is closed by whoever opened it."""

    def close(self) -> None:
        """Release what it holds."""
        ...


@runtime_checkable
class SharedSource(Source, Protocol):
    """A source that several processes can read at once. Every ``ledger.store.protocol.Store`` is one."""

    def opener(self) -> Callable[[], OpenedSource]:
        """What opens it once more, in any process: it can be pickled."""
        ...


class Page(NamedTuple):
    """Entries at consecutive positions from ``first``, the level-0 tile beside them, and why they are fewer than asked.

    What stands for an entry may be no bytes, if somebody put it there. ``places`` are the columns beside the entries,
    as ``Columns`` has them.
    """

    first: int
    entries: Sequence[bytes]
    tile: bytes
    fault: Fault | None
    places: Sequence[Sequence[Any]]


class End(NamedTuple):
    """The end of the log in one view: its head, the tiles of the right edge, and what stands beyond the head.

    ``head`` is None when it can't be read. ``edge`` has a tile for each level, empty where there should be none.
    """

    head: Head | None
    edge: list[bytes | None]
    row_beyond: bool
    checkpoints_beyond: list[tuple[int, bytes]]


NO_END = End(None, [], False, [])


class _Ahead(NamedTuple):
    """What was read at once: the entries of some tiles from ``first`` on, all there, and these tiles."""

    first: int
    entries: Sequence[bytes]
    tiles: Sequence[bytes]
    places: Sequence[Sequence[Any]]


class Reader:
    """Reads a source that may be damaged anywhere. ``close`` it if it is to work ahead."""

    def __init__(self, source: Source, *, works_ahead: bool = False) -> None:
        """Take what is to be read, and whether to read the next pages in a thread, while those before are checked.

        That pays where reading is to wait for a server; where it is this process's own work, it is left.
        """
        self._source = source
        self._ahead = _Ahead(0, (), (), ())
        self._thread = ThreadPoolExecutor(1) if works_ahead and not getattr(source, "local", True) else None
        self._begun: tuple[int, Future[_Ahead]] | None = None

    def close(self) -> None:
        """End the thread, if there is one. Idempotent."""
        if self._thread is not None:
            self._thread.shutdown()

    def page(self, first: int, count: int) -> Page:
        """The entries at ``count`` positions from ``first``, the first leaf of a tile, and that tile."""
        at = first - self._ahead.first
        if not 0 <= at <= len(self._ahead.entries) - count:
            try:
                self._ahead, at = self._read_on(first, max(count, TILES_A_READ * TILE_WIDTH)), 0
            except DAMAGE:
                return self._damaged_page(first, count)
        entries = self._ahead.entries[at : at + count]
        fault = None if len(entries) == count else Fault(first + len(entries), MISSING, NO_ENTRY)
        places = [column[at : at + count] for column in self._ahead.places]
        return Page(first, entries, self._ahead.tiles[at // TILE_WIDTH], fault, places)

    def _read_on(self, first: int, count: int) -> _Ahead:
        """Some tiles at once, read already if they follow those before; those that follow are begun."""
        begun, self._begun = self._begun, None
        found = begun[1].result() if begun is not None and begun[0] == first else self._read(first, count)
        if self._thread is not None:
            after = first + count
            self._begun = after, self._thread.submit(self._read, after, count)
        return found

    def _read(self, first: int, count: int) -> _Ahead:
        """Some tiles at once: beginning and ending a read takes its time. What follows a gap is left out."""
        with self._source.reading() as reads:
            found = reads.columns(first, count)
            entries = found.entries[: agreement(found.positions, range(first, first + count))]
            tiles = range(first // TILE_WIDTH, (first + count) // TILE_WIDTH)
            return _Ahead(first, entries, reads.tiles([(0, index) for index in tiles]), found.places)

    def row(self, position: int) -> Row | Fault:
        """The row at a position, or why there is none."""
        try:
            with self._source.reading() as reads:
                rows = reads.rows(Selection(position, position), 1)
        except DAMAGE as error:
            return Fault(position, UNREADABLE, f"the row can't be read: {error}")
        if len(rows) != 1 or rows[0][0] != position:
            return Fault(position, MISSING, NO_ENTRY)
        return rows[0]

    def tile(self, level: int, index: int) -> bytes | None:
        """The content of a tile, empty when there is none, None when it can't be read."""
        try:
            with self._source.reading() as reads:
                return reads.tile(level, index)
        except DAMAGE:
            return None

    def checkpoints(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next stored checkpoints above a size. Raises one of ``DAMAGE``."""
        with self._source.reading() as reads:
            return reads.checkpoints(after, limit)

    def end(self) -> End:
        """The end of the log, in one view."""
        try:
            with self._source.reading() as reads:
                head = reads.head()
                if not _is_head(head):
                    return NO_END
                edge: list[bytes | None] = [*reads.tiles(_edge(head.size))]
                row_beyond = bool(reads.rows(Selection(head.size), 1))
                return End(head, edge, row_beyond, reads.checkpoints(head.size, 1))
        except DAMAGE:
            return self._damaged_end()

    def _damaged_end(self) -> End:
        """The end read piece by piece, as far as it can be."""
        try:
            with self._source.reading() as reads:
                head = reads.head()
        except DAMAGE:
            return NO_END
        if not _is_head(head):
            return NO_END
        edge = [self.tile(level, index) for level, index in _edge(head.size)]
        beyond = self.row(head.size)
        row_beyond = isinstance(beyond, Row) or beyond.kind == UNREADABLE  # then something stands there
        try:
            checkpoints = self.checkpoints(head.size, 1)
        except DAMAGE:
            checkpoints = []  # met again when they are due
        return End(head, edge, row_beyond, checkpoints)

    def _damaged_page(self, first: int, count: int) -> Page:
        """A page read one by one, up to the first that is missing or fails; a tile that fails is empty."""
        rows: list[Columns] = []
        fault: Fault | None = None
        for position in range(first, first + count):
            row = self._columns_at(position)
            if isinstance(row, Fault):
                fault = row
                break
            rows.append(row)
        entries = [row.entries[0] for row in rows]
        places = [[value for (value,) in column] for column in zip(*(row.places for row in rows), strict=True)]
        return Page(first, entries, self.tile(0, first // TILE_WIDTH) or b"", fault, places)

    def _columns_at(self, position: int) -> Columns | Fault:
        """The row at a position with what stands beside it, or why there is none."""
        try:
            with self._source.reading() as reads:
                found = reads.columns(position, 1)
        except DAMAGE as error:
            return Fault(position, UNREADABLE, f"the row can't be read: {error}")
        return found if list(found.positions) == [position] else Fault(position, MISSING, NO_ENTRY)


def agreement(found: Sequence[object], wanted: Sequence[object]) -> int:
    """How many of the values found are those wanted, up to the first that is not."""
    if found == wanted or list(found) == list(wanted):
        return len(found)
    same = list(map(eq, found, wanted))
    return same.index(False) if False in same else len(same)


def _is_head(head: Head) -> bool:
    size, leaf, recorded, _ = head
    return type(size) is int and size >= 0 and type(leaf) is bytes and len(leaf) == HASH_SIZE and type(recorded) is str


def _edge(size: int) -> list[tuple[int, int]]:
    """The tile after the last full one, at each level of a tree of ``size`` leaves and at the level above."""
    levels = (size.bit_length() + TILE_BITS - 1) // TILE_BITS
    return [(level, size >> TILE_BITS * (level + 1)) for level in range(levels + 1)]
