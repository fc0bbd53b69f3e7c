"""Events of a restore: a ledger was brought back from a backup, checked, and put in the place of the old.

Owns the data of ``restore.*``, which the ledger itself writes, into the ledger that was restored.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, event_type
from ledger.catalog.values import Code, Digest, Id, Instant, Position, Reason, Seconds, Total


@event_type("restore.completed", retention="operation", issued_by_ledger=True)
class Completed(EventData, frozen=True, kw_only=True):
    """All entries up to ``last_position`` are back, verified, and their state roots are as attested."""

    backup: Annotated[Id, Meta(description="the last backup of the chain that was used")]
    duration_seconds: Seconds
    entries: Annotated[Total, Meta(description="how many entries are back")]
    erased_again: Annotated[Total, Meta(description="how many erasures and purges were done again before serving")]
    last_position: Position
    point_in_time: Annotated[Instant, Meta(description="the moment that was asked for, if one was")] | UnsetType = UNSET
    reason: Reason
    requested_by: Annotated[Id, Meta(description="who asked for it")]
    root: Annotated[Digest, Meta(description="the root of the tree at that size, verified")]
    rpo_seconds: Annotated[Seconds, Meta(description="how much time at the end could not be brought back")]
    rto_seconds: Annotated[Seconds, Meta(description="how long it took from the beginning until it served")]
    safety_backup: Annotated[Id, Meta(description="the backup made of what was there before")] | UnsetType = UNSET
    state_checked: (
        Annotated[Position, Meta(description="the position whose attested state roots were compared")] | UnsetType
    ) = UNSET
    vault: Annotated[Code, Meta(description="the studio's name for the vault")]
