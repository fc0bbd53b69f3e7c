"""The runner: brings projections up to the log, batch by batch, and puts new generations in the place of old ones.

Owns the order of effects. Entries are read before anything is locked; then, in one transaction of the projections'
store: see that the generations still stand where they stood, fold, write rows and marks, and switch to a generation
that is filled. So a crash at any moment, or another runner at work on the same store, leaves rows that agree with their
marks; no entry is folded twice or left out. Rows stay cached from batch to batch while the mark is the one that this
runner left. Never changes the log.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Literal, NamedTuple, Self

from ledger.errors import Conflict, NotFound, StoreError, StoreLocked
from ledger.merkle import leaf_hash
from ledger.store.protocol import Selection
from projections import generations, poison, skipping
from projections.entries import Entries, Source, read_entries, streams_of
from projections.fold import Part, fold
from projections.loading import Aside, Within
from projections.models import READ_MODELS
from projections.projection import Projection
from projections.store.protocol import Generation, ProjectionStore, Reads, RowsRefused, Unready, Writes
from projections.work import Load, Work

BATCH: Final = 10_000
"""Entries folded in one transaction: enough to make its cost small, few enough to keep memory flat."""
STRIDE: Final = 6
"""Batches of a rebuild that are written together: a row that changes in several of them is written once."""
CACHED_ROWS: Final = 100_000
"""Rows of a table that are kept from one batch to the next."""
LOCKED_TRIES: Final = 6
"""Times that a rebuild tries to go on where a lock is in its way, such as that of a report that reads a view."""

Progress = Callable[[int, int], None]
"""Told (entries folded, entries to fold) after each batch; a rebuild counts from nothing."""
Which = Literal["live", "filling", "all"]


class Rebuilt(NamedTuple):
    """How many entries rebuilt projections hold, and of which others it was finished what somebody had left."""

    size: int
    resumed: list[Projection]


class _Failed(Exception):
    """A handler failed, of a batch that is not written by itself."""


class _Kept(NamedTuple):
    """Cached rows, and the position and leaf of the mark for which they are good."""

    mark: tuple[int, bytes]
    work: Work


class Runner:
    """Keeps the projections of one log in a store. Safe for use from several threads.

    Several runners, in other processes too, may work on one store: they take turns, batch by batch. ``close`` it, or
    use it in ``with``; that closes the store too.
    """

    def __init__(
        self,
        log: Source,
        store: ProjectionStore,
        *,
        projections: Sequence[Projection] = READ_MODELS,
        batch: int = BATCH,
        stride: int = STRIDE,
        cached_rows: int = CACHED_ROWS,
        decisions: Source | None = None,
    ) -> None:
        """Fold ``log`` into ``store``. ``decisions`` holds what is to be skipped, where ``log`` is but a part of it."""
        self.store = store
        self.projections = tuple(projections)
        self._log = log
        self._decisions = log if decisions is None else decisions
        self._batch = batch
        self._stride_entries = stride * batch
        self._cached_rows = cached_rows
        self._kept: dict[tuple[str, int], _Kept] = {}
        self._careful = -1  # up to this position, each batch is written by itself

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the store. Idempotent."""
        self.store.close()

    def named(self, names: Iterable[str]) -> list[Projection]:
        """The projections of these names, or with tables of these names; all for none. Raises ``NotFound``."""
        known = {table.name: projection for projection in self.projections for table in projection.tables}
        known |= {projection.name: projection for projection in self.projections}
        wanted = list(names)
        for name in wanted:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                there = ", ".join(projection.name for projection in self.projections)
                advice = f"did you mean {near[0]}?" if near else f"there are {there}"
                raise NotFound(f"there is no projection {name[:100]!r}", advice=advice)
        chosen = [known[name] for name in wanted] or self.projections
        return [projection for projection in self.projections if projection in chosen]

    # --- Bringing up -------------------------------------------------------------------------------------------------

    def prepare(self) -> bool:
        """See that there is a generation of this code for each projection; those that are missing wait to be filled.

        Returns whether there was anything to do.
        """
        with self.store.reading() as reads:
            found = reads.generations()
        if not generations.unsettled(self.projections, found, self._holds):
            return False
        with self.store.writing() as writes:
            generations.settle(writes, self.projections, self._holds)
        return True

    def catch_up(self, progress: Progress | None = None, names: Iterable[str] = ()) -> int:
        """Fold all entries that the log held when this was called, into live generations and those being filled.

        Of all projections, or those of these names. Returns how many those entries are, from position 0 on. A
        projection that meets an event it can't fold stops there, as the catalogue shows. Raises ``StoreError`` when the
        store fails or holds an entry that this program can't read, ``NotFound`` for a name there isn't.
        """
        self.prepare()
        return self._bring_up("all", self.named(names), progress)

    def advance(self, progress: Progress | None = None) -> int:
        """As ``catch_up``, for the live generations alone."""
        return self._bring_up("live", self.projections, progress)

    def fill(self, progress: Progress | None = None) -> int:
        """As ``catch_up``, for the generations that are being filled alone; each is made live when it is."""
        return self._bring_up("filling", self.projections, progress)

    def rebuild(self, names: Iterable[str] = (), progress: Progress | None = None) -> Rebuilt:
        """Fill a new generation of each of these projections (none named: of all) and make it live.

        Until then readers see the rows there were, which others may keep up with the log meanwhile. Takes back what it
        began when it is interrupted by Ctrl-C. What it leaves when it is killed, a tail goes on with; or the next one,
        which drops what is of the same names and finishes the rest once its own is live, unless somebody was at it
        meanwhile. Raises ``NotFound`` for a name there isn't, ``Conflict`` when another rebuild took the place of this.
        """
        chosen = self.named(names)
        with self.store.writing() as writes:
            begun = {generations.begin(writes, projection)[:2] for projection in chosen}
            left = set(writes.generations())
        try:
            size = self._fill_all(chosen, progress)
        except KeyboardInterrupt:
            with self.store.writing() as writes:
                generations.take_back(writes, begun)
            raise
        with self.store.reading() as reads:
            if not begun <= {one[:2] for one in reads.generations()}:
                raise Conflict("another rebuild has taken the place of this one")
            targets = _targets("filling", self.projections, reads.generations(), size)
        resumed = [projection for projection, one in targets if one in left]
        if resumed:
            self._fill_all(resumed, progress)
        return Rebuilt(size, resumed)

    def _fill_all(self, projections: Sequence[Projection], progress: Progress | None) -> int:
        """Fill what is to be made live, and insist on it: the next rebuild would begin from nothing."""
        for _ in range(LOCKED_TRIES - 1):
            with suppress(StoreLocked):
                return self._bring_up("filling", projections, progress)
        return self._bring_up("filling", projections, progress)

    def roll_back(self, names: Iterable[str] = ()) -> list[Generation]:
        """Make the generations live again that were so before the last switch, all at once; returns them.

        Raises ``NotFound`` for a name there isn't, ``Conflict`` when one has none to go back to.
        """
        chosen = self.named(names)
        with self.store.writing() as writes:
            return [generations.go_back(writes, projection.name, self._holds) for projection in chosen]

    def retry(self, names: Iterable[str] = ()) -> list[Generation]:
        """Let the projections that have stopped (none named: all of them) go on; returns what had stopped.

        Raises ``NotFound`` for a name there isn't.
        """
        chosen = {projection.name for projection in self.named(names)}
        with self.store.writing() as writes:
            stopped = [one for one in generations.stopped(writes.generations()) if one.projection in chosen]
            writes.mark([one._replace(fault=None) for one in stopped])
        return stopped

    # --- One batch ---------------------------------------------------------------------------------------------------

    def _bring_up(self, which: Which, projections: Sequence[Projection], progress: Progress | None) -> int:
        size = self._log.head().size
        while self._stride(which, projections, size, progress):
            pass
        while (done := self._step(which, projections, size)) is not None:
            if progress is not None:
                progress(min(done, size), size)
            while self._stride(which, projections, size, progress):
                pass
        if progress is not None:
            progress(size, size)
        return size

    def _step(self, which: Which, projections: Sequence[Projection], size: int) -> int | None:
        """Fold one batch into the generations that are furthest behind; returns how many entries those then hold.

        None when nothing is left to do: all hold ``size`` entries, but for those that have stopped.
        """
        with self.store.reading() as reads:
            targets = _targets(which, projections, reads.generations(), size)
        if not targets:
            return None
        behind = min(one.position for _, one in targets)
        aims = [one.position for _, one in targets if one.position > behind]
        last = min([*aims, behind + self._batch, max(behind, self._log.head().size - 1)])
        entries = read_entries(self._log, behind + 1, last)
        with self.store.writing() as writes:
            now = writes.generations()
            self._let_go(now)
            parts = [
                Part(projection, one, self._work(writes, one))
                for projection, one in targets
                if one.position == behind and one in now
            ]
            lead = max((live.position for part in parts if (live := _beside(part, now))), default=-1)
            if last >= size - 1 and lead > last:  # the live one has gone on meanwhile: be where it is, to replace it
                entries = read_entries(self._log, behind + 1, min(lead, last + self._batch))
            self._fold(writes, parts, entries)
            for part in parts:
                if part.generation.state == "filling" and part.generation.position >= max(size - 1, lead):
                    generations.finish(writes, part.projection, part.generation)
        return behind + 1 + len(entries.read)

    def _let_go(self, now: Sequence[Generation]) -> None:
        """Drop the rows of generations that nobody folds any more: each rebuild leaves one behind."""
        folded = {one[:2] for one in now if one.state in ("live", "filling")}
        for which in set(self._kept) - folded:
            self._kept.pop(which, None)  # another thread may have taken it

    def _stride(self, which: Which, projections: Sequence[Projection], size: int, progress: Progress | None) -> bool:
        """Fold several batches into the generations being filled that are furthest behind, and write them together.

        Folds with nothing locked, so that live rows are kept up meanwhile; what another runner has moved on by then is
        let go. Leaves the last batch, and those in which an event fails, to ``_step``. Returns whether it did anything.
        """
        if which == "live":
            return False
        with self.store.reading() as reads:
            targets = _targets("filling", projections, reads.generations(), size - self._batch)
        behind = min((one.position for _, one in targets), default=size)
        last = min(
            [behind + self._stride_entries, size - 1, *(one.position for _, one in targets if one.position > behind)]
        )
        if last - behind <= self._batch or behind < self._careful:
            return False
        parts = [Part(projection, one, self._aside(one)) for projection, one in targets if one.position == behind]
        try:
            position, leaf = self._fold_far(parts, behind, last, size, progress)
            with self.store.writing() as writes:
                now = writes.generations()
                self._put(writes, [part for part in parts if part.generation in now], position, leaf)
        except (_Failed, RowsRefused, Unready):  # unready: somebody has dropped a generation meanwhile
            self._careful = last
        else:
            if progress is not None and position + 1 < size:
                progress(position + 1, size)
        return True

    def _fold_far(
        self, parts: Sequence[Part], position: int, last: int, size: int, progress: Progress | None
    ) -> tuple[int, bytes]:
        """Fold the entries after a position up to ``last``; returns the last one's position and leaf hash."""
        leaf, before = b"", position
        while position < last:
            if progress is not None and position > before:
                progress(before + 1, size)  # no more is written yet; but whoever is told may end it here
            try:
                entries = read_entries(self._log, position + 1, min(position + self._batch, last))
            except StoreError:
                if position == before:
                    raise
                break  # what comes before it is good
            streams: dict[str, dict[str, bool]] = {}
            for part in parts:
                if part.work.prefetches:
                    streams = streams or streams_of(entries.read)
                    part.work.prefetch(streams, Aside(self.store, part.generation).many)
            if fold(parts, entries.read):
                raise _Failed
            position += len(entries.read)
            leaf = entries.leaf(len(entries.read))
        return position, leaf

    def _put(self, writes: Writes, parts: Sequence[Part], position: int, leaf: bytes) -> None:
        """Write what is folded into parts, and mark them. Raises ``RowsRefused``, and the transaction is lost."""
        for part in parts:
            for table, changes in part.work.take().items():
                writes.put(table, part.generation.number, changes)
            before, part.generation = part.generation, part.generation._replace(position=position, leaf=leaf)
            part.work.trim(self._cached_rows)
            self._kept[before[:2]] = _Kept((position, leaf), part.work)
        writes.mark([part.generation for part in parts])

    def _aside(self, generation: Generation) -> Work:
        """As ``_work``, to be folded into outside of a transaction."""
        load = Aside(self.store, generation).one
        return self._cached(generation, load) or Work(load, complete=generation.position < 0)

    def _work(self, writes: Writes, generation: Generation) -> Work:
        """The rows of a generation as this runner left them, if it was the last to write; else none are known yet."""
        return self._cached(generation, Within(writes, generation).one) or _fresh(writes, generation)

    def _cached(self, generation: Generation, load: Load) -> Work | None:
        kept = self._kept.pop(generation[:2], None)
        if kept is not None and kept.mark == (generation.position, generation.leaf):
            kept.work.load = load
            return kept.work
        if not self._holds(generation):
            raise StoreError(
                f"the rows of {generation.projection} are of another log", advice="make new ones: continuity rebuild"
            )
        return None

    def _fold(self, writes: Writes, parts: Sequence[Part], entries: Entries) -> None:
        """Fold entries into parts that stand just before them; write rows and marks."""
        if not entries.read:
            return
        by_stream = [part for part in parts if part.work.prefetches]
        streams = streams_of(entries.read) if by_stream else {}
        for part in by_stream:
            part.work.prefetch(streams, Within(writes, part.generation).many)
        failed = {id(failure.part) for failure in fold(parts, entries.read)}
        for part in parts:
            before, count, fault = part.generation, len(entries.read), None
            if id(part) in failed or not poison.put(writes, part):
                fresh = partial(_fresh, writes, before)
                skipped = partial(skipping.skipped, self._decisions, part.projection)
                count, fault = poison.settle(writes, part, entries.read, fresh, skipped)
            if count:
                part.generation = before._replace(position=before.position + count, leaf=entries.leaf(count))
            part.generation = part.generation._replace(fault=fault)
            part.work.trim(self._cached_rows)
            self._kept[before[:2]] = _Kept((part.generation.position, part.generation.leaf), part.work)
        writes.mark([part.generation for part in parts])

    def _holds(self, generation: Generation) -> bool:
        """Whether the log holds the entry up to which a generation is folded."""
        if generation.position < 0:
            return True
        rows = self._log.page(Selection(generation.position, generation.position), 1)
        return bool(rows) and leaf_hash(rows[0].entry) == generation.leaf


def _fresh(reads: Reads, generation: Generation) -> Work:
    """A work that knows nothing; of a generation that has not begun, that is all there is."""
    return Work(Within(reads, generation).one, complete=generation.position < 0)


def _targets(
    which: Which, projections: Sequence[Projection], found: Sequence[Generation], size: int
) -> list[tuple[Projection, Generation]]:
    """The generations that this code goes on with and that don't hold ``size`` entries yet, or wait to be live."""
    kinds = {"live": (generations.followed,), "filling": (generations.filling,)}.get(which, _BOTH)
    ours = ((projection, kind(projection, found)) for projection in projections for kind in kinds)
    return [
        (projection, one)
        for projection, one in ours
        if one is not None and one.fault is None and (one.position < size - 1 or one.state == "filling")
    ]


_BOTH = (generations.followed, generations.filling)


def _beside(part: Part, found: Sequence[Generation]) -> Generation | None:
    """The live generation that a part is to replace."""
    if part.generation.state != "filling":
        return None
    return generations.states(part.projection.name, found).get("live")
