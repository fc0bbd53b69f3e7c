"""Events of a projection: what an operator decided about a read model. State is disposable, the decision is not.

Owns the data of ``projection.*``, which the ledger itself writes. The stream's id is the projection's name.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ledger.catalog.base import EventData, event_type
from ledger.catalog.values import Id, Position, Positive, Reason


@event_type("projection.skipped", retention="operation", issued_by_ledger=True)
class Skipped(EventData, frozen=True, kw_only=True):
    """This version of the projection leaves out one entry, which it can't fold, now and in each rebuild."""

    asked_by: Annotated[Id, Meta(description="who decided so")]
    position: Position
    projection_version: Annotated[Positive, Meta(description="the version of the projection's code")]
    reason: Reason
