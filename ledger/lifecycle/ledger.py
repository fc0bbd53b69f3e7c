"""The lifecycle of the ledger itself: an admin may stop all appends but those to this stream, and let them go on."""

from __future__ import annotations

from typing import NamedTuple, cast

from ledger.lifecycle.base import Lifecycle, State, Step, Table, refuse, stay


class LedgerState(NamedTuple):
    """Whether the ledger is open or frozen."""

    status: str


_TABLE: Table = {
    "created": {None: "open"},
    "key_rotated": stay("open", "frozen"),
    "frozen": {"open": "frozen"},
    "thawed": {"frozen": "open"},
}


def _decide(state: State | None, step: Step) -> LedgerState:
    match step.verb:
        case "frozen" | "thawed" if step.role != "admin":
            refuse("ledger", state, step, f"it needs the actor role admin, got {step.role}", "$.actorrole")
        case "frozen":
            return LedgerState("frozen")
        case "thawed" | "created":
            return LedgerState("open")
    return cast("LedgerState", state or LedgerState("open"))


LIFECYCLE = Lifecycle(
    kind="ledger",
    table=_TABLE,
    decide=_decide,
    known=(LedgerState("open"), LedgerState("frozen")),
    rules="""\
`frozen` and `thawed` need the actor role admin. While the ledger is frozen, only its own stream takes events.
""",
)
