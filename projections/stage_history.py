"""The read model ``stage_history``: one row for each transition of a reservation.

Owns the columns and the fold. A transition is an event that changes status, stage or load, the first one included;
``ledger.lifecycle`` says where it led. Never copies notes, which are private, and never reads or writes a store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.entry import Entry
from ledger.heads import advance_stored
from ledger.lifecycle import ReservationState
from projections.projection import Changes, Column, Loaded, Projection, Row, Table, types_of
from projections.state import public_data

NAME: Final = "stage_history"

TABLE: Final = Table(
    NAME,
    (
        Column("stream", "text", "the reservation's stream", required=True),
        Column("version", "integer", "the version of the stream that the transition made", required=True),
        Column("position", "integer", "the position of its entry", required=True),
        Column("type", "text", "the type of the event", required=True),
        Column("from_status", "text", "the status before; nothing for the first event"),
        Column("from_stage", "text", "the stage before; nothing for the first event"),
        Column("from_load", "text", "the load before; nothing for the first event"),
        Column("to_status", "text", "the status after", required=True),
        Column("to_stage", "text", "the stage after", required=True),
        Column("to_load", "text", "the load after", required=True),
        Column("time", "text", "when it happened, as the event says", required=True),
        Column("recorded", "text", "when the ledger recorded it", required=True),
        Column("actor", "text", "the id of who did it", required=True),
        Column("actor_role", "text", "client, staff, service, system or admin", required=True),
        Column("reason", "text", "why, as a code"),
        Column("forced", "text", "the reason code of a forced transition"),
    ),
    key_length=2,
)
_TO: Final = slice(7, 10)
_NOTHING: Final = (None, None, None)


def _needs(entries: Sequence[Entry]) -> dict[str, set[Any]]:
    return {NAME: {entry.event.stream for entry in entries}}


def _fold(entries: Sequence[Entry], loaded: Loaded) -> Changes:
    states = {stream: ReservationState(*row[_TO]) for stream, row in loaded[NAME].items()}
    rows: list[Row] = []
    for entry in entries:
        body, seal = entry.event, entry.seal
        before = states.get(body.stream)
        after = advance_stored("reservation", before, entry)
        if after == before:
            continue
        states[body.stream] = after
        rows.append(
            (
                body.stream,
                seal.version,
                seal.position,
                body.type,
                *(before or _NOTHING),
                *after,
                body.time,
                seal.recorded,
                body.actor.id,
                body.actor.role,
                public_data(entry).get("reason"),
                body.forced or None,
            )
        )
    return {NAME: rows}


PROJECTION: Final = Projection(
    name=NAME, version=1, types=types_of("reservation"), tables=(TABLE,), needs=_needs, fold=_fold
)
