"""The turning of an epoch: what was wrapped under the old epoch keys and deleted since can't be opened by anybody.

Owns the order of effects. To turn: lock, make the new epoch key durably, set the head's epoch in a write transaction,
unlock; every appender, in any process, wraps under the new key from that transaction on. To settle: re-wrap what
survives, a bounded page in each transaction; destroy each older key that nothing is wrapped under any more; scrub the
store's files. A crash leaves a key that was never used, or an epoch that is not settled yet: settling is idempotent,
and any process may do it. Never reads or writes an entry.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from ledger import privacy
from ledger.errors import Conflict
from ledger.keys import Keys
from ledger.private_files import locked
from ledger.store.protocol import Store, WrappedKey

REWRAPPED = 500
"""Data keys re-wrapped in one transaction: some milliseconds, for which appenders wait."""

Progress = Callable[[int, int | None], None]
"""Told how many keys are re-wrapped, and of how many."""


class Standing(Struct, frozen=True, kw_only=True):
    """How the epochs stand: the current one, and data keys by the epoch that each is wrapped under."""

    epoch: int
    wrapped: dict[int, int]
    present: list[int]
    """The epochs whose keys are known to be there."""

    @property
    def settled(self) -> bool:
        """Whether no key of an older epoch is there any more."""
        return all(epoch >= self.epoch for epoch in self.present)


class Settled(Struct, frozen=True, kw_only=True):
    """What came of settling."""

    epoch: int
    rewrapped: int
    destroyed: list[int]
    """Older epochs whose keys were destroyed now."""
    awaited: list[int]
    """Older epochs whose keys are the operator's to destroy, where they keep them."""
    lost: dict[int, int]
    """Data keys by older epoch whose key is not there: they can't be opened, nor re-wrapped."""

    @property
    def effective(self) -> bool:
        """Whether what was deleted before the epoch turned can't be opened by any key that is left."""
        return not self.awaited


class Epochs:
    """The epochs of one ledger. Safe for use from several threads and processes that share the key folder."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys.of_epochs
        self._lock_file = keys.folder / ".epoch.lock"

    def standing(self) -> Standing:
        """How the epochs stand now."""
        with self._store.reading() as reads:
            return Standing(epoch=reads.head().epoch, wrapped=reads.key_counts(), present=self._keys.present())

    def unsettled(self) -> list[int]:
        """The older epochs whose keys are still there: ``settle`` is to be done, or the operator to destroy them."""
        with self._store.reading() as reads:
            epoch = reads.head().epoch
        return self._keys.before(epoch)

    @contextmanager
    def turning(self) -> Iterator[int]:
        """Hold the lock for a turn, and make the key of the next epoch, which whoever asked then sets in the head.

        Raises ``KeyFileError`` when the key is the operator's to make and is not there.
        """
        with locked(self._lock_file):
            with self._store.reading() as reads:
                new = reads.head().epoch + 1
            self._keys.make(new)
            yield new

    def turn(self) -> int:
        """Begin a new epoch, and return its number; ``settle`` is then to be done. Raises as ``turning`` does."""
        with self.turning() as new:
            with self._store.writing() as writes:
                if writes.head().epoch != new - 1:
                    raise Conflict("another process turned the epoch", advice="let all share one key folder")
                writes.turn(new)
            return new

    def settle(self, progress: Progress = lambda done, total: None) -> Settled:
        """Re-wrap what is wrapped under older keys, destroy those keys, and scrub the store. Appends go on meanwhile.

        Raises ``StoreError`` and ``KeyFileError``; repeat it then.
        """
        rewrapped = 0
        while True:
            rewrapped += self._rewrap(progress)
            with self._store.reading() as reads:
                epoch, wrapped = reads.head().epoch, reads.key_counts()
            older = self._keys.before(epoch)
            if not any(one in wrapped for one in older):  # else the epoch has turned again meanwhile
                break
        destroyed = [one for one in older if self._keys.destroy(one)]
        self._store.scrub()
        return Settled(
            epoch=epoch,
            rewrapped=rewrapped,
            destroyed=destroyed,
            awaited=[one for one in older if one not in destroyed],
            lost={one: count for one, count in wrapped.items() if one < epoch},
        )

    def _rewrap(self, progress: Progress) -> int:
        """Re-wrap page by page, and leave others as much time as it takes."""
        with self._store.reading() as reads:
            head, counts = reads.head(), reads.key_counts()
        total = sum(count for epoch, count in counts.items() if epoch < head.epoch)
        older: dict[int, AESGCM | None] = {}
        after: WrappedKey | None = None
        done = 0
        while total:
            started = time.monotonic()
            with self._store.writing() as writes:
                epoch = writes.head().epoch
                page = writes.keys_before(epoch, after, REWRAPPED)
                fresh = [new for key in page if (new := self._rewrapped(key, epoch, older)) is not None]
                writes.rewrap(fresh)
            if not page:
                break
            done, after = done + len(fresh), page[-1]
            progress(done, total)
            time.sleep(time.monotonic() - started)
        return done

    def _rewrapped(self, key: WrappedKey, epoch: int, older: dict[int, AESGCM | None]) -> WrappedKey | None:
        """The key wrapped under the epoch's; None when its own epoch's key is not there. ``older`` keeps those had."""
        if key.epoch not in older:
            older[key.epoch] = self._keys.key(key.epoch) if self._keys.is_there(key.epoch) else None
        epoch_key = older[key.epoch]
        if epoch_key is None:
            return None
        origin = self._store.origin
        before = privacy.key_binding(origin, key.member, key.stream, key.epoch)
        data_key = privacy.unwrap(epoch_key, key.wrapped, before)
        binding = privacy.key_binding(origin, key.member, key.stream, epoch)
        return key._replace(epoch=epoch, wrapped=privacy.wrap(self._keys.key(epoch), data_key, binding))
