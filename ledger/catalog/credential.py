"""Events of a credential: who may use the ledger's API, and who was refused.

Owns the data of ``credential.*``, which the ledger itself writes. Never a token or a hash of one. What no known
credential asked for goes to the stream ``credential:unknown``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, event_type
from ledger.catalog.values import Code, Id, Instant, Positive, Reason, check_order

ActorRole = Literal["client", "staff", "service", "system", "admin"]
ApiRole = Literal["owner", "admin", "service", "auditor", "member"]


@event_type("credential.issued", retention="operation", issued_by_ledger=True)
class Issued(EventData, frozen=True, kw_only=True):
    """A credential is made, with what it may do. The first event of a credential."""

    actor_roles: Annotated[list[ActorRole], Meta(min_length=1, max_length=5, description="the roles it may act in")]
    expires: Instant | UnsetType = UNSET
    issued_by: Annotated[Id, Meta(description="the credential of who asked for it")] | UnsetType = UNSET
    role: Annotated[ApiRole, Meta(description="what it may do")]
    scopes: (
        Annotated[list[Code], Meta(max_length=32, description="what it is limited to, if to less than its role")]
        | UnsetType
    ) = UNSET
    sees_member: Annotated[Id, Meta(description="for the role member: whose history it sees")] | UnsetType = UNSET


@event_type("credential.revoked", retention="operation", issued_by_ledger=True)
class Revoked(EventData, frozen=True, kw_only=True):
    """The credential opens nothing any more. Final."""

    reason: Reason
    revoked_by: Annotated[Id, Meta(description="the credential of who asked for it")] | UnsetType = UNSET


@event_type("credential.refused", retention="operation", issued_by_ledger=True)
class Refused(EventData, frozen=True, kw_only=True):
    """Somebody asked for what this credential may not do, once or several times alike."""

    action: Annotated[Code, Meta(description="what was asked for")]
    count: Annotated[Positive, Meta(description="how many times, in the time from first to last")]
    first_at: Instant | UnsetType = UNSET
    last_at: Instant | UnsetType = UNSET
    reason: Annotated[Reason, Meta(description="unknown, expired, revoked, role, scope…")]

    def check(self) -> None:
        """Check that the last refusal is not before the first."""
        check_order(self.first_at, self.last_at, "$.data", ("first_at", "last_at"))
