"""The read model ``statistics``: how much of what happened, and when.

Owns the counts of events by type, by day, by weekday and hour, and of streams by the month they began in. Days and
hours are those of the events' own times, in UTC, so that an imported history shows when it happened. A batch is counted
first and its sums added to the rows, so that an entry costs little. What is counted of one
thing's state (storage by kind of media, completeness of records) stands with its own read model.

Invariant: the events of all types, of all days and of all hours add up to the same number: that of the entries.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta

from ledger.entry import Seal
from projections.projection import Event, Folded, Projection, Row, Table
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


@PROJECTION.on_all
def _counted(work: Work, batch: Sequence[Folded]) -> None:
    """Count a batch: each row that it changes is looked up once."""
    events = [one.event for one in batch]
    seals = [one.seal for one in batch]
    positions = [seal.position for seal in seals]
    _by_type(work, events, positions)
    _by_time(work, [event.time for event in events])
    _recorded(work, seals, positions)
    _grown(work, [one for one in batch if one.seal.version == 1])


def _by_type(work: Work, events: Sequence[Event], positions: Sequence[int]) -> None:
    types = [event.type for event in events]
    forced = Counter([event.type for event in events if event.forced])
    firsts, lasts = _firsts(types, positions), dict(zip(types, positions, strict=True))
    for name, count in Counter(types).items():
        row = work.change(TYPES, name) or work.put(TYPES, OfType(name, 0, 0, firsts[name], 0))
        row.events += count
        row.forced += forced[name]
        row.last_position = lasts[name]


def _by_time(work: Work, times: Sequence[str]) -> None:
    for time, count in Counter([time[:13] for time in times]).items():
        day, hour = time[:10], int(time[11:])
        of_day = work.change(DAYS, day)
        if of_day is None:
            of_day = work.put(DAYS, OfDay(day, dt.date.fromisoformat(day).isoweekday(), 0))
        of_day.events += count
        of_hour = work.change(HOURS, (of_day.weekday, hour)) or work.put(HOURS, OfHour(of_day.weekday, hour, 0))
        of_hour.events += count


def _recorded(work: Work, seals: Sequence[Seal], positions: Sequence[int]) -> None:
    days = [seal.recorded[:10] for seal in seals]
    streams = Counter([day for day, seal in zip(days, seals, strict=True) if seal.version == 1])
    members = Counter([day for day, seal in zip(days, seals, strict=True) if seal.member_version == 1])
    for day, first in _firsts(days, positions).items():
        row = work.change(RECORDED, day) or work.put(RECORDED, Recorded(day, first, 0, 0))
        row.streams += streams[day]
        row.members += members[day]


def _grown(work: Work, begun: Sequence[Folded]) -> None:
    keys = [(one.event.stream.partition(":")[0], one.event.time[:7]) for one in begun]
    for key, count in Counter(keys).items():
        row = work.change(GROWTH, key) or work.put(GROWTH, Growth(*key, 0))
        row.streams += count


def _firsts(names: Sequence[str], positions: Sequence[int]) -> dict[str, int]:
    """The first position of each name."""
    return dict(zip(reversed(names), reversed(positions), strict=True))
