"""Events of an export: a slice of the log was handed out, to whom and how much of it.

Owns the data of ``export.*``, which the ledger itself writes. The entry stands in the bundle that it tells of, so it
can't hold that bundle's digest; the bundle's own signature does. Of a member's export it is the last entry, so the
number of entries in the bundle is pinned by it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, event_type
from ledger.catalog.values import Code, Digest, Id, Instant, Position, Seconds, Size, Total, check_range
from ledger.errors import InvalidEvent
from ledger.patterns import shaped


class TableRows(EventData, frozen=True, kw_only=True):
    """How many rows of a table are in the bundle."""

    rows: Total
    table: Annotated[
        str, Meta(pattern=shaped(r"[a-z][a-z0-9_]{0,63}", "1 to 64 of a-z, 0-9 and _, the first a letter"))
    ]


@event_type("export.issued", retention="operation", issued_by_ledger=True)
class Issued(EventData, frozen=True, kw_only=True):
    """A bundle is made. Its stream's id is the bundle's."""

    anonymised: Annotated[bool, Meta(description="whether it holds tables only, with nobody to be known in them")]
    duration_seconds: Seconds | UnsetType = UNSET
    entries: Annotated[Total, Meta(description="how many entries are in it, this one not counted")]
    expires: Annotated[Instant, Meta(description="until when it can be fetched")] | UnsetType = UNSET
    first_position: Position | UnsetType = UNSET
    format: Annotated[Code, Meta(description="bag, csv, json, pdf…")]
    last_position: Position | UnsetType = UNSET
    redaction: Annotated[Code, Meta(description="the rule by which private values were left out")]
    request: Annotated[Id, Meta(description="the id of the request or job")] | UnsetType = UNSET
    requested_by: Annotated[Id, Meta(description="who asked for it")]
    reservation: Annotated[Id, Meta(description="for the scope reservation: which")] | UnsetType = UNSET
    root: Annotated[Digest, Meta(description="the root of the tree at that size")]
    scope: Annotated[
        Literal["everything", "member", "reservation", "selection"],
        Meta(description="what it holds; whose, the event's member says"),
    ]
    size: Annotated[Size, Meta(description="how many bytes its payload takes, unpacked")] | UnsetType = UNSET
    tables: Annotated[list[TableRows], Meta(max_length=64)]
    tree_size: Annotated[Total, Meta(description="how many entries the log held when it was made")]
    values_withheld: Annotated[Total, Meta(description="how many private values were left out")]

    def check(self) -> None:
        """Check that the range is one, that the reservation is named where it is asked for, and each table once."""
        check_range(self.first_position, self.last_position, "$.data")
        if (self.scope == "reservation") != (self.reservation is not UNSET):
            raise InvalidEvent("an export of a reservation names it, others name none", "$.data.reservation")
        names = [table.table for table in self.tables]
        if len(set(names)) != len(names):
            raise InvalidEvent("a table is named twice", "$.data.tables")
