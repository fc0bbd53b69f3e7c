"""The read model ``holds``: what must not be destroyed, and what may be destroyed from when on.

Owns five tables: ``holds``, a row each; ``held``, how many holds stand on what; ``due_retention``, what is in the
trash, kept until a day, or overdue, with the moment from which it may go; ``trash_terms`` and ``deletion_terms``, the
policies. That a row is due says nothing of holds: whether one covers it is asked of ``held``, with its stream, its
collection, the members it was ever about and those into whom their accounts were merged
(``projections.queries.questions``). Nothing here is compared with a clock; readers do that. Never reads or writes a
store.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

from msgspec import Meta

from ledger.entry import Seal
from ledger.lifecycle import TRASH_DAYS, StatusState
from projections.models import _terms as terms
from projections.models._streams import StreamRow, advance, committed, head, put_given, touch
from projections.projection import Commitments, Event, Projection, Row, Table
from projections.work import Work


class Hold(StreamRow):
    """A hold as it stands."""

    status: Annotated[str, Meta(description="placed or released")]
    scope: Annotated[str | None, Meta(description="everything, member, stream or collection")] = None
    target: Annotated[str | None, Meta(description="which member, stream or collection")] = None
    reason: Annotated[str | None, Meta(description="why it was placed")] = None
    case: Annotated[str | None, Meta(description="the studio's file number")] = None
    review_on: Annotated[str | None, Meta(description="when to look at it again; it ends by release only")] = None
    placed: Annotated[str | None, Meta(description="when it was placed")] = None
    placed_by: Annotated[str | None, Meta(description="the id of who placed it")] = None
    released: Annotated[str | None, Meta(description="when it was released")] = None
    released_by: Annotated[str | None, Meta(description="the id of who released it")] = None
    release_reason: Annotated[str | None, Meta(description="why it was released")] = None
    private: Annotated[Commitments | None, Meta(description="the private fields: `notes`")] = None


class Held(Row):
    """What is held."""

    scope: Annotated[str, Meta(description="everything, member, stream or collection")]
    target: Annotated[str, Meta(description="which member, stream or collection; empty for everything")]
    holds: Annotated[int, Meta(description="how many holds stand on it")]


class Due(Row):
    """Something that may be destroyed from some moment on."""

    stream: Annotated[str, Meta(description="the stream of the record, media or account")]
    action: Annotated[str, Meta(description="what may be done then: purge, or delete_account")]
    collection: Annotated[str | None, Meta(description="for a record: its collection")] = None
    trashed: Annotated[str | None, Meta(description="since when it is in the trash, by the ledger's clock")] = None
    retain_until: Annotated[str | None, Meta(description="the last day on which it is kept in any case")] = None
    overdue_since: Annotated[str | None, Meta(description="for an account: the day the payment was due")] = None
    export_offered: Annotated[str | None, Meta(description="for an account: when its data was offered last")] = None
    eligible_from: Annotated[str | None, Meta(description="for an account: the day from which it may be deleted")] = (
        None
    )
    eligible: Annotated[str | None, Meta(description="for an account: when it was found eligible, by the ledger")] = (
        None
    )
    due: Annotated[
        str | None,
        Meta(
            description="from when on it may be done, in UTC with six decimals; nothing as long as that can't be said: "
            "media that are not in the trash, an account without a policy or whose data was not offered"
        ),
    ] = None


HOLDS: Final = Table("holds", Hold, "Each hold as it stands.", by_stream=True, indexes=(("status",), ("target",)))
HELD: Final = Table("held", Held, "What is held, and by how many holds.", key_length=2)
DUE: Final = Table(
    "due_retention",
    Due,
    "What is in the trash, kept until a day, or overdue, and from when on it may be destroyed, if no hold in `held` "
    "covers it: one on everything, on its stream, its collection, a member it was ever about or one into whom that "
    "member's account was merged.",
    by_stream=True,
)
TRASH: Final = terms.terms_table("trash_terms", "the trash")
DELETION: Final = terms.terms_table("deletion_terms", "overdue accounts, as far as their deletion goes")
PROJECTION: Final = Projection("holds", version=2, tables=(HOLDS, HELD, DUE, TRASH, DELETION))


@PROJECTION.on("policy.set")
def _policy_set(work: Work, event: Event, seal: Seal) -> None:
    terms.set_terms(work, TRASH, event, "trash")
    terms.set_terms(work, DELETION, event, "account")


# --- Holds -----------------------------------------------------------------------------------------------------------


@PROJECTION.on("hold.placed", "hold.released")
def _hold_changed(work: Work, event: Event, seal: Seal) -> None:
    row, data = work.change(HOLDS, event.stream), event.data
    before = None if row is None else StatusState(row.status)
    after: StatusState = advance("hold", before, event, seal)
    if row is None:
        row = work.put(HOLDS, Hold(*head(event, seal), after.status))
    else:
        _count(work, row, -1)
        touch(row, event, seal)
        row.status = after.status
    row.private = committed(row.private, event, seal)
    if event.type == "hold.placed":
        row.scope, row.target, row.reason = data["scope"], data.get("target"), data["reason"]
        row.placed, row.placed_by = event.time, event.actor.id
        put_given(row, data, "case", "review_on")
    else:
        row.released, row.released_by, row.release_reason = event.time, event.actor.id, data["reason"]
    _count(work, row, 1)


def _count(work: Work, row: Hold, sign: int) -> None:
    """Count a hold that stands on what it covers, or take it out again."""
    if row.status != "placed" or row.scope is None:
        return
    key = (row.scope, row.target or "")
    held = work.change(HELD, key) or work.put(HELD, Held(*key, 0))
    held.holds += sign
    if held.holds == 0:
        work.remove(HELD, key)


# --- Due retention ---------------------------------------------------------------------------------------------------


def _due(work: Work, stream: str, action: str) -> Due:
    """The row of a stream, made if there is none."""
    return work.change(DUE, stream) or work.put(DUE, Due(stream, action))


def _forget(work: Work, stream: str) -> None:
    """Remove the row of a stream, if there is one."""
    if work.get(DUE, stream) is not None:
        work.remove(DUE, stream)


def _restorable_until(work: Work, trashed: str) -> str | None:
    """When what is in the trash since some moment may be purged, by the terms of that day."""
    policy = "policy:trash"
    version = terms.version_for(work, TRASH, policy, None, trashed[:10])
    known = terms.terms_of(work, TRASH, policy, version)
    return terms.later(trashed, (TRASH_DAYS if known is None else known["days"]) * terms.DAY)


@PROJECTION.on("record.trashed")
def _record_trashed(work: Work, event: Event, seal: Seal) -> None:
    row = _due(work, event.stream, "purge")
    row.collection = event.data["collection"]
    row.trashed = seal.recorded
    row.due = _restorable_until(work, seal.recorded)


@PROJECTION.on("record.created", "record.restored", "record.purged", "media.purged")
def _not_due(work: Work, event: Event, seal: Seal) -> None:
    _forget(work, event.stream)


@PROJECTION.on("media.stored", "media.retention_extended", "media.trashed", "media.restored")
def _media_changed(work: Work, event: Event, seal: Seal) -> None:
    verb = event.type.partition(".")[2]
    until = event.data.get("retain_until")
    if verb != "trashed" and until is None and work.get(DUE, event.stream) is None:
        return
    row = _due(work, event.stream, "purge")
    if verb == "stored":
        until = max(filter(None, (row.retain_until, until)), default=None)
    row.retain_until = until or row.retain_until
    if verb != "retention_extended":
        row.trashed = seal.recorded if verb == "trashed" else None
    row.due = None
    if row.trashed is not None:
        row.due = _restorable_until(work, row.trashed)
        if row.due is not None and row.retain_until is not None:
            row.due = max(row.due, _morning_of(row.retain_until, 1))
    elif row.retain_until is None:
        work.remove(DUE, event.stream)


@PROJECTION.on("account.payment_overdue")
def _overdue(work: Work, event: Event, seal: Seal) -> None:
    row, due = _due(work, event.stream, "delete_account"), event.data["due"]
    if row.overdue_since is None or due < row.overdue_since:
        row.overdue_since, row.eligible_from = due, None
        policy = "policy:account"
        version = terms.version_for(work, DELETION, policy, event.data.get("policy_version"), event.time[:10])
        known = terms.terms_of(work, DELETION, policy, version)
        if known is not None:
            row.eligible_from = _morning_of(due, known["deletion_days"])[:10]
    _reckon(row)


@PROJECTION.on("account.final_warning_sent")
def _warned(work: Work, event: Event, seal: Seal) -> None:
    row = _due(work, event.stream, "delete_account")
    row.eligible_from = event.data.get("eligible_from", row.eligible_from)
    _reckon(row)


@PROJECTION.on("account.export_offered")
def _offered(work: Work, event: Event, seal: Seal) -> None:
    row = _due(work, event.stream, "delete_account")
    row.export_offered = seal.recorded
    _reckon(row)


@PROJECTION.on("account.deletion_eligible")
def _eligible(work: Work, event: Event, seal: Seal) -> None:
    row = _due(work, event.stream, "delete_account")
    row.eligible = seal.recorded
    _reckon(row)


@PROJECTION.on("account.settled")
def _settled(work: Work, event: Event, seal: Seal) -> None:
    _forget(work, event.stream)


def _reckon(row: Due) -> None:
    """Say from when an account may be deleted: found eligible, or from its day on if the data was offered."""
    row.due = row.eligible
    if row.due is None and row.export_offered is not None and row.eligible_from is not None:
        row.due = max(row.export_offered, _morning_of(row.eligible_from, 0))


def _morning_of(day: str, days: int) -> str:
    """The first moment of the day that many days after another, as ``recorded`` text; at most the last day there is."""
    try:
        found = dt.date.fromisoformat(day) + dt.timedelta(days=days)
    except OverflowError:
        found = dt.date.max
    return f"{found.isoformat()}T00:00:00.000000Z"
