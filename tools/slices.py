"""Cutting slices out of a ledger.

Owns which bytes and hashes of a log go into a slice. The form and its verification are ``ledger.slice``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from ledger import slice as slices
from ledger import tiles
from ledger.errors import NotFound
from ledger.log import Log
from ledger.store.protocol import PAGE, Selection

Progress = Callable[[int, int], None]
"""Told (entries written, entries to write)."""


def cut(log: Log, file: BinaryIO, first: int, end: int | None, progress: Progress | None = None) -> slices.Header:
    """Write the entries from position ``first`` to ``end`` (excluded; None: all) as a slice under a fresh checkpoint.

    Raises ``NotFound`` when the log doesn't hold them all, ``ForkError`` when it is not what was signed before.
    """
    checkpoint, note = log.checkpoint()
    stop = checkpoint.size if end is None else end
    if not 0 <= first <= stop <= checkpoint.size:
        raise NotFound(f"there are no entries from {first} to {stop - 1}; the log holds {checkpoint.size:,}")
    with log.store.reading() as reads:
        left = tiles.range_hashes(reads.tile, 0, first)
        right = tiles.range_hashes(reads.tile, stop, checkpoint.size)
    header = slices.Header(first, stop, tuple(left), tuple(right), note)
    slices.write_slice(file, header, _entries(log, first, stop, progress))
    return header


def _entries(log: Log, first: int, end: int, progress: Progress | None) -> Iterator[bytes]:
    for count, row in enumerate(log.scan(Selection(first, end - 1)), 1):
        yield row.entry
        if progress is not None and count % PAGE == 0:
            progress(count, end - first)
