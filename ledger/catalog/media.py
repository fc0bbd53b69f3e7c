"""Events of media: a photo, note, proof or original that the studio keeps outside the ledger.

Owns the data of ``media.*``. The ledger holds what proves the content (digest, size) and where it lies, as an opaque
place in a named store and never as an address; a name that a person gave the file is private. The record that a photo
existed stays when the photo is purged.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, Notes, Private, event_type
from ledger.catalog.values import Code, Date, Digest, Id, Instant, Positive, Reason, Size
from ledger.errors import InvalidEvent
from ledger.patterns import shaped

Key = Annotated[
    str,
    Meta(
        pattern=shaped(
            r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*",
            "names of A-Z, a-z, 0-9 and ._- with / between, none beginning with a point",
        ),
        max_length=512,
        description="the place in that store: opaque names with / between, never an address",
    ),
]
MediaType = Annotated[
    str,
    Meta(
        pattern=shaped(
            r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}",
            "a media type (RFC 6838), such as image/jpeg",
        ),
        description="the media type (RFC 6838), such as image/jpeg",
    ),
]
Version = Annotated[Positive, Meta(description="which version of the content, from 1 without gaps")]


class Location(EventData, frozen=True, kw_only=True):
    """Where the content lies."""

    key: Key
    store: Annotated[Code, Meta(description="the studio's name for the store")]


@event_type("media.stored", retention="media", reads_data=True)
class Stored(EventData, frozen=True, kw_only=True):
    """Content is stored: the first of a thing, or a new version of it."""

    captured_at: Annotated[Instant, Meta(description="when it was taken or written")] | UnsetType = UNSET
    file_name: Private[Annotated[str, Meta(description="the name of the file as it came")]] | UnsetType = UNSET
    kind: Literal["photo", "video", "audio", "note", "proof", "document"]
    location: Location
    media_type: MediaType | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    original: (
        Annotated[Id, Meta(description="for a proxy: the media id of what it is a smaller copy of")] | UnsetType
    ) = UNSET
    piece: Annotated[Id, Meta(description="the piece that it shows")] | UnsetType = UNSET
    record: Annotated[Id, Meta(description="the record that it belongs to, such as a project")] | UnsetType = UNSET
    rendition: Literal["original", "proxy"]
    reservation: Annotated[Id, Meta(description="the reservation that it belongs to")] | UnsetType = UNSET
    retain_until: Annotated[Date, Meta(description="the last day on which it is kept in any case")] | UnsetType = UNSET
    sha256: Digest
    size: Size
    version: Version

    def check(self) -> None:
        """Check that a proxy names its original, and that an original has none."""
        if (self.rendition == "proxy") != (self.original is not UNSET):
            raise InvalidEvent("a proxy names its original, and an original has none", "$.data.original")


@event_type("media.version_restored", retention="media", reads_data=True)
class VersionRestored(EventData, frozen=True, kw_only=True):
    """An earlier version of the content is the current one again. The later ones stay."""

    notes: Notes | UnsetType = UNSET
    reason: Reason
    version: Version


@event_type("media.retention_extended", retention="media", reads_data=True)
class RetentionExtended(EventData, frozen=True, kw_only=True):
    """The content is kept for longer than was said before."""

    notes: Notes | UnsetType = UNSET
    reason: Reason
    retain_until: Annotated[Date, Meta(description="the last day on which it is kept in any case")]


@event_type("media.trashed", retention="media")
class Trashed(EventData, frozen=True, kw_only=True):
    """The media is put in the trash, from where it can be restored for 30 days at least."""

    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET


@event_type("media.restored", retention="media")
class Restored(EventData, frozen=True, kw_only=True):
    """The media is taken back out of the trash."""

    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET


@event_type("media.purged", retention="media", issued_by_ledger=True)
class Purged(EventData, frozen=True, kw_only=True):
    """The content and its private values are destroyed, 30 days or more after it was trashed. Its history stays."""

    reason: Reason
