"""What read models with a row a stream share: the head of such rows, and how private fields are noted in them.

Owns the columns that tell where a row's stream stands, and the form of ``Commitments``. Never decides what a status is:
``ledger.lifecycle`` does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final

import orjson
from msgspec import Meta

from ledger import lifecycle
from ledger.entry import Seal
from projections.projection import Commitments, Event, Json, Row

Sum = str
"""A sum of sizes, as a decimal: each is an integer that JSON readers keep exactly, but not all of them together."""


class StreamRow(Row):
    """A row that shows one stream as it stands after its last entry."""

    stream: Annotated[str, Meta(description="the stream")]
    version: Annotated[int, Meta(description="the version of the stream that this row shows")]
    position: Annotated[int, Meta(description="the position of the last entry of the stream")]
    recorded: Annotated[str, Meta(description="when that entry was recorded")]
    created: Annotated[str, Meta(description="the time of the first event")]
    updated: Annotated[str, Meta(description="the time of the last event")]
    member: Annotated[str | None, Meta(description="the member it is about")]


def head(event: Event, seal: Seal) -> tuple[str, int, int, str, str, str, str | None]:
    """The first columns of the row of a stream that begins with this event."""
    return event.stream, seal.version, seal.position, seal.recorded, event.time, event.time, event.member or None


def earlier(row: StreamRow, members: Json | None, event: Event) -> Json | None:
    """The members whom a stream was about before this event and is not now, in the column that holds them so far.

    A hold on one of them covers it all the same, as ``ledger.erasure`` has it. Asked before the row is touched.
    """
    if not event.member or row.member in (None, event.member):
        return members
    known = {row.member, *orjson.loads(members or "[]")} - {event.member}
    return as_json(sorted(known)) if known else None


def touch(row: StreamRow, event: Event, seal: Seal) -> None:
    """Note that this is the last entry of the row's stream now."""
    row.version = seal.version
    row.position = seal.position
    row.recorded = seal.recorded
    row.updated = event.time
    if event.member:
        row.member = event.member


_NO_DATA: Final[dict[str, Any]] = {}


def advance(kind: str, state: Any, event: Event, seal: Seal, data: dict[str, Any] = _NO_DATA) -> Any:
    """The lifecycle state after a recorded event; ``state`` is None for a stream that has not begun.

    ``data`` is the event's, where the type lets the lifecycle read it. What is recorded has happened, so nothing is
    refused here: a lifecycle leads to the same state whether it accepts a step or is forced to.
    """
    return lifecycle.advance(kind, state, lifecycle.Step(event.type, "admin", "recorded", seal.recorded, data))


def committed(before: Commitments | None, event: Event, seal: Seal) -> Commitments | None:
    """The private fields noted so far with those of this event, each in the place of an older one of its name."""
    private = event.private
    if not private:
        return before
    position = seal.position
    if before is None and len(private) == 1:
        ((name, commitment),) = private.items()
        return f'{{"{name}":[{position},"{commitment}"]}}'  # as orjson would write it: neither needs escapes
    noted = {} if before is None else orjson.loads(before)
    for name, commitment in private.items():
        noted[name] = [position, commitment]
    return orjson.dumps(noted, option=orjson.OPT_SORT_KEYS).decode()


def names_in(private: Commitments | None) -> Collection[str]:
    """The names of the private fields noted in a column of commitments."""
    return () if private is None else orjson.loads(private).keys()


def plus(total: Sum, size: int) -> Sum:
    """A sum with a size added."""
    return str(int(total) + size)


def put_given(row: Row, data: dict[str, Any], *names: str) -> None:
    """Set those columns of these names that the data gives; the others stay as they were."""
    for name in names:
        if name in data:
            setattr(row, name, data[name])


def as_json(value: Any) -> Json:
    """Public data of events as canonical JSON: it has no other values than those of canonical JSON."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
