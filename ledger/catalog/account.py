"""Events of an account: what a member owes the studio, and what follows when it stays unpaid.

Owns the data of ``account.*``. Times (grace, warning, eligibility) are policy; that the data is offered before an
account may be deleted is not. Whose account it is, the event's ``member`` says.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, Notes, event_type
from ledger.catalog.values import Amount, Count, Currency, Date, Id, Instant, Positive, Reason

DaysOverdue = Annotated[Count, Meta(description="full days since the payment was due")]
Notification = Annotated[Id, Meta(description="the notification that tells the member")]
PolicyVersion = Annotated[Positive, Meta(description="the version of policy:account that this follows")]


@event_type("account.payment_overdue", retention="evidence")
class PaymentOverdue(EventData, frozen=True, kw_only=True):
    """A payment was not made in time. The first event of an account, and of each time that it falls behind."""

    amount: Amount
    currency: Currency
    due: Annotated[Date, Meta(description="the day by which it was to be paid")]
    grace_ends: Annotated[Date, Meta(description="the last day of grace")] | UnsetType = UNSET
    invoice: Annotated[Id, Meta(description="the record of the invoice")] | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET
    policy_version: PolicyVersion | UnsetType = UNSET


@event_type("account.frozen", retention="evidence")
class Frozen(EventData, frozen=True, kw_only=True):
    """Grace is over: some of what the account may do is stopped until it is settled."""

    blocked: Annotated[
        list[Literal["delivery", "uploads", "bookings"]],
        Meta(min_length=1, max_length=3, description="what is stopped"),
    ]
    days_overdue: DaysOverdue | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET
    policy_version: PolicyVersion | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET


@event_type("account.final_warning_sent", retention="evidence")
class FinalWarningSent(EventData, frozen=True, kw_only=True):
    """The member is told for the last time what happens, and when."""

    days_overdue: DaysOverdue | UnsetType = UNSET
    eligible_from: Annotated[Date, Meta(description="from which day the account may be deleted")] | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET
    policy_version: PolicyVersion | UnsetType = UNSET


@event_type("account.export_offered", retention="evidence")
class ExportOffered(EventData, frozen=True, kw_only=True):
    """The member can take the data, all of it. Without this no account becomes eligible for deletion."""

    expires: Annotated[Instant, Meta(description="until when the offer stands")] | UnsetType = UNSET
    export: Annotated[Id, Meta(description="the export that was made ready")] | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET


@event_type("account.deletion_eligible", retention="evidence")
class DeletionEligible(EventData, frozen=True, kw_only=True):
    """The account may be deleted from now on; nothing is deleted by this."""

    days_overdue: DaysOverdue | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    policy_version: PolicyVersion | UnsetType = UNSET


@event_type("account.settled", retention="evidence")
class Settled(EventData, frozen=True, kw_only=True):
    """All that was owed is paid or let go, and everything is allowed again."""

    amount: Amount | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    payment: Annotated[Id, Meta(description="the record of the payment")] | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
