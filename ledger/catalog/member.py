"""Events of a member: the person that other events are about.

Owns the data of ``member.*``. Whatever tells who a member is, is private, so that the values can go while the history
that they were once recorded stays. A member may be known by other streams only, with no event here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, Private, event_type
from ledger.catalog.values import Code, Date, Id, Reason
from ledger.errors import InvalidEvent
from ledger.patterns import shaped

Text = Private[Annotated[str, Meta(description="free text")]]
Locale = Annotated[
    str,
    Meta(
        pattern=shaped(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}", "a language tag (BCP 47), such as en-IE"),
        description="a BCP 47 language tag, such as en-IE",
    ),
]


@event_type("member.registered", retention="identity")
class Registered(EventData, frozen=True, kw_only=True):
    """A person becomes a member, or one whose account was closed, or who was erased, comes back."""

    address: Text | UnsetType = UNSET
    birth_date: Private[Date] | UnsetType = UNSET
    email: Text | UnsetType = UNSET
    joined: Annotated[Date, Meta(description="when the membership began, if not with this event")] | UnsetType = UNSET
    kind: Annotated[Code, Meta(description="the kind of membership")] | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    notes: Text | UnsetType = UNSET
    phone: Text | UnsetType = UNSET


@event_type("member.contact_updated", retention="identity")
class ContactUpdated(EventData, frozen=True, kw_only=True):
    """Some of what is known of the member changed; fields left out stay as they were."""

    address: Text | UnsetType = UNSET
    birth_date: Private[Date] | UnsetType = UNSET
    email: Text | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    notes: Text | UnsetType = UNSET
    phone: Text | UnsetType = UNSET

    def check(self) -> None:
        """Check that something is updated."""
        if all(getattr(self, name) is UNSET for name in self.__struct_fields__):
            raise InvalidEvent(f"an update needs one of {', '.join(self.__struct_encode_fields__)}", "$.data")


@event_type("member.account_changed", retention="service", reads_data=True)
class AccountChanged(EventData, frozen=True, kw_only=True):
    """The member's account is transferred to another, merged into another, or closed.

    A transfer or merge is one event on each of the two members, in one atomic batch, joined by correlation. The account
    that ends is on the side ``given``, which is also what a missing ``side`` means; the one that takes over is on the
    side ``received`` and lives on. Merged means the same person, transferred somebody else. One side without the other
    is refused, unless it is forced.
    """

    change: Literal["transferred", "merged", "closed"]
    counterpart: Annotated[Id, Meta(description="the other member")] | UnsetType = UNSET
    notes: Text | UnsetType = UNSET
    reason: Reason
    side: Literal["given", "received"] | UnsetType = UNSET

    def check(self) -> None:
        """Check that a transfer or merge names the other member, and that a closure has none."""
        if self.change != "closed" and self.counterpart is UNSET:
            raise InvalidEvent(f"an account that is {self.change} needs its counterpart", "$.data.counterpart")
        if self.change == "closed" and self.counterpart is not UNSET:
            raise InvalidEvent("an account that is closed has no counterpart", "$.data.counterpart")
        if self.change == "closed" and self.side == "received":
            raise InvalidEvent("an account that is closed goes to nobody", "$.data.side")


@event_type("member.erased", retention="ledger", issued_by_ledger=True)
class Erased(EventData, frozen=True, kw_only=True):
    """The private values of the member, in every stream, are destroyed. The history of events and proofs stays."""

    reason: Reason
