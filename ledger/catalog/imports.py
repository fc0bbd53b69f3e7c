"""Events of an import: somebody else's events or records became this ledger's, or were taken back.

Owns the data of ``import.*``, which the ledger itself writes. What was imported are ordinary events, joined by the
import's id as their correlation; an undoing is told by events too, and deletes nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, event_type
from ledger.catalog.values import Code, Digest, Id, Position, Reason, Seconds, Size, Total, check_range

Failed = Annotated[Total, Meta(description="how many could not be, each told to who asked")]


@event_type("import.applied", retention="operation", issued_by_ledger=True)
class Applied(EventData, frozen=True, kw_only=True):
    """An import is done; what came of each of its items is counted."""

    added: Annotated[Total, Meta(description="how many were new")]
    duration_seconds: Seconds | UnsetType = UNSET
    failed: Failed
    first_position: Annotated[Position, Meta(description="the first entry that it made")] | UnsetType = UNSET
    format: Annotated[Code, Meta(description="bundle, events, csv, json…")]
    last_position: Annotated[Position, Meta(description="the last entry that it made")] | UnsetType = UNSET
    mode: Annotated[
        Literal["merge", "replace", "skip", "rename", "ask"],
        Meta(description="what was done with what was there already"),
    ]
    renamed: Annotated[Total, Meta(description="how many got another id")]
    requested_by: Annotated[Id, Meta(description="who asked for it")]
    sha256: Annotated[Digest, Meta(description="of the file that was imported")]
    size: Annotated[Size, Meta(description="how many bytes that file has")]
    skipped: Annotated[Total, Meta(description="how many were left as they were")]
    updated: Annotated[Total, Meta(description="how many were there and changed")]

    def check(self) -> None:
        """Check that the range is one."""
        check_range(self.first_position, self.last_position, "$.data")


@event_type("import.undone", retention="operation", issued_by_ledger=True)
class Undone(EventData, frozen=True, kw_only=True):
    """An import is taken back, but for what was changed since. Final."""

    duration_seconds: Seconds | UnsetType = UNSET
    failed: Failed
    first_position: Annotated[Position, Meta(description="the first entry that this made")] | UnsetType = UNSET
    kept: Annotated[Total, Meta(description="how many were kept, since somebody changed them")]
    last_position: Annotated[Position, Meta(description="the last entry that this made")] | UnsetType = UNSET
    reason: Reason
    requested_by: Annotated[Id, Meta(description="who asked for it")]
    reversed: Annotated[Total, Meta(description="how many are as they were before")]

    def check(self) -> None:
        """Check that the range is one."""
        check_range(self.first_position, self.last_position, "$.data")
