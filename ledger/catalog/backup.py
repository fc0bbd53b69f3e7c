"""Events of a backup: a slice of the log went to a vault, failed to, or was pruned there.

Owns the data of ``backup.*``, which the ledger itself writes. Whether backups are overdue is seen from these events,
not from a scheduler. What a vault answered is private, since it may be anything.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, Private, event_type
from ledger.catalog.values import (
    Code,
    Count,
    Digest,
    Id,
    Instant,
    Position,
    Positive,
    Reason,
    Seconds,
    Size,
    Total,
    check_range,
)
from ledger.errors import InvalidEvent

Vault = Annotated[Code, Meta(description="the studio's name for the vault")]


@event_type("backup.completed", retention="operation", issued_by_ledger=True)
class Completed(EventData, frozen=True, kw_only=True):
    """A backup is in the vault and was read back. The stream's id is the backup's."""

    duration_seconds: Seconds
    encryption: Annotated[
        Literal["age", "aes-256-gcm", "none"], Meta(description="how it is encrypted before it leaves")
    ]
    entries: Annotated[Total, Meta(description="how many entries it holds")]
    first_position: Position | UnsetType = UNSET
    generation: Annotated[Literal["base", "increment"], Meta(description="whether it stands alone or upon its parent")]
    last_position: Position | UnsetType = UNSET
    lock: Annotated[Literal["none", "governance", "compliance"], Meta(description="the vault's lock, as read back")]
    locked_until: Instant | UnsetType = UNSET
    manifest_sha256: Annotated[Digest, Meta(description="of its signed manifest")]
    object_version: Annotated[Id, Meta(description="the vault's id of the version")] | UnsetType = UNSET
    parent: Annotated[Id, Meta(description="the backup that it builds upon")] | UnsetType = UNSET
    recipients: Annotated[Count, Meta(description="how many keys can open it")] | UnsetType = UNSET
    root: Annotated[Digest, Meta(description="the root of the tree at that size")]
    rpo_seconds: (
        Annotated[Seconds, Meta(description="how old the oldest entry was that no backup held until now")] | UnsetType
    ) = UNSET
    sha256: Annotated[Digest, Meta(description="of the content as stored")]
    size: Annotated[Size, Meta(description="how many bytes are stored")]
    tree_size: Annotated[Total, Meta(description="how many entries the log held")]
    vault: Vault

    def check(self) -> None:
        """Check that the range is one, that an increment names its parent and a base none, and a lock its end."""
        check_range(self.first_position, self.last_position, "$.data")
        if (self.generation == "increment") != (self.parent is not UNSET):
            raise InvalidEvent("an increment names its parent, and a base has none", "$.data.parent")
        if (self.lock == "none") != (self.locked_until is UNSET):
            raise InvalidEvent("a lock says until when, and no lock doesn't", "$.data.locked_until")


@event_type("backup.failed", retention="operation", issued_by_ledger=True)
class Failed(EventData, frozen=True, kw_only=True):
    """An attempt at a backup failed; nothing counts as saved."""

    attempt: Annotated[Positive, Meta(description="which attempt at this backup, from 1")]
    detail: Private[Annotated[str, Meta(description="what went wrong, as the vault or system said it")]] | UnsetType = (
        UNSET
    )
    duration_seconds: Seconds | UnsetType = UNSET
    reason: Reason
    retry_after: Annotated[Instant, Meta(description="when it is tried again")] | UnsetType = UNSET
    vault: Vault


@event_type("backup.pruned", retention="operation", issued_by_ledger=True)
class Pruned(EventData, frozen=True, kw_only=True):
    """The backup was deleted from its vault, by the rule of retention. Final."""

    freed: Annotated[Size, Meta(description="how many bytes that freed")]
    reason: Annotated[Reason, Meta(description="the rule that it fell under")]
    vault: Vault
