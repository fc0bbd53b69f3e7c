"""Events that only stand together: the two sides of a member's account that is transferred or merged.

Owns the one rule about them (docs/adr/0012-account-changes.md): who gives and who receives are told in one atomic
request, under one correlation, each naming the other. Pure: events in, nothing or a refusal out. Never looks at a
stream's state, which is for ``ledger.lifecycle``.

Invariant: of a change that was not forced, the log never holds one side without the other.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from msgspec import UNSET, json

from ledger.entry import EventBody
from ledger.errors import InvalidEvent
from ledger.event import Prepared

ACCOUNT_CHANGED = "member.account_changed"


class Side(NamedTuple):
    """One side of a change: which change it is, by whom to whom, and which of the two tells it."""

    correlation: str | None
    change: str
    giver: str
    receiver: str
    received: bool


def side_of(body: EventBody) -> Side | None:
    """The side that an event tells of; None for a closure, and for an event of any other type."""
    data = body.public() if body.type == ACCOUNT_CHANGED else {"change": "closed"}
    if data["change"] == "closed":
        return None
    own, other = body.stream.partition(":")[2], data["counterpart"]
    received = data.get("side") == "received"
    giver, receiver = (other, own) if received else (own, other)
    return Side(None if body.correlation is UNSET else body.correlation, data["change"], giver, receiver, received)


def check_joined(events: Sequence[Prepared], known: Container[tuple[str, str]]) -> None:
    """Check the account changes among events that are to be recorded together; those ``known`` by now are not.

    A forced one needs no other side, but may be one. Raises ``InvalidEvent``, with the index, for the first that stands
    alone.
    """
    changes = [index for index, event in enumerate(events) if event.type == ACCOUNT_CHANGED]
    if not changes:
        return
    told = [
        (index, events[index], side_of(json.decode(events[index].body, type=EventBody)))
        for index in changes
        if (events[index].source, events[index].id) not in known
    ]
    sides = [side for _, _, side in told]
    for index, event, side in told:
        if side is None or event.forced is not None:
            continue
        if side.giver == side.receiver:
            raise InvalidEvent("an account goes to another member", "$.data.counterpart", index)
        if side.correlation is None:
            raise InvalidEvent(
                f"an account that is {side.change} needs a correlation, the same on both sides",
                "$.correlationid",
                index,
            )
        if (sides.count(side), sides.count(side._replace(received=not side.received))) != (1, 1):
            verb, other = ("gives", side.giver) if side.received else ("receives", side.receiver)
            raise InvalidEvent(
                f"that {side.giver} is {side.change} to {side.receiver} is told from both sides in one atomic request: "
                f"there has to be one event on member:{other} that {verb}, with the correlation {side.correlation}",
                "$.data.counterpart",
                index,
                advice="post both events together; one alone can be forced by an admin",
            )
