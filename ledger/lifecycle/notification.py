"""The lifecycle of a notification: what fails is tried again, or given up until somebody puts it back in the queue."""

from __future__ import annotations

from ledger.lifecycle.base import Lifecycle, State, StatusState, Step, Table, led_to, statuses

_TABLE: Table = {
    "queued": {None: "queued", "dead_lettered": "queued"},
    "sent": {"queued": "sent", "failed": "sent"},
    "delivered": {"sent": "delivered"},
    "failed": {"queued": "failed", "sent": "failed", "failed": "failed"},  # given up: dead_lettered
    "read": {"sent": "read", "delivered": "read"},
}


def _decide(state: State | None, step: Step) -> StatusState:
    if step.verb == "failed" and step.data["dead_letter"]:
        return StatusState("dead_lettered")
    return StatusState(led_to(_TABLE, state, step))


LIFECYCLE = Lifecycle(
    kind="notification",
    table=_TABLE,
    decide=_decide,
    known=(*statuses(_TABLE), StatusState("dead_lettered")),
    depends=frozenset({"failed"}),
    rules="""\
`failed` with `dead_letter` leads to dead_lettered: given up, until somebody puts it back into the queue.
""",
)
