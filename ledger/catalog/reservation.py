"""Events of a reservation: a member's request for kiln capacity, from intake to pickup.

Owns the data of ``reservation.*``. Which of them may follow which is ``ledger.lifecycle``'s to say. ``notes`` is the
one free text, private everywhere; a photo is a media id, never an address; an arrival token is withheld from everyone.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from ledger.catalog.base import EventData, Notes, Secret, event_type
from ledger.catalog.values import Code, Count, Date, Decimal, Id, Instant, Positive, Reason, Station, check_order
from ledger.errors import InvalidEvent

Stage = Literal["intake", "queued", "drying", "glaze", "loaded", "ready_for_pickup", "stored", "picked_up"]
Load = Literal["queued", "loading", "loaded"]


class Window(EventData, frozen=True, kw_only=True):
    """A span of days, both ends included."""

    earliest: Date
    latest: Date


class Resources(EventData, frozen=True, kw_only=True):
    """What the firing needs besides shelf space."""

    kiln_profile: Code | UnsetType = UNSET
    rack_count: Positive | UnsetType = UNSET
    special_handling: Annotated[list[Code], Meta(max_length=32)] | UnsetType = UNSET


@event_type("reservation.requested", retention="service")
class Requested(EventData, frozen=True, kw_only=True):
    """A member asks for kiln capacity within a window of days. The first event of a reservation."""

    add_ons: Annotated[list[Code], Meta(max_length=32)] | UnsetType = UNSET
    channel: Annotated[Code, Meta(description="where the request came in")] | UnsetType = UNSET
    firing_type: Literal["bisque", "glaze", "other"]
    half_shelves: Positive
    notes: Notes | UnsetType = UNSET
    photo: Annotated[Id, Meta(description="the media id of a photo")] | UnsetType = UNSET
    preferred_station: Station | UnsetType = UNSET
    queue_class: Code | UnsetType = UNSET
    queue_position: Annotated[Count, Meta(description="a hint of the place in the queue")] | UnsetType = UNSET
    rate: Decimal | UnsetType = UNSET
    resources: Resources | UnsetType = UNSET
    window: Window

    def check(self) -> None:
        """Check that the window doesn't end before it begins."""
        window = self.window
        if window.earliest > window.latest:
            raise InvalidEvent(f"earliest {window.earliest} is after latest {window.latest}", "$.data.window")


@event_type("reservation.confirmed", retention="service")
class Confirmed(EventData, frozen=True, kw_only=True):
    """The studio grants the reservation."""

    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    station: Station | UnsetType = UNSET


@event_type("reservation.waitlisted", retention="service")
class Waitlisted(EventData, frozen=True, kw_only=True):
    """The studio has no room for now and keeps the reservation waiting."""

    notes: Notes | UnsetType = UNSET
    queue_class: Code | UnsetType = UNSET
    queue_position: Annotated[Count, Meta(description="a hint of the place in the queue")] | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    station: Station | UnsetType = UNSET


@event_type("reservation.cancelled", retention="service")
class Cancelled(EventData, frozen=True, kw_only=True):
    """The reservation ends unserved, by the member, the studio or a no-show. Final."""

    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET


@event_type("reservation.stage_changed", retention="service", reads_data=True)
class StageChanged(EventData, frozen=True, kw_only=True):
    """The work moves to another stage. ``picked_up`` completes a confirmed reservation; a step back needs a reason."""

    from_: Annotated[Stage, Meta(description="the stage it was in, to be checked")] | UnsetType = field(
        default=UNSET, name="from"
    )
    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    station: Station | UnsetType = UNSET
    to: Stage


@event_type("reservation.load_changed", retention="service", reads_data=True)
class LoadChanged(EventData, frozen=True, kw_only=True):
    """The kiln load that holds the work moves on, or is corrected back to queued."""

    from_: Annotated[Load, Meta(description="the load state it was in, to be checked")] | UnsetType = field(
        default=UNSET, name="from"
    )
    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    station: Station | UnsetType = UNSET
    to: Load


@event_type("reservation.estimate_changed", retention="service")
class EstimateChanged(EventData, frozen=True, kw_only=True):
    """The studio now expects the work to be done in another span of time, or with other certainty."""

    confidence: Literal["high", "medium", "low"] | UnsetType = UNSET
    end: Instant | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    sla: Literal["on_track", "at_risk", "delayed", "unknown"] | UnsetType = UNSET
    start: Instant | UnsetType = UNSET

    def check(self) -> None:
        """Check that something is estimated, and that the span doesn't end before it begins."""
        check_order(self.start, self.end, "$.data", ("start", "end"))
        if self.start is self.end is self.sla is self.confidence is UNSET:
            raise InvalidEvent("an estimate needs one of start, end, sla and confidence", "$.data")


@event_type("reservation.station_assigned", retention="service")
class StationAssigned(EventData, frozen=True, kw_only=True):
    """The reservation gets a kiln, shelf or room."""

    notes: Notes | UnsetType = UNSET
    queue_class: Code | UnsetType = UNSET
    queue_position: Annotated[Count, Meta(description="a hint of the place in the queue")] | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    station: Station


@event_type("reservation.arrival_token_issued", retention="secret")
class ArrivalTokenIssued(EventData, frozen=True, kw_only=True):
    """The member gets a token to check in with. The token itself is withheld from everyone, ever after."""

    expires: Instant | UnsetType = UNSET
    issued: Instant | UnsetType = UNSET
    token: Secret[Annotated[str, Meta(min_length=1, description="the check-in token")]]
    version: Annotated[Positive, Meta(description="which token of the reservation this is, from 1")]

    def check(self) -> None:
        """Check that the token doesn't expire before it is issued."""
        check_order(self.issued, self.expires, "$.data", ("issued", "expires"))


@event_type("reservation.arrived", retention="service")
class Arrived(EventData, frozen=True, kw_only=True):
    """The member's arrival with the work: expected, made, overdue, or missed. Without a state, it was made."""

    expected_at: Annotated[Instant, Meta(description="when the member was to come")] | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    photo: Annotated[Id, Meta(description="the media id of a photo of the work")] | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    state: Literal["expected", "arrived", "overdue", "no_show"] | UnsetType = UNSET
    station: Station | UnsetType = UNSET
    token_used: Annotated[Positive, Meta(description="the version of the token shown")] | UnsetType = UNSET
    via: Annotated[Code, Meta(description="how the arrival was noted: desk, kiosk, token…")] | UnsetType = UNSET


@event_type("reservation.pickup_window_changed", retention="service")
class PickupWindowChanged(EventData, frozen=True, kw_only=True):
    """The time at which the member may fetch the work is opened, agreed, missed, expired or done."""

    end: Instant | UnsetType = UNSET
    misses: Annotated[Count, Meta(description="windows missed so far")] | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    reschedules: Annotated[Count, Meta(description="windows moved so far")] | UnsetType = UNSET
    start: Instant | UnsetType = UNSET
    state: Literal["open", "confirmed", "missed", "expired", "completed"]

    def check(self) -> None:
        """Check that the window doesn't end before it begins."""
        check_order(self.start, self.end, "$.data", ("start", "end"))


@event_type("reservation.fairness_recorded", retention="evidence")
class FairnessRecorded(EventData, frozen=True, kw_only=True):
    """Evidence for queue fairness: penalty points for a no-show or late arrival, or an override with a boost."""

    boost: Annotated[int, Meta(ge=-1000, le=1000, description="places moved up in the queue")] | UnsetType = UNSET
    decided_by: Annotated[Id, Meta(description="who decided, where not the actor")] | UnsetType = UNSET
    evidence: Annotated[Id, Meta(description="a reference to what it rests on")] | UnsetType = UNSET
    expires: Instant | UnsetType = UNSET
    kind: Literal["no_show", "late_arrival", "override"]
    notes: Notes | UnsetType = UNSET
    points: Annotated[int, Meta(ge=0, le=1000, description="penalty points added")] | UnsetType = UNSET
    reason: Reason

    def check(self) -> None:
        """Check that an override says its boost and expiry, and a penalty its points."""
        needed = {"boost": self.boost, "expires": self.expires} if self.kind == "override" else {"points": self.points}
        for name, value in needed.items():
            if value is UNSET:
                raise InvalidEvent(f"a {self.kind} needs {name}", f"$.data.{name}")
