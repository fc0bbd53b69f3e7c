"""The tree cut into tiles of 256 hashes, as C2SP tlog-tiles lays them out: paths, bundles, proofs, the right edge.

Owns the names and contents of tiles and entry bundles, the reading of roots and proofs out of tiles, and ``Edge``, the
writer's view of the growing side of the tree. Never does I/O: a ``TileReader`` brings what a store holds.

Invariants: hash i of tile (level l, index n) is the root of the complete subtree over the leaves
[(256 n + i) 256^l, (256 n + i + 1) 256^l); a narrower tile is a prefix of a wider one with the same level and index, so
a reader may hand out more than the tree in question needs; a partial tile is never hashed upward.

Source: https://c2sp.org/tlog-tiles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from ledger.errors import LedgerError, StoreError, VerificationError
from ledger.merkle import (
    EMPTY_ROOT,
    HASH_SIZE,
    aligned_subtrees,
    complete_subtrees,
    consistency_ranges,
    hash_pairs,
    inclusion_ranges,
    node_hash,
)

TILE_WIDTH = 256
"""Hashes of a full tile, and entries of a full bundle."""

TILE_BITS = 8
"""Levels of the tree that one level of tiles covers: 2^8 = ``TILE_WIDTH``."""

MAX_LEVEL = 63
"""Highest tile level that a path may name."""

MAX_ENTRY_BYTES = 65_535
"""Largest entry: a bundle states its length in two bytes."""

_TILE_BYTES = TILE_WIDTH * HASH_SIZE
_INDEX_END = 1 << 63

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)"
    r"/(?P<groups>(?:x[0-9]{3}/){0,6})(?P<last>[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)

TileReader = Callable[[int, int], bytes]
"""(level, index) -> the concatenated hashes that are stored of that tile; may be more than the tree asked about has."""


class InvalidPath(LedgerError):
    """Not the path of a tile or of an entry bundle, or not its one right spelling."""


class TileRef(NamedTuple):
    """Names a tile or, with ``level`` None, an entry bundle; ``width`` is its number of hashes or entries, 1 to 256."""

    level: int | None
    index: int  # type: ignore[assignment]  # hides tuple.index(), which nobody asks of three fields
    width: int


class Tile(NamedTuple):
    """A tile's whole content: ``hashes`` holds 1 to 256 hashes of 32 bytes."""

    level: int
    index: int  # type: ignore[assignment]  # hides tuple.index()
    hashes: bytes


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Path of a tile below a log's prefix: ``tile/0/x001/x234/067.p/12`` is tile 1,234,067 with 12 hashes."""
    return f"tile/{level}/{_index_and_width(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Path of an entry bundle below a log's prefix: ``tile/entries/x001/x234/067`` is a full one."""
    return f"tile/entries/{_index_and_width(index, width)}"


def parse_path(path: str) -> TileRef:
    """Read the path of a tile or an entry bundle; the inverse of ``tile_path`` and ``entries_path``.

    Raises ``InvalidPath`` for anything that those would not write: leading zeros, needless ``x000`` groups, width 256
    spelled out.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise InvalidPath(f"not the path of a tile or an entry bundle: {path[:100]!r}")
    level = None if match["level"] == "entries" else int(match["level"])
    index = int(match["groups"].replace("x", "").replace("/", "") + match["last"])
    width = TILE_WIDTH if match["width"] is None else int(match["width"])
    if level is not None and level > MAX_LEVEL:
        raise InvalidPath(f"tile level {level} is above {MAX_LEVEL}")
    if index >= _INDEX_END:
        raise InvalidPath(f"tile index {index} is beyond 63 bits")
    if path != (entries_path(index, width) if level is None else tile_path(level, index, width)):
        raise InvalidPath(f"not the one spelling of its tile: {path!r}")
    return TileRef(level, index, width)


def partial_width(size: int, level: int) -> int:
    """Width of the partial tile of a level in a tree of ``size`` leaves, 0 if the level ends with a full tile."""
    return (size >> TILE_BITS * level) % TILE_WIDTH


def tiles_at(size: int, beyond: int = 0) -> Iterator[TileRef]:
    """All tiles of hashes in a tree of ``size`` leaves that the one of ``beyond`` leaves, its beginning, has not.

    They come level by level, the partial one of a level last. The entry bundles have the indexes and widths of the
    tiles of level 0.
    """
    level, count, before = 0, size, beyond
    while count:
        full, partial = divmod(count, TILE_WIDTH)
        for index in range(before // TILE_WIDTH, full):
            yield TileRef(level, index, TILE_WIDTH)
        if partial and count != before:
            yield TileRef(level, full, partial)
        level, count, before = level + 1, full, before // TILE_WIDTH


def format_bundle(entries: Iterable[bytes]) -> bytes:
    """Entry bundle: each entry after its length in two bytes, big-endian. Raises ``ValueError`` above 65,535 bytes."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise ValueError(f"an entry has {len(entry)} bytes, at most {MAX_ENTRY_BYTES} fit into a bundle")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def parse_bundle(data: bytes) -> list[bytes]:
    """Entries of a bundle; the inverse of ``format_bundle``. Raises ``VerificationError`` if one is cut short."""
    entries: list[bytes] = []
    start, end = 0, len(data)
    while start < end:
        stop = start + 2 + int.from_bytes(data[start : start + 2], "big")
        if start + 2 > end or stop > end:
            raise VerificationError(f"the entry bundle ends within its entry {len(entries)}, at byte {end}")
        entries.append(data[start + 2 : stop])
        start = stop
    return entries


def root_at(read: TileReader, size: int) -> bytes:
    """Root of the tree of ``size`` leaves, from its tiles. Raises ``StoreError`` if a tile holds too little."""
    return Edge.load(read, size).root()


def inclusion_proof(read: TileReader, index: int, size: int) -> list[bytes]:
    """Hashes that prove leaf ``index`` in the tree of ``size`` leaves, from the leaf up.

    Raises ``ProofError`` unless 0 <= index < size, ``StoreError`` if a tile holds too little.
    """
    return _hashes_of(read, inclusion_ranges(index, size))


def inclusion_tiles(index: int, size: int) -> list[tuple[int, int]]:
    """(level, index) of each tile that ``inclusion_proof`` reads, for readers that fetch them at once."""
    return _tiles_of(inclusion_ranges(index, size))


def consistency_tiles(old: int, new: int) -> list[tuple[int, int]]:
    """(level, index) of each tile that ``consistency_proof`` reads, for readers that fetch them at once."""
    return _tiles_of(consistency_ranges(old, new))


def edge_tiles(size: int) -> list[tuple[int, int]]:
    """(level, index) of each tile that ``root_at`` and ``Edge.load`` read, for readers that fetch them at once."""
    levels = range((size.bit_length() + TILE_BITS - 1) // TILE_BITS)
    return [(level, size >> TILE_BITS * (level + 1)) for level in levels if partial_width(size, level)]


def consistency_proof(read: TileReader, old: int, new: int) -> list[bytes]:
    """Hashes that prove that the tree of ``new`` leaves extends the tree of ``old`` leaves; none if they are equal.

    Raises ``ProofError`` unless 1 <= old <= new, ``StoreError`` if a tile holds too little.
    """
    return _hashes_of(read, consistency_ranges(old, new))


def range_hashes(read: TileReader, low: int, high: int) -> list[bytes]:
    """Roots of the complete subtrees that cover the leaves [low, high), from left to right (``aligned_subtrees``).

    Raises ``StoreError`` if a tile holds too little.
    """
    return _hashes_of(read, aligned_subtrees(low, high))


class Edge:
    """The right edge of a growing tree: all that a writer needs to hold in order to append leaves.

    That is, for each level of tiles, the hashes of its partial tile, and for each level of the tree the one complete
    subtree that has no right neighbour yet. Extending by n leaves computes n node hashes, amortised; a root takes one
    for each bit of the size.
    """

    __slots__ = ("_dirty", "_open", "_partial", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._open: list[bytes] = []  # by level of the tree; b"" where the bit of the size is 0
        self._partial: list[bytes] = []  # by level of tiles
        self._dirty: dict[tuple[int, int], bytes] = {}

    @classmethod
    def load(cls, read: TileReader, size: int) -> Edge:
        """Edge of the tree of ``size`` leaves, from its partial tiles. Raises ``StoreError`` if one is too short."""
        edge = cls()
        edge._size = size
        for level in range((size.bit_length() + TILE_BITS - 1) // TILE_BITS):
            width = partial_width(size, level)
            tile = _read(read, level, size >> TILE_BITS * (level + 1), width) if width else b""
            edge._partial.append(tile[: width * HASH_SIZE])
            edge._open += [b""] * TILE_BITS
            for low, high in complete_subtrees(0, width):
                bit = (high - low).bit_length() - 1
                edge._open[TILE_BITS * level + bit] = _reduce(tile, low, high)
        return edge

    @property
    def size(self) -> int:
        """Leaves in the tree."""
        return self._size

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append leaf hashes, 32 bytes each. The caller vouches for their length: this is the hot path."""
        self._grow(list(leaves), 0)
        self._size += len(leaves)

    def extend_tiles(self, roots: Sequence[bytes]) -> None:
        """Append whole tiles of level 0, each by the root over its leaves; no partial one may stand before them.

        These tiles are not among those that changed: their leaves are not known here.
        """
        if self._size % TILE_WIDTH:
            raise ValueError(f"a tree of {self._size} leaves does not end with a whole tile")
        self._grow(list(roots), TILE_BITS)
        self._size += len(roots) * TILE_WIDTH

    def _grow(self, nodes: list[bytes], level: int) -> None:
        """Append nodes of a level of the tree, all below it being complete."""
        while nodes:
            tile_level, within = divmod(level, TILE_BITS)
            if not within:
                self._fill(tile_level, nodes)
            waiting = self._open[level]
            if waiting:
                nodes.insert(0, waiting)
            self._open[level] = nodes[-1] if len(nodes) % 2 else b""
            nodes = hash_pairs(nodes)
            level += 1

    def take_dirty(self) -> list[Tile]:
        """Every tile that changed since the last call, full or partial, with its whole content, lowest level first."""
        tiles = [Tile(level, index, hashes) for (level, index), hashes in sorted(self._dirty.items())]
        self._dirty = {}
        return tiles

    def root(self) -> bytes:
        """Root of the tree; ``EMPTY_ROOT`` at size 0."""
        root = b""
        for subtree in self._open:
            if subtree:
                root = node_hash(subtree, root) if root else subtree
        return root or EMPTY_ROOT

    def copy(self) -> Edge:
        """An independent edge of the same tree, with the same changed tiles; costs no hash and copies no content."""
        edge = Edge()
        edge._size = self._size
        edge._open = self._open.copy()
        edge._partial = self._partial.copy()
        edge._dirty = self._dirty.copy()
        return edge

    def _fill(self, level: int, nodes: list[bytes]) -> None:
        """Put hashes into the tiles of a level, which the size does not count yet."""
        while level >= len(self._partial):
            self._partial.append(b"")
            self._open += [b""] * TILE_BITS
        content = self._partial[level] + b"".join(nodes)
        index = self._size >> TILE_BITS * (level + 1)
        start = 0
        while len(content) - start >= _TILE_BYTES:
            self._dirty[level, index] = content[start : start + _TILE_BYTES]
            start += _TILE_BYTES
            index += 1
        self._partial[level] = content[start:]
        if self._partial[level]:
            self._dirty[level, index] = self._partial[level]


def _index_and_width(index: int, width: int) -> str:
    if not 0 <= index < _INDEX_END or not 1 <= width <= TILE_WIDTH:
        raise InvalidPath(f"there is no tile with index {index} and width {width}")
    thousands, last = divmod(index, 1000)
    path = f"{last:03d}"
    while thousands:
        thousands, group = divmod(thousands, 1000)
        path = f"x{group:03d}/{path}"
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def _hashes_of(read: TileReader, ranges: list[tuple[int, int]]) -> list[bytes]:
    """Roots of the given subtrees. Each tile is read once, though several of the subtrees may lie in it."""
    tiles: dict[tuple[int, int], bytes] = {}
    proof = []
    for low, high in ranges:
        root = b""
        for left, right in reversed(complete_subtrees(low, high)):
            subtree = _subtree(read, tiles, left, right - left)
            root = node_hash(subtree, root) if root else subtree
        proof.append(root)
    return proof


def _tiles_of(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The tiles that ``_hashes_of`` reads for these ranges."""
    places = (_place(low, high - low) for span in ranges for low, high in complete_subtrees(*span))
    return list(dict.fromkeys((place.level, place.index) for place in places))


def _subtree(read: TileReader, tiles: dict[tuple[int, int], bytes], low: int, leaves: int) -> bytes:
    """Root of a complete subtree, out of the highest tile that holds it or its parts."""
    level, index, start, end = _place(low, leaves)
    tile = tiles.get((level, index), b"")
    if len(tile) < end * HASH_SIZE:
        tile = tiles[level, index] = _read(read, level, index, end)
    if level == 0 and len(tile) == _TILE_BYTES:
        return _reduce(tile, start, end)
    width = end - start
    return _subtrees(tile)[width.bit_length() - 1][start // width]


class _Place(NamedTuple):
    """Where the hashes of a complete subtree are: [start, end) of a tile."""

    level: int
    index: int  # type: ignore[assignment]  # hides tuple.index()
    start: int
    end: int


def _place(low: int, leaves: int) -> _Place:
    level, bit = divmod(leaves.bit_length() - 1, TILE_BITS)
    index, start = divmod(low >> TILE_BITS * level, TILE_WIDTH)
    return _Place(level, index, start, start + (1 << bit))


@lru_cache(maxsize=64)
def _subtrees(tile: bytes) -> list[list[bytes]]:
    """The roots of all complete subtrees over a tile's hashes, by their height: kept, for tiles that many proofs meet.

    Those above level 0 are few, as are those on the right edge, and each costs as many hashes as it holds.
    """
    levels = [[tile[at : at + HASH_SIZE] for at in range(0, len(tile), HASH_SIZE)]]
    while len(levels[-1]) > 1:
        levels.append(hash_pairs(levels[-1]))
    return levels


def _read(read: TileReader, level: int, index: int, width: int) -> bytes:
    """First ``width`` or more hashes of a tile, as stored."""
    tile = read(level, index)
    if len(tile) < width * HASH_SIZE:
        raise StoreError(
            f"tile {tile_path(level, index)} holds {len(tile)} bytes, the tree needs {width * HASH_SIZE} of it",
            advice="audit the ledger, then restore or rebuild its tiles from the entries",
        )
    return tile


def _reduce(tile: bytes, start: int, end: int) -> bytes:
    """Root over the hashes [start, end) of a tile, whose number is a power of two."""
    hashes = [tile[at : at + HASH_SIZE] for at in range(start * HASH_SIZE, end * HASH_SIZE, HASH_SIZE)]
    while len(hashes) > 1:
        hashes = hash_pairs(hashes)
    return hashes[0]
