"""Entries as projections fold them: read from the log in pages, a batch at a time.

Owns the reading, and what is told of an entry that can't be. Never folds.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Protocol

from msgspec import Struct

from ledger.errors import InvalidEvent, StoreError
from ledger.merkle import leaf_hash
from ledger.store.protocol import PAGE, Head, Row, Selection
from projections.projection import Folded, read, read_all


class Source(Protocol):
    """What entries are read from: a ``Log``, or whatever else holds them by position."""

    def head(self) -> Head:
        """The end of the log."""
        ...

    def page(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position."""
        ...


class Entries(Struct):
    """Entries that follow each other: as they are stored, and as read."""

    stored: list[bytes]
    read: list[Folded]

    def leaf(self, count: int) -> bytes:
        """The leaf hash of the last of the first ``count``."""
        return leaf_hash(self.stored[count - 1])


def read_entries(source: Source, first: int, last: int) -> Entries:
    """The entries from ``first`` to ``last``, or up to before one of a type that this program doesn't know.

    Raises ``StoreError`` when it doesn't know even the first, when one is missing, or when one is no entry at all.
    """
    stored: list[bytes] = []
    folded: list[Folded] = []
    while first <= last:
        page = source.page(Selection(first, last), PAGE)
        if not page or page[0].position != first or page[-1].position - first + 1 != len(page):
            raise StoreError(f"the log has no entry at position {first}, or one after it", advice="audit the ledger")
        entries = [entry for _, entry in page]
        try:
            folded += read_all(entries)
            stored += entries
        except InvalidEvent as error:
            for entry in takewhile(_is_known, entries):
                folded.append(read(entry))
                stored.append(entry)
            if folded:
                break
            raise StoreError(
                f"this program can't read the entry at position {first}: {error.detail}",
                advice="use the version of the program that wrote it, or a later one",
            ) from error
        first = page[-1].position + 1
    return Entries(stored, folded)


def _is_known(entry: bytes) -> bool:
    try:
        read(entry)
    except InvalidEvent:
        return False
    return True


def streams_of(batch: Iterable[Folded]) -> dict[str, dict[str, bool]]:
    """The streams of a batch by their kind, each with whether it begins in it."""
    kinds: dict[str, dict[str, bool]] = {}
    for folded in batch:
        stream = folded.event.stream
        kind = stream.partition(":")[0]
        kinds.setdefault(kind, {}).setdefault(stream, folded.seal.version == 1)
    return kinds
