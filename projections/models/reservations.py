"""The read model ``reservations``: each reservation as it stands, its transitions, and the evidence for its queue.

Owns three tables: ``reservations``, a row each; ``stage_history``, a row for each event that changed status, stage or
load, the first one included; ``fairness_evidence``, a row for each penalty or override. ``ledger.lifecycle`` says where
an event leads. Never copies a private value, and never reads or writes a store.

Invariants: a column holds what the last event that gave it said. A row of ``stage_history`` starts where the one before
it ended.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final, cast

from msgspec import Meta

from ledger import lifecycle
from ledger.entry import Seal
from ledger.lifecycle import ReservationState, Step
from projections.models._streams import StreamRow, as_json, committed, head, put_given, touch
from projections.projection import Commitments, Event, Json, Projection, Row, Table, types_of
from projections.work import Work


class Reservation(StreamRow):
    """A reservation as it stands."""

    status: Annotated[str, Meta(description="requested, confirmed, waitlisted, cancelled or completed")]
    stage: Annotated[str, Meta(description="where the work is, from intake to picked_up, or cancelled")]
    load: Annotated[str, Meta(description="where the kiln load is: queued, loading or loaded")]
    reason: Annotated[str | None, Meta(description="why it stands so: the reason of the last transition")] = None
    firing_type: Annotated[str | None, Meta(description="bisque, glaze or other")] = None
    half_shelves: Annotated[int | None, Meta(description="how many half shelves it takes")] = None
    window_earliest: Annotated[str | None, Meta(description="the first day of the preferred window")] = None
    window_latest: Annotated[str | None, Meta(description="the last day of the preferred window")] = None
    channel: Annotated[str | None, Meta(description="where the request came in")] = None
    rate: Annotated[str | None, Meta(description="the rate, a decimal")] = None
    station: Annotated[str | None, Meta(description="the kiln, shelf or room assigned last")] = None
    preferred_station: Annotated[str | None, Meta(description="the kiln, shelf or room asked for")] = None
    queue_class: Annotated[str | None, Meta(description="the class in the queue")] = None
    queue_position: Annotated[int | None, Meta(description="a hint of the place in the queue")] = None
    add_ons: Annotated[Json | None, Meta(description="what else was asked for: a list of codes")] = None
    resources: Annotated[
        Json | None, Meta(description="what the firing needs: `kiln_profile`, `rack_count`, `special_handling`")
    ] = None
    photo: Annotated[str | None, Meta(description="the media id of a photo")] = None
    estimate_start: Annotated[str | None, Meta(description="when the work is expected, at the earliest")] = None
    estimate_end: Annotated[str | None, Meta(description="when the work is expected, at the latest")] = None
    estimate_confidence: Annotated[str | None, Meta(description="high, medium or low")] = None
    estimate_reason: Annotated[str | None, Meta(description="why the estimate changed, when last said")] = None
    sla: Annotated[str | None, Meta(description="on_track, at_risk, delayed or unknown")] = None
    sla_since: Annotated[str | None, Meta(description="since when it is so: the time of the event")] = None
    arrival: Annotated[str | None, Meta(description="expected, arrived, overdue or no_show")] = None
    arrival_time: Annotated[str | None, Meta(description="when that was so: the time of the event")] = None
    expected_at: Annotated[str | None, Meta(description="when the member was to come")] = None
    token_used: Annotated[int | None, Meta(description="the version of the arrival token that was shown")] = None
    via: Annotated[str | None, Meta(description="how the arrival was noted")] = None
    token_version: Annotated[int | None, Meta(description="which arrival token was issued last; never the token")] = (
        None
    )
    token_issued: Annotated[str | None, Meta(description="when the arrival token was issued")] = None
    token_expires: Annotated[str | None, Meta(description="when the arrival token expires")] = None
    pickup_state: Annotated[str | None, Meta(description="open, confirmed, missed, expired or completed")] = None
    pickup_start: Annotated[str | None, Meta(description="from when the work may be fetched")] = None
    pickup_end: Annotated[str | None, Meta(description="until when the work may be fetched")] = None
    pickup_misses: Annotated[int | None, Meta(description="pickup windows missed so far")] = None
    pickup_reschedules: Annotated[int | None, Meta(description="pickup windows moved so far")] = None
    pickup_reason: Annotated[str | None, Meta(description="why the pickup window changed, when last said")] = None
    penalty_points: Annotated[int | None, Meta(description="penalty points for the queue, added up")] = None
    boost: Annotated[int | None, Meta(description="places moved up in the queue by the last override")] = None
    boost_expires: Annotated[str | None, Meta(description="until when that override holds")] = None
    storage: Annotated[
        str | None, Meta(description="the id of the shelf storage that was told of last; how it stands, `storage` says")
    ] = None
    storage_action: Annotated[str | None, Meta(description="what happened there last: billed, reminder_sent…")] = None
    storage_time: Annotated[str | None, Meta(description="when that happened, as the event says")] = None
    ready_at: Annotated[str | None, Meta(description="the moment that all of shelf storage is counted from")] = None
    days_billed: Annotated[int | None, Meta(description="full days of shelf storage billed so far")] = None
    private: Annotated[Commitments | None, Meta(description="the private fields, such as `notes`")] = None


class Transition(Row):
    """A change of a reservation's status, stage or load."""

    stream: Annotated[str, Meta(description="the reservation's stream")]
    version: Annotated[int, Meta(description="the version of the stream that the transition made")]
    position: Annotated[int, Meta(description="the position of its entry")]
    type: Annotated[str, Meta(description="the type of the event")]
    from_status: Annotated[str | None, Meta(description="the status before; nothing for the first event")]
    from_stage: Annotated[str | None, Meta(description="the stage before; nothing for the first event")]
    from_load: Annotated[str | None, Meta(description="the load before; nothing for the first event")]
    to_status: Annotated[str, Meta(description="the status after")]
    to_stage: Annotated[str, Meta(description="the stage after")]
    to_load: Annotated[str, Meta(description="the load after")]
    time: Annotated[str, Meta(description="when it happened, as the event says")]
    recorded: Annotated[str, Meta(description="when the ledger recorded it")]
    actor: Annotated[str, Meta(description="the id of who did it")]
    actor_role: Annotated[str, Meta(description="client, staff, service, system or admin")]
    reason: Annotated[str | None, Meta(description="why, as a code")]
    forced: Annotated[str | None, Meta(description="the reason code of a forced transition")]
    private: Annotated[Commitments | None, Meta(description="the private fields of the event: `notes`")]


class Evidence(Row):
    """What a penalty in the queue, or an override of it, rests on."""

    stream: Annotated[str, Meta(description="the reservation's stream")]
    version: Annotated[int, Meta(description="the version of the stream that the event made")]
    position: Annotated[int, Meta(description="the position of its entry")]
    kind: Annotated[str, Meta(description="no_show, late_arrival or override")]
    points: Annotated[int | None, Meta(description="penalty points added")]
    boost: Annotated[int | None, Meta(description="places moved up in the queue")]
    expires: Annotated[str | None, Meta(description="until when an override holds")]
    reason: Annotated[str, Meta(description="why, as a code")]
    evidence: Annotated[str | None, Meta(description="a reference to what it rests on")]
    decided_by: Annotated[str, Meta(description="the id of who decided")]
    time: Annotated[str, Meta(description="when it was decided, as the event says")]
    private: Annotated[Commitments | None, Meta(description="the private fields of the event: `notes`")]


RESERVATIONS: Final = Table(
    "reservations",
    Reservation,
    "Each reservation as it stands.",
    by_stream=True,
    indexes=(("member",), ("status",), ("stage",), ("station",)),
)
STAGE_HISTORY: Final = Table(
    "stage_history",
    Transition,
    "Each change of a reservation's status, stage or load, in their order.",
    key_length=2,
)
FAIRNESS_EVIDENCE: Final = Table(
    "fairness_evidence",
    Evidence,
    "Each penalty for the queue and each override of it, with what it rests on.",
    key_length=2,
)
PROJECTION: Final = Projection("reservations", version=2, tables=(RESERVATIONS, STAGE_HISTORY, FAIRNESS_EVIDENCE))

_REQUESTED: Final = ("channel", "photo", "preferred_station", "queue_class", "queue_position", "rate")
_NOWHERE: Final[tuple[str | None, str | None, str | None]] = (None, None, None)


def _moved(work: Work, event: Event, seal: Seal) -> Reservation:
    """The row of the event's reservation, where the event leads; the transition, if it is one, enters the history."""
    row = work.change(RESERVATIONS, event.stream)
    if row is None:
        before = _NOWHERE
        after = _after(event.type, None, None, None, event.data.get("to"))
        row = work.put(RESERVATIONS, Reservation(*head(event, seal), *after))
    else:
        before = (row.status, row.stage, row.load)
        after = _after(event.type, *before, event.data.get("to"))
        touch(row, event, seal)
    private = None
    if event.private:
        private = committed(None, event, seal)
        row.private = private if row.private is None else committed(row.private, event, seal)
    if after != before:
        status, stage, load = after
        row.status, row.stage, row.load = status, stage, load
        row.reason = reason = event.data.get("reason")
        from_status, from_stage, from_load = before
        actor = event.actor
        transition = Transition(
            event.stream,
            seal.version,
            seal.position,
            event.type,
            from_status,
            from_stage,
            from_load,
            status,
            stage,
            load,
            event.time,
            seal.recorded,
            actor.id,
            actor.role,
            reason,
            event.forced or None,
            private,
        )
        work.add(STAGE_HISTORY, transition)
    return row


@lru_cache(maxsize=16_384)  # more than there are: statuses, stages and loads are few
def _after(
    event_type: str, status: str | None, stage: str | None, load: str | None, to: str | None
) -> tuple[str, str, str]:
    """Status, stage and load after an event. It is recorded, so it is not refused; see ``_streams.advance``."""
    before = None if status is None or stage is None or load is None else ReservationState(status, stage, load)
    step = Step(event_type, "admin", "recorded", "", {} if to is None else {"to": to})
    after = cast("ReservationState", lifecycle.advance("reservation", before, step))
    return after.status, after.stage, after.load


@PROJECTION.on("reservation.requested")
def _requested(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.firing_type = data["firing_type"]
    row.half_shelves = data["half_shelves"]
    window = data["window"]
    row.window_earliest = window["earliest"]
    row.window_latest = window["latest"]
    put_given(row, data, *_REQUESTED)
    if "add_ons" in data:
        row.add_ons = as_json(data["add_ons"])
    if "resources" in data:
        row.resources = as_json(data["resources"])


@PROJECTION.on(
    "reservation.confirmed", "reservation.waitlisted", "reservation.cancelled", "reservation.station_assigned"
)
def _decided(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    if "station" in data:
        row.station = data["station"]
    if "queue_position" in data:
        row.queue_position = data["queue_position"]
    if "queue_class" in data:
        row.queue_class = data["queue_class"]


@PROJECTION.on("reservation.stage_changed", "reservation.load_changed")
def _changed(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    if "station" in data:
        row.station = data["station"]


@PROJECTION.on("reservation.estimate_changed")
def _estimated(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.estimate_start = data.get("start", row.estimate_start)
    row.estimate_end = data.get("end", row.estimate_end)
    row.estimate_confidence = data.get("confidence", row.estimate_confidence)
    row.estimate_reason = data.get("reason", row.estimate_reason)
    sla = data.get("sla", row.sla)
    if sla != row.sla:
        row.sla, row.sla_since = sla, event.time


@PROJECTION.on("reservation.arrival_token_issued")
def _token_issued(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.token_version = data["version"]
    row.token_issued = data.get("issued")
    row.token_expires = data.get("expires")


@PROJECTION.on("reservation.arrived")
def _arrived(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.arrival = data.get("state", "arrived")
    row.arrival_time = event.time
    put_given(row, data, "station", "via", "expected_at", "photo", "token_used")


@PROJECTION.on("reservation.pickup_window_changed")
def _pickup_changed(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.pickup_state = data["state"]
    row.pickup_start = data.get("start", row.pickup_start)
    row.pickup_end = data.get("end", row.pickup_end)
    row.pickup_misses = data.get("misses", row.pickup_misses)
    row.pickup_reschedules = data.get("reschedules", row.pickup_reschedules)
    row.pickup_reason = data.get("reason", row.pickup_reason)


@PROJECTION.on("reservation.fairness_recorded")
def _fairness_recorded(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    if "points" in data:
        row.penalty_points = (row.penalty_points or 0) + data["points"]
    if "boost" in data:
        row.boost, row.boost_expires = data["boost"], data.get("expires")
    work.add(
        FAIRNESS_EVIDENCE,
        Evidence(
            event.stream,
            seal.version,
            seal.position,
            data["kind"],
            data.get("points"),
            data.get("boost"),
            data.get("expires"),
            data["reason"],
            data.get("evidence"),
            data.get("decided_by", event.actor.id),
            event.time,
            committed(None, event, seal),
        ),
    )


@PROJECTION.on(*types_of("storage"))
def _shelved(work: Work, event: Event, seal: Seal) -> None:
    """Shelf storage is a stream of its own; one of a reservation that has not begun has no row to show in."""
    data = event.data
    row = work.change(RESERVATIONS, f"reservation:{data['reservation']}")
    if row is None:
        return
    row.storage = event.stream.partition(":")[2]
    row.storage_action = event.type.partition(".")[2]
    row.storage_time = event.time
    put_given(row, data, "ready_at", "days_billed")
