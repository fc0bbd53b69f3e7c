"""The lifecycle of a reservation: its status, the stage of its work, and its kiln load.

Invariants: the status is ``cancelled`` if and only if the stage is, and ``completed`` if and only if the stage is
``picked_up``, forced or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple, cast

from ledger.lifecycle.base import Lifecycle, State, Step, Table, refuse, stay

STAGES = ("intake", "queued", "drying", "glaze", "loaded", "ready_for_pickup", "stored", "picked_up")
"""The stages of a reservation in their order. ``cancelled`` is a stage too, outside the order."""

LOADS = ("queued", "loading", "loaded")
"""The states of a reservation's kiln load in their order."""


class ReservationState(NamedTuple):
    """Where a reservation stands: its status, its stage, its kiln load."""

    status: str
    stage: str
    load: str


_LIVE = ("requested", "confirmed", "waitlisted")
_BEGUN = ReservationState("requested", "intake", "queued")
_TABLE: Table = {
    "requested": {None: "requested"},
    "confirmed": {"requested": "confirmed", "waitlisted": "confirmed"},
    "waitlisted": {"requested": "waitlisted", "confirmed": "waitlisted"},
    "cancelled": {"requested": "cancelled", "confirmed": "cancelled", "waitlisted": "cancelled"},
    "stage_changed": stay(*_LIVE),  # from confirmed to the stage picked_up: completed
    "load_changed": stay(*_LIVE),
    "estimate_changed": stay(*_LIVE),
    "station_assigned": stay(*_LIVE),
    "arrival_token_issued": stay(*_LIVE),
    "arrived": stay(*_LIVE),
    "pickup_window_changed": stay(*_LIVE),
    "fairness_recorded": stay(*_LIVE, "cancelled", "completed"),
}


def _decide(before: State | None, step: Step) -> ReservationState:
    """A forced step leads to what its event says, and from a final status back into a live one where it must."""
    state = cast("ReservationState | None", before)
    verb = step.verb
    if verb == "requested":
        return _BEGUN
    if verb == "stage_changed":
        return _stage_changed(state, step)
    if verb == "load_changed":
        return _load_changed(state, step)
    here = state or _BEGUN
    if verb == "cancelled":
        return here._replace(status="cancelled", stage="cancelled")
    if verb in ("confirmed", "waitlisted"):
        return here._replace(status=verb, stage=here.stage if here.status in _LIVE else "intake")
    return here


def _stage_changed(state: ReservationState | None, step: Step) -> ReservationState:
    to = step.data["to"]
    if state is not None and step.forced is None:
        _check_from(state, state.stage, step)
        if STAGES.index(to) < STAGES.index(state.stage):
            _check_back(state, step)
        if to == "picked_up" and state.status != "confirmed":
            refuse("reservation", state, step, "only a confirmed reservation is picked up", "$.data.to")
    here = state or _BEGUN
    if to == "picked_up":
        return here._replace(status="completed", stage=to)
    # Work that has a stage was let in; so what is forced out of nothing or a final status is confirmed from there on.
    return here._replace(status=here.status if state and here.status in _LIVE else "confirmed", stage=to)


def _check_from(state: ReservationState, actual: str, step: Step) -> None:
    """Check that a change starts where the event says, if it says so, and leads elsewhere."""
    if step.data.get("from", actual) != actual:
        refuse("reservation", state, step, f"it is not in {step.data['from']} but in {actual}", "$.data.from")
    if step.data["to"] == actual:
        refuse("reservation", state, step, f"it is in {actual} already", "$.data.to")


def _check_back(state: ReservationState, step: Step) -> None:
    if step.role not in ("staff", "admin"):
        refuse("reservation", state, step, f"a step back needs the role staff or admin, got {step.role}", "$.actorrole")
    if "reason" not in step.data:
        refuse("reservation", state, step, "a step back needs a reason", "$.data.reason")


def _load_changed(state: ReservationState | None, step: Step) -> ReservationState:
    to = step.data["to"]
    if state is not None and step.forced is None:
        _check_from(state, state.load, step)
        if (state.load, to) == ("loaded", "queued"):
            if step.role not in ("staff", "admin"):
                why = f"a correction needs the role staff or admin, got {step.role}"
                refuse("reservation", state, step, why, "$.actorrole")
        elif LOADS.index(to) != LOADS.index(state.load) + 1:
            why = "a load goes queued, loading, loaded, or from loaded to queued"
            refuse("reservation", state, step, why, "$.data.to")
    return (state or _BEGUN)._replace(load=to)


def _choices(verb: str, state: State | None) -> Iterator[dict[str, str]]:
    """Yield every ``to``, with and without its right ``from``, for the verbs that have them; else nothing said."""
    if verb in ("stage_changed", "load_changed"):
        here = cast("ReservationState", state)
        for to in STAGES if verb == "stage_changed" else LOADS:
            yield {"to": to}
            yield {"to": to, "from": here.stage if verb == "stage_changed" else here.load}
    else:
        yield {}


LIFECYCLE = Lifecycle(
    kind="reservation",
    table=_TABLE,
    decide=_decide,
    known=(
        *(ReservationState(status, stage, load) for status, stage, load in product(_LIVE, STAGES[:-1], LOADS)),
        *(ReservationState("cancelled", "cancelled", load) for load in LOADS),
        *(ReservationState("completed", "picked_up", load) for load in LOADS),
    ),
    choices=_choices,
    rules=f"""\
The stages in their order are {", ".join(STAGES)}.
Steps may be skipped forward; a step back needs the actor role staff or admin, and a reason. From confirmed, the stage
picked_up completes the reservation; `cancelled` sets the stage cancelled. The load goes {", ".join(LOADS)};
staff or admin may correct it from loaded to queued. A `from` that is given must be what it was.
""",
)
