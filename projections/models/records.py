"""The read model ``records``: each record of a collection as it stands, what it refers to, and how complete they are.

Owns six tables: ``records``, a row each; ``record_relations``, a row for each field that names something else;
``collections``, how many records there are of each; ``record_fields``, how many records were ever given each field;
``record_contents``, to find records that are there twice; ``collection_terms``, what collections declare. A field's
value stands here where it is public; else only its commitment does. Never reads or writes a store.

A public field names something else where its collection declares so, or else by its name: ``member_id``,
``reservation_id``, ``piece_id`` and ``media_id`` hold the id of such a stream, any other ``..._id`` that of a record.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Final

import orjson
from msgspec import Meta

from ledger.entry import Seal
from ledger.lifecycle import RecordState
from projections.models import _terms as terms
from projections.models._streams import StreamRow, advance, as_json, earlier, head, touch
from projections.projection import Commitments, Event, Json, Projection, Row, Table
from projections.work import Work


class Record(StreamRow):
    """A record as it stands."""

    status: Annotated[str, Meta(description="active, trashed or purged")]
    collection: Annotated[str, Meta(description="the collection that it belongs to")]
    reason: Annotated[str | None, Meta(description="why the status is so: the reason of the last change")] = None
    trashed: Annotated[str | None, Meta(description="since when it is in the trash, by the ledger's clock")] = None
    fields: Annotated[Json | None, Meta(description="the public fields, by name; those that were emptied are null")] = (
        None
    )
    digest: Annotated[
        str | None, Meta(description="the SHA-256 of the public fields as they stand here, in hex, until it is purged")
    ] = None
    earlier_members: Annotated[Json | None, Meta(description="members that it was about before: a sorted list")] = None
    private: Annotated[Commitments | None, Meta(description="the other fields, each under its own name")] = None


class Relation(Row):
    """What a field of a record names."""

    stream: Annotated[str, Meta(description="the record's stream")]
    field: Annotated[str, Meta(description="the public field that names it")]
    target: Annotated[str, Meta(description="the stream that is named, as kind:id; there may be none such")]
    target_collection: Annotated[str | None, Meta(description="for a record: the collection that it should be of")]
    collection: Annotated[str, Meta(description="the collection of the record whose field it is")]
    position: Annotated[int, Meta(description="the position of the entry that said so last")]


class Counts(Row):
    """How many records a collection has."""

    collection: Annotated[str, Meta(description="the collection")]
    active: Annotated[int, Meta(description="how many records are in use")] = 0
    trashed: Annotated[int, Meta(description="how many are in the trash")] = 0
    purged: Annotated[int, Meta(description="how many were purged")] = 0


class Field(Row):
    """How complete the records of a collection are, in one field."""

    collection: Annotated[str, Meta(description="the collection")]
    field: Annotated[str, Meta(description="the name of a field, public or private")]
    records: Annotated[int, Meta(description="how many records were ever given it, trashed and purged ones too")]


class Contents(Row):
    """How many records have the same public fields."""

    collection: Annotated[str, Meta(description="the collection")]
    digest: Annotated[str, Meta(description="the SHA-256 of the public fields, as in `records`")]
    records: Annotated[int, Meta(description="how many records, in use or trashed, have exactly these")]
    doubled: Annotated[int, Meta(description="1 where there are several, else 0")] = 0


RECORDS: Final = Table(
    "records",
    Record,
    "Each record as it stands.",
    by_stream=True,
    indexes=(("collection",), ("member",), ("status",), ("digest",)),
)
RELATIONS: Final = Table(
    "record_relations",
    Relation,
    "What fields of records name: other records, members, reservations, pieces and media.",
    key_length=2,
    indexes=(("target",),),
)
COLLECTIONS: Final = Table("collections", Counts, "How many records there are of each collection.")
FIELDS: Final = Table("record_fields", Field, "How many records were ever given each field.", key_length=2)
CONTENTS: Final = Table(
    "record_contents",
    Contents,
    "How many records have the same public fields, if they have any.",
    key_length=2,
    indexes=(("doubled",),),
)
TERMS: Final = terms.terms_table("collection_terms", "collections")
PROJECTION: Final = Projection("records", version=2, tables=(RECORDS, RELATIONS, COLLECTIONS, FIELDS, CONTENTS, TERMS))
_KINDS: Final = ("media", "member", "piece", "record", "reservation")


@PROJECTION.on("policy.set")
def _policy_set(work: Work, event: Event, seal: Seal) -> None:
    terms.set_terms(work, TERMS, event, "collection")


@PROJECTION.on("record.created", "record.updated")
def _filled(work: Work, event: Event, seal: Seal) -> None:
    row, data = _moved(work, event, seal), event.data
    public: dict[str, Any] = data.get("public") or {}
    private: dict[str, list[Any]] = {} if row.private is None else orjson.loads(row.private)
    fields: dict[str, Any] = {} if row.fields is None else orjson.loads(row.fields)
    for name in (*public, *(event.private or ())):
        if name not in private and name not in fields:
            key = (row.collection, name)
            field = work.change(FIELDS, key) or work.put(FIELDS, Field(*key, 0))
            field.records += 1
    for name, commitment in (event.private or {}).items():
        private[name] = [seal.position, commitment]
        fields.pop(name, None)
    for name, value in public.items():
        fields[name] = value
        private.pop(name, None)
    row.private = as_json(private) if private else None
    row.fields = as_json(fields) if fields else None
    _count(work, row, 1)
    _relate(work, row, event, seal)


@PROJECTION.on("record.trashed", "record.restored", "record.purged")
def _kept(work: Work, event: Event, seal: Seal) -> None:
    _count(work, _moved(work, event, seal), 1)


def _moved(work: Work, event: Event, seal: Seal) -> Record:
    """The row of the event's record, where the event leads, taken out of all counts: ``_count`` it after."""
    row = work.change(RECORDS, event.stream)
    before = None if row is None else RecordState(row.status, row.trashed)
    after: RecordState = advance("record", before, event, seal)
    if row is None:
        row = work.put(RECORDS, Record(*head(event, seal), after.status, event.data["collection"]))
    else:
        _count(work, row, -1)
        row.earlier_members = earlier(row, row.earlier_members, event)
        touch(row, event, seal)
        row.collection = event.data["collection"]
    if after != before:
        row.reason = event.data.get("reason")
    row.status, row.trashed = after.status, after.trashed
    return row


def _count(work: Work, row: Record, sign: int) -> None:
    """Count a row in its collection and among those with the same public fields, or take it out again."""
    counts = work.change(COLLECTIONS, row.collection) or work.put(COLLECTIONS, Counts(row.collection))
    if row.status == "active":
        counts.active += sign
    elif row.status == "trashed":
        counts.trashed += sign
    else:
        counts.purged += sign
    if sign > 0:
        fields = None if row.status == "purged" else row.fields
        row.digest = None if fields is None else sha256(fields.encode()).hexdigest()
    if row.digest is None:
        return
    key = (row.collection, row.digest)
    contents = work.change(CONTENTS, key) or work.put(CONTENTS, Contents(*key, 0))
    contents.records += sign
    contents.doubled = int(contents.records > 1)
    if contents.records == 0:
        work.remove(CONTENTS, key)


def _relate(work: Work, row: Record, event: Event, seal: Seal) -> None:
    """Note what the fields that an event gives name now."""
    day = event.time[:10]
    policy = f"policy:collection.{row.collection}"
    known = terms.terms_of(work, TERMS, policy, terms.version_for(work, TERMS, policy, None, day)) or {}
    declared = {relation["field"]: relation for relation in known.get("relations", ())}
    public: dict[str, Any] = event.data.get("public") or {}
    for name in (*public, *(event.private or ())):
        target, collection = _target(declared.get(name), name, public.get(name))
        if target is not None:
            work.put(RELATIONS, Relation(row.stream, name, target, collection, row.collection, seal.position))
        elif work.get(RELATIONS, (row.stream, name)) is not None:
            work.remove(RELATIONS, (row.stream, name))


def _target(declared: dict[str, Any] | None, name: str, value: Any) -> tuple[str | None, str | None]:
    """The stream that a field names, and the collection that it should be of; None where it names nothing."""
    if not isinstance(value, str):
        return None, None
    if declared is not None:
        return f"{declared['to']}:{value}", declared.get("to_collection")
    what, id_, rest = name.rpartition("_id")
    if not (what and id_) or rest:
        return None, None
    return f"{what if what in _KINDS else 'record'}:{value}", None
