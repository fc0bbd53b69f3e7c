"""Roots and proofs of the tree as a store holds it: what is read for each, in as few exchanges as there can be.

Owns the choice of tiles that are fetched together. Proofs of inclusion are verified before they are given out, so that
a checkpoint signed earlier can be used as long as the log rests: what does not verify under it is not given out under
it. Never signs, and never writes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger import tiles
from ledger.checkpoint import Checkpoint
from ledger.errors import NotFound, ProofError, StoreError
from ledger.merkle import HASH_SIZE, verify_inclusion
from ledger.store.protocol import Reads, Selection


def current(reads: Reads, origin: str) -> Checkpoint:
    """The tree as it stands. Raises ``StoreError`` if a tile holds too little."""
    size = reads.head().size
    return Checkpoint(origin, size, tiles.root_at(_fetched(reads, tiles.edge_tiles(size)), size))


def root(reads: Reads, size: int) -> bytes:
    """The root of the tree at a size. Raises ``NotFound`` above the log's size."""
    held = reads.head().size
    if not 0 <= size <= held:
        raise NotFound(f"the log holds {held:,} entries, not {size:,}")
    return tiles.root_at(_fetched(reads, tiles.edge_tiles(size)), size)


def consistency(reads: Reads, old: int, new: int) -> list[bytes]:
    """The proof between two sizes. Raises ``NotFound`` above the log's size, ``ProofError`` unless 1 <= old <= new."""
    held = reads.head().size
    if new > held:
        raise NotFound(f"the log holds {held:,} entries, not {new:,}")
    return tiles.consistency_proof(_fetched(reads, tiles.consistency_tiles(old, new)), old, new)


def path(reads: Reads, position: int, size: int) -> list[bytes]:
    """The proof of the leaf at a position of the tree of a size, as it is stored. Raises as ``tiles`` does."""
    return tiles.inclusion_proof(_fetched(reads, tiles.inclusion_tiles(position, size)), position, size)


def inclusion(reads: Reads, position: int, checkpoint: Checkpoint) -> tuple[bytes, ...]:
    """The proof of the leaf at a position of a checkpoint's tree.

    Raises ``ProofError`` when what is stored does not prove it, ``StoreError`` if a tile holds too little.
    """
    index, at = divmod(position, tiles.TILE_WIDTH)
    read = _fetched(reads, [(0, index), *tiles.inclusion_tiles(position, checkpoint.size)])
    proof = tuple(tiles.inclusion_proof(read, position, checkpoint.size))
    leaf = read(0, index)[at * HASH_SIZE : (at + 1) * HASH_SIZE]
    verify_inclusion(position, checkpoint.size, leaf, proof, checkpoint.root)
    return proof


def inclusion_at_rest(reads: Reads, position: int, checkpoint: Checkpoint) -> tuple[bytes, ...] | None:
    """As ``inclusion``, if the checkpoint is that of the whole log as it stands and the proof verifies; else None."""
    if reads.head().size != checkpoint.size or not 0 <= position < checkpoint.size:
        return None
    try:
        return inclusion(reads, position, checkpoint)
    except (ProofError, StoreError):  # whoever begins anew finds out what it is
        return None


def _fetched(reads: Reads, wanted: Sequence[tuple[int, int]]) -> tiles.TileReader:
    """A reader of these tiles, all fetched now."""
    wanted = list(dict.fromkeys(wanted))
    found = dict(zip(wanted, reads.tiles(wanted), strict=True))
    return lambda level, index: found[level, index]


def tile(reads: Reads, path: str) -> bytes:
    """The content of a tile or entry bundle by its path. Raises ``InvalidPath``, ``NotFound``."""
    wanted = tiles.parse_path(path)
    missing = NotFound(f"there is no {path} in a log of {reads.head().size:,} entries")
    if wanted.level is None:
        first = wanted.index * tiles.TILE_WIDTH
        rows = reads.rows(Selection(first, first + wanted.width - 1), wanted.width)
        if len(rows) < wanted.width:
            raise missing
        return tiles.format_bundle(row.entry for row in rows)
    hashes = reads.tile(wanted.level, wanted.index)
    if len(hashes) < wanted.width * HASH_SIZE:
        raise missing
    return hashes[: wanted.width * HASH_SIZE]
