"""Which keys the log announces, as the audit walks them: from its first entry on, each rotation signed by old and new.

Owns the checks of what ``ledger.created`` and ``ledger.key_rotated`` say of keys, and the hint of what is to come: by
it processes that help verify what stands further on, and the keys that an auditor trusts are found in the log at all. A
hint is only a hint: whoever used one compares it with what was walked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ledger.audit.faults import CREATED, KEYS, FaultFound
from ledger.audit.source import DAMAGE, Source
from ledger.entry import LEDGER_STREAM
from ledger.errors import MalformedRotation, SignatureError, StoreError
from ledger.key_history import KeyHistory
from ledger.note import VerifierKey, parse_note
from ledger.rotation import Rotation, is_rotation
from ledger.store.protocol import PAGE, Selection

STREAM = LEDGER_STREAM.encode()
_SCANNED = 4 * PAGE


class Announcement(NamedTuple):
    """An entry that announces keys: the first of the log, or a rotation."""

    position: int
    entry: bytes


class KeyWalk:
    """The history of the keys up to the entries checked so far. Raises ``FaultFound`` at what does not follow."""

    def __init__(self, origin: str, trusted: Sequence[VerifierKey]) -> None:
        self._origin = origin
        self._trusted = tuple(trusted)
        self._due: deque[Announcement] = deque()
        self.history = KeyHistory.trusting(trusted)
        """What is known of the keys; before the first entry, those that are trusted."""

    def copy(self) -> KeyWalk:
        """An independent walk that has come as far."""
        walk = KeyWalk(self._origin, self._trusted)
        walk._due = self._due.copy()
        walk.history = self.history
        return walk

    def add(self, announcements: Sequence[Announcement]) -> None:
        """Take in what entries further on announce, in their order."""
        self._due.extend(announcements)

    def next_size(self) -> int | None:
        """The size of the tree before the next announcement."""
        return self._due[0].position if self._due else None

    def check(self, size: int, root: bytes) -> None:
        """Check the announcement that follows the tree of this size, if one does."""
        while self._due and self._due[0].position == size:
            entry = self._due.popleft().entry
            try:
                self.history = self._followed(size, root, entry)
            except SignatureError as fault:
                raise FaultFound(size, KEYS if size else CREATED, str(fault)) from None

    def _followed(self, size: int, root: bytes, entry: bytes) -> KeyHistory:
        if size == 0:
            return KeyHistory.beginning(entry, self._trusted)
        rotation = Rotation.of_entry(entry)
        if rotation.root != root:
            raise MalformedRotation(f"the rotation states the root {rotation.root.hex()} before it, not {root.hex()}")
        return self.history.follow(rotation)

    def check_trusted(self) -> None:
        """At the end of the log: see that each key that is trusted was announced."""
        if not named(self.history, self._origin, self._trusted):
            raise FaultFound(0, CREATED, NOT_NAMED)


NOT_NAMED = "it does not name the verifier keys that this audit was given"


def named(history: KeyHistory, origin: str, trusted: Sequence[VerifierKey]) -> bool:
    """Whether the trusted keys of this origin, of which there is one at least, are all among those announced."""
    ours = {key for key in trusted if key.name == origin}
    return bool(ours) and ours <= history.keys


class Hint(NamedTuple):
    """What a log seems to announce; ``named`` unless it is sure that the trusted keys are not among it."""

    history: KeyHistory
    named: bool


def hint(source: Source, trusted: Sequence[VerifierKey], *, scan: bool = False) -> Hint:
    """What the log seems to announce, as far as it can be read and follows; roots are not looked at.

    Found by the stored checkpoints; by looking at each entry if told to ``scan``, or where those don't lead to the
    trusted keys: what is said of them depends on entries alone.
    """
    try:
        with source.reading() as reads:
            (first,) = reads.rows(Selection(0, 0), 1)
        history = KeyHistory.beginning(first.entry, trusted)
    except (*UNREAD, AttributeError):
        return Hint(KeyHistory.trusting(trusted), named=True)  # the walk will say what is wrong with it
    if not scan:
        hinted = _followed(history, _bridged(source, history))[0]
        if named(hinted, source.origin, trusted):
            return Hint(hinted, named=True)
    hinted, complete = _followed(history, _scanned(source))
    return Hint(hinted, named=named(hinted, source.origin, trusted) or not complete)


UNREAD = (*DAMAGE, SignatureError, StoreError)


def _followed(history: KeyHistory, entries: Iterator[bytes]) -> tuple[KeyHistory, bool]:
    """The history with the rotations among entries, and whether all could be read and followed."""
    try:
        for entry in entries:
            if is_rotation(entry):
                history = history.follow(Rotation.of_entry(entry))
    except UNREAD:
        return history, False
    return history, True


def _bridged(source: Source, history: KeyHistory) -> Iterator[bytes]:
    """The entries that the stored checkpoints lead to: each rotation stands right before the first by other keys."""
    known = {(key.name, key.key_id) for key in history.keys}
    with source.reading() as reads:

        def ends(size: int) -> bool:
            return not reads.checkpoints(size, 1)

        def renewed(size: int) -> bool:
            return not _signers(reads.checkpoints(size - 1, 1)[0][1], source.origin) <= known

        last = bisect_left(range(reads.head().size + 1), True, key=ends)  # the largest size there is one of
        size = 1
        while size <= last and renewed(last):
            size += bisect_left(range(size, last + 1), True, key=renewed)
            ((size, note),) = reads.checkpoints(size - 1, 1)  # a checkpoint of each size there need not be
            for row in reads.rows(Selection(size - 1, size - 1), 1):
                yield row.entry
            known |= _signers(note, source.origin)


def _signers(note: bytes, origin: str) -> set[tuple[str, bytes]]:
    return {(one.name, one.key_id) for one in parse_note(note).signatures if one.name == origin}


def _scanned(source: Source) -> Iterator[bytes]:
    """All entries after the first. Raises ``ValueError`` at a gap."""
    first = 1
    with source.reading() as reads:
        size = reads.head().size
    while first < size:
        with source.reading() as reads:
            columns = reads.columns(first, min(_SCANNED, size - first))
        positions, entries = columns.positions, columns.entries
        if list(positions) != list(range(first, min(first + _SCANNED, size))):
            raise ValueError("an entry is missing")
        yield from entries
        first += len(positions)
