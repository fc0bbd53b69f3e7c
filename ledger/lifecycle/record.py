"""The lifecycle of a record: what is trashed can be restored, and is purged 30 days later at the soonest."""

from __future__ import annotations

from typing import NamedTuple, cast

from ledger.lifecycle.base import TRASH_DAYS, Lifecycle, State, Step, Table, check_purge, stay


class RecordState(NamedTuple):
    """Where a record stands, and the ``recorded`` time since which it is trashed, or None."""

    status: str
    trashed: str | None


_TABLE: Table = {
    "created": {None: "active"},
    "updated": stay("active"),
    "trashed": {"active": "trashed"},
    "restored": {"trashed": "active"},
    "purged": {"trashed": "purged"},
}


def _decide(before: State | None, step: Step) -> RecordState:
    state = cast("RecordState | None", before)
    match step.verb:
        case "trashed":
            return RecordState("trashed", step.recorded)
        case "purged":
            if state is not None and step.forced is None:
                check_purge("record", state, step, state.trashed)
            return RecordState("purged", None)
        case "updated" if state:
            return state
    return RecordState("active", None)


LIFECYCLE = Lifecycle(
    kind="record",
    table=_TABLE,
    decide=_decide,
    known=(RecordState("active", None),),
    depends=frozenset({"trashed"}),
    rules=f"""\
`purged` needs {TRASH_DAYS} days to have passed since the record was trashed.
""",
)
