"""Events of a piece: one thing, or several alike, that a reservation's work consists of.

Owns the data of ``piece.*``. A piece is found by its code, which the studio gives it and writes on it; the ledger takes
codes as they come. A photo is a media id, never an address.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from ledger.catalog.base import EventData, Notes, Private, event_type
from ledger.catalog.values import LABEL, Id, Positive, Reason, Station

Photo = Annotated[Id, Meta(description="the media id of a photo")]
PieceCode = Annotated[
    str,
    Meta(
        pattern=LABEL,
        description="the code on the piece, readable and given once only, such as MF-RES-H3T5XX-01A91F",
    ),
]
PieceStatus = Literal["awaiting_placement", "loaded", "fired", "ready", "picked_up"]


@event_type("piece.registered", retention="service")
class Registered(EventData, frozen=True, kw_only=True):
    """A piece of a reservation gets its code. The first event of a piece."""

    code: PieceCode
    count: Annotated[Positive, Meta(description="how many things alike go by this code")]
    label: Private[Annotated[str, Meta(description="what people call it")]] | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    photo: Photo | UnsetType = UNSET
    reservation: Annotated[Id, Meta(description="the reservation that it belongs to")]


@event_type("piece.status_changed", retention="service", reads_data=True)
class StatusChanged(EventData, frozen=True, kw_only=True):
    """The piece goes one step on: placed in a kiln, fired, ready, picked up."""

    from_: Annotated[PieceStatus, Meta(description="the status it was in, to be checked")] | UnsetType = field(
        default=UNSET, name="from"
    )
    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    station: Station | UnsetType = UNSET
    to: PieceStatus


@event_type("piece.photo_attached", retention="service")
class PhotoAttached(EventData, frozen=True, kw_only=True):
    """There is a photo of the piece; the newest one stands for it."""

    notes: Notes | UnsetType = UNSET
    photo: Photo


@event_type("piece.note_added", retention="service")
class NoteAdded(EventData, frozen=True, kw_only=True):
    """Somebody says something about the piece."""

    notes: Notes
