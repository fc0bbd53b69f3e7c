"""Data keys in use: the key of each (member, stream), unwrapped on demand and kept for a while.

Owns the cache of opened keys: of their bytes, since a cipher made of one takes kilobytes, and longer to get the memory
for than to be made again. Never writes to the store itself: a fresh key is handed to the flush that needs it, which
writes it in the same transaction as the first disclosure under it. A cached key serves in views of one epoch only,
since an erasure deletes in the transaction that turns the epoch; it is dropped with ``forget`` when a transaction
fails. So nothing is sealed under a key that the store does not hold.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger import privacy
from ledger.entry import EventBody, decode
from ledger.errors import KeyFileError
from ledger.keys import Keys
from ledger.privacy import Opened
from ledger.store.protocol import Reads, Row, WrappedKey

CACHED_KEYS = 50_000
Pair = tuple[str, str]
_NONE: Mapping[int, AESGCM] = {}


class DataKeys:
    """Opens, makes and remembers data keys of one ledger. Safe for use from several threads."""

    def __init__(self, keys: Keys, origin: str) -> None:
        self._keys = keys
        self._origin = origin
        self._lock = threading.Lock()  # guards the two below
        self._epoch = 0  # of the head in the views that the cached keys are for
        self._opened: dict[Pair, bytes] = {}

    def load(self, reads: Reads, pairs: Collection[Pair], held: Mapping[int, AESGCM] = _NONE) -> dict[Pair, bytes]:
        """The keys of those pairs, opened; a pair that has none, or whose epoch key is destroyed, is left out.

        ``held`` are epoch keys had before the view began. Raises ``StoreError`` for a damaged one.
        """
        if not pairs:
            return {}
        epoch = reads.head().epoch
        cached = self._cached(epoch)
        keys = {pair: key for pair in pairs if (key := cached.get(pair)) is not None}
        found = reads.data_keys([pair for pair in pairs if pair not in keys])
        opened = {pair: key for pair, stored in found.items() if (key := self._open(stored, epoch, held)) is not None}
        self._keep(opened, epoch)
        return keys | opened

    def create(self, first: Mapping[Pair, int], epoch: int) -> tuple[dict[Pair, bytes], list[WrappedKey]]:
        """Fresh keys for those pairs, each with its first position: opened, and wrapped for the store under ``epoch``.

        Kept in the cache at once; ``forget`` them if the transaction that should store them fails.
        """
        keys: dict[Pair, bytes] = {}
        wrapped: list[WrappedKey] = []
        if not first:
            return keys, wrapped
        epoch_key = self._keys.epoch_key(epoch)
        secrets = privacy.drawn(privacy.KEY_SIZE, len(first))
        nonces = privacy.drawn(privacy.NONCE_SIZE, len(first))
        for pair, position in first.items():
            secret = keys[pair] = next(secrets)
            binding = privacy.key_binding(self._origin, *pair, epoch)
            sealed = privacy.wrap(epoch_key, secret, binding, next(nonces))
            wrapped.append(WrappedKey(position, *pair, epoch, sealed))
        self._keep(keys, epoch)
        return keys, wrapped

    def forget(self) -> None:
        """Drop all opened keys."""
        with self._lock:
            self._opened = {}

    def _cached(self, epoch: int) -> Mapping[Pair, bytes]:
        """The cache for views of an epoch: a later one than before empties it, and an older one has none."""
        with self._lock:
            if epoch > self._epoch:
                self._epoch, self._opened = epoch, {}
            return self._opened if epoch == self._epoch else {}

    def _open(self, stored: WrappedKey, epoch: int, held: Mapping[int, AESGCM]) -> bytes | None:
        try:
            epoch_key = held.get(stored.epoch) or self._keys.epoch_key(stored.epoch)
        except KeyFileError:
            if stored.epoch == epoch or self._keys.of_epochs.is_there(stored.epoch):
                raise  # damaged, exposed, or lost while in use: not the same as destroyed
            return None
        binding = privacy.key_binding(self._origin, stored.member, stored.stream, stored.epoch)
        return privacy.unwrap(epoch_key, stored.wrapped, binding)

    def _keep(self, keys: Mapping[Pair, bytes], epoch: int) -> None:
        self._cached(epoch)
        with self._lock:
            if epoch != self._epoch:
                return
            self._opened |= keys
            if (excess := len(self._opened) - CACHED_KEYS) > 0:
                for old in list(self._opened)[: excess + CACHED_KEYS // 10]:  # the oldest: dicts keep their order
                    del self._opened[old]

    def disclose(self, reads: Reads, rows: Sequence[Row], held: Mapping[int, AESGCM] = _NONE) -> list[dict[str, Any]]:
        """The private values of each row by name, as far as they still open; those gone are left out.

        Raises as ``opened`` does.
        """
        found = self.opened(reads, rows, held)
        return [{name: one.value for name, one in of_row.items()} for of_row in found]

    def opened(self, reads: Reads, rows: Sequence[Row], held: Mapping[int, AESGCM] = _NONE) -> list[dict[str, Opened]]:
        """The disclosures of each row by name, as far as they still open; those gone are left out.

        ``held`` are epoch keys had before the view began, so that none it needs is destroyed meanwhile. Raises
        ``StoreError`` for a disclosure that is damaged or does not match its commitment.
        """
        bodies = [decode(row.entry).event for row in rows]
        sealed = reads.disclosures([row.position for row, body in zip(rows, bodies, strict=True) if body.private])
        pairs = {pair_of(body) for row, body in zip(rows, bodies, strict=True) if row.position in sealed}
        keys = self.load(reads, pairs, held)
        return [
            self._opened_of(body, sealed.get(row.position), keys.get(pair_of(body)))
            for row, body in zip(rows, bodies, strict=True)
        ]

    def _opened_of(self, body: EventBody, sealed: bytes | None, key: bytes | None) -> dict[str, Opened]:
        if sealed is None or key is None:
            return {}
        commitments = body.commitments()
        bound_to = privacy.associated(self._origin, body.source, body.id, sorted(commitments))
        return privacy.matched(commitments, privacy.unseal(AESGCM(key), sealed, bound_to))


def pair_of(body: EventBody) -> Pair:
    """The (member, stream) whose data key seals an event's disclosures."""
    return body.member or "", body.stream
