"""The audit from beginning to end: pages of entries, the tree over them, checkpoints on the way, the end of the log.

Owns the order of all checks and the one way in, ``audit``. The end of the log is read first, in one view, and what is
appended meanwhile is left for the next audit, so that a ledger in use can be audited.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ledger.audit import tree
from ledger.audit.counters import Counters
from ledger.audit.entries import Entries
from ledger.audit.faults import HEAD, MISSING, TILE, Fault, FaultFound, Report
from ledger.audit.source import Page, Reader, Source
from ledger.audit.tree import FULL, Checkpoints, Tree
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import SignatureError
from ledger.merkle import HASH_SIZE
from ledger.note import VerifierKey
from ledger.store.protocol import Row
from ledger.tiles import TILE_WIDTH, tile_path

_UNKNOWN_END = 1 << 62
_PREV = b'"prev":"'

Trusted = Checkpoint | bytes | Sequence[Checkpoint | bytes]


def audit(
    source: Source,
    keys: Sequence[VerifierKey],
    *,
    since: Trusted | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Derive a ledger again from its bytes, and compare.

    ``keys`` are trusted verifier keys, among them those of the ledger; ``since`` is one or more checkpoints that the
    caller kept (signed notes, or contents that are trusted as they are): the log must extend them. ``progress`` is told
    (entries checked, entries in all). Whatever is wrong with the source becomes the report's first fault; raises
    ``SignatureError`` when a note in ``since`` is not signed by these keys, or a checkpoint is of no ledger of theirs.
    """
    return _Audit(source, keys, _trusted(since, keys), progress or (lambda done, total: None)).run()


class _Audit:
    def __init__(
        self,
        source: Source,
        keys: Sequence[VerifierKey],
        trusted: Sequence[Checkpoint],
        progress: Callable[[int, int], None],
    ) -> None:
        self._progress = progress
        self._reader = Reader(source)
        self._counters = Counters(), Counters()
        self._entries = Entries(source.origin, keys, self._counters)
        self._tree = Tree(self._reader)
        self._checkpoints = Checkpoints(self._reader, source.origin, keys, trusted)
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
        for first in range(0, size, TILE_WIDTH):  # a tile at a time: small enough for a processor's cache
            self._check_page(first, min(TILE_WIDTH, size - first))
            if head is not None:
                self._progress(self._tree.size, size)
        tree.check_beyond(self._end, size)
        self._tree.check_edge(self._end.edge)
        if head is not None:
            tree.check_head(head, self._entries.leaf, self._entries.recorded)
        self._checkpoints.check_beyond(size, self._end.checkpoints_beyond)

    def _check_page(self, first: int, count: int) -> None:
        page = self._reader.page(first, count)
        stored = page.tile[: len(page.rows) * HASH_SIZE]

        def altered(position: int, before: Sequence[bytes], leaf: bytes) -> Fault:
            return self._altered(page, position, before, leaf)

        leaves, fault = self._entries.check(page.rows, stored, altered)
        self._extend(leaves)
        if fault is not None:
            raise FaultFound(*fault)
        if page.fault is not None:
            if page.fault.kind == MISSING and self._end.head is None:
                raise FaultFound(self._tree.size, HEAD, "the end of the log can't be read, and no entry follows")
            raise FaultFound(*page.fault)
        if len(page.tile) > FULL:
            path = tile_path(0, first // TILE_WIDTH)
            raise FaultFound(first + count - 1, TILE, f"{path} holds {len(page.tile)} bytes, a full one {FULL}")

    def _extend(self, leaves: list[bytes]) -> None:
        """Let the tree grow over checked leaves, stopping at each size that a checkpoint states."""
        done, start = 0, self._tree.size
        while (due := self._checkpoints.next_size()) is not None and due <= start + len(leaves):
            self._tree.extend(leaves[done : due - start])
            done = due - start
            self._checkpoints.check(due, self._tree.root())
        self._tree.extend(leaves[done:])

    def _altered(self, page: Page, position: int, before: Sequence[bytes], leaf: bytes) -> Fault:
        """What it means that an entry's bytes don't have the stored hash: ask whoever else states that hash."""
        at = position - page.rows[0].position + 1
        following = page.rows[at] if at < len(page.rows) else self._reader.row(position + 1)
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


def _trusted(since: Trusted | None, keys: Sequence[VerifierKey]) -> list[Checkpoint]:
    """The checkpoints to extend, their signatures verified where they are notes. Raises ``SignatureError``."""
    if since is None:
        return []
    given = [since] if isinstance(since, Checkpoint | bytes) else since
    checkpoints = [one if isinstance(one, Checkpoint) else open_checkpoint(one, keys) for one in given]
    for checkpoint in checkpoints:
        if all(key.name != checkpoint.origin for key in keys):
            raise SignatureError(
                f"the trusted checkpoint is of {checkpoint.origin}, no key given goes by that name",
                advice="audit the ledger that the checkpoint is of",
            )
    return [checkpoint for checkpoint in checkpoints if checkpoint.size]
