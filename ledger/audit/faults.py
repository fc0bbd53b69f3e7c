"""What an audit says: a report and, where the ledger disagrees with itself, the first fault.

Owns the names of the kinds. A kind says what disagrees, not who is to blame.
"""

from __future__ import annotations

from typing import NamedTuple

MISSING = "missing"
"""There is no entry at a position that the head, the tree or a signed checkpoint counts."""
UNREADABLE = "unreadable"
"""The database fails to give the row, or gives something that can't be an entry."""
ENTRY = "entry"
"""The entry's bytes are not those that were sealed there."""
TILE = "tile"
"""The entries are as sealed, but a stored hash of the tree is not theirs."""
FORMAT = "format"
"""The bytes are not canonical, or not an event followed by a seal."""
POSITION = "position"
"""The seal states another position than that at which the entry stands."""
PREV = "prev"
"""The seal does not name the leaf hash of the entry before."""
RECORDED = "recorded"
"""The seal's time is not one, or is before that of the entry before."""
VERSION = "version"
"""The seal's version is not the next of its stream."""
MEMBER_VERSION = "member_version"
"""The seal's member version is not the next of its member, or stands without one."""
PLACE = "place"
"""A column that finds the entry, beside its bytes, says something else than they do."""
CREATED = "created"
"""Entry 0 is not the beginning of this ledger, with this format and these keys."""
KEYS = "keys"
"""The entry that rotates the signing keys does not follow from the keys before it, or is not signed by old and new."""
HEAD = "head"
"""The row that states the end of the log does not fit its last entry."""
CHECKPOINT = "checkpoint"
"""A signed checkpoint has another root than the entries give at its size."""
SIGNATURE = "signature"
"""A checkpoint is not signed by a key that held at its size, or also by one that did not."""


class Fault(NamedTuple):
    """One disagreement: the position it concerns, its kind (a constant of this module) and what was found."""

    position: int
    kind: str
    detail: str


class Report(NamedTuple):
    """The outcome of an audit.

    ``size`` is what the store claims; ``checked`` counts the entries, from 0, that were found good, and ``root`` is the
    root over them, derived from their bytes. If ``ok``, both cover the whole log. ``seconds`` is how long it took.
    """

    ok: bool
    size: int
    root: bytes
    checked: int
    seconds: float
    first_fault: Fault | None


class FaultFound(Exception):
    """Ends the audit at a fault."""

    def __init__(self, position: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = Fault(position, kind, detail)
