"""The read model ``media``: each photo, note, proof and original as it stands, its versions, and the room they take.

Owns four tables: ``media``, a row each; ``media_versions``, a row for each version of its content; ``media_contents``,
how many versions have the same content, to find what is kept twice; ``media_by_kind``, the room taken by kind. Never
copies a private value, and never reads or writes a store.

Invariants: versions, contents and kinds tell the same of all that is not purged: as many bytes, as many versions.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.entry import Seal
from ledger.lifecycle import MediaState
from projections.models._streams import StreamRow, Sum, advance, committed, earlier, head, plus, put_given, touch
from projections.projection import Commitments, Event, Json, Projection, Row, Table
from projections.work import Work


class Media(StreamRow):
    """A photo, note, proof or other thing as it stands."""

    status: Annotated[str, Meta(description="stored, trashed or purged")]
    content_version: Annotated[int, Meta(description="the version of the content that is the current one")]
    versions: Annotated[int, Meta(description="the newest version of the content that there is")]
    added: Annotated[int | None, Meta(description="the version that was added last; `media_versions` leads on")] = None
    reason: Annotated[str | None, Meta(description="why it stands so: the reason of the last change")] = None
    kind: Annotated[str | None, Meta(description="photo, video, audio, note, proof or document")] = None
    rendition: Annotated[str | None, Meta(description="original or proxy")] = None
    media_type: Annotated[str | None, Meta(description="the media type, such as image/jpeg")] = None
    sha256: Annotated[str | None, Meta(description="the digest of the current content, in hex")] = None
    size: Annotated[int | None, Meta(description="how many bytes the current content has")] = None
    store: Annotated[str | None, Meta(description="the studio's name for where the current content lies")] = None
    key: Annotated[str | None, Meta(description="the place in that store")] = None
    captured_at: Annotated[str | None, Meta(description="when it was taken or written")] = None
    original: Annotated[str | None, Meta(description="for a proxy: the media id of its original")] = None
    reservation: Annotated[str | None, Meta(description="the id of the reservation that it belongs to")] = None
    piece: Annotated[str | None, Meta(description="the id of the piece that it shows")] = None
    record: Annotated[str | None, Meta(description="the id of the record that it belongs to")] = None
    retain_until: Annotated[str | None, Meta(description="the last day on which it is kept in any case")] = None
    trashed: Annotated[str | None, Meta(description="since when it is in the trash, by the ledger's clock")] = None
    bytes: Annotated[Sum, Meta(description="how many bytes all of its versions have")] = "0"
    earlier_members: Annotated[Json | None, Meta(description="members that it was about before: a sorted list")] = None
    private: Annotated[Commitments | None, Meta(description="the private fields: `file_name`, `notes`")] = None


class Version(Row):
    """A version of the content of a thing."""

    stream: Annotated[str, Meta(description="the media's stream")]
    content_version: Annotated[int, Meta(description="which version of the content, from 1")]
    sha256: Annotated[str, Meta(description="the digest of the content, in hex")]
    size: Annotated[int, Meta(description="how many bytes it has")]
    store: Annotated[str, Meta(description="the studio's name for where it lies")]
    key: Annotated[str, Meta(description="the place in that store")]
    media_type: Annotated[str | None, Meta(description="the media type, such as image/jpeg")]
    position: Annotated[int, Meta(description="the position of the entry that told of it")]
    time: Annotated[str, Meta(description="when it was stored, as the event says")]
    previous: Annotated[int | None, Meta(description="the version that was added before it")] = None
    purged: Annotated[int, Meta(description="1 where the content is destroyed, else 0")] = 0


class Content(Row):
    """Content that is kept, once or several times."""

    sha256: Annotated[str, Meta(description="the digest of the content, in hex")]
    size: Annotated[int, Meta(description="how many bytes it has")]
    copies: Annotated[int, Meta(description="how many versions have this content and are not purged")]
    doubled: Annotated[int, Meta(description="1 where it is kept more than once, else 0")] = 0


class Kind(Row):
    """The room that things of a kind take."""

    kind: Annotated[str, Meta(description="photo, video, audio, note, proof or document")]
    rendition: Annotated[str, Meta(description="original or proxy")]
    stored: Annotated[int, Meta(description="how many things are stored")] = 0
    stored_bytes: Annotated[Sum, Meta(description="how many bytes all versions of those have")] = "0"
    trashed: Annotated[int, Meta(description="how many things are in the trash")] = 0
    trashed_bytes: Annotated[Sum, Meta(description="how many bytes all versions of those have")] = "0"
    purged: Annotated[int, Meta(description="how many things were purged")] = 0
    purged_bytes: Annotated[Sum, Meta(description="how many bytes all versions of those had")] = "0"


MEDIA: Final = Table(
    "media",
    Media,
    "Each photo, note, proof and original as it stands.",
    by_stream=True,
    indexes=(("reservation",), ("member",), ("piece",), ("record",), ("sha256",), ("status",)),
)
VERSIONS: Final = Table("media_versions", Version, "Each version of the content of media.", key_length=2)
CONTENTS: Final = Table(
    "media_contents", Content, "Each content that is kept, and how many times.", indexes=(("doubled",),)
)
KINDS: Final = Table("media_by_kind", Kind, "The room that media take, by their kind.", key_length=2)
PROJECTION: Final = Projection("media", version=2, tables=(MEDIA, VERSIONS, CONTENTS, KINDS))

_GIVEN: Final = ("captured_at", "kind", "media_type", "original", "piece", "record", "rendition", "reservation")


def _moved(work: Work, event: Event, seal: Seal) -> Media:
    """The row of the event's media, where the event leads, taken out of the count of its kind: ``_count`` it after."""
    row = work.change(MEDIA, event.stream)
    if row is None:
        before = None
    else:
        before = MediaState(row.status, row.content_version, row.versions, row.retain_until, row.trashed)
        _count(work, row, -1)
    after: MediaState = advance("media", before, event, seal, event.data)
    if row is None:
        row = work.put(MEDIA, Media(*head(event, seal), after.status, after.media_version, after.latest))
    else:
        row.earlier_members = earlier(row, row.earlier_members, event)
        touch(row, event, seal)
    if after != before:
        row.reason = event.data.get("reason")
    row.status, row.content_version, row.versions = after.status, after.media_version, after.latest
    row.retain_until, row.trashed = after.retain_until, after.trashed
    row.private = committed(row.private, event, seal)
    return row


def _count(work: Work, row: Media, sign: int) -> None:
    """Count a row among those of its kind, or take it out again; one that was never stored is of no kind."""
    if row.kind is None or row.rendition is None:
        return
    key = (row.kind, row.rendition)
    kind = work.change(KINDS, key) or work.put(KINDS, Kind(*key))
    if row.status == "stored":
        kind.stored += sign
        kind.stored_bytes = plus(kind.stored_bytes, sign * int(row.bytes))
    elif row.status == "trashed":
        kind.trashed += sign
        kind.trashed_bytes = plus(kind.trashed_bytes, sign * int(row.bytes))
    else:
        kind.purged += sign
        kind.purged_bytes = plus(kind.purged_bytes, sign * int(row.bytes))


@PROJECTION.on("media.stored")
def _stored(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    put_given(row, data, *_GIVEN)
    location = data["location"]
    new = Version(
        event.stream,
        data["version"],
        data["sha256"],
        data["size"],
        location["store"],
        location["key"],
        data.get("media_type"),
        seal.position,
        event.time,
    )
    replaced = work.get(VERSIONS, (event.stream, data["version"]))
    if replaced is None:
        new.previous, row.added = row.added, data["version"]
    else:
        new.previous = replaced.previous
        row.bytes = plus(row.bytes, -replaced.size)
        if not replaced.purged:
            _keep(work, replaced, -1)
    work.put(VERSIONS, new)
    row.bytes = plus(row.bytes, new.size)
    _keep(work, new, 1)
    _show(row, new)
    _count(work, row, 1)


@PROJECTION.on("media.version_restored")
def _version_restored(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    version = work.get(VERSIONS, (event.stream, event.data["version"]))
    if version is not None:
        _show(row, version)
    _count(work, row, 1)


@PROJECTION.on("media.retention_extended", "media.trashed", "media.restored")
def _kept(work: Work, event: Event, seal: Seal) -> None:
    _count(work, _moved(work, event, seal), 1)


@PROJECTION.on("media.purged")
def _purged(work: Work, event: Event, seal: Seal) -> None:
    row = _moved(work, event, seal)
    number = row.added
    while number is not None and (version := work.change(VERSIONS, (event.stream, number))) is not None:
        if not version.purged:
            version.purged = 1
            _keep(work, version, -1)
        number = version.previous
    _count(work, row, 1)


def _keep(work: Work, version: Version, sign: int) -> None:
    """Count the content of a version, or take it out again."""
    content = work.change(CONTENTS, version.sha256)
    if content is None:
        content = work.put(CONTENTS, Content(version.sha256, version.size, 0))
    content.copies += sign
    content.doubled = int(content.copies > 1)


def _show(row: Media, version: Version) -> None:
    """Let the row show a version as the current content."""
    row.sha256, row.size = version.sha256, version.size
    row.store, row.key = version.store, version.key
    row.media_type = version.media_type
