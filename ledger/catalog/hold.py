"""Events of a hold: while it stands, nothing that it covers is purged, erased or pruned, whatever its age.

Owns the data of ``hold.*``. What a hold covers stays as it was placed; another extent is another hold. Only an owner
places and releases one. That it is heeded is for those to see who purge, erase and prune.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, Notes, event_type
from ledger.catalog.values import Date, Id, Reason
from ledger.errors import InvalidEvent

_TARGETS = {
    "member": ("a member's id", re.compile(r"[A-Za-z0-9._-][A-Za-z0-9._:-]*")),
    "stream": ("a stream, as kind:id", re.compile(r"[a-z]+:[A-Za-z0-9._-][A-Za-z0-9._:-]*")),
    "collection": ("a collection's code", re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")),
}


@event_type("hold.placed", retention="operation", posted_by=["owner"])
class Placed(EventData, frozen=True, kw_only=True):
    """An owner forbids that any of this is destroyed. The first event of a hold."""

    case: Annotated[Id, Meta(description="the studio's file number")] | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    reason: Reason
    review_on: Annotated[Date, Meta(description="when to look at it again; it ends by release only")] | UnsetType = (
        UNSET
    )
    scope: Annotated[
        Literal["everything", "member", "stream", "collection"],
        Meta(description="how far it reaches: all streams of a member, one stream, or all records of a collection"),
    ]
    target: (
        Annotated[Id, Meta(description="which member, stream (as kind:id) or collection; none for everything")]
        | UnsetType
    ) = UNSET

    def check(self) -> None:
        """Check that the target is there and has the form that its scope asks for."""
        if self.scope == "everything":
            if self.target is not UNSET:
                raise InvalidEvent("a hold on everything has no target", "$.data.target")
            return
        meaning, form = _TARGETS[self.scope]
        if not isinstance(self.target, str) or not form.fullmatch(self.target):
            raise InvalidEvent(f"a hold with the scope {self.scope} needs {meaning} as its target", "$.data.target")


@event_type("hold.released", retention="operation", posted_by=["owner"])
class Released(EventData, frozen=True, kw_only=True):
    """An owner lifts the hold. Final."""

    notes: Notes | UnsetType = UNSET
    reason: Reason
