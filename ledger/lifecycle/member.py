"""The lifecycle of a member's account: one that is transferred, merged or closed takes no more of its own events."""

from __future__ import annotations

from typing import NamedTuple, cast

from ledger.lifecycle.base import Lifecycle, State, Step, Table, stay


class MemberState(NamedTuple):
    """Where a member's account stands."""

    status: str


_ENDED = ("transferred", "merged", "closed")
_TABLE: Table = {
    "registered": {None: "active", "closed": "active", "erased": "active"},  # erased: as anybody new, under new keys
    "contact_updated": stay("active"),
    "account_changed": stay("active"),  # where this account is the one that ends: transferred, merged or closed
    # A member may be known by other streams only, and more may be recorded of one who was erased before.
    "erased": dict.fromkeys((None, "active", *_ENDED, "erased"), "erased"),
}


def _decide(state: State | None, step: Step) -> MemberState:
    match step.verb:
        case "registered":
            return MemberState("active")
        case "erased":
            return MemberState("erased")
        case "account_changed" if step.data.get("side") != "received":
            return MemberState(step.data["change"])
    return cast("MemberState", state or MemberState("active"))


LIFECYCLE = Lifecycle(
    kind="member",
    table=_TABLE,
    decide=_decide,
    known=tuple(MemberState(status) for status in ("active", *_ENDED, "erased")),
    depends=frozenset({"account_changed"}),
    rules="""\
`account_changed` leads to transferred, merged or closed, unless this member is the one who takes over (side received).
""",
)
