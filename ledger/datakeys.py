"""Data keys in use: the key of each (member, stream), unwrapped on demand and kept for a while.

Owns the cache of opened keys. Never writes to the store itself: a fresh key is handed to the flush that needs it, which
writes it in the same transaction as the first disclosure under it. A cached key is dropped with ``forget`` when the
epoch turns or a transaction fails, so that nothing is sealed under a key that the store does not hold.
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
from ledger.store.protocol import Reads, Row, WrappedKey

CACHED_KEYS = 50_000
Pair = tuple[str, str]


class DataKeys:
    """Opens, makes and remembers data keys of one ledger. Safe for use from several threads."""

    def __init__(self, keys: Keys, origin: str) -> None:
        self._keys = keys
        self._origin = origin
        self._lock = threading.Lock()  # guards the cache
        self._opened: dict[Pair, AESGCM] = {}

    def load(self, reads: Reads, pairs: Collection[Pair]) -> dict[Pair, AESGCM]:
        """The keys of those pairs, opened; a pair that has none, or whose epoch key is destroyed, is left out.

        Raises ``StoreError`` for a damaged one.
        """
        keys = {pair: key for pair in pairs if (key := self._opened.get(pair)) is not None}
        found = reads.data_keys([pair for pair in pairs if pair not in keys])
        opened = {pair: key for pair, stored in found.items() if (key := self._open(reads, stored)) is not None}
        self._keep(opened)
        return keys | opened

    def create(self, first: Mapping[Pair, int], epoch: int) -> tuple[dict[Pair, AESGCM], list[WrappedKey]]:
        """Fresh keys for those pairs, each with its first position: opened, and wrapped for the store under ``epoch``.

        Kept in the cache at once; ``forget`` them if the transaction that should store them fails.
        """
        keys: dict[Pair, AESGCM] = {}
        wrapped: list[WrappedKey] = []
        secrets = privacy.drawn(privacy.KEY_SIZE, len(first))
        nonces = privacy.drawn(privacy.NONCE_SIZE, len(first))
        for pair, position in first.items():
            secret = next(secrets)
            keys[pair] = AESGCM(secret)
            binding = privacy.key_binding(self._origin, *pair, epoch)
            sealed = privacy.wrap(self._keys.epoch_key(epoch), secret, binding, next(nonces))
            wrapped.append(WrappedKey(position, *pair, epoch, sealed))
        self._keep(keys)
        return keys, wrapped

    def forget(self) -> None:
        """Drop all opened keys."""
        with self._lock:
            self._opened.clear()

    def _open(self, reads: Reads, stored: WrappedKey) -> AESGCM | None:
        try:
            epoch_key = self._keys.epoch_key(stored.epoch)
        except KeyFileError:
            if stored.epoch in self._keys.epochs() or stored.epoch == reads.head().epoch:
                raise  # damaged, exposed, or lost while in use: not the same as destroyed
            return None
        binding = privacy.key_binding(self._origin, stored.member, stored.stream, stored.epoch)
        return AESGCM(privacy.unwrap(epoch_key, stored.wrapped, binding))

    def _keep(self, keys: Mapping[Pair, AESGCM]) -> None:
        with self._lock:
            self._opened |= keys
            if (excess := len(self._opened) - CACHED_KEYS) > 0:
                for old in list(self._opened)[: excess + CACHED_KEYS // 10]:  # the oldest: dicts keep their order
                    del self._opened[old]

    def disclose(self, reads: Reads, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """The private values of each row by name, as far as they still open; those gone are left out.

        Raises ``StoreError`` for a disclosure that is damaged or does not match its commitment.
        """
        bodies = [decode(row.entry).event for row in rows]
        sealed = reads.disclosures([row.position for row, body in zip(rows, bodies, strict=True) if body.private])
        pairs = {pair_of(body) for row, body in zip(rows, bodies, strict=True) if row.position in sealed}
        keys = self.load(reads, pairs)
        return [
            self._values(body, sealed.get(row.position), keys.get(pair_of(body)))
            for row, body in zip(rows, bodies, strict=True)
        ]

    def _values(self, body: EventBody, sealed: bytes | None, key: AESGCM | None) -> dict[str, Any]:
        if sealed is None or key is None:
            return {}
        commitments = body.commitments()
        bound_to = privacy.associated(self._origin, body.source, body.id, sorted(commitments))
        return privacy.disclosed(commitments, privacy.unseal(key, sealed, bound_to))


def pair_of(body: EventBody) -> Pair:
    """The (member, stream) whose data key seals an event's disclosures."""
    return body.member or "", body.stream
