"""The read model ``storage``: how each finished work on the studio's shelves stands, and all that was done about it.

Owns three tables: ``storage``, a row for each shelf storage, with what falls due when by the policy;
``storage_actions``, each notice, reminder, failure and bill of a reservation by date; ``storage_terms``, the policy.
Due times are reckoned from the moment the work became ready, by the terms in force then, and never compared with a
clock: that is for readers. Without a policy they are empty. Never copies a private value, nor reads or writes a store.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final

from msgspec import Meta

from ledger import moment
from ledger.entry import Seal
from ledger.lifecycle import StorageState
from projections.models import _terms as terms
from projections.models._streams import StreamRow, advance, as_json, committed, head, put_given, touch
from projections.projection import Commitments, Event, Json, Projection, Row, Table
from projections.work import Work


class Storage(StreamRow):
    """A shelf storage as it stands."""

    status: Annotated[
        str,
        Meta(
            description="active, reminder_pending (once reminders began), hold_pending (the studio holds the work), "
            "stored_by_policy (it bills for it), picked_up or reclaimed"
        ),
    ]
    reservation: Annotated[str, Meta(description="the id of the reservation whose work it is")]
    half_shelves: Annotated[int | None, Meta(description="the room it takes")] = None
    station: Annotated[str | None, Meta(description="the shelf or room")] = None
    pieces: Annotated[Json | None, Meta(description="the ids of the pieces, if not all there are")] = None
    ready_at: Annotated[str | None, Meta(description="the moment that all is counted from")] = None
    grace_ends: Annotated[str | None, Meta(description="until when storage is free")] = None
    covered_until: Annotated[str | None, Meta(description="until when storage was prepaid")] = None
    prepaid: Annotated[str | None, Meta(description="what was prepaid, a decimal")] = None
    currency: Annotated[str | None, Meta(description="the currency of what was prepaid and billed")] = None
    terms_version: Annotated[int | None, Meta(description="the version of the policy that due times follow")] = None
    reminders: Annotated[int, Meta(description="reminders sent: the greatest number said")] = 0
    reminded: Annotated[str | None, Meta(description="when the last reminder was sent")] = None
    reminder_failures: Annotated[int, Meta(description="attempts at a reminder that failed")] = 0
    reminder_failed: Annotated[str | None, Meta(description="when one failed last")] = None
    next_reminder: Annotated[int | None, Meta(description="which reminder is next, if there is one more")] = None
    next_reminder_due: Annotated[str | None, Meta(description="when that is due")] = None
    hold_due: Annotated[str | None, Meta(description="when grace and what was prepaid end, until the hold starts")] = (
        None
    )
    billing_from: Annotated[str | None, Meta(description="from when each full day is billed")] = None
    day_price: Annotated[str | None, Meta(description="what a full day costs, a decimal")] = None
    days_billed: Annotated[int, Meta(description="full days billed so far")] = 0
    billed: Annotated[str | None, Meta(description="all that was billed in that currency, a decimal")] = None
    billed_to: Annotated[str | None, Meta(description="the last day that was billed")] = None
    next_bill_due: Annotated[str | None, Meta(description="when the next full day is over, if it is to be billed")] = (
        None
    )
    reclaim_due: Annotated[str | None, Meta(description="when the studio may reclaim the work")] = None
    misses: Annotated[int, Meta(description="pickup windows missed")] = 0
    ended: Annotated[str | None, Meta(description="when it was picked up or reclaimed")] = None
    disposition: Annotated[str | None, Meta(description="what became of reclaimed work, as a code")] = None
    private: Annotated[Commitments | None, Meta(description="the private fields: `notes`, `detail`")] = None


class Action(Row):
    """A notice, reminder, failure or bill."""

    reservation: Annotated[str, Meta(description="the id of the reservation")]
    time: Annotated[str, Meta(description="when it happened, as the event says, with six decimals")]
    position: Annotated[int, Meta(description="the position of its entry")]
    stream: Annotated[str, Meta(description="the stream of the event: a storage, or the reservation itself")]
    version: Annotated[int, Meta(description="the version of that stream that the event made")]
    type: Annotated[str, Meta(description="the type of the event")]
    notice: Annotated[
        str,
        Meta(
            description="what members and staff know it as: pickup_ready, pickup_reminder_1…, pickup_window_opened, "
            "pickup_window_confirmed, pickup_window_missed, pickup_window_expired, pickup_window_completed, "
            "storage_prepaid, hold_pending, storage_billing_update, reminder_failed, picked_up, stored_by_policy "
            "(the work was reclaimed)"
        ),
    ]
    due: Annotated[str | None, Meta(description="when it was due by the policy, if that is said")]
    reminder: Annotated[int | None, Meta(description="which reminder, from 1")]
    attempt: Annotated[int | None, Meta(description="which attempt at the reminder failed")]
    days: Annotated[int | None, Meta(description="how many days were billed")]
    first_day: Annotated[str | None, Meta(description="the first day that was billed")]
    last_day: Annotated[str | None, Meta(description="the last day that was billed")]
    amount: Annotated[str | None, Meta(description="what was billed or prepaid, a decimal")]
    currency: Annotated[str | None, Meta(description="the currency of the amount")]
    reason: Annotated[str | None, Meta(description="why, as a code")]
    notification: Annotated[str | None, Meta(description="the id of the notification that tells the member")]
    policy_version: Annotated[int | None, Meta(description="the version of the policy that it follows")]
    actor: Annotated[str, Meta(description="the id of who did it")]
    actor_role: Annotated[str, Meta(description="client, staff, service, system or admin")]
    forced: Annotated[str | None, Meta(description="the reason code of a forced event")]
    private: Annotated[Commitments | None, Meta(description="the private fields of the event: `notes`, `detail`")]


STORAGE: Final = Table(
    "storage",
    Storage,
    "Each shelf storage as it stands, with what falls due when: by the policy in force when the work became ready, as "
    "the ledger knew of it then, or by the version that a later event says it follows; empty where there is none.",
    by_stream=True,
    indexes=(("reservation",), ("member",), ("status",)),
)
ACTIONS: Final = Table(
    "storage_actions", Action, "Each notice, reminder, failure and bill of a reservation, by date.", key_length=3
)
TERMS: Final = terms.terms_table("storage_terms", "shelf storage")
PROJECTION: Final = Projection("storage", version=1, tables=(STORAGE, ACTIONS, TERMS))

_LIVE: Final = ("active", "reminder_pending", "hold_pending", "stored_by_policy")
_POLICY: Final = "policy:storage"
_NOTICES: Final = {
    "storage.ready_for_pickup": "pickup_ready",
    "storage.prepaid": "storage_prepaid",
    "storage.reminder_failed": "reminder_failed",
    "storage.hold_started": "hold_pending",
    "storage.billed": "storage_billing_update",
    "storage.pickup_missed": "pickup_window_missed",
    "storage.picked_up": "picked_up",
    "storage.reclaimed": "stored_by_policy",
}


@PROJECTION.on("policy.set")
def _policy_set(work: Work, event: Event, seal: Seal) -> None:
    terms.set_terms(work, TERMS, event, "storage")


@PROJECTION.on("reservation.pickup_window_changed")
def _window_changed(work: Work, event: Event, seal: Seal) -> None:
    state = event.data["state"]
    _note(work, event, seal, event.stream.partition(":")[2], f"pickup_window_{'opened' if state == 'open' else state}")


@PROJECTION.on("storage.ready_for_pickup")
def _ready(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    put_given(row, data, "half_shelves", "station", "ready_at", "grace_ends")
    if "pieces" in data:
        row.pieces = as_json(data["pieces"])
    _follow(work, row, event)


@PROJECTION.on("storage.prepaid")
def _prepaid(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.covered_until = data["covered_until"]
    row.prepaid = _added(row, row.prepaid, data)
    _follow(work, row, event)


@PROJECTION.on("storage.reminder_sent")
def _reminded(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.reminders = max(row.reminders, data["reminder"])
    row.reminded = event.time
    _follow(work, row, event)


@PROJECTION.on("storage.reminder_failed")
def _reminder_failed(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    row.reminder_failures += 1
    row.reminder_failed = event.time
    _follow(work, row, event)


@PROJECTION.on("storage.hold_started")
def _hold_started(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.billing_from = data["billing_from"]
    _follow(work, row, event)


@PROJECTION.on("storage.billed")
def _billed(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.half_shelves = data["half_shelves"]
    row.days_billed = data["days_billed"]
    row.billed_to = data["last_day"]
    row.billed = _added(row, row.billed, data)
    _follow(work, row, event)


@PROJECTION.on("storage.pickup_missed")
def _pickup_missed(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    row.misses = event.data.get("misses", row.misses + 1)
    _follow(work, row, event)


@PROJECTION.on("storage.picked_up", "storage.reclaimed")
def _ended(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    row.ended = event.time
    put_given(row, event.data, "disposition")
    _follow(work, row, event)


def _moved(work: Work, event: Event, seal: Seal) -> Storage:
    """The row of the event's storage, where the event leads; the event is noted among the actions."""
    data = event.data
    row = work.change(STORAGE, event.stream)
    before = None if row is None else StorageState(row.status, row.reservation)
    after: StorageState = advance("storage", before, event, seal, data)
    if row is None:
        row = work.put(STORAGE, Storage(*head(event, seal), after.status, after.reservation))
    else:
        touch(row, event, seal)
        row.status, row.reservation = after.status, after.reservation
    row.private = committed(row.private, event, seal)
    notice = _NOTICES.get(event.type) or f"pickup_reminder_{data['reminder']}"
    _note(work, event, seal, data["reservation"], notice)
    return row


def _note(work: Work, event: Event, seal: Seal, reservation: str, notice: str) -> None:
    """Add an event to the actions of its reservation."""
    data = event.data
    work.add(
        ACTIONS,
        Action(
            reservation,
            moment.recorded(moment.microseconds(event.time)),
            seal.position,
            event.stream,
            seal.version,
            event.type,
            notice,
            data.get("due"),
            data.get("reminder"),
            data.get("attempt"),
            data.get("days"),
            data.get("first_day"),
            data.get("last_day"),
            data.get("amount"),
            data.get("currency"),
            data.get("reason"),
            data.get("notification"),
            data.get("policy_version"),
            event.actor.id,
            event.actor.role,
            event.forced or None,
            committed(None, event, seal),
        ),
    )


def _added(row: Storage, before: str | None, data: dict[str, Any]) -> str | None:
    """An amount with that of an event added; one in another currency than the row's stands in the actions only."""
    if row.currency is None:
        row.currency = data["currency"]
    if row.currency != data["currency"]:
        return before
    return f"{Decimal(before or 0) + Decimal(data['amount']):f}"


# --- What falls due when ---------------------------------------------------------------------------------------------


def _follow(work: Work, row: Storage, event: Event) -> None:
    """Reckon the due times anew; by other terms than before, if the event says that it follows others."""
    said: int | None = event.data.get("policy_version")
    if row.ready_at is not None and (said is not None or event.type == "storage.ready_for_pickup"):
        row.terms_version = terms.version_for(work, TERMS, _POLICY, said, terms.day_of(row.ready_at))
    known = terms.terms_of(work, TERMS, _POLICY, row.terms_version)
    live = row.status in _LIVE
    row.hold_due = _latest(row.grace_ends, row.covered_until) if live and row.billing_from is None else None
    row.day_price = row.next_reminder = row.next_reminder_due = row.next_bill_due = row.reclaim_due = None
    if known is None:
        return
    if row.half_shelves is not None:
        row.day_price = f"{Decimal(known['half_shelf_day']) * row.half_shelves:f}"
    if live and row.billing_from is None:
        _remind(row, known)
    begin = row.billing_from or row.hold_due
    if live and begin is not None:
        row.reclaim_due = terms.later(begin, known["billing_days"] * terms.DAY)
        if row.days_billed < known["billing_days"]:
            row.next_bill_due = terms.later(begin, (row.days_billed + 1) * terms.DAY)


def _remind(row: Storage, known: dict[str, Any]) -> None:
    """Say which reminder is next, and when."""
    hours = known["reminder_hours"]
    if row.covered_until is not None:
        hours = known.get("prepaid_reminder_hours", hours)
    if row.ready_at is not None and row.reminders < len(hours):
        row.next_reminder = row.reminders + 1
        row.next_reminder_due = terms.later(row.ready_at, hours[row.reminders] * terms.HOUR)


def _latest(*instants: str | None) -> str | None:
    """The latest of several instants, in the form of ``recorded``; None where there is none."""
    return max((moment.recorded(moment.microseconds(each)) for each in instants if each is not None), default=None)
