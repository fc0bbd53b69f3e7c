"""Publishing a log in a vault: checkpoint, tiles and, if wanted, entry bundles (c2sp.org/tlog-tiles).

Owns what is written in which order: tiles first, the checkpoint once all of them are durable, and only then are the
partial tiles removed that a full one replaces. So at any moment, and after a crash at any step, the vault holds a
checkpoint and all that it needs. What is there is not sent again. Never signs, and never asks a witness.

Invariant: a vault follows one history. What it holds already is compared first: another log's, a forked or a longer
publication is left as it is, and refused. Told to write *again*, it looks at the content of every object, and replaces
what is not the ledger's; a signed checkpoint of another history stays evidence all the same. Where no checkpoint
tells whose a place is, one of a few objects there has to be the ledger's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

from ledger.checkpoint import Checkpoint
from ledger.errors import (
    BadSignature,
    Conflict,
    ForkError,
    LedgerError,
    MalformedNote,
    NotFound,
    SignatureError,
    VerificationError,
)
from ledger.log import Log
from ledger.merkle import HASH_SIZE, leaf_hash
from ledger.note import MAX_NOTE_BYTES, parse_note
from ledger.tiles import TILE_WIDTH, InvalidPath, TileRef, entries_path, parse_bundle, parse_path, tile_path, tiles_at
from tools.vaults.protocol import Kind, Oversized, Vault

CHECKPOINT = "checkpoint"
"""The key of the checkpoint."""
SIGNED_TEXT = Kind("text/plain; charset=utf-8", "no-cache")
"""How the checkpoint is to be served: it changes."""
TILE = Kind("application/octet-stream", "public, max-age=31536000, immutable")
"""How tiles and bundles are to be served: they never change."""
SENDERS = 8
"""Threads that send tiles: a vault far away answers each of them late."""
_CHUNK = 256
_SAMPLE = 16
"""Objects that are looked at to find out whose a place is: of ours, few are damaged."""

Tick = Callable[[int, int | None], None]
"""Told how many objects are done, and of how many."""


class Stopped(LedgerError):
    """The publication was stopped between two objects; what it had sent is not sent again."""


class Published(NamedTuple):
    """What a publication came to: the size that is published now, and how many objects were written."""

    size: int
    files: int


class Publisher:
    """Keeps one vault at what a log's checkpoints say. Not for use from several threads at once.

    The first publication, and one after a failure, looks through the whole vault; those that follow only at its
    checkpoint.
    """

    def __init__(
        self,
        log: Log,
        vault: Vault,
        *,
        entries: bool,
        again: bool = False,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """``entries``: the entry bundles too, which hold no private value but everything else.

        ``again``: compare the content of what is there, at every publication, and write anew what is damaged.
        """
        self._log = log
        self._vault = vault
        self._entries = entries
        self._again = again
        self._stopping = stopping
        self._complete: int | None = None  # the size up to which the vault is known to hold everything

    def publish(self, checkpoint: Checkpoint, note: bytes, tick: Tick = lambda done, total: None) -> Published:
        """Bring the vault up to ``checkpoint``, whose signed ``note`` is published as it is.

        A vault that is ahead, at a later checkpoint of the same history, is left so. Raises ``Conflict`` for a vault
        with another log, ``ForkError`` for one with another history or a longer one than the log has,
        ``VaultError``, ``StoreError``, ``Stopped``, ``VerificationError`` for an entry that is not the one sealed.
        """
        there = self._there()
        before = 0 if there is None else self._published(there)
        size = checkpoint.size
        if there is not None and before > size:
            if not self._again:
                return Published(before, 0)
            size, note = before, there
        known, self._complete = self._complete, None  # a failure from here on leaves us knowing nothing
        wanted: Iterable[str] = self._paths(size, before)
        obsolete: Iterable[str] = self._replaced(size, before)  # looked up when it is removed
        if there is None and self._again:
            self._claim()
        if known != before or self._again:
            wanted, obsolete = self._compare(size)
        sent = self._send(wanted, tick)
        if there != (now := self._there()):  # another process published meanwhile, which took its time
            later = 0 if now is None else self._published(now)
            if later > size:
                return Published(later, sent)  # its partial tiles may have replaced ours
        if now != note:
            self._vault.put(CHECKPOINT, note, SIGNED_TEXT)
            sent += 1
        self._vault.remove(obsolete)
        self._complete = size
        return Published(size, sent)

    def _there(self) -> bytes | None:
        """The checkpoint in the vault, if there is one; a damaged one counts as none where it may be written again."""
        try:
            note = self._vault.get(CHECKPOINT, MAX_NOTE_BYTES)
        except Oversized:
            if self._again:
                return None
            raise
        if note is not None and self._again:
            try:
                self._log.key_history.open(note)
            except (MalformedNote, BadSignature):
                return None
            except SignatureError:
                pass  # it is somebody else's: refused like any publication of theirs
        return note

    def _claim(self) -> None:
        """See that a place without a checkpoint of anybody's is empty, or ours: something there is the ledger's."""
        paths = list(islice(self._vault.list("tile/"), _SAMPLE))
        if paths and not any(self._is_ours(path) for path in paths):
            raise Conflict(
                f"{self._vault.place} has no {CHECKPOINT} that can be read, "
                "and nothing that was looked at is this ledger's",
                advice="find out whose it is; publish to another place, or remove what is there",
            )

    def _is_ours(self, path: str) -> bool:
        try:
            return not self._differs(path, self._log.tile(path))
        except (InvalidPath, NotFound):  # no tile, or one of a larger log
            return False

    def _published(self, note: bytes) -> int:
        """The size of the publication in the vault, which is ours and of this history."""
        origin = _origin_of(note, self._vault.place)
        if origin != self._log.origin:
            raise Conflict(
                f"{self._vault.place} holds the log {origin}, not {self._log.origin}",
                advice="publish each log to a place of its own",
            )
        try:
            there = self._log.key_history.open(note)
        except SignatureError as fault:
            raise Conflict(
                f"{self._vault.place} holds a checkpoint that is not this ledger's: {fault}",
                advice="find out who wrote it; publish to another place, or remove what is there",
            ) from None
        size = self._log.head().size
        if there.size > size:
            raise ForkError(
                f"{self._vault.place} holds a publication of {there.size:,} entries, the ledger only {size:,}",
                advice="the ledger was rolled back or cut, or this is an old copy: restore it, and audit it since then",
            )
        if self._log.root(there.size) != there.root:
            raise ForkError(
                f"{self._vault.place} holds another history of {there.origin}: at size {there.size:,} the roots differ",
                advice="keep both checkpoints as evidence, and audit the ledger since the one in the vault",
            )
        return there.size

    def _paths(self, size: int, beyond: int = 0) -> Iterator[str]:
        """What a publication of a size has and one of the size ``beyond`` has not."""
        for tile in tiles_at(size, beyond):
            yield tile_path(tile.level or 0, tile.index, tile.width)
            if self._entries and tile.level == 0:
                yield entries_path(tile.index, tile.width)

    def _compare(self, size: int) -> tuple[list[str], list[str]]:
        """Look through the vault: what is missing for a size, and the partial tiles that full ones replace."""
        there = set(self._vault.list("tile/"))
        wanted = list(self._paths(size))
        whole = there.union(wanted)
        obsolete = [path for path in there if (full := _full_one(path)) is not None and full in whole]
        return wanted if self._again else [path for path in wanted if path not in there], obsolete

    def _replaced(self, size: int, before: int) -> Iterator[str]:
        """The partial tiles of publications up to ``before`` whose full one is there since: at most one a level."""
        for level, (old, new) in enumerate(_widths(before, size)):
            if old < new:
                yield from self._vault.list(f"{tile_path(level, old)}.p/")
                if self._entries and level == 0:
                    yield from self._vault.list(f"{entries_path(old)}.p/")

    def _send(self, paths: Iterable[str], tick: Tick) -> int:
        """Send tiles, in any order, and return once all of them are durable; how many there were."""
        total = len(paths) if isinstance(paths, list) else None
        left, sent, done = iter(paths), 0, 0
        with ThreadPoolExecutor(SENDERS, "publish") as senders:
            while chunk := list(islice(left, _CHUNK)):
                sent += sum(senders.map(self._send_one, chunk))
                done += len(chunk)
                tick(done, total)
        return sent

    def _send_one(self, path: str) -> int:
        if self._stopping():
            raise Stopped("the publication was stopped")
        content = self._log.tile(path)
        self._check_bundle(parse_path(path), content)
        if self._again:
            if not self._differs(path, content):
                return 0
            self._vault.put(path, content, TILE)
            return 1
        if self._vault.add(path, content, TILE):
            return 1
        if self._differs(path, content):
            raise Conflict(
                f"{self._vault.place} holds something else under {path} than the ledger",
                advice="find out who wrote it, or how it was damaged; then: continuity publish --again",
            )
        return 0

    def _differs(self, path: str, content: bytes) -> bool:
        """Whether the vault holds something else under a path."""
        try:
            return self._vault.get(path, len(content)) != content
        except Oversized:
            return True

    def _check_bundle(self, ref: TileRef, content: bytes) -> None:
        """See that the entries of a bundle are those whose hashes the tree has: what was published stays published.

        Does nothing for a tile. Raises ``VerificationError``.
        """
        if ref.level is not None:
            return
        hashes = self._log.tile(tile_path(0, ref.index, ref.width))
        for number, entry in enumerate(parse_bundle(content)):
            if leaf_hash(entry) != hashes[number * HASH_SIZE : (number + 1) * HASH_SIZE]:
                raise VerificationError(
                    f"the entry at position {ref.index * TILE_WIDTH + number} is not the one that was sealed",
                    advice="it is not published, nor is a checkpoint over it: continuity audit",
                )


def _origin_of(note: bytes, place: str) -> str:
    """The origin that a checkpoint claims, unverified."""
    try:
        return Checkpoint.parse(parse_note(note).text).origin
    except MalformedNote as fault:
        raise Conflict(
            f"{place} holds a {CHECKPOINT} that is none: {fault}", advice="publish to an empty place"
        ) from None


def _full_one(path: str) -> str | None:
    """The full tile or bundle that replaces a partial one; None for a full one, and for what is neither."""
    try:
        part = parse_path(path)
    except InvalidPath:
        return None
    if part.width == TILE_WIDTH:
        return None
    return entries_path(part.index) if part.level is None else tile_path(part.level, part.index)


def _widths(before: int, size: int) -> Iterator[tuple[int, int]]:
    """By level of tiles: how many full ones there are in the smaller and in the larger tree."""
    while size:
        before, size = before // TILE_WIDTH, size // TILE_WIDTH
        yield before, size
