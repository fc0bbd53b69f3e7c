"""The signer: signs checkpoints, and remembers the last one outside the store.

Owns ``last-checkpoint`` beside the signing keys, and the refusal to sign a tree that is smaller than, or inconsistent
with, the remembered one: a store that was rolled back as a whole is noticed here. Never reads entries. Which keys hold
is looked at anew under the lock each time: another process may have rotated them.

Order of effects: lock, level the keys, read memory, check consistency, sign, write memory durably, unlock, return. A
crash before the write leaves the old memory and no signature was given out; a crash after it leaves a memory of a
signature that nobody saw, of a tree that is durable already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import ForkError, ProofError, UnknownKey
from ledger.keys import Keys
from ledger.merkle import verify_consistency
from ledger.private_files import locked, read_private, write_private

Prove = Callable[[int, int], list[bytes]]


class Holding(Protocol):
    """Who knows which keys hold."""

    def level(self, signer: Signer) -> None:
        """Bring the keys to where the log has them; called with the lock held, before anything is read."""
        ...

    def check(self) -> None:
        """See that the keys may sign the tree as it stands. Raises ``KeyFileError``."""
        ...


class Signer:
    """Signs the checkpoints of one ledger with all its keys."""

    def __init__(self, keys: Keys, holding: Holding | None = None) -> None:
        """Without ``holding`` the keys hold, whatever the log says."""
        self._keys = keys
        self._holding = holding
        self._memory = keys.folder / "last-checkpoint"

    def remembered(self) -> tuple[Checkpoint, bytes] | None:
        """The last checkpoint that was signed and its note, or None. Raises ``SignatureError`` when it was altered."""
        try:
            return self._remembered()
        except UnknownKey:  # read without the lock, it may be by the keys that came between two looks
            return self._remembered()

    def _remembered(self) -> tuple[Checkpoint, bytes] | None:
        self._keys.refresh()
        if not self._memory.exists():
            return None
        note = read_private(self._memory)
        return open_checkpoint(note, self._keys.verifier_keys), note

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, so that nobody signs meanwhile."""
        with locked(self._keys.folder / ".signer.lock"):
            yield

    def remember(self, note: bytes) -> None:
        """Remember a signed checkpoint as the last, durably. With the lock held."""
        write_private(self._memory, note)

    def sign(self, tree: Callable[[], Checkpoint], prove: Prove) -> tuple[Checkpoint, bytes]:
        """Sign the tree as it stands once the lock is held; the same tree gives the same note again.

        ``tree`` gives the checkpoint to sign, ``prove`` a consistency proof between two sizes. Raises ``ForkError``,
        and ``KeyFileError`` when the log announces other keys than those here.
        """
        with self.locked():  # or two signers could both read an old memory
            if self._holding is not None:
                self._holding.level(self)
            last = self.remembered()
            current = tree()
            if last is not None:
                check_consistent(last[0], current, prove)
                if last[0].size == current.size:
                    return last
            if self._holding is not None:
                self._holding.check()
            note = sign_checkpoint(current, self._keys.signers)
            self.remember(note)
            return current, note


def check_consistent(last: Checkpoint, current: Checkpoint, prove: Prove) -> None:
    """Check that ``current`` extends ``last``. Raises ``ForkError`` naming both when it does not."""
    if current.size < last.size:
        raise ForkError(
            f"the store holds {current.size:,} entries, but a checkpoint of {last.size:,} was signed",
            advice="the store was rolled back or cut: restore it, and audit against the signed checkpoint",
        )
    try:
        if current.size == last.size:
            if current.root != last.root:
                raise ProofError("another root at the same size")
            return
        verify_consistency(last.size, current.size, last.root, current.root, prove(last.size, current.size))
    except ProofError as error:
        raise ForkError(
            f"the store does not extend the checkpoint signed at size {last.size:,}: {error}",
            advice="audit the store to find the first altered entry",
        ) from None
