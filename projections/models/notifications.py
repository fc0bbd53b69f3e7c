"""The read model ``notifications``: each message as it stands, each attempt at it, and what became of all of them.

Owns three tables: ``notifications``, a row each; ``notification_attempts``, a row for each that was sent, delivered or
failed; ``notification_figures``, the counts by channel and kind of message. Never copies a private value (recipient,
title, body), and never reads or writes a store.

Invariant: figures count events, each under the channel and the kind that its message had then.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.entry import Seal
from ledger.lifecycle import StatusState
from projections.models._streams import StreamRow, advance, committed, head, put_given, touch
from projections.projection import Commitments, Event, Projection, Row, Table
from projections.work import Work


class Notification(StreamRow):
    """A message as it stands."""

    status: Annotated[str, Meta(description="queued, sent, delivered, read, failed or dead_lettered")]
    notice: Annotated[str | None, Meta(description="what kind of message: confirmed, pickup_reminder_1…")] = None
    channel: Annotated[str | None, Meta(description="how it goes: email, sms, push…")] = None
    basis: Annotated[str | None, Meta(description="preference, or required where it goes out in any case")] = None
    template: Annotated[str | None, Meta(description="the text it was made from")] = None
    reservation: Annotated[str | None, Meta(description="the id of the reservation that it is about")] = None
    piece: Annotated[str | None, Meta(description="the id of the piece that it is about")] = None
    storage: Annotated[str | None, Meta(description="the id of the shelf storage that it is about")] = None
    account: Annotated[str | None, Meta(description="the id of the account that it is about")] = None
    send_after: Annotated[str | None, Meta(description="not to be sent before this moment")] = None
    queued: Annotated[str | None, Meta(description="when it was queued last")] = None
    sent: Annotated[str | None, Meta(description="when it was sent last")] = None
    delivered: Annotated[str | None, Meta(description="when it arrived, by the carrier if it says so")] = None
    read: Annotated[str | None, Meta(description="when it was read, by the reader's clock if it says so")] = None
    failed: Annotated[str | None, Meta(description="when an attempt failed last")] = None
    attempts: Annotated[int, Meta(description="attempts at sending it: the greatest number said")] = 0
    failures: Annotated[int, Meta(description="attempts that failed")] = 0
    retries: Annotated[int, Meta(description="attempts made after a failed one")] = 0
    retry_after: Annotated[str | None, Meta(description="when it is tried again, where it failed")] = None
    failure: Annotated[str | None, Meta(description="why it failed last, as a code")] = None
    provider: Annotated[str | None, Meta(description="the service that carried it last")] = None
    provider_message: Annotated[str | None, Meta(description="the carrier's id of the message")] = None
    private: Annotated[
        Commitments | None, Meta(description="the private fields: `recipient`, `title`, `body`, `notes`, `detail`")
    ] = None


class Attempt(Row):
    """What happened to a message on its way."""

    stream: Annotated[str, Meta(description="the notification's stream")]
    version: Annotated[int, Meta(description="the version of the stream that the event made")]
    position: Annotated[int, Meta(description="the position of its entry")]
    outcome: Annotated[str, Meta(description="sent, delivered, failed or dead_lettered")]
    attempt: Annotated[int | None, Meta(description="which attempt it was, from 1, if that is said")]
    time: Annotated[str, Meta(description="when it happened, as the event says")]
    provider: Annotated[str | None, Meta(description="the service that carries it")]
    reason: Annotated[str | None, Meta(description="why it failed, as a code")]
    retry_after: Annotated[str | None, Meta(description="when it is tried again")]
    private: Annotated[Commitments | None, Meta(description="the private fields of the event: `detail`")]


class Figures(Row):
    """What became of the messages of one kind on one channel."""

    channel: Annotated[str, Meta(description="how they go; empty where that was never said")]
    notice: Annotated[str, Meta(description="what kind of message; empty where that was never said")]
    queued: Annotated[int, Meta(description="how often one was queued")] = 0
    sent: Annotated[int, Meta(description="how often one was sent")] = 0
    delivered: Annotated[int, Meta(description="how often one was said to have arrived")] = 0
    read: Annotated[int, Meta(description="how often one was said to have been read")] = 0
    failed: Annotated[int, Meta(description="how often an attempt failed")] = 0
    retried: Annotated[int, Meta(description="how often one was tried again after a failed attempt")] = 0
    dead_lettered: Annotated[int, Meta(description="how often one was given up")] = 0


NOTIFICATIONS: Final = Table(
    "notifications",
    Notification,
    "Each message as it stands.",
    by_stream=True,
    indexes=(("reservation",), ("member",), ("status",), ("account",)),
)
ATTEMPTS: Final = Table(
    "notification_attempts", Attempt, "Each message that was sent, arrived or failed, in their order.", key_length=2
)
FIGURES: Final = Table(
    "notification_figures", Figures, "What became of messages, by channel and kind of message.", key_length=2
)
PROJECTION: Final = Projection("notifications", version=1, tables=(NOTIFICATIONS, ATTEMPTS, FIGURES))

_GIVEN: Final = ("notice", "channel", "basis", "template", "reservation", "piece", "storage", "account", "send_after")


def _moved(work: Work, event: Event, seal: Seal) -> Notification:
    """The row of the event's notification, where the event leads."""
    row = work.change(NOTIFICATIONS, event.stream)
    before = None if row is None else StatusState(row.status)
    after: StatusState = advance("notification", before, event, seal, event.data)
    if row is None:
        row = work.put(NOTIFICATIONS, Notification(*head(event, seal), after.status))
    else:
        touch(row, event, seal)
        row.status = after.status
    row.private = committed(row.private, event, seal)
    return row


def _figures(work: Work, row: Notification) -> Figures:
    key = (row.channel or "", row.notice or "")
    return work.change(FIGURES, key) or work.put(FIGURES, Figures(*key))


@PROJECTION.on("notification.queued")
def _queued(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    put_given(row, event.data, *_GIVEN)
    row.queued = event.time
    row.retry_after = None
    _figures(work, row).queued += 1


@PROJECTION.on("notification.sent", "notification.failed")
def _attempted(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    figures = _figures(work, row)
    attempt: int = data["attempt"]
    if attempt > row.attempts:
        if row.failures:
            row.retries += 1
            figures.retried += 1
        row.attempts = attempt
    put_given(row, data, "provider", "provider_message")
    row.retry_after = data.get("retry_after")
    if event.type == "notification.sent":
        row.sent = event.time
        figures.sent += 1
        outcome = "sent"
    else:
        row.failures += 1
        row.failed, row.failure = event.time, data["reason"]
        figures.failed += 1
        outcome = "failed"
        if data["dead_letter"]:
            figures.dead_lettered += 1
            outcome = "dead_lettered"
    _note(work, event, seal, outcome)


@PROJECTION.on("notification.delivered")
def _delivered(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    row.delivered = event.data.get("delivered_at", event.time)
    _figures(work, row).delivered += 1
    _note(work, event, seal, "delivered")


@PROJECTION.on("notification.read")
def _read(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    row.read = event.data.get("read_at", event.time)
    _figures(work, row).read += 1


def _note(work: Work, event: Event, seal: Seal, outcome: str) -> None:
    """Add what happened to the attempts."""
    data = event.data
    work.add(
        ATTEMPTS,
        Attempt(
            event.stream,
            seal.version,
            seal.position,
            outcome,
            data.get("attempt"),
            event.time,
            data.get("provider"),
            data.get("reason"),
            data.get("retry_after"),
            committed(None, event, seal),
        ),
    )
