"""The Merkle tree of RFC 6962 over SHA-256: hashes, and the two proofs and their verifiers.

Owns the arithmetic of the tree: what a leaf and a node hash to, which subtrees make a proof, and whether a proof holds.
Never reads a store, never knows an entry's content, never hashes what it has not measured first.

Invariants: leaf and node hashes can't be confused (prefix bytes 0x00 and 0x01); every hash that enters a verifier is 32
bytes; a proof's length is checked before its first hash is computed; a verifier returns None or raises ``ProofError``.

Sources: RFC 6962 section 2.1 (tree and generation), RFC 9162 sections 2.1.3 and 2.1.4 (verification).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import pairwise

from ledger.errors import ProofError

HASH_SIZE = 32
"""Bytes of a SHA-256 hash: each leaf, node and root."""

EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree of no leaves (RFC 6962 section 2.1)."""

_LEAF, _NODE = sha256(b"\x00"), sha256(b"\x01")
"""Begun with the prefix: where hashes are taken by the thousand, to copy these is a tenth faster than to begin anew."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf: SHA-256(0x00 ‖ entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 ‖ left ‖ right), both 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """The hash of each leaf, for many. Raises ``TypeError`` at one that is not bytes."""
    begun, hashes = _LEAF.copy, []
    for entry in entries:
        hasher = begun()
        hasher.update(entry)
        hashes.append(hasher.digest())
    return hashes


def hash_pairs(hashes: Sequence[bytes]) -> list[bytes]:
    """Parents of neighbouring hashes, one level up; an odd last hash has no parent yet and is left out."""
    both = iter(hashes)
    begun, parents = _NODE.copy, []
    for left, right in zip(both, both, strict=False):
        hasher = begun()
        hasher.update(left)  # twice is faster than once with both put together
        hasher.update(right)
        parents.append(hasher.digest())
    return parents


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Root of the tree over these leaf hashes; ``EMPTY_ROOT`` for none."""
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        parents = hash_pairs(level)
        # An odd hash rises as it is: the same tree as splitting at the largest power of two, built from below.
        if len(level) % 2:
            parents.append(level[-1])
        level = parents
    return level[0]


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Subtrees whose hashes prove that leaf ``index`` is in the tree of ``size`` leaves.

    Each is (first leaf, end) with the end excluded; the order is that of the proof, from the leaf up.
    Raises ``ProofError`` unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} in a tree of {size}")
    ranges = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    ranges.reverse()
    return ranges


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """Subtrees whose hashes prove that the first ``old`` leaves of the tree of ``new`` leaves are the older tree.

    Each is (first leaf, end) with the end excluded; the order is that of the proof. Empty if the sizes are equal.
    Raises ``ProofError`` unless 1 <= old <= new: every tree extends the empty one, so there is nothing to prove.
    """
    _check_sizes(old, new)
    ranges = []
    low, high = 0, new
    old_is_left_edge = True  # the remaining old subtree is the whole old tree, whose root the verifier has already
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
            old_is_left_edge = False
    if not old_is_left_edge:
        ranges.append((low, high))
    ranges.reverse()
    return ranges


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash ``leaf`` stands at ``index`` in the tree of ``size`` leaves with this root.

    Raises ``ProofError`` if it isn't proven, whatever is wrong with the arguments.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} in a tree of {size}")
    # Up to the level where the paths of this leaf and of the last one meet, the sibling may stand on either side;
    # above it the leaf is on the right edge, and only left siblings remain.
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    _check_hashes(proof, inner + border, leaf, root)
    computed = leaf
    for level in range(inner):
        if index >> level & 1:
            computed = node_hash(proof[level], computed)
        else:
            computed = node_hash(computed, proof[level])
    for sibling in proof[inner:]:
        computed = node_hash(sibling, computed)
    _check_root(f"leaf {index} in the tree of {size}", computed, root)


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of ``old`` leaves is what the first ``old`` leaves of the tree of ``new`` leaves make.

    Raises ``ProofError`` if it isn't proven, whatever is wrong with the arguments. Size 0 is refused, even with an
    empty proof: the empty tree is a prefix of every tree, and a caller who compares nothing has to notice.
    """
    _check_sizes(old, new)
    if old == new:
        _check_hashes(proof, 0, old_root, new_root)
        _check_root(f"the tree of {new} against itself", new_root, old_root)
        return
    shift = (old & -old).bit_length() - 1
    inner = ((old - 1) ^ (new - 1)).bit_length() - shift
    border = (old - 1 >> inner + shift).bit_count()
    # A tree of 2^n leaves is itself the subtree that the walk begins with, so the proof does not repeat its root.
    begins_with_old = old == 1 << shift
    _check_hashes(proof, inner + border + (not begins_with_old), old_root, new_root)
    computed_old = computed_new = old_root if begins_with_old else proof[0]
    siblings = proof if begins_with_old else proof[1:]
    mask = old - 1 >> shift
    for level, sibling in enumerate(siblings[:inner]):
        if mask >> level & 1:
            computed_old = node_hash(sibling, computed_old)
            computed_new = node_hash(sibling, computed_new)
        else:
            computed_new = node_hash(computed_new, sibling)
    for sibling in siblings[inner:]:
        computed_old = node_hash(sibling, computed_old)
        computed_new = node_hash(sibling, computed_new)
    _check_root(f"the older tree of {old}", computed_old, old_root)
    _check_root(f"the newer tree of {new}", computed_new, new_root)


def complete_subtrees(low: int, high: int) -> list[tuple[int, int]]:
    """The leaves [low, high) as complete subtrees, largest first; ``low`` has to be a multiple of the largest."""
    bits = [bit for bit in range((high - low).bit_length() - 1, -1, -1) if (high - low) >> bit & 1]
    edges = [low]
    for bit in bits:
        edges.append(edges[-1] + (1 << bit))
    return list(pairwise(edges))


def aligned_subtrees(low: int, high: int) -> list[tuple[int, int]]:
    """The leaves [low, high) as the fewest complete subtrees of any tree that has them, from left to right."""
    subtrees = []
    while low < high:
        largest = 1 << (high - low).bit_length() - 1
        step = min(low & -low, largest) if low else largest
        subtrees.append((low, low + step))
        low += step
    return subtrees


class Frontier:
    """A tree that grows to the right by whole subtrees: what it takes to compute a root, and no more.

    Beside ``ledger.tiles.Edge``, which keeps the tiles too, this one holds one hash for each bit of its size.
    """

    __slots__ = ("_open", "size")

    def __init__(self) -> None:
        self.size = 0
        self._open: dict[int, bytes] = {}  # by level: the complete subtree that has no right neighbour yet

    def add(self, subtree: bytes, leaves: int) -> None:
        """Append a complete subtree of so many leaves, a power of two that divides the size. Raises ``ValueError``."""
        if leaves < 1 or leaves & leaves - 1 or self.size % leaves:
            raise ValueError(f"no complete subtree of {leaves} leaves stands at leaf {self.size}")
        level = leaves.bit_length() - 1
        while (left := self._open.pop(level, None)) is not None:
            subtree = node_hash(left, subtree)
            level += 1
        self._open[level] = subtree
        self.size += leaves

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append leaf hashes."""
        nodes, level = list(leaves), 0
        self.size += len(nodes)
        while nodes:
            if (waiting := self._open.pop(level, None)) is not None:
                nodes.insert(0, waiting)
            if len(nodes) % 2:
                self._open[level] = nodes[-1]
            nodes = hash_pairs(nodes)
            level += 1

    def root(self) -> bytes:
        """Root of the tree; ``EMPTY_ROOT`` at size 0."""
        root = b""
        for level in sorted(self._open):
            root = node_hash(self._open[level], root) if root else self._open[level]
        return root or EMPTY_ROOT


def _split(count: int) -> int:
    """Largest power of two below ``count`` (> 1): where RFC 6962 divides a tree."""
    return 1 << (count - 1).bit_length() - 1


def _check_sizes(old: int, new: int) -> None:
    if not 1 <= old <= new:
        raise ProofError(f"there is no consistency proof from size {old} to size {new}")


def _check_hashes(proof: Sequence[bytes], length: int, *others: bytes) -> None:
    if len(proof) != length:
        raise ProofError(f"the proof has {len(proof)} hashes, expected {length}")
    for each in (*others, *proof):
        if len(each) != HASH_SIZE:
            raise ProofError(f"a hash has {len(each)} bytes, expected {HASH_SIZE}")


def _check_root(what: str, computed: bytes, expected: bytes) -> None:
    if computed != expected:
        raise ProofError(f"{what}: the proof gives root {computed.hex()}, expected {expected.hex()}")
