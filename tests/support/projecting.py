"""Small projections for tests of whatever runs them, and rows read back whole. Owns no fixtures and no assertions.

The models fold reservation events, so that any log of the tests will do. What they keep is of no use to anybody: one
table is by stream, one by member (loaded one by one), one only grows, and rows are removed too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta

from ledger.entry import Seal
from projections.projection import Event, Projection, Row, Table, Values, types_of
from projections.store.protocol import Reads
from projections.work import Work


class Seen(Row):
    """How often a stream was seen."""

    stream: Annotated[str, Meta(description="the stream")]
    count: Annotated[int, Meta(description="events so far")]
    last: Annotated[str, Meta(description="the type of the last")]
    station: Annotated[str | None, Meta(description="the station of the last that named one")] = None


class Visit(Row):
    """A member and a stream of theirs."""

    member: Annotated[str, Meta(description="the member")]
    stream: Annotated[str, Meta(description="the stream")]
    position: Annotated[int, Meta(description="the last event about it")]


class Step(Row):
    """One event."""

    position: Annotated[int, Meta(description="where it stands")]
    type: Annotated[str, Meta(description="its type")]


SEEN = Table("seen", Seen, "streams", by_stream=True, indexes=(("last",), ("station", "count")))
VISITS = Table("visits", Visit, "open visits", key_length=2, indexes=(("stream",),))
STEPS = Table("steps", Step, "all events")
TYPES = types_of("reservation")


def projection(
    name: str = "tally",
    version: int = 1,
    *,
    tables: tuple[Table[Any], ...] = (SEEN, VISITS, STEPS),
    before: Callable[[Work, Event, Seal], None] = lambda work, event, seal: None,
) -> Projection:
    """A projection over all reservation events; ``before`` is called with each, and may fail."""
    made = Projection(name, version=version, tables=tables)

    @made.on(*TYPES)
    def fold(work: Work, event: Event, seal: Seal) -> None:
        row = work.change(SEEN, event.stream)
        if row is None:
            row = work.put(SEEN, Seen(event.stream, 0, ""))
        row.count += version
        row.last = event.type
        if "station" in event.data:
            row.station = event.data["station"]
        before(work, event, seal)  # in the middle, so that a failure leaves something behind
        work.add(STEPS, Step(seal.position, event.type))
        if event.member:
            key = (event.member, event.stream)
            if event.type == "reservation.cancelled":
                work.remove(VISITS, key)
            elif visit := work.change(VISITS, key):
                visit.position = seal.position
            else:
                work.put(VISITS, Visit(*key, seal.position))

    return made


def all_rows(reads: Reads, table: Table[Any], generation: int | None = None, page: int = 100) -> list[Values]:
    """All rows of a table, by key, read page by page."""
    rows: list[Values] = []
    after = None
    for _ in itertools.count():
        found = reads.rows(table, after=after, limit=page, generation=generation)
        rows += found
        if len(found) < page:
            return rows
        after = table.key_of(table.make(found[-1]))
    raise AssertionError


def contents(runner: Any) -> dict[str, list[Values]]:
    """All rows of all live tables of a runner, by table."""
    with runner.store.reading() as reads:
        return {table.name: all_rows(reads, table) for projection in runner.projections for table in projection.tables}
