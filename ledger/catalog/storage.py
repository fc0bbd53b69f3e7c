"""Events of shelf storage: a reservation's finished work waits on the studio's shelves to be fetched.

Owns the data of ``storage.*``. Terms (grace, reminders, prices) are policy: an event holds the figures that came of
them, and which version of the policy they came of. Shelf storage never moves the reservation itself.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, Notes, Private, event_type
from ledger.catalog.values import (
    Amount,
    Code,
    Count,
    Currency,
    Date,
    Id,
    Instant,
    Positive,
    Reason,
    Station,
    check_order,
)
from ledger.errors import InvalidEvent

Notification = Annotated[Id, Meta(description="the notification that tells the member")]
PolicyVersion = Annotated[Positive, Meta(description="the version of policy:storage that this follows")]
Reminder = Annotated[Positive, Meta(description="which reminder, from 1")]
Reservation = Annotated[Id, Meta(description="the reservation whose work it is; the same in all events of a stream")]
Due = Annotated[Instant, Meta(description="when it was due by the policy")]


@event_type("storage.ready_for_pickup", retention="service", reads_data=True)
class ReadyForPickup(EventData, frozen=True, kw_only=True):
    """Finished work goes on the shelf. Everything after is counted from here. The first event of a storage."""

    grace_ends: Annotated[Instant, Meta(description="until when storage is free")]
    half_shelves: Annotated[Positive, Meta(description="the room it takes, which is what is billed")]
    notes: Notes | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET
    pieces: Annotated[list[Id], Meta(max_length=256, description="the pieces, if not all there are")] | UnsetType = (
        UNSET
    )
    policy_version: PolicyVersion | UnsetType = UNSET
    ready_at: Annotated[Instant, Meta(description="the moment that all is counted from")]
    reservation: Reservation
    station: Station | UnsetType = UNSET

    def check(self) -> None:
        """Check that grace doesn't end before it begins."""
        check_order(self.ready_at, self.grace_ends, "$.data", ("ready_at", "grace_ends"))


@event_type("storage.prepaid", retention="service", reads_data=True)
class Prepaid(EventData, frozen=True, kw_only=True):
    """The member pays for storage beforehand, which covers it for longer."""

    amount: Amount
    covered_until: Annotated[Instant, Meta(description="until when storage is paid for")]
    currency: Currency
    notes: Notes | UnsetType = UNSET
    payment: Annotated[Id, Meta(description="the record of the payment")] | UnsetType = UNSET
    policy_version: PolicyVersion | UnsetType = UNSET
    reservation: Reservation


@event_type("storage.reminder_sent", retention="evidence", reads_data=True)
class ReminderSent(EventData, frozen=True, kw_only=True):
    """The member is reminded that the work waits."""

    due: Due | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET
    policy_version: PolicyVersion | UnsetType = UNSET
    reminder: Reminder
    reservation: Reservation


@event_type("storage.reminder_failed", retention="evidence", reads_data=True)
class ReminderFailed(EventData, frozen=True, kw_only=True):
    """A reminder could not be sent. Failures are counted, and never silent."""

    attempt: Annotated[Positive, Meta(description="which attempt at this reminder failed, from 1")]
    detail: Private[Annotated[str, Meta(description="what went wrong")]] | UnsetType = UNSET
    due: Due | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET
    reason: Reason
    reminder: Reminder
    reservation: Reservation


@event_type("storage.hold_started", retention="evidence", reads_data=True)
class HoldStarted(EventData, frozen=True, kw_only=True):
    """Grace and what was prepaid are over: the studio holds the work, and bills for it from now on."""

    billing_from: Annotated[Instant, Meta(description="from when each full day is billed")]
    notes: Notes | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET
    policy_version: PolicyVersion | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    reservation: Reservation


@event_type("storage.billed", retention="evidence", reads_data=True)
class Billed(EventData, frozen=True, kw_only=True):
    """Full days of storage are billed: from ``first_day`` to ``last_day``, both included, and none of them twice."""

    amount: Amount
    currency: Currency
    days: Annotated[Positive, Meta(description="how many days that is")]
    days_billed: Annotated[Positive, Meta(description="all days billed so far, these included")]
    first_day: Date
    half_shelves: Positive
    invoice: Annotated[Id, Meta(description="the record of the invoice")] | UnsetType = UNSET
    last_day: Date
    notes: Notes | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET
    policy_version: PolicyVersion | UnsetType = UNSET
    reservation: Reservation

    def check(self) -> None:
        """Check that the days are as many as there are from the first to the last, and part of all that were billed."""
        if self.last_day < self.first_day:
            raise InvalidEvent(f"last_day {self.last_day} is before first_day {self.first_day}", "$.data.last_day")
        if self.days != (self.last_day - self.first_day + dt.timedelta(days=1)).days:
            raise InvalidEvent(f"there are not {self.days} days from first_day to last_day", "$.data.days")
        if self.days_billed < self.days:
            raise InvalidEvent(f"{self.days_billed} days so far are fewer than these {self.days}", "$.data.days_billed")


@event_type("storage.pickup_missed", retention="evidence", reads_data=True)
class PickupMissed(EventData, frozen=True, kw_only=True):
    """The member did not come in the time agreed. That is noted, and moves no clock."""

    end: Annotated[Instant, Meta(description="the end of the pickup window")] | UnsetType = UNSET
    misses: Annotated[Count, Meta(description="windows missed so far")] | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET
    reservation: Reservation
    start: Annotated[Instant, Meta(description="the start of the pickup window")] | UnsetType = UNSET

    def check(self) -> None:
        """Check that the window doesn't end before it begins."""
        check_order(self.start, self.end, "$.data", ("start", "end"))


@event_type("storage.picked_up", retention="service", reads_data=True)
class PickedUp(EventData, frozen=True, kw_only=True):
    """The work was fetched. Final."""

    notes: Notes | UnsetType = UNSET
    reservation: Reservation
    via: Annotated[Code, Meta(description="how it was handed over: desk, locker…")] | UnsetType = UNSET


@event_type("storage.reclaimed", retention="evidence", reads_data=True)
class Reclaimed(EventData, frozen=True, kw_only=True):
    """Nobody came for as long as the policy has it: the work is the studio's now. Final."""

    disposition: Annotated[Code, Meta(description="what becomes of it: archived, donated…")] | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    notification: Notification | UnsetType = UNSET
    policy_version: PolicyVersion | UnsetType = UNSET
    reason: Reason
    reservation: Reservation
