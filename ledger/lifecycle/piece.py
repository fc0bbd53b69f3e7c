"""The lifecycle of a piece: one step after the other, from waiting for a kiln to being picked up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import cast

from ledger.lifecycle.base import Lifecycle, State, StatusState, Step, Table, led_to, refuse, statuses, stay

_ORDER = ("awaiting_placement", "loaded", "fired", "ready", "picked_up")
_TABLE: Table = {
    "registered": {None: "awaiting_placement"},
    "status_changed": dict(pairwise(_ORDER)),
    "photo_attached": stay(*_ORDER),
    "note_added": stay(*_ORDER),
}


def _decide(state: State | None, step: Step) -> StatusState:
    if step.verb != "status_changed":
        return StatusState(led_to(_TABLE, state, step))
    to: str = step.data["to"]
    if state is not None and step.forced is None:
        if step.data.get("from", state.status) != state.status:
            why = f"it is not {step.data['from']} but {state.status}"
            refuse("piece", state, step, why, "$.data.from")
        if to != (due := _TABLE["status_changed"][state.status]):
            refuse("piece", state, step, f"the next step from {state.status} is {due}, not {to}", "$.data.to")
    return StatusState(to)


def _choices(verb: str, state: State | None) -> Iterator[dict[str, str]]:
    """Yield the right ``to``, with and without its right ``from``, for the verb that has them; else nothing said."""
    if verb == "status_changed":
        here = cast("StatusState", state).status
        to = _TABLE[verb][here]
        yield {"to": to}
        yield {"to": to, "from": here}
    else:
        yield {}


LIFECYCLE = Lifecycle(
    kind="piece",
    table=_TABLE,
    decide=_decide,
    known=statuses(_TABLE),
    choices=_choices,
    rules="""\
`status_changed` goes one step on, to the status after; none is skipped. A `from` that is given must be what it was.
""",
)
