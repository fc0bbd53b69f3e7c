"""Events of a drill: a restore that was made in a scratch place, to be measured and compared.

Owns the data of ``drill.*``, which the ledger itself writes. A drill that fails is completed too: it did its work.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, Private, event_type
from ledger.catalog.values import Code, Digest, Id, Position, Reason, Seconds, Total
from ledger.errors import InvalidEvent


@event_type("drill.completed", retention="operation", issued_by_ledger=True)
class Completed(EventData, frozen=True, kw_only=True):
    """A drill ended, with what it measured."""

    backup: Annotated[Id, Meta(description="the last backup of the chain that was tried")]
    detail: Private[Annotated[str, Meta(description="what went wrong")]] | UnsetType = UNSET
    differing: Annotated[
        list[Code], Meta(max_length=64, description="the projections whose state roots were others than attested")
    ]
    duration_seconds: Seconds
    entries: Annotated[Total, Meta(description="how many entries came back")]
    last_position: Position | UnsetType = UNSET
    reason: Annotated[Reason, Meta(description="why it failed")] | UnsetType = UNSET
    result: Literal["passed", "failed"]
    root: Annotated[Digest, Meta(description="the root of the restored tree")] | UnsetType = UNSET
    rpo_seconds: Annotated[Seconds, Meta(description="how much time at the end did not come back")] | UnsetType = UNSET
    rto_seconds: (
        Annotated[Seconds, Meta(description="how long it took until the ledger could have served")] | UnsetType
    ) = UNSET
    state_checked: (
        Annotated[Position, Meta(description="the position whose attested state roots were compared")] | UnsetType
    ) = UNSET
    vault: Annotated[Code, Meta(description="the studio's name for the vault")]

    def check(self) -> None:
        """Check that a drill that passed measured what it promises, and that one that failed says why."""
        if self.result == "failed":
            if self.reason is UNSET:
                raise InvalidEvent("a drill that failed says why", "$.data.reason")
            return
        for name in ("last_position", "root", "rpo_seconds", "rto_seconds"):
            if getattr(self, name) is UNSET:
                raise InvalidEvent(f"a drill that passed needs {name}", f"$.data.{name}")
        if self.differing:
            raise InvalidEvent("a drill that passed has nothing that differs", "$.data.differing")
