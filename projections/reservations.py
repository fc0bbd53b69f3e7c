"""The read model ``reservations``: one row for each reservation, as it stands.

Owns the columns, and how a stream's state becomes a row and a row a state again. The fold is ``projections.state``,
shared with ``show``. Private values are not copied, nor their names. Never reads or writes a store.

Invariant: ``state_of(row_of(state)) == state`` for every state that reservation events lead to, so that a row is all
that is needed to fold on.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import orjson

from ledger.entry import Entry
from ledger.lifecycle import ReservationState
from projections.projection import Changes, Column, Loaded, Projection, Row, Table, types_of
from projections.state import StreamState, fold

NAME: Final = "reservations"

_FIXED: Final = (
    Column("stream", "text", "the reservation's stream", required=True),
    Column("version", "integer", "the stream's version that this row shows", required=True),
    Column("position", "integer", "the position of the last entry of the stream", required=True),
    Column("recorded", "text", "when that entry was recorded", required=True),
    Column("created", "text", "the time of the first event", required=True),
    Column("updated", "text", "the time of the last event", required=True),
    Column("member", "text", "the member whose reservation it is"),
    Column("status", "text", "requested, confirmed, waitlisted, cancelled or completed", required=True),
    Column("stage", "text", "where the work is, from intake to picked_up, or cancelled", required=True),
    Column("load", "text", "where the kiln load is: queued, loading or loaded", required=True),
)
_head: Final = attrgetter("stream", "version", "position", "recorded", "created", "updated", "member")

_PLAIN: Final = (
    Column("reason", "text", "why it stands where it does: the reason of the last transition"),
    Column("firing_type", "text", "bisque, glaze or other"),
    Column("half_shelves", "integer", "how many half shelves it takes"),
    Column("channel", "text", "where the request came in"),
    Column("rate", "text", "the rate, a decimal"),
    Column("station", "text", "the kiln, shelf or room assigned last"),
    Column("preferred_station", "text", "the one asked for"),
    Column("queue_class", "text", "the class in the queue"),
    Column("queue_position", "integer", "a hint of the place in the queue"),
    Column("photo", "text", "the media id of a photo"),
    Column("arrival", "text", "expected, arrived, overdue or no_show"),
    Column("expected_at", "text", "when the member was to come"),
    Column("token_used", "integer", "the version of the arrival token that was shown"),
    Column("via", "text", "how the arrival was noted"),
    Column("penalty_points", "integer", "all penalty points of fairness records, added up"),
)
_LISTS: Final = (
    Column("add_ons", "json", "what else was asked for: a list of codes"),
    Column("resources", "json", "what the firing needs: kiln_profile, rack_count, special_handling"),
    Column("fairness", "json", "the last fairness record: kind, points or boost, reason, evidence"),
)


class _Group(NamedTuple):
    """An object among the fields whose members have columns of their own, named ``prefix_member``."""

    name: str
    prefix: str
    members: tuple[Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(column._replace(name=f"{self.prefix}_{column.name}") for column in self.members)


_GROUPS: Final = (
    _Group(
        "window",
        "window",
        (
            Column("earliest", "text", "the first day of the preferred window"),
            Column("latest", "text", "the last day of the preferred window"),
        ),
    ),
    _Group(
        "estimate",
        "estimate",
        (
            Column("start", "text", "when the work is expected to be done, at the earliest"),
            Column("end", "text", "when the work is expected to be done, at the latest"),
            Column("sla", "text", "on_track, at_risk, delayed or unknown"),
            Column("confidence", "text", "high, medium or low"),
            Column("reason", "text", "why the estimate changed, when last said"),
        ),
    ),
    _Group(
        "pickup_window",
        "pickup",
        (
            Column("start", "text", "from when the work may be fetched"),
            Column("end", "text", "until when the work may be fetched"),
            Column("state", "text", "open, confirmed, missed, expired or completed"),
            Column("misses", "integer", "windows missed so far"),
            Column("reschedules", "integer", "windows moved so far"),
            Column("reason", "text", "why the pickup window changed, when last said"),
        ),
    ),
    _Group(
        "arrival_token",
        "token",
        (
            Column("version", "integer", "which arrival token was issued last; the token itself is never shown"),
            Column("issued", "text", "when it was issued"),
            Column("expires", "text", "when it expires"),
        ),
    ),
)

_COLUMNS: Final = (*_FIXED, *_PLAIN, *_LISTS, *(column for group in _GROUPS for column in group.columns))
_PLAIN_NAMES: Final = tuple(column.name for column in _PLAIN)
_LIST_NAMES: Final = tuple(column.name for column in _LISTS)
_PLAIN_AT: Final = len(_FIXED)
_LISTS_AT: Final = _PLAIN_AT + len(_PLAIN)
_GROUPS_AT: Final = _LISTS_AT + len(_LISTS)
_NOTHING: Final = {length: (None,) * length for length in range(len(_COLUMNS))}

TABLE: Final = Table(NAME, _COLUMNS)


def row_of(state: StreamState) -> Row:
    """The row that shows ``state``."""
    fields = state.fields
    lists = tuple([orjson.dumps(fields[name]).decode() if name in fields else None for name in _LIST_NAMES])
    row: Row = (*_head(state), *state.lifecycle, *map(fields.get, _PLAIN_NAMES), *lists)
    for name, _, members in _GROUPS:
        group = fields.get(name)
        row += _NOTHING[len(members)] if group is None else tuple([group.get(column.name) for column in members])
    return row


def state_of(row: Row) -> StreamState:
    """The state that ``row`` shows."""
    plain = zip(_PLAIN_NAMES, row[_PLAIN_AT:_LISTS_AT], strict=True)
    fields: dict[str, Any] = {name: value for name, value in plain if value is not None}
    for name, text in zip(_LIST_NAMES, row[_LISTS_AT:_GROUPS_AT], strict=True):
        if text is not None:
            fields[name] = orjson.loads(text)
    at = _GROUPS_AT
    for group, _, members in _GROUPS:
        values, at = row[at : at + len(members)], at + len(members)
        if values != _NOTHING[len(members)]:
            found = zip(members, values, strict=True)
            fields[group] = {column.name: value for column, value in found if value is not None}
    stream, version, position, recorded, created, updated, member, *lifecycle = row[:_PLAIN_AT]
    return StreamState(
        stream=stream,
        version=version,
        position=position,
        recorded=recorded,
        created=created,
        updated=updated,
        member=member,
        lifecycle=ReservationState(*lifecycle),
        fields=fields,
        private={},
    )


def _needs(entries: Sequence[Entry]) -> dict[str, set[Any]]:
    return {NAME: {entry.event.stream for entry in entries}}


def _fold(entries: Sequence[Entry], loaded: Loaded) -> Changes:
    states = {stream: state_of(row) for stream, row in loaded[NAME].items()}
    for entry in entries:
        stream = entry.event.stream
        states[stream] = fold(states.get(stream), entry)
    return {NAME: [row_of(state) for state in states.values()]}


PROJECTION: Final = Projection(
    name=NAME, version=2, types=types_of("reservation"), tables=(TABLE,), needs=_needs, fold=_fold
)
