"""Events of a notification: one message to a member, from the queue to its reading or its failure.

Owns the data of ``notification.*``. Recipient, title and body are private. Each attempt to send leaves an event, a
failed one too, so that failures are counted and never silent. Who was asked for consent is the sender's to know;
``basis`` says on which ground the message goes out.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, Notes, Private, event_type
from ledger.catalog.values import Code, Id, Instant, Positive, Reason
from ledger.errors import InvalidEvent

Attempt = Annotated[Positive, Meta(description="which attempt at sending it this is, from 1")]
Provider = Annotated[Code, Meta(description="the service that carries it")]


@event_type("notification.queued", retention="service")
class Queued(EventData, frozen=True, kw_only=True):
    """A message waits to be sent; once more if it was given up before."""

    account: Annotated[Id, Meta(description="the account that it is about")] | UnsetType = UNSET
    basis: (
        Annotated[
            Literal["preference", "required"],
            Meta(description="whether the member's preferences ask for it, or it goes out whatever they say"),
        ]
        | UnsetType
    ) = UNSET
    body: Private[Annotated[str, Meta(description="the text of the message")]] | UnsetType = UNSET
    channel: Annotated[Code, Meta(description="how it goes: email, sms, push, in-app, letter…")]
    notes: Notes | UnsetType = UNSET
    notice: Annotated[Code, Meta(description="what kind of message: confirmed, delayed, pickup_reminder_1…")]
    piece: Annotated[Id, Meta(description="the piece that it is about")] | UnsetType = UNSET
    recipient: Private[Annotated[str, Meta(description="the address or number that it goes to")]] | UnsetType = UNSET
    reservation: Annotated[Id, Meta(description="the reservation that it is about")] | UnsetType = UNSET
    send_after: Annotated[Instant, Meta(description="not to be sent before this moment")] | UnsetType = UNSET
    storage: Annotated[Id, Meta(description="the shelf storage that it is about")] | UnsetType = UNSET
    template: Annotated[Code, Meta(description="the text it was made from")] | UnsetType = UNSET
    title: Private[Annotated[str, Meta(description="the subject line")]] | UnsetType = UNSET


@event_type("notification.sent", retention="service")
class Sent(EventData, frozen=True, kw_only=True):
    """The message was handed to the service that carries it."""

    attempt: Attempt
    provider: Provider | UnsetType = UNSET
    provider_message: Annotated[Id, Meta(description="the carrier's id of the message")] | UnsetType = UNSET


@event_type("notification.delivered", retention="service")
class Delivered(EventData, frozen=True, kw_only=True):
    """The carrier says that the message arrived."""

    delivered_at: Annotated[Instant, Meta(description="when, by the carrier's clock")] | UnsetType = UNSET


@event_type("notification.failed", retention="service", reads_data=True)
class Failed(EventData, frozen=True, kw_only=True):
    """An attempt failed, at sending it or later on its way. Either it is tried again, or it is given up."""

    attempt: Attempt
    dead_letter: Annotated[bool, Meta(description="whether it is given up: nobody tries again by himself")]
    detail: Private[Annotated[str, Meta(description="what the carrier said")]] | UnsetType = UNSET
    provider: Provider | UnsetType = UNSET
    reason: Reason
    retry_after: Annotated[Instant, Meta(description="when it is tried again")] | UnsetType = UNSET

    def check(self) -> None:
        """Check that what is given up is not also tried again."""
        if self.dead_letter and self.retry_after is not UNSET:
            raise InvalidEvent("a message that is given up is not tried again", "$.data.retry_after")


@event_type("notification.read", retention="service")
class Read(EventData, frozen=True, kw_only=True):
    """The member opened the message."""

    read_at: Annotated[Instant, Meta(description="when, by the reader's clock")] | UnsetType = UNSET
