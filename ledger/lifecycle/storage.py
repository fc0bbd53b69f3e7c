"""The lifecycle of shelf storage: grace with its reminders, then a hold that is billed, then pickup or reclaim.

The order is here; when each step is due is policy. A missed pickup and a failed reminder are noted and change nothing.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from ledger.lifecycle.base import Lifecycle, State, Step, Table, led_to, refuse, stay


class StorageState(NamedTuple):
    """Where shelf storage stands, and whose work it is."""

    status: str
    reservation: str


_GRACE = ("active", "reminder_pending")
_HELD = ("hold_pending", "stored_by_policy")
_LIVE = (*_GRACE, *_HELD)
_TABLE: Table = {
    "ready_for_pickup": {None: "active"},
    "prepaid": stay(*_GRACE),
    "reminder_sent": {"active": "reminder_pending", **stay("reminder_pending", *_HELD)},
    "reminder_failed": stay(*_LIVE),
    "hold_started": dict.fromkeys(_GRACE, "hold_pending"),
    "billed": dict.fromkeys(_HELD, "stored_by_policy"),
    "pickup_missed": stay(*_LIVE),
    "picked_up": dict.fromkeys(_LIVE, "picked_up"),
    "reclaimed": dict.fromkeys(_HELD, "reclaimed"),
}


def _decide(before: State | None, step: Step) -> StorageState:
    state = cast("StorageState | None", before)
    reservation: str = step.data["reservation"]
    if state is not None and step.forced is None and reservation != state.reservation:
        why = f"it is storage of {state.reservation}, not of {reservation}"
        refuse("storage", state, step, why, "$.data.reservation")
    return StorageState(led_to(_TABLE, state, step), reservation)


LIFECYCLE = Lifecycle(
    kind="storage",
    table=_TABLE,
    decide=_decide,
    known=(),
    depends=frozenset(_TABLE),
    rules="""\
Every event names the same reservation. hold_pending means that grace is over and nothing is billed yet.
""",
)
