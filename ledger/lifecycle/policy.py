"""The lifecycle of a policy: one version after the other, without gaps."""

from __future__ import annotations

from typing import NamedTuple, cast

from ledger.lifecycle.base import Lifecycle, State, Step, Table, refuse, stay


class PolicyState(NamedTuple):
    """That a policy is set, by which of its versions, and which public fields it declares: (name, type); or None."""

    status: str
    policy_version: int
    declared: tuple[tuple[str, str], ...] | None = None


_TABLE: Table = {"set": {None: "set", **stay("set")}}


def _decide(before: State | None, step: Step) -> PolicyState:
    state = cast("PolicyState | None", before)
    version: int = step.data["version"]
    due = state.policy_version + 1 if state else 1
    if step.forced is None and version != due:
        refuse("policy", state, step, f"the next version is {due}, not {version}", "$.data.version")
    collection = step.data.get("collection")
    declared = tuple((field["name"], field["type"]) for field in collection["public_fields"]) if collection else None
    return PolicyState("set", version, declared)


LIFECYCLE = Lifecycle(
    kind="policy",
    table=_TABLE,
    decide=_decide,
    known=(),
    depends=frozenset(_TABLE),
    rules="""\
Each `set` brings the next version, from 1.
""",
)
