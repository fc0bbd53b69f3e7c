"""Where streams may stand, what the tables have to say, and short ways to take a step. Owns no tests.

The tables are written out here once more, by hand, from the sentences of the design.
"""

from __future__ import annotations

from typing import Any

import pytest

from ledger.errors import LifecycleRefused
from ledger.lifecycle import (
    AccountState,
    LedgerState,
    MediaState,
    MemberState,
    PolicyState,
    RecordState,
    ReservationState,
    State,
    StatusState,
    Step,
    StorageState,
    advance,
)

NOW = "2026-03-01T00:00:00.000000Z"
LONG_AGO = "2026-01-30T00:00:00.000000Z"

# The smallest data, of the types that a lifecycle looks into, that the table alone decides about.
DATA: dict[str, dict[str, Any]] = {
    "reservation.stage_changed": {"to": "drying"},
    "reservation.load_changed": {"to": "loading"},
    "record.created": {"collection": "clients"},
    "record.updated": {"collection": "clients"},
    "member.account_changed": {"change": "closed", "reason": "moved-away", "side": "received", "counterpart": "M-2"},
    "notification.failed": {"attempt": 1, "dead_letter": False, "reason": "no-answer"},
    "media.stored": {"version": 3},
    "media.version_restored": {"version": 1},
    "media.retention_extended": {"retain_until": "2026-02-02"},
    "policy.set": {"version": 8},
    "storage.ready_for_pickup": {"reservation": "R-1"},
    "storage.prepaid": {"reservation": "R-1"},
    "storage.reminder_sent": {"reservation": "R-1"},
    "storage.reminder_failed": {"reservation": "R-1"},
    "storage.hold_started": {"reservation": "R-1"},
    "storage.billed": {"reservation": "R-1"},
    "storage.pickup_missed": {"reservation": "R-1"},
    "storage.picked_up": {"reservation": "R-1"},
    "storage.reclaimed": {"reservation": "R-1"},
    "piece.status_changed": {"to": "loaded"},
}
# Where what is right depends on the state too.
FITTING: dict[tuple[str, str | None], dict[str, Any]] = {
    ("media.stored", None): {"version": 1},
    ("policy.set", None): {"version": 1},
    ("piece.status_changed", "loaded"): {"to": "fired"},
    ("piece.status_changed", "fired"): {"to": "ready"},
    ("piece.status_changed", "ready"): {"to": "picked_up"},
}


def _plain(*statuses: str) -> dict[str | None, State | None]:
    return {None: None, **{status: StatusState(status) for status in statuses}}


STATES: dict[str, dict[str | None, State | None]] = {
    "reservation": {
        None: None,
        "requested": ReservationState("requested", "intake", "queued"),
        "confirmed": ReservationState("confirmed", "intake", "queued"),
        "waitlisted": ReservationState("waitlisted", "intake", "queued"),
        "cancelled": ReservationState("cancelled", "cancelled", "queued"),
        "completed": ReservationState("completed", "picked_up", "queued"),
    },
    "member": {
        None: None,
        **{name: MemberState(name) for name in ("active", "transferred", "merged", "closed", "erased")},
    },
    "record": {
        None: None,
        "active": RecordState("active", None),
        "trashed": RecordState("trashed", LONG_AGO),
        "purged": RecordState("purged", None),
    },
    "ledger": {None: None, "open": LedgerState("open"), "frozen": LedgerState("frozen")},
    "account": {
        None: None,
        **{name: AccountState(name, LONG_AGO) for name in ("overdue", "frozen", "warned", "deletion_eligible")},
        "settled": AccountState("settled", None),
    },
    "media": {
        None: None,
        "stored": MediaState("stored", 2, 2, None, None),
        "trashed": MediaState("trashed", 2, 2, None, LONG_AGO),
        "purged": MediaState("purged", 2, 2, None, None),
    },
    "storage": {
        None: None,
        **{
            name: StorageState(name, "R-1")
            for name in ("active", "reminder_pending", "hold_pending", "stored_by_policy", "picked_up", "reclaimed")
        },
    },
    "policy": {None: None, "set": PolicyState("set", 7)},
    "piece": _plain("awaiting_placement", "loaded", "fired", "ready", "picked_up"),
    "notification": _plain("queued", "sent", "delivered", "failed", "dead_lettered", "read"),
    "hold": _plain("placed", "released"),
    "credential": _plain("active", "revoked", "unknown"),
    "export": _plain("issued"),
    "import": _plain("applied", "undone"),
    "backup": _plain("failed", "completed", "pruned"),
    "restore": _plain("completed"),
    "drill": _plain("completed"),
    "state": _plain("attested"),
    "incident": _plain("open", "closed"),
    "projection": _plain("skipping"),
}
EXPECTED = """
    reservation.requested              -:requested
    reservation.confirmed              requested:confirmed waitlisted:confirmed
    reservation.waitlisted             requested:waitlisted confirmed:waitlisted
    reservation.cancelled              requested:cancelled confirmed:cancelled waitlisted:cancelled
    reservation.stage_changed          requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.load_changed           requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.estimate_changed       requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.station_assigned       requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.arrival_token_issued   requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.arrived                requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.pickup_window_changed  requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.fairness_recorded      requested:requested confirmed:confirmed waitlisted:waitlisted
                                       cancelled:cancelled completed:completed
    member.registered                  -:active closed:active  erased:active
    member.contact_updated             active:active
    member.account_changed             active:active
    member.erased                      -:erased active:erased erased:erased
                                       transferred:erased merged:erased closed:erased
    record.created                     -:active
    record.updated                     active:active
    record.trashed                     active:trashed
    record.restored                    trashed:active
    record.purged                      trashed:purged
    ledger.created                     -:open
    ledger.key_rotated                 open:open frozen:frozen
    ledger.frozen                      open:frozen
    ledger.thawed                      frozen:open
    account.payment_overdue            -:overdue settled:overdue overdue:overdue frozen:frozen warned:warned
                                       deletion_eligible:deletion_eligible
    account.frozen                     overdue:frozen
    account.final_warning_sent         frozen:warned
    account.export_offered             overdue:overdue frozen:frozen warned:warned deletion_eligible:deletion_eligible
    account.deletion_eligible          warned:deletion_eligible
    account.settled                    overdue:settled frozen:settled warned:settled deletion_eligible:settled
    media.stored                       -:stored stored:stored
    media.version_restored             stored:stored
    media.retention_extended           stored:stored trashed:trashed
    media.trashed                      stored:trashed
    media.restored                     trashed:stored
    media.purged                       trashed:purged
    storage.ready_for_pickup           -:active
    storage.prepaid                    active:active reminder_pending:reminder_pending
    storage.reminder_sent              active:reminder_pending reminder_pending:reminder_pending
                                       hold_pending:hold_pending stored_by_policy:stored_by_policy
    storage.reminder_failed            active:active reminder_pending:reminder_pending
                                       hold_pending:hold_pending stored_by_policy:stored_by_policy
    storage.hold_started               active:hold_pending reminder_pending:hold_pending
    storage.billed                     hold_pending:stored_by_policy stored_by_policy:stored_by_policy
    storage.pickup_missed              active:active reminder_pending:reminder_pending
                                       hold_pending:hold_pending stored_by_policy:stored_by_policy
    storage.picked_up                  active:picked_up reminder_pending:picked_up
                                       hold_pending:picked_up stored_by_policy:picked_up
    storage.reclaimed                  hold_pending:reclaimed stored_by_policy:reclaimed
    policy.set                         -:set set:set
    piece.registered                   -:awaiting_placement
    piece.status_changed               awaiting_placement:loaded loaded:fired fired:ready ready:picked_up
    piece.photo_attached               awaiting_placement:awaiting_placement loaded:loaded fired:fired ready:ready
                                       picked_up:picked_up
    piece.note_added                   awaiting_placement:awaiting_placement loaded:loaded fired:fired ready:ready
                                       picked_up:picked_up
    notification.queued                -:queued dead_lettered:queued
    notification.sent                  queued:sent failed:sent
    notification.delivered             sent:delivered
    notification.failed                queued:failed sent:failed failed:failed
    notification.read                  sent:read delivered:read
    hold.placed                        -:placed
    hold.released                      placed:released
    credential.issued                  -:active unknown:active
    credential.revoked                 active:revoked
    credential.refused                 -:unknown unknown:unknown active:active revoked:revoked
    export.issued                      -:issued
    import.applied                     -:applied
    import.undone                      applied:undone
    backup.completed                   -:completed failed:completed
    backup.failed                      -:failed failed:failed
    backup.pruned                      completed:pruned
    restore.completed                  -:completed
    drill.completed                    -:completed
    state.attested                     -:attested attested:attested
    incident.opened                    -:open closed:open
    incident.closed                    open:closed
    projection.skipped                 -:skipping skipping:skipping
"""


def expected_cells() -> dict[tuple[str, str | None], str]:
    cells: dict[tuple[str, str | None], str] = {}
    name = ""
    for word in EXPECTED.split():
        if "." in word:
            name = word
        else:
            before, after = word.split(":")
            cells[name, None if before == "-" else before] = after
    return cells


CELLS = expected_cells()


def data_for(name: str, status: str | None) -> dict[str, Any]:
    """Data of the type that are right in a state of this status, as far as the table's cell allows any."""
    return FITTING.get((name, status), DATA.get(name, {}))


def take(
    state: State | None,
    name: str,
    data: dict[str, Any] | None = None,
    *,
    role: str = "staff",
    forced: str | None = None,
    recorded: str = NOW,
) -> State:
    """The state after the step; without data, with some that are right."""
    given = data_for(name, state and state.status) if data is None else data
    return advance(name.partition(".")[0], state, Step(name, role, forced, recorded, given))


def refusal(state: State | None, name: str, data: dict[str, Any] | None = None, **how: Any) -> LifecycleRefused:
    """The refusal of the step, which names the event."""
    with pytest.raises(LifecycleRefused) as caught:
        take(state, name, data, **how)
    assert caught.value.event == name
    assert name in caught.value.detail
    return caught.value
