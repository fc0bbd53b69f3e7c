"""Events of a record: one thing of a declared collection, such as a client, an invoice or a chart.

Owns the data of ``record.*`` and how it splits: each field of ``fields`` is private under its own name, and the public
part names the collection only. Field values are any canonical JSON, so no floats; decimals travel as strings.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ledger import canonical
from ledger.catalog.base import EventData, EventType, Private, event_type
from ledger.catalog.values import Code, Reason
from ledger.errors import InvalidEvent

Collection = Annotated[Code, Meta(description="the collection that the record belongs to")]
Fields = Private[
    Annotated[
        dict[str, Any],
        Meta(
            min_length=1,
            max_length=512,
            description="the record's fields: names of letters, digits, '.', '_' and '-', and any JSON without floats",
            extra_json_schema={"propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9._-]{0,63}$"}},
        ),
    ]
]
Notes = Private[Annotated[str, Meta(description="free text for people")]]
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,63}")


class RecordData(EventData, frozen=True, kw_only=True):
    """The content of a record: which collection, and its fields by name."""

    collection: Collection
    fields: Fields

    def check(self) -> None:
        """Check the names of the fields, and that each value has a canonical form."""
        for name, value in self.fields.items():
            if not _FIELD_NAME.fullmatch(name):
                raise InvalidEvent(
                    f"expected a field name of 1 to 64 letters, digits, '.', '_' and '-', got {name[:100]!r}",
                    "$.data.fields",
                )
            canonical.check(value, f"$.data.fields.{name}")


class _Public(msgspec.Struct):
    collection: str


class RecordType(EventType):
    """A type whose private values are named by the event: one for each of its ``fields``, not one for all of them."""

    def split(self, data: EventData) -> tuple[bytes, dict[str, Any]]:
        """Return the collection as canonical JSON bytes, and every field by its own name."""
        content = cast("RecordData", data)
        return self._encode(_Public(content.collection)), dict(content.fields)

    def join(self, public: dict[str, Any], disclosed: dict[str, Any]) -> dict[str, Any]:
        """Return the data as a reader sees it: ``fields`` holds those disclosed, and is empty when none is."""
        return {**public, "fields": disclosed}


@event_type("record.created", retention="record", made_by=RecordType)
class Created(RecordData, frozen=True, kw_only=True):
    """A record begins, with these fields."""


@event_type("record.updated", retention="record", made_by=RecordType)
class Updated(RecordData, frozen=True, kw_only=True):
    """Some fields of a record take other values; those left out stay, and ``null`` empties one."""


@event_type("record.trashed", retention="record")
class Trashed(EventData, frozen=True, kw_only=True):
    """A record is put in the trash, from where it can be restored for 30 days at least."""

    collection: Collection
    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET


@event_type("record.restored", retention="record")
class Restored(EventData, frozen=True, kw_only=True):
    """A record is taken back out of the trash."""

    collection: Collection
    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET


@event_type("record.purged", retention="ledger", issued_by_ledger=True)
class Purged(EventData, frozen=True, kw_only=True):
    """The private values of the record are destroyed, 30 days or more after it was trashed. Its history stays."""

    collection: Collection
    reason: Reason
