"""The succession of a ledger's signing keys: new ones are made, announced in the log by old and new, and take over.

Owns which keys hold, as the log has it, and the order of effects. To rotate: lock the signer, write the new seeds aside
durably, append ``ledger.key_rotated`` signed by old and new, sign the *bridge* (the tree that ends in this entry) with
old and new, remember it and keep it in the store, overwrite the old seeds with the new, unlock. Nobody signs
meanwhile. A crash before the commit leaves seeds that nobody ever heard of; after it, whoever signs next, in any
process, finishes: what the log announces decides. Never signs a checkpoint with a key that the log does not announce at
that size.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from ledger import tiles
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.entry import FORMAT_VERSION, LEDGER_STREAM
from ledger.errors import Conflict, Denied, KeyFileError
from ledger.event import Credential
from ledger.flush import Receipt
from ledger.key_history import KeyHistory
from ledger.keys import Keys
from ledger.note import Signer as Key
from ledger.note import VerifierKey
from ledger.request import Late
from ledger.rotation import TYPE, Rotation, is_rotation
from ledger.signer import Signer, check_consistent
from ledger.store.protocol import PAGE, Reads, Row, Selection, Store


class Announced(NamedTuple):
    """The keys that hold as the log has it, for trees of ``size`` leaves and more."""

    size: int
    keys: tuple[VerifierKey, ...]


class Append(Protocol):
    """Appends an event that is made late, as the ledger itself."""

    def __call__(self, late: Late) -> Receipt:
        """Append it, durably."""
        ...


class Succession:
    """The signing keys of one ledger, and how they follow each other. Safe for several threads and processes."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._known: Announced | None = None  # replaced as a whole

    # --- Which keys hold ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """See that the keys here are those that the log announces. Raises ``KeyFileError``.

        A store on this machine is asked once: whoever rotates its keys does it in this folder, as ``level`` sees.
        """
        known = self._known
        if self._store.local and known is not None and known.keys == self._keys.verifier_keys:
            return
        announced = self._announced()
        if announced is None or announced.keys == self._keys.verifier_keys:
            return
        raise KeyFileError(
            f"the signing keys in {self._keys.folder} are not those that the log announces at position "
            f"{announced.size - 1:,}, so nothing is signed with them",
            advice="the keys were rotated by a process with another key folder: bring that folder here",
        )

    def level(self, signer: Signer) -> None:
        """Take over seeds that another process replaced, and end a rotation that was interrupted.

        With the signer's lock held. Raises ``KeyFileError``, ``StoreError``, and ``ForkError`` when the store does not
        extend what was signed.
        """
        self._keys.refresh()
        if self._keys.turning:
            self._end(signer)

    def _announced(self) -> Announced | None:
        """The keys that hold; None in a log without entries. Each rotation is read once."""
        known = self._known
        first = 0 if known is None else known.size
        with self._store.reading() as reads:
            if known is None:
                known = _first(reads)
            for row in reads.rows(Selection(first, stream=LEDGER_STREAM, type=TYPE)):
                known = Announced(row.position + 1, Rotation.of_entry(row.entry).keys)
        self._known = known
        return known

    def _announced_since(self, size: int) -> Announced | None:
        """The same from all entries from a position on, none left out by an index that fails; None if there is none."""
        found: Announced | None = None
        with self._store.reading() as reads:
            while rows := reads.rows(Selection(size)):
                for row in rows:
                    if is_rotation(row.entry):
                        found = Announced(row.position + 1, Rotation.of_entry(row.entry).keys)
                if len(rows) < PAGE:
                    break
                size = rows[-1].position + 1
        return found

    # --- Rotating ----------------------------------------------------------------------------------------------------

    def rotate(self, signer: Signer, reason: str, credential: Credential, time: str, append: Append) -> Receipt:
        """Make new keys and let them take over; ``time`` is the event's.

        Raises ``Denied`` but for an owner, ``Conflict`` when another rotation was quicker. Whatever else it raises, the
        old keys hold, or the new ones do: ``level`` finds out which.
        """
        if credential.role != "owner":
            raise Denied(f"only an owner rotates keys, and credential {credential.id} has the role {credential.role}")
        expected = self._keys.verifier_keys
        with signer.locked():
            self.level(signer)
            self.check()
            if self._keys.verifier_keys != expected:
                raise Conflict("the keys were rotated meanwhile", advice="look at them anew, and rotate if need be")
            old, new = self._keys.signers, self._keys.make_next()

            def late(position: int, root: bytes) -> bytes:
                rotation = Rotation(position, root, reason, _public(old), _public(new)).signed((*old, *new))
                return _event(f"key-rotated-{secrets.token_hex(16)}", TYPE, time, rotation.data())

            try:
                return append(late)
            finally:
                self._end(signer)

    def _end(self, signer: Signer) -> None:
        """End a rotation that was begun: by the new keys if the log announces them, else as if it had not begun."""
        remembered = signer.remembered()
        # Nobody has signed since, but the bridge, which ends in the entry that is looked for.
        announced = self._announced_since(0 if remembered is None else remembered[0].size - 1) or self._announced()
        if announced is None:
            return
        current, following, holding = self._keys.signers, self._keys.next_signers(), announced.keys
        if all(signing.key in holding for signing in current):
            self._keys.discard_next()
        elif all(
            one.key in holding or (new is not None and new.key in holding)
            for one, new in zip(current, following, strict=True)
        ):
            if not any(signing.key in holding for signing in current):
                self._bridge(signer, announced.size, [*current, *(new for new in following if new is not None)])
            self._keys.switch()

    def _bridge(self, signer: Signer, size: int, signers: Sequence[Key]) -> None:
        """Sign the tree of this size with old and new keys, remember it and keep it in the store."""
        remembered = signer.remembered()
        with self._store.reading() as reads:
            bridge = Checkpoint(self._store.origin, size, tiles.root_at(reads.tile, size))

        def prove(old: int, new: int) -> list[bytes]:
            with self._store.reading() as reads:
                return tiles.consistency_proof(reads.tile, old, new)

        if remembered is not None:
            check_consistent(remembered[0], bridge, prove)
        note = sign_checkpoint(bridge, signers)
        signer.remember(note)
        self._store.add_checkpoint(size, note)


def _first(reads: Reads) -> Announced | None:
    rows = reads.rows(Selection(0, 0))
    return Announced(1, KeyHistory.beginning(rows[0].entry).current.keys) if rows else None


def rotations(reads: Reads) -> Iterator[Row]:
    """The rows of all rotations, in their order."""
    selection = Selection(1, stream=LEDGER_STREAM, type=TYPE)
    while rows := reads.rows(selection):
        yield from rows
        if len(rows) < PAGE:
            return
        selection = selection._replace(first=rows[-1].position + 1)


def history_of(reads: Reads) -> KeyHistory:
    """Which keys held when, by the entries of the ledger's own. Raises ``SignatureError`` when they don't follow."""
    return KeyHistory.of_entries([row.entry for row in (*reads.rows(Selection(0, 0)), *rotations(reads))])


def _public(signers: Sequence[Key]) -> tuple[VerifierKey, ...]:
    return tuple(signer.key for signer in signers)


def created(origin: str, keys: Sequence[VerifierKey], time: str) -> bytes:
    """The event that begins a ledger, and announces its first keys."""
    listed = [str(key) for key in keys]
    data = {"format": FORMAT_VERSION, "origin": origin, "verifier_keys": listed}
    return _event("created", "ledger.created", time, data)


def _event(identifier: str, kind: str, time: str, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": identifier,
            "source": "urn:continuity-ledger",
            "type": kind,
            "subject": LEDGER_STREAM,
            "time": time,
            "data": data,
        }
    )
