"""Events of the state: what all read models came to at a position, as roots that a replay or restore is checked with.

Owns the data of ``state.*``, which the ledger itself writes, to the stream ``state:main``. A root is taken with
commitments in place of private values, so that it stays true after an erasure.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from ledger.catalog.base import EventData, event_type
from ledger.catalog.values import Digest, Position, Positive, Total
from ledger.errors import InvalidEvent
from ledger.patterns import shaped


class ProjectionRoot(EventData, frozen=True, kw_only=True):
    """The state root of one projection."""

    name: Annotated[
        str,
        Meta(
            pattern=shaped(r"[a-z][a-z0-9_]{0,63}", "1 to 64 of a-z, 0-9 and _, the first a letter"),
            description="the projection",
        ),
    ]
    root: Digest
    rows: Annotated[Total, Meta(description="how many rows it has, in all its tables")]
    version: Annotated[Positive, Meta(description="the version of the projection's code")]


def _main(_: Any) -> str:
    return "main"


@event_type("state.attested", retention="operation", issued_by_ledger=True, goes_to=_main)
class Attested(EventData, frozen=True, kw_only=True):
    """The state after the entry at ``position`` has these roots."""

    position: Position
    roots: Annotated[list[ProjectionRoot], Meta(min_length=1, max_length=256, description="by name, in their order")]

    def check(self) -> None:
        """Check that the roots are in the order of their names, one for each."""
        names = [root.name for root in self.roots]
        if sorted(set(names)) != names:
            raise InvalidEvent("roots stand in the order of their names, one for each", "$.data.roots")
