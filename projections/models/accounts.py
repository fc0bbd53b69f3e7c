"""The read model ``accounts``: what each of the studio's customers owes, and what follows when, if it stays unpaid.

Owns two tables: ``accounts``, a row each, with the due dates of the overdue ladder; ``account_terms``, the policy.
Dates are reckoned from the day by which the oldest unpaid sum was due, by the terms in force when it fell behind, and
never compared with a clock: that is for readers. Never copies a private value, and never reads or writes a store.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Final

from msgspec import Meta

from ledger.entry import Seal
from ledger.lifecycle import AccountState
from projections.models import _terms as terms
from projections.models._streams import StreamRow, advance, as_json, committed, earlier, head, touch
from projections.projection import Commitments, Event, Json, Projection, Table
from projections.work import Work


class Account(StreamRow):
    """An account as it stands."""

    status: Annotated[str, Meta(description="overdue, frozen, warned, deletion_eligible or settled")]
    status_since: Annotated[str, Meta(description="since when it is so: the time of the event")]
    due: Annotated[str | None, Meta(description="the day by which the oldest unpaid sum was to be paid")] = None
    amount: Annotated[str | None, Meta(description="all that is overdue in that currency, a decimal")] = None
    currency: Annotated[str | None, Meta(description="the currency of the amount")] = None
    invoice: Annotated[str | None, Meta(description="the record id of the last invoice that fell overdue")] = None
    terms_version: Annotated[int | None, Meta(description="the version of the policy that due dates follow")] = None
    freeze_due: Annotated[str | None, Meta(description="the day from which it is to be frozen: grace is over")] = None
    warning_due: Annotated[
        str | None, Meta(description="the day of the final warning, with which the export is offered")
    ] = None
    deletion_due: Annotated[
        str | None, Meta(description="the day from which it may be deleted, if the export was offered")
    ] = None
    blocked: Annotated[Json | None, Meta(description="what is stopped while it is frozen: a list")] = None
    frozen: Annotated[str | None, Meta(description="when it was frozen")] = None
    warned: Annotated[str | None, Meta(description="when the final warning was sent")] = None
    export_offered: Annotated[str | None, Meta(description="when the export was offered, by the ledger's clock")] = None
    export: Annotated[str | None, Meta(description="the id of the export that was made ready")] = None
    offer_expires: Annotated[str | None, Meta(description="until when the offer stands")] = None
    eligible: Annotated[str | None, Meta(description="when it was found eligible for deletion")] = None
    settled: Annotated[str | None, Meta(description="when all was settled last")] = None
    times_overdue: Annotated[int, Meta(description="how often a payment was not made in time")] = 0
    earlier_members: Annotated[Json | None, Meta(description="members that it was about before: a sorted list")] = None
    private: Annotated[Commitments | None, Meta(description="the private fields: `notes`")] = None


ACCOUNTS: Final = Table(
    "accounts",
    Account,
    "Each account as it stands, with what falls due when: by the policy in force when the oldest unpaid sum fell "
    "overdue, as the ledger knew of it then; where there is none, by what the events say.",
    by_stream=True,
    indexes=(("member",), ("status",)),
)
TERMS: Final = terms.terms_table("account_terms", "overdue accounts")
PROJECTION: Final = Projection("accounts", version=2, tables=(ACCOUNTS, TERMS))
_POLICY: Final = "policy:account"


@PROJECTION.on("policy.set")
def _policy_set(work: Work, event: Event, seal: Seal) -> None:
    terms.set_terms(work, TERMS, event, "account")


def _moved(work: Work, event: Event, seal: Seal) -> Account:
    """The row of the event's account, where the event leads."""
    row = work.change(ACCOUNTS, event.stream)
    before = None if row is None else AccountState(row.status, row.export_offered)
    after: AccountState = advance("account", before, event, seal)
    if row is None:
        row = work.put(ACCOUNTS, Account(*head(event, seal), after.status, event.time))
    else:
        row.earlier_members = earlier(row, row.earlier_members, event)
        touch(row, event, seal)
    if before is None or after.status != before.status:
        row.status, row.status_since = after.status, event.time
    row.export_offered = after.export_offered
    row.private = committed(row.private, event, seal)
    return row


@PROJECTION.on("account.payment_overdue")
def _overdue(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.times_overdue += 1
    row.invoice = data.get("invoice", row.invoice)
    if row.due is None:
        row.currency = data["currency"]
    if row.currency == data["currency"]:
        row.amount = f"{Decimal(row.amount or 0) + Decimal(data['amount']):f}"
    if row.due is None or data["due"] < row.due:
        row.due = data["due"]
        row.terms_version = terms.version_for(work, TERMS, _POLICY, data.get("policy_version"), event.time[:10])
        _reckon(work, row, data)


@PROJECTION.on("account.frozen")
def _frozen(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    row.frozen = event.time
    row.blocked = as_json(event.data["blocked"])


@PROJECTION.on("account.final_warning_sent")
def _warned(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    row.warned = event.time
    row.deletion_due = event.data.get("eligible_from", row.deletion_due)


@PROJECTION.on("account.export_offered")
def _offered(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.export = data.get("export")
    row.offer_expires = data.get("expires")


@PROJECTION.on("account.deletion_eligible")
def _eligible(work: Work, event: Event, seal: Seal) -> None:
    _moved(work, event, seal).eligible = event.time


@PROJECTION.on("account.settled")
def _settled(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    row.settled = event.time
    row.due = row.amount = row.currency = row.terms_version = None
    row.freeze_due = row.warning_due = row.deletion_due = None
    row.blocked = row.frozen = row.warned = row.export = row.offer_expires = row.eligible = None


def _reckon(work: Work, row: Account, data: dict[str, Any]) -> None:
    """Reckon the days of the ladder from the day the payment was due; the event's own end of grace counts first."""
    known = terms.terms_of(work, TERMS, _POLICY, row.terms_version) or {}
    row.freeze_due = _days_after(row.due, known.get("freeze_days"))
    row.warning_due = _days_after(row.due, known.get("warning_days"))
    row.deletion_due = _days_after(row.due, known.get("deletion_days"))
    if "grace_ends" in data:
        row.freeze_due = _days_after(data["grace_ends"], 1)


def _days_after(day: str | None, days: int | None) -> str | None:
    """The day that many days after another; None where either is not known, and beyond the year 9999."""
    if day is None or days is None:
        return None
    try:
        return (dt.date.fromisoformat(day) + dt.timedelta(days=days)).isoformat()
    except OverflowError:
        return None
