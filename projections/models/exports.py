"""The read model ``exports``: what was handed out of the ledger, and what was taken into it.

Owns the tables ``exports`` and ``imports``, a row each. Never reads or writes a store.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.entry import Seal
from ledger.lifecycle import StatusState
from projections.models._streams import StreamRow, advance, as_json, head, put_given, touch
from projections.projection import Event, Json, Projection, Table
from projections.work import Work


class Export(StreamRow):
    """A bundle that was handed out."""

    status: Annotated[str, Meta(description="issued")]
    format: Annotated[str | None, Meta(description="bag, csv, json, pdf…")] = None
    scope: Annotated[str | None, Meta(description="everything, member, reservation or selection")] = None
    reservation: Annotated[str | None, Meta(description="for the scope reservation: its id")] = None
    redaction: Annotated[str | None, Meta(description="the rule by which private values were left out")] = None
    anonymised: Annotated[
        int | None, Meta(description="1 where it holds tables only, with nobody to be known in them, else 0")
    ] = None
    requested_by: Annotated[str | None, Meta(description="the id of who asked for it")] = None
    request: Annotated[str | None, Meta(description="the id of the request or job")] = None
    entries: Annotated[int | None, Meta(description="how many entries are in it, its own not counted")] = None
    first_position: Annotated[int | None, Meta(description="the position of the first")] = None
    last_position: Annotated[int | None, Meta(description="the position of the last")] = None
    tree_size: Annotated[int | None, Meta(description="how many entries the log held when it was made")] = None
    root: Annotated[str | None, Meta(description="the root of the tree at that size, in hex")] = None
    values_withheld: Annotated[int | None, Meta(description="how many private values were left out")] = None
    tables: Annotated[
        Json | None, Meta(description="how many rows of which table are in it: a list of `table` and `rows`")
    ] = None
    size: Annotated[int | None, Meta(description="how many bytes its payload takes, unpacked")] = None
    expires: Annotated[str | None, Meta(description="until when it can be fetched")] = None
    duration_seconds: Annotated[str | None, Meta(description="how long making it took, a decimal")] = None


class Import(StreamRow):
    """An import, as it was applied and maybe undone."""

    status: Annotated[str, Meta(description="applied or undone")]
    format: Annotated[str | None, Meta(description="bundle, events, csv, json…")] = None
    mode: Annotated[
        str | None, Meta(description="what was done with what was there already: merge, replace, skip, rename or ask")
    ] = None
    requested_by: Annotated[str | None, Meta(description="the id of who asked for it")] = None
    sha256: Annotated[str | None, Meta(description="the digest of the file that was imported, in hex")] = None
    size: Annotated[int | None, Meta(description="how many bytes that file has")] = None
    added: Annotated[int | None, Meta(description="how many items were new")] = None
    changed: Annotated[int | None, Meta(description="how many were there and changed")] = None
    renamed: Annotated[int | None, Meta(description="how many got another id")] = None
    skipped: Annotated[int | None, Meta(description="how many were left as they were")] = None
    failed: Annotated[int | None, Meta(description="how many could not be imported")] = None
    first_position: Annotated[int | None, Meta(description="the first entry that it made")] = None
    last_position: Annotated[int | None, Meta(description="the last entry that it made")] = None
    duration_seconds: Annotated[str | None, Meta(description="how long it took, a decimal")] = None
    applied: Annotated[str | None, Meta(description="when it was applied")] = None
    undone: Annotated[str | None, Meta(description="when it was undone")] = None
    undo_reason: Annotated[str | None, Meta(description="why it was undone")] = None
    undone_by: Annotated[str | None, Meta(description="the id of who asked for that")] = None
    reversed: Annotated[int | None, Meta(description="how many items are as they were before")] = None
    kept: Annotated[int | None, Meta(description="how many were kept, since somebody changed them")] = None
    undo_failed: Annotated[int | None, Meta(description="how many could not be taken back")] = None
    undo_first_position: Annotated[int | None, Meta(description="the first entry that the undoing made")] = None
    undo_last_position: Annotated[int | None, Meta(description="the last entry that the undoing made")] = None


EXPORTS: Final = Table(
    "exports", Export, "Each bundle that was handed out.", by_stream=True, indexes=(("member",), ("reservation",))
)
IMPORTS: Final = Table("imports", Import, "Each import.", by_stream=True, indexes=(("status",),))
PROJECTION: Final = Projection("exports", version=1, tables=(EXPORTS, IMPORTS))

_EXPORTED: Final = (
    "duration_seconds",
    "entries",
    "expires",
    "first_position",
    "format",
    "last_position",
    "redaction",
    "request",
    "requested_by",
    "reservation",
    "root",
    "scope",
    "size",
    "tree_size",
    "values_withheld",
)
_APPLIED: Final = (
    "added",
    "duration_seconds",
    "failed",
    "first_position",
    "format",
    "last_position",
    "mode",
    "renamed",
    "requested_by",
    "sha256",
    "size",
    "skipped",
)


@PROJECTION.on("export.issued")
def _issued(work: Work, event: Event, seal: Seal) -> None:
    row, data = work.change(EXPORTS, event.stream), event.data
    status = advance("export", None if row is None else StatusState(row.status), event, seal).status
    if row is None:
        row = work.put(EXPORTS, Export(*head(event, seal), status))
    else:
        touch(row, event, seal)
    put_given(row, data, *_EXPORTED)
    row.anonymised = int(data["anonymised"])
    row.tables = as_json(data["tables"])


def _imported(work: Work, event: Event, seal: Seal) -> Import:
    """The row of the event's import, where the event leads."""
    row = work.change(IMPORTS, event.stream)
    status = advance("import", None if row is None else StatusState(row.status), event, seal).status
    if row is None:
        return work.put(IMPORTS, Import(*head(event, seal), status))
    touch(row, event, seal)
    row.status = status
    return row


@PROJECTION.on("import.applied")
def _applied(work: Work, event: Event, seal: Seal) -> None:
    row = _imported(work, event, seal)
    put_given(row, event.data, *_APPLIED)
    row.changed = event.data["updated"]
    row.applied = event.time


@PROJECTION.on("import.undone")
def _undone(work: Work, event: Event, seal: Seal) -> None:
    row, data = _imported(work, event, seal), event.data
    row.undone, row.undone_by, row.undo_reason = event.time, data["requested_by"], data["reason"]
    row.reversed, row.kept, row.undo_failed = data["reversed"], data["kept"], data["failed"]
    row.undo_first_position, row.undo_last_position = data.get("first_position"), data.get("last_position")
