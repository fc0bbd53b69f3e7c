"""The lifecycle of an account: overdue, frozen, warned, eligible for deletion, in this order; settled at any time.

The order is here; after how many days each step is due is policy. Invariant: no account is eligible for deletion to
whom its data was not offered since the payment was overdue, unless that is forced.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from ledger.lifecycle.base import Lifecycle, State, Step, Table, led_to, refuse, stay


class AccountState(NamedTuple):
    """Where an account stands, and the ``recorded`` time of the last offer of its data, or None."""

    status: str
    export_offered: str | None


_OWING = ("overdue", "frozen", "warned", "deletion_eligible")
_TABLE: Table = {
    "payment_overdue": {None: "overdue", "settled": "overdue", **stay(*_OWING)},
    "frozen": {"overdue": "frozen"},
    "final_warning_sent": {"frozen": "warned"},
    "export_offered": stay(*_OWING),
    "deletion_eligible": {"warned": "deletion_eligible"},
    "settled": dict.fromkeys(_OWING, "settled"),
}


def _decide(before: State | None, step: Step) -> AccountState:
    state = cast("AccountState | None", before)
    offered = state and state.export_offered
    match step.verb:
        case "export_offered":
            offered = step.recorded
        case "settled":
            offered = None
        case "deletion_eligible" if offered is None and step.forced is None:
            refuse("account", state, step, "the account's data has to be offered first: export_offered")
    return AccountState(led_to(_TABLE, state, step), offered)


LIFECYCLE = Lifecycle(
    kind="account",
    table=_TABLE,
    decide=_decide,
    known=tuple(AccountState(status, None) for status in (*_OWING, "settled")),
    depends=frozenset({"export_offered"}),
    rules="""\
`deletion_eligible` needs `export_offered` since the account became overdue; `settled` ends that offer.
""",
)
