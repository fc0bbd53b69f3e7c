"""The tree of one ledger and what is signed of it: the checkpoint as it stands, and proofs under it.

Owns the order in which a checkpoint is signed, kept in the store and thinned, the last one that was signed here, and
the comparison of the store with what was signed before. Never decides when to sign, and never appends.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from ledger import proof, proving, thinning
from ledger.checkpoint import Checkpoint
from ledger.errors import ForkError, NotFound, SignatureError, StoreError
from ledger.keys import Keys
from ledger.signer import Signer, check_consistent
from ledger.store.protocol import Store
from ledger.succession import Succession


class SignedTree:
    """Signs the tree that a store holds. Safe for use from several threads."""

    def __init__(
        self, store: Store, keys: Keys, signer: Signer, succession: Succession, refuse: Callable[[ForkError], None]
    ) -> None:
        """``refuse`` is told of a fork: nothing may be appended to one."""
        self._store = store
        self._keys = keys
        self._signer = signer
        self._succession = succession
        self._refuse = refuse
        self._lock = threading.Lock()  # guards the next
        self._signed: tuple[Checkpoint, bytes] | None = None
        self._extends = False  # what was signed, as far as it is known

    def current(self) -> Checkpoint:
        """The tree as it stands, unsigned. Raises ``StoreError`` if a tile holds too little."""
        with self._store.reading() as reads:
            return proving.current(reads, self._store.origin)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The consistency proof between two sizes. Raises as ``proving.consistency``."""
        with self._store.reading() as reads:
            return proving.consistency(reads, old, new)

    def sign(self) -> tuple[Checkpoint, bytes]:
        """The signed checkpoint of the tree as it stands: (content, note). Raises ``ForkError``."""
        try:
            current, note = self._signer.sign(self.current, self.consistency)
        except ForkError as fork:
            self._refuse(fork)
            raise
        kept = self._signed
        if kept is None or current.size != kept[0].size:
            self._store.add_checkpoint(current.size, note)
            self._thin(None if kept is None else kept[0].size, current.size)
            with self._lock:
                if self._signed is None or self._signed[0].size < current.size:
                    self._signed = current, note
        return current, note

    def _thin(self, before: int | None, size: int) -> None:
        """Thin the checkpoints of the block that the log has left since the last one that was signed here."""
        left = thinning.block_of(size - thinning.BLOCK if before is None else before)
        if 0 <= left < thinning.block_of(size):
            with contextlib.suppress(StoreError, SignatureError):  # what stays is more than is needed
                thinning.thin(self._store, left)

    def prove(self, position: int) -> bytes:
        """The tlog-proof of the entry at a position, under the current checkpoint. Raises ``NotFound``.

        While the log rests, that is the checkpoint that was signed last: nothing is signed or compared anew.
        """
        if (signed := self._signed) is not None:
            with self._store.reading() as reads:
                hashes = proving.inclusion_at_rest(reads, position, signed[0])
            if hashes is not None:
                return proof.format_proof(proof.Proof(position, hashes, signed[1], None))
        current, note = self.sign()
        if not 0 <= position < current.size:
            raise NotFound(f"there is no entry at position {position}; the log holds {current.size:,}")
        with self._store.reading() as reads:
            hashes = proving.inclusion(reads, position, current)
        return proof.format_proof(proof.Proof(position, hashes, note, None))

    def remembered(self) -> tuple[Checkpoint, bytes] | None:
        """The last checkpoint that was signed here, remembered outside the store."""
        return self._signer.remembered()

    @property
    def checked(self) -> bool:
        """Whether ``check_memory`` has nothing left to do."""
        return self._extends

    def check_memory(self) -> None:
        """See, once, that the store extends what was signed, by the keys here.

        Raises ``ForkError``, ``KeyFileError``.
        """
        if self._extends:
            return
        if not self._keys.turning:
            self._succession.check()
        remembered = self._signer.remembered()
        if remembered is not None:
            check_consistent(remembered[0], self.current(), self.consistency)
        self._extends = True
