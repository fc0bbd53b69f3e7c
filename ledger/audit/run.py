"""The audit from beginning to end: pages of entries, the tree over them, checkpoints on the way, the end of the log.

Owns the order of all checks and the one way in, ``audit``. The end of the log is read first, in one view, and what is
appended meanwhile is left for the next audit, so that a ledger in use can be audited. Where other processes help, they
examine ranges further on, each by itself; those that are good and fit are joined, and any other is checked here as if
there had been no help. So the report is the same whoever helped.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from ledger.audit import tree
from ledger.audit.counters import Counters
from ledger.audit.entries import Entries
from ledger.audit.faults import HEAD, MISSING, TILE, Fault, FaultFound, Report
from ledger.audit.part import Part, Range
from ledger.audit.signing import Hint, KeyWalk, hint
from ledger.audit.source import Page, Reader, SharedSource, Source
from ledger.audit.team import Member, Task, Team
from ledger.audit.tree import FULL, Checkpoints, Tree
from ledger.checkpoint import Checkpoint
from ledger.errors import SignatureError
from ledger.key_history import KeyHistory
from ledger.merkle import HASH_SIZE
from ledger.note import VerifierKey
from ledger.store.protocol import Row
from ledger.tiles import TILE_WIDTH, tile_path

_UNKNOWN_END = 1 << 62
_PREV = b'"prev":"'

Trusted = Checkpoint | bytes | Sequence[Checkpoint | bytes]

ENTRIES_A_PROCESS = 100_000
"""A log with fewer entries for each process is checked by fewer: to start one takes as long as some 40,000 entries."""
RANGE_TILES = 64
"""Tiles of entries in a range, at most; a part of it takes about a megabyte."""
RANGES_A_PROCESS = 16
"""Ranges for each process, where the log is long enough, so that none waits long for the last one."""


def audit(
    source: Source,
    keys: Sequence[VerifierKey],
    *,
    since: Trusted | None = None,
    progress: Callable[[int, int], None] | None = None,
    jobs: int | None = 1,
) -> Report:
    """Derive a ledger again from its bytes, and compare.

    ``keys`` are trusted verifier keys, among them some that the ledger has or had. The audit follows the ledger's keys
    by its entries, from the first to the last, and wants each checkpoint signed by keys that held at its size.
    ``since`` is one or more checkpoints that the caller kept (signed notes, or contents that are trusted as they are):
    the log must extend them. ``progress`` is told (entries checked, entries in all). ``jobs`` processes check
    together, this one included: None for one on each core, as far as the log's length repays it. The report does not
    depend on it; a source that can't be opened by others is checked by this process.

    Whatever is wrong with the source becomes the report's first fault. Raises ``SignatureError`` when a note in
    ``since`` is not signed by these keys, or a checkpoint is of no ledger of theirs; ``StoreError`` when the source is
    away, locked or closed; ``ValueError`` for less than one job.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"an audit takes one process at least, not {jobs}")
    tell = progress or (lambda done, total: None)
    run = _Audit(source, keys, hint(source, keys), since, tell, jobs)
    report = run.run()
    if not run.as_hinted():  # what was judged by the hint is judged anew, from the entries alone
        report = _Audit(source, keys, hint(source, keys, scan=True), since, tell, 1).run()
    return report


class _Audit:
    def __init__(
        self,
        source: Source,
        keys: Sequence[VerifierKey],
        hinted: Hint,
        since: Trusted | None,
        progress: Callable[[int, int], None],
        jobs: int | None,
    ) -> None:
        self._source = source
        self._hinted = hinted.history
        self._trusted = trusted = _trusted(since, hinted.history, keys)
        self._progress = progress
        self._jobs = jobs
        self._reader = Reader(source, works_ahead=jobs == 1)
        self._counters = Counters(), Counters()
        self._entries = Entries(source.origin, self._counters, named=hinted.named)
        self._walk = KeyWalk(source.origin, keys)
        self._tree = Tree(self._reader)
        self._checkpoints = Checkpoints(self._reader, source.origin, trusted)
        self._end = self._reader.end()

    def run(self) -> Report:
        """All checks in their order, until the first fault."""
        started = time.perf_counter()
        fault = None
        try:
            self._run()
        except FaultFound as found:
            fault = found.fault
        finally:
            self._reader.close()
            for counters in self._counters:
                counters.close()
        checked = self._tree.size
        size = checked if self._end.head is None else self._end.head.size
        return Report(fault is None, size, self._tree.root(), checked, time.perf_counter() - started, fault)

    def _run(self) -> None:
        head = self._end.head
        size = _UNKNOWN_END if head is None else head.size
        if size == 0:
            raise FaultFound(0, MISSING, "there is no entry, not even that which begins a ledger")
        self._check_together(size)
        self._check_pages(self._tree.size, size)
        tree.check_beyond(self._end, size)
        self._tree.check_edge(self._end.edge)
        if head is not None:
            tree.check_head(head, self._entries.leaf, self._entries.recorded.decode())
        self._checkpoints.check_beyond(size, self._end.checkpoints_beyond)
        self._walk.check_trusted()

    def as_hinted(self) -> bool:
        """Whether the keys are those that were hinted at, as far as the entries were checked."""
        walked = self._walk.history.generations
        reached = [one for one in self._hinted.generations if one.first <= self._tree.size]
        return [one.keys for one in walked] == [one.keys for one in reached]

    # --- With others -------------------------------------------------------------------------------------------------

    def _check_together(self, size: int) -> None:
        """Check the whole tiles of the log with other processes, if any are to help."""
        jobs = _processes(self._jobs, size)
        if jobs == 1 or self._end.head is None or not isinstance(self._source, SharedSource):
            return
        ranges = deque(_ranges(size, jobs))
        task = Task(self._source.opener(), self._hinted, tuple(checkpoint.size for checkpoint in self._trusted))
        with Team(task, min(jobs, len(ranges)) - 1) as team:
            self._share(ranges, team, size)

    def _share(self, ranges: deque[Range], team: Team, size: int) -> None:
        """Check ranges in order: by turns one here and one for each process that is ready, which works ahead."""
        planned: deque[tuple[Range, Member | None]] = deque()
        while ranges or planned:
            helping = team.ready()
            while ranges and len(planned) <= len(helping) + 1:  # so that each has its next before it is done
                planned.append((ranges.popleft(), None))
                for member in helping[: len(ranges)]:
                    planned.append((ranges.popleft(), member))
                    member.ask(planned[-1][0])
            span, by = planned.popleft()
            part = None if by is None else by.answer()
            if part is None or not self._join(part, span):
                self._check_pages(*span, between=team.receive)
            self._progress(self._tree.size, size)

    def _join(self, part: Part, span: Range) -> bool:
        """Join a part that follows what was checked so far; False, with nothing changed, if anything does not fit."""
        streams, members = self._counters
        if part.prev != self._entries.leaf or part.since < self._entries.recorded:
            return False
        if not (streams.fits(part.streams) and members.fits(part.members)):
            return False
        grown, checkpoints, walk = self._tree.copy(), self._checkpoints.copy(), self._walk.copy()
        walk.add(part.announcements)
        checkpoints.adopt(part.checkpoints, span.end)
        try:
            _extend_tiles(grown, checkpoints, walk, part)
        except FaultFound:
            return False
        streams.join(part.streams)
        members.join(part.members)
        self._entries.leaf, self._entries.recorded = part.leaf, part.recorded
        self._tree, self._checkpoints, self._walk = grown, checkpoints, walk
        return True

    # --- Alone -------------------------------------------------------------------------------------------------------

    def _check_pages(self, first: int, end: int, between: Callable[[], None] = lambda: None) -> None:
        for start in range(first, end, TILE_WIDTH):  # a tile at a time: small enough for a processor's cache
            self._check_page(start, min(TILE_WIDTH, end - start))
            between()
            if self._end.head is not None:
                self._progress(self._tree.size, self._end.head.size)

    def _check_page(self, first: int, count: int) -> None:
        page = self._reader.page(first, count)
        stored = page.tile[: len(page.entries) * HASH_SIZE]

        def altered(position: int, before: Sequence[bytes], leaf: bytes) -> Fault:
            return self._altered(page, position, before, leaf)

        leaves, fault = self._entries.check(first, page.entries, stored, altered, page.places)
        self._walk.add(self._entries.take_announcements())
        _extend(self._tree, self._checkpoints, self._walk, leaves)
        if fault is not None:
            raise FaultFound(*fault)
        if page.fault is not None:
            if page.fault.kind == MISSING and self._end.head is None:
                raise FaultFound(self._tree.size, HEAD, "the end of the log can't be read, and no entry follows")
            raise FaultFound(*page.fault)
        if len(page.tile) > FULL:
            path = tile_path(0, first // TILE_WIDTH)
            raise FaultFound(first + count - 1, TILE, f"{path} holds {len(page.tile)} bytes, a full one {FULL}")

    def _altered(self, page: Page, position: int, before: Sequence[bytes], leaf: bytes) -> Fault:
        """What it means that an entry's bytes don't have the stored hash: ask whoever else states that hash."""
        at = position - page.first + 1
        following = Row(position + 1, page.entries[at]) if at < len(page.entries) else self._reader.row(position + 1)
        if isinstance(following, Row) and type(following.entry) is bytes:
            start = following.entry.rfind(_PREV) + len(_PREV)
            prev = following.entry[start : start + 2 * HASH_SIZE]
            agrees = prev == leaf.hex().encode()
            return tree.altered(position, leaf, leaf if agrees else prev, "the next entry's seal")
        signed = self._checkpoints.root_at(position + 1)
        if signed is not None:
            agrees = self._tree.root_with([*before, leaf]) == signed
            return tree.altered(position, leaf, leaf if agrees else signed, "a signed checkpoint")
        head = self._end.head
        if head is not None and head.size == position + 1:
            return tree.altered(position, leaf, head.leaf, "the head")
        return tree.altered(position, leaf, None, "")


def _extend(grown: Tree, checkpoints: Checkpoints, walk: KeyWalk, leaves: Sequence[bytes]) -> None:
    """Let the tree grow over checked leaves, stopping where a checkpoint is due and where keys are announced."""
    done, start = 0, grown.size
    while (due := _next_size(checkpoints, walk)) <= start + len(leaves):
        grown.extend(leaves[done : due - start])
        done = due - start
        walk.check(due, grown.root())
        checkpoints.history = walk.history
        if checkpoints.next_size() == due:
            checkpoints.check(due, grown.root())
    grown.extend(leaves[done:])


def _next_size(checkpoints: Checkpoints, walk: KeyWalk) -> int:
    return min(size for size in (checkpoints.next_size(), walk.next_size(), _UNKNOWN_END + 1) if size is not None)


def _extend_tiles(grown: Tree, checkpoints: Checkpoints, walk: KeyWalk, part: Part) -> None:
    """As ``_extend``, over the tiles of a part; within those where something is due, leaf by leaf."""
    done = 0
    for at, tile in sorted(part.leaves.items()):
        grown.extend_tiles(part.roots[done:at])
        _extend(grown, checkpoints, walk, [tile[leaf : leaf + HASH_SIZE] for leaf in range(0, FULL, HASH_SIZE)])
        done = at + 1
    grown.extend_tiles(part.roots[done:])


def _processes(jobs: int | None, size: int) -> int:
    """How many processes check a log of this size."""
    if jobs is not None:
        return jobs
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, size // ENTRIES_A_PROCESS))


def _ranges(size: int, jobs: int) -> Iterator[Range]:
    """The whole tiles of a log of this size, in ranges."""
    tiles = size // TILE_WIDTH
    width = min(RANGE_TILES, max(1, tiles // (jobs * RANGES_A_PROCESS)))
    for first in range(0, tiles, width):
        yield Range(first * TILE_WIDTH, min(first + width, tiles) * TILE_WIDTH)


def _trusted(since: Trusted | None, history: KeyHistory, keys: Sequence[VerifierKey]) -> list[Checkpoint]:
    """The checkpoints to extend, their signatures verified where they are notes. Raises ``SignatureError``."""
    if since is None:
        return []
    given = [since] if isinstance(since, Checkpoint | bytes) else since
    checkpoints = [one if isinstance(one, Checkpoint) else history.open(one) for one in given]
    for checkpoint in checkpoints:
        if all(key.name != checkpoint.origin for key in keys):
            raise SignatureError(
                f"the trusted checkpoint is of {checkpoint.origin}, no key given goes by that name",
                advice="audit the ledger that the checkpoint is of",
            )
    return [checkpoint for checkpoint in checkpoints if checkpoint.size]
