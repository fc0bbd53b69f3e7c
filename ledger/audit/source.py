"""Where the audit reads from, and how it reads what may be damaged.

Owns the protocol of a source, which every store satisfies as it is, and the reading of rows, tiles and checkpoints such
that damage becomes a value: a short page with a fault, an empty tile. Reads are short, so that an audit holds back
nobody. Never judges content.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from contextlib import AbstractContextManager
from operator import itemgetter
from typing import NamedTuple, Protocol

from eventsourcing.persistence import PersistenceError

from ledger.audit.faults import MISSING, UNREADABLE, Fault
from ledger.errors import LedgerError
from ledger.merkle import HASH_SIZE
from ledger.store.protocol import Head, Row, Selection
from ledger.tiles import TILE_BITS, TILE_WIDTH

DAMAGE = (LedgerError, sqlite3.Error, PersistenceError, TypeError, ValueError, OverflowError, MemoryError)
"""What reading raises on damage: the database's errors, and those of values that are not of their column's type."""

TILES_A_READ = 4
"""Tiles of entries that one read takes."""
CHECKPOINT_PAGE = 256
NO_ENTRY = "there is no entry here"


class SourceReads(Protocol):
    """Reads within one consistent view; see ``ledger.store.protocol.Reads``."""

    def head(self) -> Head:
        """The end of the log, as claimed."""
        ...

    def rows(self, selection: Selection, limit: int = ...) -> list[Row]:
        """The first ``limit`` rows of a range of positions, by position."""
        ...

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile, full or partial; empty when there is none."""
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


class Page(NamedTuple):
    """Rows at consecutive positions, the level-0 tile beside them, and why there are fewer rows than asked for."""

    rows: list[Row]
    tile: bytes
    fault: Fault | None


class End(NamedTuple):
    """The end of the log in one view: its head, the tiles of the right edge, and what stands beyond the head.

    ``head`` is None when it can't be read. ``edge`` has a tile for each level, empty where there should be none.
    """

    head: Head | None
    edge: list[bytes | None]
    row_beyond: bool
    checkpoints_beyond: list[tuple[int, bytes]]


class _Ahead(NamedTuple):
    """What was read at once: rows from ``first`` on, the first leaf of a tile, and the tiles beside them."""

    first: int
    rows: list[Row]
    tiles: list[bytes]


class Reader:
    """Reads a source that may be damaged anywhere."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ahead = _Ahead(0, [], [])

    def page(self, first: int, count: int) -> Page:
        """The rows at ``count`` positions from ``first``, the first leaf of a tile, and that tile."""
        try:
            rows, tile = self._read(first, count)
        except DAMAGE:
            return self._damaged_page(first, count)
        positions = [row[0] for row in rows]
        if positions == list(range(first, first + count)):
            return Page(rows, tile, None)
        good = next((at for at, position in enumerate(positions) if position != first + at), len(rows))
        return Page(rows[:good], tile, Fault(first + good, MISSING, NO_ENTRY))

    def _read(self, first: int, count: int) -> tuple[list[Row], bytes]:
        """The rows and the tile, from a read of some tiles at once: beginning and ending a read takes its time."""
        ahead = self._ahead
        tile = (first - ahead.first) // TILE_WIDTH
        if not 0 <= tile < len(ahead.tiles):
            with self._source.reading() as reads:
                rows = reads.rows(Selection(first, first + TILES_A_READ * TILE_WIDTH - 1), TILES_A_READ * TILE_WIDTH)
                tiles = [reads.tile(0, first // TILE_WIDTH + one) for one in range(TILES_A_READ)]
            ahead, tile = _Ahead(first, rows, tiles), 0
            self._ahead = ahead
        start = bisect_left(ahead.rows, first, key=itemgetter(0))
        end = bisect_left(ahead.rows, first + count, lo=start, key=itemgetter(0))
        return ahead.rows[start:end], ahead.tiles[tile]

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
                return _tile(reads, level, index)
        except DAMAGE:
            return None

    def checkpoints(self, after: int) -> list[tuple[int, bytes]]:
        """The next stored checkpoints above a size. Raises one of ``DAMAGE``."""
        with self._source.reading() as reads:
            return reads.checkpoints(after, CHECKPOINT_PAGE)

    def end(self) -> End:
        """The end of the log, in one view."""
        head: Head | None = None
        edge: list[bytes | None] = []
        row_beyond, checkpoints_beyond = False, []
        try:
            with self._source.reading() as reads:
                head = reads.head()
                if not _is_head(head):
                    return End(None, [], False, [])
                edge = _edge(reads, head.size)
                row_beyond = _row_beyond(reads, head.size)
                checkpoints_beyond = reads.checkpoints(head.size, 1)
        except DAMAGE:
            pass
        return End(head, edge, row_beyond, checkpoints_beyond)

    def _damaged_page(self, first: int, count: int) -> Page:
        """A page read row by row, up to the first that fails; a tile that fails is empty."""
        rows: list[Row] = []
        fault: Fault | None = None
        for position in range(first, first + count):
            row = self.row(position)
            if isinstance(row, Fault):
                fault = row
                break
            rows.append(row)
        return Page(rows, self.tile(0, first // TILE_WIDTH) or b"", fault)


def _is_head(head: Head) -> bool:
    size, leaf, recorded, _ = head
    return type(size) is int and size >= 0 and type(leaf) is bytes and len(leaf) == HASH_SIZE and type(recorded) is str


def _tile(reads: SourceReads, level: int, index: int) -> bytes | None:
    try:
        return reads.tile(level, index)
    except DAMAGE:
        return None


def _edge(reads: SourceReads, size: int) -> list[bytes | None]:
    """The tile after the last full one, at each level of a tree of ``size`` leaves and at the level above."""
    levels = (size.bit_length() + TILE_BITS - 1) // TILE_BITS
    return [_tile(reads, level, size >> TILE_BITS * (level + 1)) for level in range(levels + 1)]


def _row_beyond(reads: SourceReads, size: int) -> bool:
    try:
        return bool(reads.rows(Selection(size), 1))
    except DAMAGE:
        return True  # something stands there, though it can't be read
