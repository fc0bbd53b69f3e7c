"""Whether a publication is what its signed checkpoint says: every tile and, if there are any, every entry bundle.

Owns the walk over what the checkpoint claims, and which object is to blame where two don't agree. From the root, which
is signed, each tile is checked by the hash that the tile above it holds; where that one is itself at fault, what lies
below is taken for it if that proves to be what was signed. So one damaged object is one fault, wherever it is. Needs
nothing but the objects and the checkpoint, opened: never a ledger, never a key. Changes nothing.

Invariant: of a tree of any size it holds a tile a level, and what was found on 256 tiles.
Source: https://c2sp.org/tlog-tiles, which lets a full tile stand in for a partial one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Literal, NamedTuple

from ledger.checkpoint import Checkpoint
from ledger.errors import ForkError, NotFound, ProofError, VerificationError
from ledger.merkle import HASH_SIZE, leaf_hashes, root_of, verify_consistency
from ledger.note import MAX_NOTE_BYTES
from ledger.tiles import (
    MAX_ENTRY_BYTES,
    TILE_BITS,
    TILE_WIDTH,
    consistency_proof,
    edge_tiles,
    entries_path,
    parse_bundle,
    partial_width,
    root_at,
    tile_path,
)
from tools.publish import CHECKPOINT, Tick
from tools.vaults.protocol import Oversized, Reader

READERS = 4
"""Threads that fetch and hash: each may hold a bundle of 256 entries of 64 KiB."""
ENTRIES = -1
"""The level of the entry bundles: below that of the lowest tiles."""
_UNSIGNED = "it is not what was signed"
_UNLIKE = "it and what lies below it do not agree"


class Found(NamedTuple):
    """An object at fault: ``missing``, of another ``size`` or form than it must have, or one that ``differs``.

    ``detail`` says in words what is wrong with it.
    """

    path: str
    fault: Literal["missing", "size", "differs"]
    detail: str


class _Object(NamedTuple):
    """A tile or a bundle: its place in the tree, and its number of hashes or entries."""

    level: int
    index: int  # type: ignore[assignment]  # hides tuple.index(), which nobody asks of three fields
    width: int

    @property
    def path(self) -> str:
        """Where it is published."""
        if self.level == ENTRIES:
            return entries_path(self.index, self.width)
        return tile_path(self.level, self.index, self.width)

    @property
    def most(self) -> int:
        """The bytes that it may have."""
        return self.width * (MAX_ENTRY_BYTES + 2 if self.level == ENTRIES else HASH_SIZE)

    def proves(self, hashes: bytes, expected: bytes) -> bool:
        """Whether these hashes are its own, by what the object above has: a bundle's one by one, else their root."""
        if not hashes or self.level == ENTRIES:
            return bool(hashes) and hashes == expected
        return _root(hashes) == expected


class _Got(NamedTuple):
    """What was fetched of an object: its hashes, or those of its entries; or none, and why."""

    hashes: bytes
    found: Found | None


def fetch_checkpoint(reader: Reader) -> bytes:
    """The signed checkpoint of a publication. Raises ``NotFound`` where there is none, ``VaultError``."""
    note = reader.get(CHECKPOINT, MAX_NOTE_BYTES)
    if note is None:
        raise NotFound(
            f"{reader.place} holds no publication: there is no {CHECKPOINT}",
            advice="see that it is the place that was published to; if it was removed there, publish again",
        )
    return note


def has_entries(reader: Reader, size: int) -> bool:
    """Whether entry bundles are published too: the first or the last of them is there."""
    last = (size - 1) // TILE_WIDTH
    ends = [_Object(ENTRIES, index, min(TILE_WIDTH, size - index * TILE_WIDTH)) for index in {0, last} if size]
    got = [_fetch(reader, one).found for one in ends]
    return any(found is None or found.fault != "missing" for found in got)


def check_extends(reader: Reader, kept: Checkpoint, published: Checkpoint) -> None:
    """See that what is published extends the checkpoint that somebody kept. Raises ``ForkError``, ``VaultError``.

    Of a larger one, to be asked once all tiles were found to be right: the proof is taken from them.
    """
    if published.size < kept.size:
        raise ForkError(
            f"{reader.place} holds {published.size:,} entries, the checkpoint that you kept {kept.size:,}",
            advice="it was set back, or is an old copy: ask its operator for the newest, and keep both checkpoints",
        )
    if kept.size == 0:
        return

    def read(level: int, index: int) -> bytes:
        width = min(TILE_WIDTH, (published.size >> TILE_BITS * level) - index * TILE_WIDTH)
        return _fetch(reader, _Object(level, index, width)).hashes

    try:
        proof = consistency_proof(read, kept.size, published.size)
        verify_consistency(kept.size, published.size, kept.root, published.root, proof)
    except ProofError as fault:
        raise ForkError(
            f"{reader.place} holds another history than the checkpoint that you kept: {fault}",
            advice="keep both checkpoints: together they prove that the log has two histories",
        ) from None


class PublicationCheck:
    """One check of one publication."""

    def __init__(self, reader: Reader, checkpoint: Checkpoint, *, entries: bool) -> None:
        """``entries``: there have to be entry bundles too."""
        self._reader = reader
        self._checkpoint = checkpoint
        self._entries = entries
        self.objects = count_objects(checkpoint.size, entries=entries)
        """Tiles and bundles that there have to be."""

    def run(self, found: Callable[[Found], None], tick: Tick = lambda done, total: None) -> int:
        """Fetch and check everything; ``found`` is told of each object at fault. How many there were.

        Raises ``VaultError`` where nothing can be said of an object.
        """
        faults = 0
        with ThreadPoolExecutor(READERS, "check") as self._readers:
            for done, fault in enumerate(self._walk(), 1):
                if fault is not None:
                    faults += 1
                    found(fault)
                tick(min(done, self.objects), self.objects)
        return faults

    # --- From the root down ------------------------------------------------------------------------------------------

    def _walk(self) -> Iterator[Found | None]:
        """A fault or None for each object: the partial tiles, which make the root, and all below them."""
        size = self._checkpoint.size
        edge = [_Object(level, index, partial_width(size, level)) for level, index in edge_tiles(size)]
        got = [_fetch(self._reader, one) for one in edge]
        signed = self._signed(edge, [[each.hashes] for each in got])
        made = [b""] * len(edge)
        if signed is None:
            made = [self._made(one) for one in edge]
            signed = self._signed(edge, [[each.hashes, other] for each, other in zip(got, made, strict=True)])
        if signed is None:
            yield from self._unproven(edge, got, made)
            return
        for one, each, hashes in zip(edge, got, signed, strict=True):
            yield None if each.hashes == hashes else each.found or Found(one.path, "differs", _UNSIGNED)
            yield from self._below(one, hashes, "")

    def _unproven(self, edge: Sequence[_Object], got: Sequence[_Got], made: Sequence[bytes]) -> Iterator[Found | None]:
        """The walk where nothing makes the signed root: what disagrees or else what nothing speaks for is to blame."""
        faults = [
            each.found or (Found(one.path, "differs", _UNLIKE) if other not in (b"", each.hashes) else None)
            for one, each, other in zip(edge, got, made, strict=True)
        ]
        alone = [one for one, other, fault in zip(edge, made, faults, strict=True) if not other and fault is None]
        if alone:
            detail = _UNSIGNED if len(alone) == 1 and not any(faults) else "nothing proves it while others are at fault"
            faults = [
                Found(one.path, "differs", detail) if one in alone else fault
                for one, fault in zip(edge, faults, strict=True)
            ]
        elif not any(faults):
            yield Found(CHECKPOINT, "differs", "all tiles agree with each other, and not with its root")
        for one, each, other, fault in zip(edge, got, made, faults, strict=True):
            yield self._hiding(one, fault)
            yield from self._below(one, each.hashes or other, one.path)

    def _hiding(self, one: _Object, fault: Found | None) -> Found | None:
        """The fault of an object for which nothing below it stands in."""
        if fault is None or not self._parts(one):
            return fault
        return fault._replace(detail=f"{fault.detail}; not all below it can be checked until it is mended")

    def _check(self, one: _Object, expected: bytes, doubt: str) -> Iterator[Found | None]:
        """A fault or None for an object and all below it.

        ``expected`` is what the object above has of it, empty if that one is not there; ``doubt`` names the object
        above that is itself not proven, and is empty where all are.
        """
        got = _fetch(self._reader, one)
        hashes, fault = got.hashes, got.found
        if not one.proves(hashes, expected):
            made = self._made(one)
            if one.proves(made, expected):
                hashes, fault = made, fault or _differs(one, hashes, expected, doubt)
            else:
                hashes = hashes or made
                if fault is None and (expected or made not in (b"", hashes)):
                    fault = _differs(one, hashes, expected, doubt)
                doubt = one.path
                fault = self._hiding(one, fault)
        yield fault
        yield from self._below(one, hashes, doubt)

    def _below(self, one: _Object, hashes: bytes, doubt: str) -> Iterator[Found | None]:
        """What comes of the objects below one with these hashes."""
        below = self._parts(one)
        expected = (hashes,) if one.level == 0 else [hashes[at : at + HASH_SIZE] for at in _starts(one.width)]
        pairs = zip(below, expected, strict=False)
        if one.level == 1:  # here are the many: each of them with its bundle at most
            for all_of in self._readers.map(lambda pair: list(self._check(pair[0], pair[1], doubt)), list(pairs)):
                yield from all_of
        else:
            for each, its in pairs:
                yield from self._check(each, its, doubt)

    # --- From below up -----------------------------------------------------------------------------------------------

    def _parts(self, one: _Object) -> list[_Object]:
        """What the hashes of an object are made from: the full tiles under a tile, or the bundle beside it."""
        if one.level == ENTRIES or (one.level == 0 and not self._entries):
            return []
        if one.level == 0:
            return [_Object(ENTRIES, one.index, one.width)]
        first = one.index * TILE_WIDTH
        return [_Object(one.level - 1, index, TILE_WIDTH) for index in range(first, first + one.width)]

    def _made(self, one: _Object) -> bytes:
        """The hashes of an object as what lies below makes them; empty where that can't be told."""
        parts = self._parts(one)
        # At level 0 this is a thread of the pool already, which must not wait for another of them.
        return _joined(self._readers.map(self._part, parts) if one.level > 0 else map(self._part, parts))

    def _part(self, one: _Object) -> bytes:
        """What an object gives to the one above it; empty where that can't be told."""
        hashes = _fetch(self._reader, one).hashes
        if one.level == ENTRIES:
            return hashes
        hashes = hashes or _joined(map(self._part, self._parts(one)))
        return _root(hashes) if hashes else b""

    def _signed(self, edge: Sequence[_Object], choices: Sequence[Sequence[bytes]]) -> list[bytes] | None:
        """Of these hashes for each partial tile, those that make the signed root; None if none do."""
        for chosen in product(*choices):
            if all(len(hashes) == one.width * HASH_SIZE for one, hashes in zip(edge, chosen, strict=True)):
                held = {(one.level, one.index): hashes for one, hashes in zip(edge, chosen, strict=True)}
                if root_at(lambda *place, held=held: held[place], self._checkpoint.size) == self._checkpoint.root:
                    return list(chosen)
        return None


def count_objects(size: int, *, entries: bool) -> int:
    """How many tiles, and bundles if wanted, a publication of so many entries consists of."""
    objects = -(-size // TILE_WIDTH) if entries else 0
    while size:
        objects += -(-size // TILE_WIDTH)
        size //= TILE_WIDTH
    return objects


def _fetch(reader: Reader, one: _Object) -> _Got:
    """An object, or what stands in for it: a partial one goes once the full one is there."""
    full = one._replace(width=TILE_WIDTH)
    for at in dict.fromkeys((one, full)):
        try:
            content = reader.get(at.path, at.most)
        except Oversized:
            return _Got(b"", Found(at.path, "size", f"it has more than {at.most:,} bytes"))
        if content is not None:
            return _read(at, content, one.width)
    return _Got(b"", Found(one.path, "missing", "it is not there"))


def _read(one: _Object, content: bytes, width: int) -> _Got:
    """The hashes of an object as it lies there, of which so many are wanted."""
    if one.level != ENTRIES:
        if len(content) != one.most:
            return _Got(b"", Found(one.path, "size", f"it has {len(content):,} bytes, not {one.most:,}"))
        return _Got(content[: width * HASH_SIZE], None)
    try:
        entries = parse_bundle(content)
    except VerificationError as error:
        return _Got(b"", Found(one.path, "size", str(error)))
    if len(entries) != one.width:
        return _Got(b"", Found(one.path, "size", f"it has {len(entries):,} entries, not {one.width:,}"))
    return _Got(b"".join(leaf_hashes(entries[:width])), None)


def _differs(one: _Object, hashes: bytes, expected: bytes, doubt: str) -> Found:
    """The fault of an object that is not what the tree has; ``doubt`` names what above it is itself not proven."""
    detail = _UNSIGNED
    if one.level == ENTRIES:
        place = next(
            (at for at in _starts(one.width) if hashes[at : at + HASH_SIZE] != expected[at : at + HASH_SIZE]), 0
        )
        position = one.index * TILE_WIDTH + place // HASH_SIZE
        detail = f"its entry at position {position:,} is not the one that the tree has"
    elif not expected:
        detail = _UNLIKE
    elif doubt:
        detail = "it is not what the tile above it says"
    return Found(one.path, "differs", f"{detail}; {doubt} is not proven itself" if doubt else detail)


def _joined(parts: Iterable[bytes]) -> bytes:
    """Hashes put together; none if one of them is not known."""
    known = list(parts)
    return b"".join(known) if all(known) else b""


def _root(hashes: bytes) -> bytes:
    return root_of([hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)])


def _starts(width: int) -> range:
    return range(0, width * HASH_SIZE, HASH_SIZE)
