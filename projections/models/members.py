"""The read model ``members``: each member that events of their own stream tell of.

Owns three tables: ``members``, a row each; ``account_changes``, each side of a transfer, a merge or a closure;
``member_fields``, how many members were recorded with each private field. A member who is known by other streams only
has no row. Who a member is stands nowhere in them: the private fields are
noted as commitments, which stay when the member is erased, while what they stood for is gone for everybody. Never reads
or writes a store.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.entry import Seal
from ledger.lifecycle import MemberState
from projections.models._streams import StreamRow, advance, committed, head, names_in, put_given, touch
from projections.projection import Commitments, Event, Projection, Row, Table
from projections.work import Work


class Member(StreamRow):
    """A member as known."""

    status: Annotated[str, Meta(description="active, transferred, merged, closed or erased")]
    status_since: Annotated[str, Meta(description="since when it is so: the time of the event")]
    reason: Annotated[str | None, Meta(description="why the status is so: the reason of the last change")] = None
    membership: Annotated[str | None, Meta(description="the kind of membership")] = None
    joined: Annotated[str | None, Meta(description="when the membership began, if not with the first event")] = None
    locale: Annotated[str | None, Meta(description="the member's language, such as en-IE")] = None
    change: Annotated[str | None, Meta(description="the last change of the account: transferred, merged, closed")] = (
        None
    )
    side: Annotated[
        str | None, Meta(description="given where this account ended by it, received where it took over")
    ] = None
    counterpart: Annotated[str | None, Meta(description="the other member of that change")] = None
    change_reason: Annotated[str | None, Meta(description="why the account was changed")] = None
    changed: Annotated[str | None, Meta(description="when the account was changed")] = None
    erased: Annotated[str | None, Meta(description="when the member was erased last: nothing from before opens")] = None
    erased_position: Annotated[int | None, Meta(description="the position of the entry that erased them last")] = None
    private: Annotated[
        Commitments | None,
        Meta(description="the private fields: `name`, `email`, `phone`, `address`, `birth_date`, `notes`"),
    ] = None


class AccountChange(Row):
    """One side of a change of accounts: a transfer or a merge has two, under one correlation."""

    stream: Annotated[str, Meta(description="the member's stream")]
    version: Annotated[int, Meta(description="the version of the stream that the change made")]
    position: Annotated[int, Meta(description="the position of its entry")]
    change: Annotated[str, Meta(description="transferred, merged or closed")]
    side: Annotated[str, Meta(description="given where this account ended by it, received where it took over")]
    counterpart: Annotated[str | None, Meta(description="the other member; of a closure there is none")]
    correlation: Annotated[str | None, Meta(description="what both sides are joined by")]
    reason: Annotated[str, Meta(description="why, as a code")]
    time: Annotated[str, Meta(description="when it happened, as the event says")]
    forced: Annotated[str | None, Meta(description="the reason code of a forced change, which may stand alone")]
    private: Annotated[Commitments | None, Meta(description="the private fields of the event: `notes`")]


class Field(Row):
    """How complete what is known of members is, in one field."""

    field: Annotated[str, Meta(description="the name of a private field")]
    members: Annotated[int, Meta(description="how many members were ever recorded with it, erased ones too")]


MEMBERS: Final = Table(
    "members",
    Member,
    "Each member that events of their own stream tell of.",
    by_stream=True,
    indexes=(("status",), ("membership",)),
)
CHANGES: Final = Table(
    "account_changes",
    AccountChange,
    "Each side of a transfer, a merge or a closure, in their order.",
    key_length=2,
    indexes=(("counterpart",), ("correlation",)),
)
FIELDS: Final = Table("member_fields", Field, "How many members were ever recorded with each private field.")
PROJECTION: Final = Projection("members", version=3, tables=(MEMBERS, CHANGES, FIELDS))


def _moved(work: Work, event: Event, seal: Seal) -> Member:
    """The row of the event's member, where the event leads."""
    row = work.change(MEMBERS, event.stream)
    before = None if row is None else MemberState(row.status)
    after: MemberState = advance("member", before, event, seal, event.data)
    if row is None:
        row = work.put(MEMBERS, Member(*head(event, seal), after.status, event.time))
    else:
        touch(row, event, seal)
    if after != before:
        row.status, row.status_since, row.reason = after.status, event.time, event.data.get("reason")
    if event.private:
        known = names_in(row.private)
        for name in event.private:
            if name not in known:
                field = work.change(FIELDS, name) or work.put(FIELDS, Field(name, 0))
                field.members += 1
        row.private = committed(row.private, event, seal)
    return row


@PROJECTION.on("member.registered")
def _registered(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    put_given(row, data, "joined", "locale")
    row.membership = data.get("kind", row.membership)


@PROJECTION.on("member.contact_updated")
def _contact_updated(work: Work, event: Event, seal: Seal) -> None:
    _moved(work, event, seal)


@PROJECTION.on("member.account_changed")
def _account_changed(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    row.change, row.changed = data["change"], event.time
    row.side = data.get("side", "given")
    row.counterpart = data.get("counterpart")
    row.change_reason = data["reason"]
    work.add(
        CHANGES,
        AccountChange(
            stream=event.stream,
            version=seal.version,
            position=seal.position,
            change=data["change"],
            side=row.side,
            counterpart=row.counterpart,
            correlation=event.correlation or None,
            reason=data["reason"],
            time=event.time,
            forced=event.forced or None,
            private=committed(None, event, seal),
        ),
    )


@PROJECTION.on("member.erased")
def _erased(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    row.erased, row.erased_position = event.time, seal.position
