"""The read model ``pieces``: each piece as it stands, to be found by its code or its reservation.

Owns the table ``pieces``. The ledger takes codes as they come, so two pieces may have the same one. Never copies a
private value, and never reads or writes a store.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.entry import Seal
from ledger.lifecycle import StatusState
from projections.models._streams import StreamRow, advance, committed, head, put_given, touch
from projections.projection import Commitments, Event, Projection, Table
from projections.work import Work


class Piece(StreamRow):
    """A piece as it stands."""

    status: Annotated[str, Meta(description="awaiting_placement, loaded, fired, ready or picked_up")]
    status_since: Annotated[str, Meta(description="since when it is so: the time of the event")]
    reason: Annotated[str | None, Meta(description="why the status is so: the reason of the last change")] = None
    code: Annotated[str | None, Meta(description="the code on the piece; none where it was never registered")] = None
    reservation: Annotated[str | None, Meta(description="the id of the reservation that it belongs to")] = None
    count: Annotated[int | None, Meta(description="how many things alike go by the code")] = None
    photo: Annotated[str | None, Meta(description="the media id of the newest photo")] = None
    station: Annotated[str | None, Meta(description="the kiln, shelf or room it was placed in last")] = None
    notes_added: Annotated[int, Meta(description="how many notes were added")] = 0
    private: Annotated[Commitments | None, Meta(description="the private fields: `label`, and the last `notes`")] = None


PIECES: Final = Table(
    "pieces",
    Piece,
    "Each piece as it stands.",
    by_stream=True,
    indexes=(("code",), ("reservation",), ("member",), ("status",)),
)
PROJECTION: Final = Projection("pieces", version=1, tables=(PIECES,))


@PROJECTION.on("piece.registered", "piece.status_changed", "piece.photo_attached", "piece.note_added")
def _changed(work: Work, event: Event, seal: Seal) -> None:
    row, data = work.change(PIECES, event.stream), event.data
    before = None if row is None else StatusState(row.status)
    after: StatusState = advance("piece", before, event, seal, data)
    if row is None:
        row = work.put(PIECES, Piece(*head(event, seal), after.status, event.time))
    else:
        touch(row, event, seal)
    if after != before:
        row.status, row.status_since, row.reason = after.status, event.time, data.get("reason")
    put_given(row, data, "code", "reservation", "count", "photo", "station")
    row.private = committed(row.private, event, seal)
    if event.type == "piece.note_added":
        row.notes_added += 1
