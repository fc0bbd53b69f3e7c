"""Which of the signed checkpoints a ledger keeps, when there are too many.

Owns the rule. A log is signed each second while it grows: kept all, the checkpoints of a quiet ledger would take more
room than its entries, and an audit more time over them. They show between which two of them a history was rewritten,
and that it was not cut; for that, one in each block of sizes will do, and whoever was given another one holds it.
Always kept is also where other keys begin to sign, since that leads to the rotations of keys. Never reads a clock.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.note import parse_note
from ledger.store.protocol import Store

BLOCK = 4096
"""Of so many sizes, from 1 on, the last checkpoint is kept; the stores' triggers say the same number."""


def block_of(size: int) -> int:
    """The number of the block that a size is in."""
    return (size - 1) // BLOCK


def superfluous(notes: Sequence[tuple[int, bytes]]) -> list[int]:
    """The sizes of those checkpoints of one block, ascending, that need not be kept.

    That is each that is followed by another with the same signers. Raises ``SignatureError`` at one that is no note.
    """
    signers = [{(one.name, one.key_id) for one in parse_note(note).signatures} for _, note in notes]
    return [size for (size, _), by, after in zip(notes, signers, signers[1:], strict=False) if by == after]


def thin(store: Store, block: int) -> None:
    """Let go of the superfluous checkpoints of a block that the log has left.

    Raises ``StoreError``, and ``SignatureError`` at one that is no note.
    """
    with store.reading() as reads:
        notes = [(size, note) for size, note in reads.checkpoints(block * BLOCK, BLOCK) if block_of(size) == block]
    if gone := superfluous(notes):
        store.drop_checkpoints(gone)
