"""Events of an incident: something went wrong with the studio's records, and what came of it.

Owns the data of ``incident.*``. What happened is told in notes, which are private; a post-mortem is media.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, Notes, event_type
from ledger.catalog.values import Code, Id, Instant, Position, Reason


@event_type("incident.opened", retention="operation", posted_by=["owner", "admin"])
class Opened(EventData, frozen=True, kw_only=True):
    """An incident begins, or turns out not to be over."""

    backup: Annotated[Id, Meta(description="the backup that it is about")] | UnsetType = UNSET
    detected_at: Annotated[Instant, Meta(description="when it was noticed")] | UnsetType = UNSET
    drill: Annotated[Id, Meta(description="the drill in which it showed")] | UnsetType = UNSET
    fault_position: Annotated[Position, Meta(description="the first faulty position of an audit")] | UnsetType = UNSET
    incident: Annotated[Code, Meta(description="what kind: audit-fault, storage-full, backup-failed…")]
    notes: Notes | UnsetType = UNSET
    severity: Literal["low", "medium", "high", "critical"]


@event_type("incident.closed", retention="operation", posted_by=["owner", "admin"])
class Closed(EventData, frozen=True, kw_only=True):
    """The incident is over."""

    notes: Notes | UnsetType = UNSET
    post_mortem: Annotated[Id, Meta(description="the media id of what was learnt from it")] | UnsetType = UNSET
    reason: Annotated[Reason, Meta(description="how it ended: repaired, restored, false-alarm…")]
