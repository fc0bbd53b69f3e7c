"""The turning of an epoch: what was wrapped under the old epoch keys and deleted since can't be opened by anybody.

Owns the order of effects. To turn: lock, make the new epoch key durably, set the head's epoch in a write transaction,
unlock; every appender, in any process, wraps under the new key from that transaction on. To settle: re-wrap what
survives, a bounded page in each transaction; destroy each older key that nothing is wrapped under any more; scrub the
store's files. A crash leaves a key that was never used, or an epoch that is not settled yet: settling is idempotent,
and any process may do it. Never reads or writes an entry.

A long reader may keep the files from being scrubbed. The file ``scrub-due`` in the key folder stands from before the
turn until they are, whatever process dies meanwhile, and whoever has the ledger open tries again. A damaged data key
stops no other; but the older key that it is wrapped under stays until somebody says that it may go.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from ledger import privacy
from ledger.delay import Delay
from ledger.errors import Conflict, KeyFileError, LedgerError, StoreError
from ledger.keys import Keys
from ledger.private_files import locked, sync_folder, write_private
from ledger.store.protocol import Store, WrappedKey

REWRAPPED = 500
"""Data keys re-wrapped in one transaction: some milliseconds, for which appenders wait."""

SCRUBS = 12
"""How often settling tries to scrub, with ``SCRUB_PAUSE`` seconds between, before it leaves that to later."""
SCRUB_PAUSE = 0.25
SCRUB_AGAIN_SECONDS = 10.0
"""Pause before a scrub that was left to later is tried again."""
MAX_DAMAGED = 1000
"""More damaged data keys than this are rather one wrong epoch key."""
DUE = "scrub-due"
"""The file in the key folder that stands while the store's files may hold bytes of what was deleted."""

Progress = Callable[[int, int | None], None]
"""Told how many keys are re-wrapped, and of how many."""


class Standing(Struct, frozen=True, kw_only=True):
    """How the epochs stand: the current one, and data keys by the epoch that each is wrapped under."""

    epoch: int
    wrapped: dict[int, int]
    present: list[int]
    """The epochs whose keys are known to be there."""
    scrubbed: bool = True
    """Whether the store's files hold no bytes of what was deleted."""

    @property
    def settled(self) -> bool:
        """Whether no key of an older epoch is there any more, and the store's files are scrubbed."""
        return self.scrubbed and all(epoch >= self.epoch for epoch in self.present)


class Damaged(Struct, frozen=True, kw_only=True):
    """A data key that does not open under the key of its epoch."""

    epoch: int
    member: str
    stream: str

    def __str__(self) -> str:
        return f"the data key of {self.member or 'nobody'} in {self.stream}, epoch {self.epoch}"


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
    damaged: list[Damaged]
    """Data keys that don't open, for whose sake the key of their epoch was kept."""
    scrubbed: bool
    """Whether the store's files hold no bytes of what was deleted; if not, it is tried again later."""

    @property
    def effective(self) -> bool:
        """Whether what was deleted before the epoch turned can't be opened by any key that is left."""
        return not self.awaited and not self.damaged


class Epochs:
    """The epochs of one ledger. Safe for use from several threads and processes that share the key folder."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys.of_epochs
        self._lock_file = keys.folder / ".epoch.lock"
        self._due = keys.folder / DUE
        self._later = Delay(self._scrub_later)
        self._closed = False

    def standing(self) -> Standing:
        """How the epochs stand now."""
        with self._store.reading() as reads:
            return Standing(
                epoch=reads.head().epoch,
                wrapped=reads.key_counts(),
                present=self._keys.present(),
                scrubbed=not self.scrub_due,
            )

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
            write_private(self._due, b"")  # before anything is deleted: it is known, whoever dies now
            yield new

    def turn(self) -> int:
        """Begin a new epoch, and return its number; ``settle`` is then to be done. Raises as ``turning`` does."""
        with self.turning() as new:
            with self._store.writing() as writes:
                if writes.head().epoch != new - 1:
                    raise Conflict("another process turned the epoch", advice="let all share one key folder")
                writes.turn(new)
            return new

    def settle(self, progress: Progress = lambda done, total: None, *, give_up_damaged: bool = False) -> Settled:
        """Re-wrap what is wrapped under older keys, destroy those keys, and scrub the store. Appends go on meanwhile.

        An older key under which a damaged data key is wrapped stays, unless those are given up. Raises ``StoreError``
        (also where too many are damaged) and ``KeyFileError``; repeat it then.
        """
        rewrapped = 0
        while True:
            fresh, damaged = self._rewrap(progress)
            rewrapped += fresh
            with self._store.reading() as reads:
                epoch, wrapped = reads.head().epoch, reads.key_counts()
            older = self._keys.before(epoch)
            left = Counter(one.epoch for one in damaged)
            if all(wrapped.get(one, 0) <= left[one] for one in older):  # else the epoch has turned again meanwhile
                break
        kept = set() if give_up_damaged else {one for one in older if one in wrapped}
        destroyed = [one for one in older if one not in kept and self._keys.destroy(one)]
        return Settled(
            epoch=epoch,
            rewrapped=rewrapped,
            destroyed=destroyed,
            awaited=[one for one in older if one not in kept and one not in destroyed],
            lost={one: count for one, count in wrapped.items() if one < epoch and one not in kept},
            damaged=[one for one in damaged if one.epoch in kept],
            scrubbed=self._scrub(),
        )

    # --- The store's files -------------------------------------------------------------------------------------------

    @property
    def scrub_due(self) -> bool:
        """Whether the store's files may hold bytes of what was deleted."""
        return self._due.exists()

    def _scrub(self) -> bool:
        """Scrub the store's files, as soon as no reader stands in the way; False when that is left to later."""
        for attempt in range(SCRUBS):
            if attempt:
                time.sleep(SCRUB_PAUSE)
            if self._scrubbed():
                return True
        write_private(self._due, b"")
        self._later.start(SCRUB_AGAIN_SECONDS)
        return False

    def scrub_soon(self) -> None:
        """Try again in a while if a scrub is due, whoever left it undone."""
        if self.scrub_due:
            self._later.start(SCRUB_AGAIN_SECONDS)

    def scrub_if_due(self) -> None:
        """Try once to scrub what could not be scrubbed before. Raises ``StoreError`` and ``KeyFileError``."""
        if self.scrub_due:
            self._scrubbed()

    def _scrubbed(self) -> bool:
        """Try once to scrub; under the lock, so that nobody turns, and deletes, before it is no longer due."""
        with locked(self._lock_file):
            if not self._store.scrub():
                return False
            try:
                self._due.unlink(missing_ok=True)
                sync_folder(self._due.parent)
            except OSError as error:
                raise KeyFileError(f"{self._due} can't be removed: {error.strerror}") from error
            return True

    def _scrub_later(self) -> None:
        with suppress(LedgerError):  # it stays due
            self.scrub_if_due()
        if not self._closed and self.scrub_due:
            self._later.start(SCRUB_AGAIN_SECONDS)

    def close(self) -> None:
        """Try a last time to scrub what is due, and let go of the timer. Idempotent."""
        if not self._closed:
            self._closed = True
            self._later.cancel()
            with suppress(LedgerError):
                self.scrub_if_due()

    # --- Wrapping anew -----------------------------------------------------------------------------------------------

    def _rewrap(self, progress: Progress) -> tuple[int, list[Damaged]]:
        """Re-wrap page by page, and leave others as much time as it takes: how many, and those that don't open."""
        with self._store.reading() as reads:
            head, counts = reads.head(), reads.key_counts()
        total = sum(count for epoch, count in counts.items() if epoch < head.epoch)
        older: dict[int, AESGCM | None] = {}
        after: WrappedKey | None = None
        done, damaged = 0, list[Damaged]()
        while total:
            started = time.monotonic()
            with self._store.writing() as writes:
                epoch = writes.head().epoch
                page = writes.keys_before(epoch, after, REWRAPPED)
                fresh = [new for key in page if (new := self._rewrapped(key, epoch, older, damaged)) is not None]
                writes.rewrap(fresh)
            if not page:
                break
            done, after = done + len(fresh), page[-1]
            progress(done, total)
            time.sleep(time.monotonic() - started)
        return done, damaged

    def _rewrapped(
        self, key: WrappedKey, epoch: int, older: dict[int, AESGCM | None], damaged: list[Damaged]
    ) -> WrappedKey | None:
        """The key wrapped under the epoch's; None when its own epoch's key is not there, or when it is ``damaged``.

        ``older`` keeps the epoch keys once had.
        """
        if key.epoch not in older:
            older[key.epoch] = self._keys.key(key.epoch) if self._keys.is_there(key.epoch) else None
        epoch_key = older[key.epoch]
        if epoch_key is None:
            return None
        origin = self._store.origin
        before = privacy.key_binding(origin, key.member, key.stream, key.epoch)
        try:
            data_key = privacy.unwrap(epoch_key, key.wrapped, before)
        except StoreError:
            damaged.append(Damaged(epoch=key.epoch, member=key.member, stream=key.stream))
            if len(damaged) > MAX_DAMAGED:
                raise StoreError(
                    f"more than {MAX_DAMAGED:,} data keys don't open, the first of them {damaged[0]}",
                    advice=f"if the key of epoch {key.epoch} was replaced, bring back the right one; then repeat it",
                ) from None
            return None
        binding = privacy.key_binding(origin, key.member, key.stream, epoch)
        return key._replace(epoch=epoch, wrapped=privacy.wrap(self._keys.key(epoch), data_key, binding))
