"""What a range of entries comes to by itself, so that it can be checked apart from those before it and joined to them.

Owns the examination of a range of whole tiles, and the rule that makes it safe: it says that all is good, or nothing. A
part names what it took for granted of the entries before it (the leaf that its first seal follows, a time, the counts
that its streams and members begin with); whoever joins it checks just that. Never names a fault: whatever is not good
is looked at again by the one way that knows what was before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, NoReturn

from ledger.audit.counters import Run, Runs
from ledger.audit.entries import Entries
from ledger.audit.faults import FaultFound
from ledger.audit.signing import Announcement
from ledger.audit.source import Reader, Source
from ledger.audit.tree import CHECKPOINT_PAGE, open_stored
from ledger.checkpoint import Checkpoint
from ledger.errors import LedgerError
from ledger.key_history import KeyHistory
from ledger.merkle import HASH_SIZE, root_of
from ledger.store.protocol import Row
from ledger.tiles import TILE_WIDTH


class Range(NamedTuple):
    """The positions from ``first`` to before ``end``, both at the edge of a tile of entries."""

    first: int
    end: int


class Part(NamedTuple):
    """A range whose entries are good if they follow what they say they follow.

    ``prev`` and ``since`` are what the first seal states of leaf and time, ``leaf`` and ``recorded`` are those of the
    last entry. ``roots`` has the root over each tile of entries; ``leaves`` those tiles, by their place among them,
    after or within which a checkpoint is due, or that
    announce keys. ``checkpoints`` are those stored in the range, their signatures verified
    by the keys of the task; ``announcements`` are the entries that announce others.
    """

    prev: bytes
    since: bytes
    leaf: bytes
    recorded: bytes
    streams: Runs
    members: Runs
    roots: list[bytes]
    leaves: dict[int, bytes]
    checkpoints: list[Checkpoint]
    announcements: list[Announcement]


class Examiner:
    """Examines ranges of one ledger. ``sizes`` are those at which the caller has checkpoints of its own to check.

    ``history`` tells which keys seem to hold when.
    """

    def __init__(self, source: Source, history: KeyHistory, sizes: Sequence[int]) -> None:
        self._reader = Reader(source)
        self._origin = source.origin
        self._history = history
        self._sizes = sizes

    def examine(self, span: Range) -> Part | None:
        """What a range comes to; None if anything in it is not good, or could not be read."""
        try:
            return self._examine(span)
        except (_NotGoodError, FaultFound, LedgerError, ValueError, TypeError, OverflowError, MemoryError):
            return None

    def _examine(self, span: Range) -> Part:
        checkpoints = list(self._checkpoints(span))
        due = {*self._sizes, *(checkpoint.size for checkpoint in checkpoints)}
        tiles_due = {(size - 1) // TILE_WIDTH for size in due if span.first < size <= span.end}
        prev, since = self._before(span.first)
        counts = Run(), Run()
        entries = Entries(self._origin, counts, leaf=prev, recorded=since)
        roots: list[bytes] = []
        leaves_due: dict[int, bytes] = {}
        announcements: list[Announcement] = []
        for tile in range(span.first // TILE_WIDTH, span.end // TILE_WIDTH):
            page = self._reader.page(tile * TILE_WIDTH, TILE_WIDTH)
            leaves, fault = entries.check(page.first, page.entries, page.tile, _not_good, page.places)
            if fault is not None or page.fault is not None or len(page.tile) != TILE_WIDTH * HASH_SIZE:
                raise _NotGoodError
            announced = entries.take_announcements()
            announcements += announced
            if tile in tiles_due or announced:
                leaves_due[len(roots)] = page.tile
            roots.append(root_of(leaves))
        return Part(
            prev,
            since,
            entries.leaf,
            entries.recorded,
            counts[0].runs(),
            counts[1].runs(),
            roots,
            leaves_due,
            checkpoints,
            announcements,
        )

    def _before(self, first: int) -> tuple[bytes, bytes]:
        """The leaf hash and the time that the entry at ``first`` states; it is checked with the others."""
        row = self._reader.row(first)
        if not isinstance(row, Row):
            raise _NotGoodError
        seal = row.content().seal
        return bytes.fromhex(seal.prev), seal.recorded.encode()

    def _checkpoints(self, span: Range) -> Iterator[Checkpoint]:
        """The checkpoints stored in the range, opened."""
        after = span.first
        while True:
            found = self._reader.checkpoints(after, CHECKPOINT_PAGE)
            for size, note in found:
                if size > span.end:
                    return
                yield open_stored(size, note, self._origin, self._history)
                after = size
            if len(found) < CHECKPOINT_PAGE:
                return


class _NotGoodError(Exception):
    """Ends an examination."""


def _not_good(position: int, before: Sequence[bytes], leaf: bytes) -> NoReturn:
    raise _NotGoodError
