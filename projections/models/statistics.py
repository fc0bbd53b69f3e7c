"""The read model ``statistics``: how much of what happened, and when.

Owns the counts of events by type, by day, by weekday and hour, and of streams by the month they began in. Days and
hours are those of the events' own times, in UTC, so that an imported history shows when it happened. Counters are rows
changed many times a batch and written once. What is counted of one thing's state (storage by kind of media,
completeness of records) stands with its own read model.

Invariant: the events of all types, of all days and of all hours add up to the same number: that of the entries.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

from msgspec import Meta

from ledger import catalog
from ledger.entry import Seal
from projections.projection import Event, Projection, Row, Table
from projections.work import Work


class OfType(Row):
    """How many events there are of a type."""

    type: Annotated[str, Meta(description="the type of event")]
    events: Annotated[int, Meta(description="how many there are")]
    forced: Annotated[int, Meta(description="how many of them were forced")]
    first_position: Annotated[int, Meta(description="the position of the first")]
    last_position: Annotated[int, Meta(description="the position of the last")]


class OfDay(Row):
    """How many events happened on a day."""

    day: Annotated[str, Meta(description="the day, by the events' own times, in UTC")]
    weekday: Annotated[int, Meta(description="its day of the week: 1 is Monday, 7 Sunday")]
    events: Annotated[int, Meta(description="how many events happened")]


class OfHour(Row):
    """How many events happened in an hour of a day of the week."""

    weekday: Annotated[int, Meta(description="the day of the week: 1 is Monday, 7 Sunday")]
    hour: Annotated[int, Meta(description="the hour of the day, 0 to 23, in UTC")]
    events: Annotated[int, Meta(description="how many events happened")]


class Growth(Row):
    """How many streams of a kind began in a month."""

    kind: Annotated[str, Meta(description="the kind of stream")]
    month: Annotated[str, Meta(description="the month, YYYY-MM, by the first events' own times, in UTC")]
    streams: Annotated[int, Meta(description="how many streams began")]


class Recorded(Row):
    """What the ledger recorded on a day."""

    day: Annotated[str, Meta(description="the day, by the ledger's own clock, in UTC")]
    first_position: Annotated[int, Meta(description="the first position recorded on it: so many entries came before")]
    streams: Annotated[int, Meta(description="how many streams began on it")]
    members: Annotated[int, Meta(description="how many members were recorded for the first time")]


TYPES: Final = Table("statistics_by_type", OfType, "How many events there are of each type.")
DAYS: Final = Table("statistics_by_day", OfDay, "How many events happened on each day that had any.")
HOURS: Final = Table(
    "statistics_by_hour", OfHour, "How many events happened in each hour of each day of the week.", key_length=2
)
GROWTH: Final = Table("statistics_growth", Growth, "How many streams of each kind began in each month.", key_length=2)
RECORDED: Final = Table("statistics_recorded", Recorded, "How the ledger grew, day by day.")
PROJECTION: Final = Projection("statistics", version=1, tables=(TYPES, DAYS, HOURS, GROWTH, RECORDED))


@PROJECTION.on(*catalog.names())
def _counted(work: Work, event: Event, seal: Seal) -> None:
    position = seal.position
    of_type = work.change(TYPES, event.type)
    if of_type is None:
        of_type = work.put(TYPES, OfType(event.type, 0, 0, position, position))
    of_type.events += 1
    of_type.last_position = position
    if event.forced:
        of_type.forced += 1

    time = event.time
    day = time[:10]
    of_day = work.change(DAYS, day)
    if of_day is None:
        of_day = work.put(DAYS, OfDay(day, dt.date.fromisoformat(day).isoweekday(), 0))
    of_day.events += 1

    hour = (of_day.weekday, int(time[11:13]))
    of_hour = work.change(HOURS, hour)
    if of_hour is None:
        of_hour = work.put(HOURS, OfHour(*hour, 0))
    of_hour.events += 1

    if seal.version == 1 or seal.member_version == 1 or work.get(RECORDED, seal.recorded[:10]) is None:
        _grown(work, event, seal)


def _grown(work: Work, event: Event, seal: Seal) -> None:
    """Count what is recorded for the first time."""
    day = seal.recorded[:10]
    recorded = work.change(RECORDED, day)
    if recorded is None:
        recorded = work.put(RECORDED, Recorded(day, seal.position, 0, 0))
    if seal.member_version == 1:
        recorded.members += 1
    if seal.version == 1:
        recorded.streams += 1
        key = (event.stream.partition(":")[0], event.time[:7])
        begun = work.change(GROWTH, key)
        if begun is None:
            begun = work.put(GROWTH, Growth(*key, 0))
        begun.streams += 1
