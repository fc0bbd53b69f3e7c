"""The catch-up runner: brings projections up to the log, batch by batch.

Owns the order of effects. In one transaction of the projections' store: see that the rows are of this code and of this
log, read the next entries, load the rows they touch, fold, write rows and marks. So a crash at any moment, or another
runner on the same file, leaves rows that agree with their marks; no entry is folded twice or left out.

Rows are thrown away and folded anew, by the same path, when their fingerprint is not that of the code (it changed), or
when the entry they were folded up to is not in the log with that leaf hash (a restored, rolled back or other log).
Never changes the log.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from ledger.entry import Entry, decode
from ledger.errors import EventError, NotFound, StoreError
from ledger.log import Log
from ledger.merkle import leaf_hash
from ledger.store.protocol import PAGE, Row, Selection
from projections.projection import Projection
from projections.read_models import READ_MODELS
from projections.store_sqlite import Mark, ProjectionStore, Writes

BATCH: Final = 10_000
"""Entries folded in one transaction: enough to make its cost small, few enough to keep memory flat."""

Progress = Callable[[int, int], None]
"""Told (entries folded, entries to fold) after each batch; a rebuild counts from nothing."""


class Standing(NamedTuple):
    """How far a projection is: ``position`` of the last entry folded, -1 for none."""

    name: str
    version: int
    position: int


class Runner:
    """Keeps the projections of one log in a file. Safe for use from several threads; close it, or use it in ``with``.

    Several runners, in other processes too, may work on one file: they take turns, batch by batch.
    """

    def __init__(
        self, log: Log, path: Path, *, projections: Sequence[Projection] = READ_MODELS, batch: int = BATCH
    ) -> None:
        """Open or make the file at ``path``. Raises ``StoreError`` when it is not usable."""
        self._log = log
        self._projections = tuple(projections)
        self._batch = batch
        self._lock = threading.Lock()  # one catch-up at a time in this process
        self.store = ProjectionStore(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file. Idempotent."""
        self.store.close()

    def standings(self) -> list[Standing]:
        """How far each projection is, by name."""
        with self.store.reading() as reads:
            marks = reads.marks()
        return [
            Standing(one.name, one.version, marks[one.name].position if one.name in marks else -1)
            for one in sorted(self._projections, key=lambda one: one.name)
        ]

    def catch_up(self, progress: Progress | None = None) -> int:
        """Fold all entries that the log held when this was called; returns how many those are, from position 0 on.

        Raises ``StoreError`` when the store fails or holds an entry that this program can't read.
        """
        with self._lock:
            size = self._log.head().size
            done = -1
            while done < size:
                done = self._fold_batch(size)
                if progress is not None:
                    progress(done, size)
            return size

    def rebuild(self, names: Iterable[str] | None = None, progress: Progress | None = None) -> int:
        """Throw away the rows of these projections (None: of all), and ``catch_up``.

        Meanwhile readers see the state at an earlier position, rising. Raises ``NotFound`` for a name there isn't.
        """
        chosen = self._projections if names is None else [self._named(name) for name in names]
        with self.store.writing() as writes:
            for projection in chosen:
                writes.reset(projection)
        return self.catch_up(progress)

    def _named(self, name: str) -> Projection:
        known = {projection.name: projection for projection in self._projections}
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1) or sorted(known)
            raise NotFound(f"there is no projection {name!r}", advice=f"did you mean {' or '.join(near)}?")
        return known[name]

    def _fold_batch(self, size: int) -> int:
        """Fold one batch of the projections that are furthest behind; returns up to where all are folded then."""
        with self.store.writing() as writes:
            marks = self._checked(writes, size)
            behind = min((mark.position for mark in marks.values()), default=size - 1)
            if behind >= size - 1:
                return size
            ahead = [mark.position for mark in marks.values() if mark.position > behind]
            last = min([*ahead, size - 1, behind + self._batch])
            chosen = [one for one in self._projections if marks[one.name].position == behind]
            rows = self._read(behind + 1, last)
            types = frozenset[str]().union(*(projection.types for projection in chosen))
            entries = [entry for row in rows if (entry := decode(row.entry)).event.type in types]
            leaf = leaf_hash(rows[-1].entry)
            for projection in chosen:
                _fold(writes, projection, entries)
                writes.mark(projection.name, Mark(marks[projection.name].fingerprint, last, leaf))
            return last + 1

    def _checked(self, writes: Writes, size: int) -> dict[str, Mark]:
        """The marks by name, after throwing away rows that are not of this code or not of this log."""
        stored = writes.marks()
        marks = {}
        for projection in self._projections:
            mark = stored.get(projection.name)
            good = mark is not None and mark.fingerprint == projection.fingerprint() and self._holds(mark, size)
            marks[projection.name] = mark if mark is not None and good else writes.reset(projection)
        return marks

    def _holds(self, mark: Mark, size: int) -> bool:
        """Whether the log holds the entry that the rows were folded up to. Others may be ahead of ``size``, rightly."""
        if mark.position < 0:
            return True
        if mark.position >= size and mark.position >= self._log.head().size:
            return False
        return leaf_hash(self._log.row(mark.position).entry) == mark.leaf

    def _read(self, first: int, last: int) -> list[Row]:
        rows: list[Row] = []
        while first <= last:
            page = self._log.page(Selection(first, last), PAGE)
            if not page or page[0].position != first or page[-1].position - first + 1 != len(page):
                raise StoreError(
                    f"the log has no entry at position {first}, or one after it", advice="audit the ledger"
                )
            rows += page
            first = page[-1].position + 1
        return rows


def _fold(writes: Writes, projection: Projection, entries: Sequence[Entry]) -> None:
    """Fold those entries that concern a projection, and write what changes."""
    wanted = [entry for entry in entries if entry.event.type in projection.types]
    tables = {table.name: table for table in projection.tables}
    loaded = {name: writes.last(tables[name], values) for name, values in projection.needs(wanted).items()}
    try:
        changes = projection.fold(wanted, loaded)
    except EventError as error:
        first, last = wanted[0].seal.position, wanted[-1].seal.position
        raise StoreError(
            f"the projection {projection.name} can't fold the entries from {first} to {last}: {error}",
            advice=error.advice,
        ) from error
    for name, rows in changes.items():
        writes.put(tables[name], rows)
