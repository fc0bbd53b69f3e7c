"""The checks of the tree over the entries: tiles above level 0, the right edge, the head, and signed checkpoints.

Owns the tree as it is derived again while entries pass, and the checkpoints that wait for their size. Never looks into
an entry. Raises ``FaultFound`` at what disagrees. Tree and checkpoints can be copied, to try what a range comes to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ledger.audit.faults import CHECKPOINT, ENTRY, HEAD, MISSING, SIGNATURE, TILE, Fault, FaultFound
from ledger.audit.source import DAMAGE, End, Reader
from ledger.checkpoint import Checkpoint
from ledger.errors import SignatureError
from ledger.key_history import KeyHistory
from ledger.merkle import HASH_SIZE, root_of
from ledger.store.protocol import Head
from ledger.tiles import TILE_BITS, TILE_WIDTH, Edge, tile_path

FULL = TILE_WIDTH * HASH_SIZE
CHECKPOINT_PAGE = 256
"""Stored checkpoints that one read takes."""


class Tree:
    """The tree of the entries checked so far."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._edge = Edge()
        self._partial: dict[int, tuple[int, bytes]] = {}  # by level: index and content of its last tile

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._edge.size

    def root(self) -> bytes:
        """The root over them."""
        return self._edge.root()

    def root_with(self, leaves: Sequence[bytes]) -> bytes:
        """The root there would be with these leaves after them."""
        edge = self._edge.copy()
        edge.extend(leaves)
        return edge.root()

    def copy(self) -> Tree:
        """An independent tree of the same leaves."""
        tree = Tree(self._reader)
        tree._edge = self._edge.copy()
        tree._partial = self._partial.copy()
        return tree

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add checked leaves, and check each tile above level 0 that is full with them."""
        if len(leaves) == TILE_WIDTH and not self.size % TILE_WIDTH:
            self._edge.extend_tiles([root_of(leaves)])  # as most come: a whole tile, whose content nobody asks for
        else:
            self._edge.extend(leaves)
        self._check_full()

    def extend_tiles(self, roots: Sequence[bytes]) -> None:
        """Add tiles of checked leaves by their roots, and check each tile above that is full with them."""
        self._edge.extend_tiles(roots)
        self._check_full()

    def _check_full(self) -> None:
        for level, index, hashes in self._edge.take_dirty():
            if len(hashes) < FULL:
                self._partial[level] = index, hashes
            elif level:
                self._check_tile(level, index, hashes, self._reader.tile(level, index))

    def check_edge(self, stored: Sequence[bytes | None]) -> None:
        """Check the last tile of each level, and that there is none beyond."""
        for level, found in enumerate(stored):
            wanted = self.size >> TILE_BITS * (level + 1)
            index, hashes = self._partial.get(level, (wanted, b""))
            self._check_tile(level, wanted, hashes if index == wanted else b"", found)

    def _check_tile(self, level: int, index: int, expected: bytes, found: bytes | None) -> None:
        if found == expected:
            return
        differs = 0 if found is None else _first_difference(expected, found)
        position = (index * TILE_WIDTH + min(differs, TILE_WIDTH - 1)) << TILE_BITS * level
        if found is None:
            what = "can't be read"
        elif not found:
            what = "is missing"
        elif differs * HASH_SIZE >= len(expected):
            what = f"holds {len(found)} bytes, the tree has {len(expected)} of it"
        else:
            what = f"holds another hash {differs} than its entries give"
        raise FaultFound(position, TILE, f"{tile_path(level, index)} {what}")


class Checkpoints:
    """The checkpoints to be checked, by size: those that are stored, and those that the caller trusts."""

    def __init__(self, reader: Reader, origin: str, trusted: Sequence[Checkpoint]) -> None:
        self._reader = reader
        self._origin = origin
        self.history = KeyHistory.trusting(())
        """Which keys held when, as far as the entries tell by now."""
        self._trusted = deque(sorted(trusted, key=lambda checkpoint: checkpoint.size))
        self._stored: deque[tuple[int, bytes | Checkpoint]] = deque()
        self._read_up_to: int | None = 0  # None once there are no more
        self.good = 0
        """The size of the last checkpoint whose root the entries gave: what is before can't have been rewritten."""

    def copy(self) -> Checkpoints:
        """The same checkpoints, to be checked independently."""
        checkpoints = Checkpoints(self._reader, self._origin, self._trusted)
        checkpoints.history = self.history
        checkpoints._stored = self._stored.copy()
        checkpoints._read_up_to = self._read_up_to
        checkpoints.good = self.good
        return checkpoints

    def adopt(self, opened: Sequence[Checkpoint], end: int) -> None:
        """Take those stored of the sizes up to ``end`` as they were opened elsewhere, instead of reading them here."""
        later = [(size, note) for size, note in self._stored if size > end]
        self._stored = deque([*((checkpoint.size, checkpoint) for checkpoint in opened), *later])
        if self._read_up_to is not None:
            self._read_up_to = max(self._read_up_to, end)

    def next_size(self) -> int | None:
        """The size at which the next checkpoint is due."""
        self._read_more()
        sizes = [self._trusted[0].size] if self._trusted else []
        if self._stored:
            sizes.append(self._stored[0][0])
        return min(sizes, default=None)

    def check(self, size: int, root: bytes) -> None:
        """Check all checkpoints of this size against the root that the entries give."""
        while self._trusted and self._trusted[0].size == size:
            self._check_root(self._trusted.popleft(), root, "the trusted checkpoint")
        self._read_more()
        while self._stored and self._stored[0][0] == size:
            self._check_root(self._opened(*self._stored.popleft()), root, "the stored checkpoint")
        self.good = size

    def root_at(self, size: int) -> bytes | None:
        """A root that is trusted or signed at a size, if there is one; nothing is taken off the queue."""
        for trusted in self._trusted:
            if trusted.size == size:
                return trusted.root
        for stored, note in self._stored:
            if stored == size:
                try:
                    return self._opened(stored, note).root
                except FaultFound:
                    return None
        return None

    def check_beyond(self, size: int, stored: Sequence[tuple[int, bytes]]) -> None:
        """Check that nothing larger than the log was signed: not the trusted checkpoints left, nor ``stored``."""
        if self._trusted:
            raise FaultFound(
                size, MISSING, f"the trusted checkpoint has {self._trusted[-1].size:,} entries, the log {size:,}"
            )
        for larger, note in stored:
            self._opened(larger, note)
            raise FaultFound(size, MISSING, f"a checkpoint of {larger:,} entries is stored, the log has {size:,}")

    def _read_more(self) -> None:
        """See that the next stored checkpoint is at hand. The first that can't be read is a fault when it is next."""
        if self._stored or self._read_up_to is None:
            return
        limit = CHECKPOINT_PAGE
        try:
            found = self._reader.checkpoints(self._read_up_to, limit)
        except DAMAGE:
            limit = 1  # it may be a later one
            try:
                found = self._reader.checkpoints(self._read_up_to, limit)
            except DAMAGE as error:
                raise FaultFound(self.good, CHECKPOINT, f"a stored checkpoint can't be read: {error}") from None
        self._stored.extend(found)
        self._read_up_to = found[-1][0] if len(found) == limit else None

    def _opened(self, size: int, note: bytes | Checkpoint) -> Checkpoint:
        if isinstance(note, Checkpoint):
            return note
        try:
            return open_stored(size, note, self._origin, self.history)
        except FaultFound as found:
            raise FaultFound(self.good, found.fault.kind, found.fault.detail) from None

    def _check_root(self, checkpoint: Checkpoint, root: bytes, which: str) -> None:
        if checkpoint.root != root:
            raise FaultFound(
                self.good,
                CHECKPOINT,
                f"{which} of size {checkpoint.size:,} has the root {checkpoint.root.hex()}, "
                f"the entries give {root.hex()}: one from {self.good:,} to {checkpoint.size - 1:,} was rewritten",
            )


def open_stored(size: int, note: bytes, origin: str, history: KeyHistory) -> Checkpoint:
    """The content of the checkpoint that is stored at a size. Raises ``FaultFound``, at position 0."""
    try:
        checkpoint = history.open(note)
    except SignatureError as error:
        raise FaultFound(0, SIGNATURE, f"the checkpoint stored at size {size:,}: {error}") from None
    if (checkpoint.size, checkpoint.origin) != (size, origin):
        stated = f"{checkpoint.size:,} entries of {checkpoint.origin}"
        raise FaultFound(0, CHECKPOINT, f"the checkpoint stored at size {size:,} is one of {stated}")
    return checkpoint


def check_head(head: Head, leaf: bytes, recorded: str) -> None:
    """Check the head's copies of what the last entry says. Raises ``FaultFound``."""
    if head.leaf != leaf:
        raise FaultFound(
            head.size, HEAD, f"the head states the leaf hash {head.leaf.hex()}, the last entry has {leaf.hex()}"
        )
    if head.recorded != recorded:
        raise FaultFound(head.size, HEAD, f"the head states {head.recorded!r}, the last entry was recorded {recorded}")


def check_beyond(end: End, size: int) -> None:
    """Check that neither a row nor a leaf stands at the position after the last. Raises ``FaultFound``."""
    width = size % TILE_WIDTH * HASH_SIZE
    leaf = (end.edge[0] or b"")[width : width + HASH_SIZE] if end.edge else b""
    if end.row_beyond and leaf:
        raise FaultFound(size, HEAD, f"the head counts {size:,} entries, but row and leaf of another follow")
    if end.row_beyond:
        raise FaultFound(size, ENTRY, f"a row stands here that was never sealed: the log has {size:,} entries")
    if len(leaf) == HASH_SIZE:
        raise FaultFound(size, MISSING, f"the tree has a leaf here, but there is no entry: the log has {size:,}")


def altered(position: int, leaf: bytes, witness: bytes | None, said_by: str) -> Fault:
    """The fault of an entry whose bytes hash to ``leaf`` and not to the stored one.

    ``witness`` is what ``said_by`` has in place of that hash, None if there is nothing else to ask.
    """
    if witness is not None and witness == leaf:
        return Fault(position, TILE, f"the entry is as sealed ({said_by} agrees), but its stored hash is another")
    against = f"{said_by} disagrees with them too" if witness is not None else "nothing else vouches for them"
    return Fault(position, ENTRY, f"the entry's bytes don't have their stored hash, and {against}")


def _first_difference(expected: bytes, found: bytes) -> int:
    """The index of the first hash in which two tiles differ."""
    length = max(len(expected), len(found))
    for at in range(0, length, HASH_SIZE):
        if expected[at : at + HASH_SIZE] != found[at : at + HASH_SIZE]:
            return at // HASH_SIZE
    return length // HASH_SIZE
