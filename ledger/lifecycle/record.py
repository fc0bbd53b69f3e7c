"""The lifecycle of a record: what is trashed can be restored, and is purged 30 days later at the soonest.

Its public fields are those that the policy of its collection declares; a new event that holds others is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import msgspec

from ledger import moment
from ledger.catalog.values import Code, Date, Decimal, Id, Instant
from ledger.lifecycle.base import TRASH_DAYS, Lifecycle, State, Step, Table, check_purge, refuse, stay
from ledger.lifecycle.policy import PolicyState


class RecordState(NamedTuple):
    """Where a record stands, and the ``recorded`` time since which it is trashed, or None."""

    status: str
    trashed: str | None


_TYPES: Mapping[str, Any] = {
    "boolean": bool,
    "code": Code,
    "date": Date,
    "decimal": Decimal,
    "id": Id,
    "instant": Instant,
    "integer": int,
}
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


def _heed(state: State | None, step: Step, other: State | None) -> None:
    """Check that the policy of the collection declares the record's public fields, each of the type that it has."""
    policy = cast("PolicyState | None", other)
    declared = dict(policy.declared or ()) if policy else {}
    for name, value in step.data["public"].items():
        path = f"$.data.public.{name}"
        if name not in declared:
            stream = f"policy:collection.{step.data['collection']}"
            refuse("record", state, step, f"{name} is no public field, since {stream} does not declare it", path)
        if value is not None and not _is(value, declared[name]):
            refuse("record", state, step, f"{name} is declared to be of the type {declared[name]}", path)


def _is(value: Any, declared: str) -> bool:
    """Say whether a public value is of the declared type."""
    try:
        msgspec.convert(value, _TYPES[declared])
        if declared == "instant":
            moment.normal(value)
    except ValueError:
        return False
    return True


LIFECYCLE = Lifecycle(
    kind="record",
    table=_TABLE,
    decide=_decide,
    known=(RecordState("active", None),),
    depends=frozenset({"trashed"}),
    heed=_heed,
    rules=f"""\
The policy of the collection has to declare the fields in `public`, with their types.
`purged` needs {TRASH_DAYS} days to have passed since the record was trashed.
""",
)
