"""Events of a record: one thing of a declared collection, such as a client, an invoice or a chart.

Owns the data of ``record.*`` and how it splits: each field of ``fields`` is private under its own name, and its value
any canonical JSON, so no floats; decimals travel as strings. The public part names the collection, and holds those
fields that the collection declares public (``policy:collection.NAME``): codes, ids, dates, numbers, never a free text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ledger import canonical
from ledger.canonical import MAX_INTEGER
from ledger.catalog.base import EventData, EventType, Notes, Private, event_type
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
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,63}")
_PUBLIC_TEXT = re.compile(r"[A-Za-z0-9._:+-]{1,128}")
PublicFields = Annotated[
    dict[str, Any],
    Meta(
        min_length=1,
        max_length=64,
        description="fields that the collection declares public: codes, ids, dates, decimals, integers, booleans",
        extra={"sorted": True},
        extra_json_schema={
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9._-]{0,63}$"},
            "additionalProperties": {
                "anyOf": [
                    {"type": "string", "pattern": "^[A-Za-z0-9._:+-]{1,128}$"},
                    {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
                    {"type": "boolean"},
                    {"type": "null"},
                ]
            },
        },
    ),
]


class RecordData(EventData, frozen=True, kw_only=True):
    """The content of a record: which collection, and its fields by name."""

    collection: Collection
    fields: Fields | UnsetType = UNSET
    public: PublicFields | UnsetType = UNSET

    def check(self) -> None:
        """Check that there are fields, each once, with a good name and a value of the form that it may have."""
        private = {} if isinstance(self.fields, UnsetType) else self.fields
        public = {} if isinstance(self.public, UnsetType) else self.public
        if not private and not public:
            raise InvalidEvent("a record needs fields, private ones or public ones", "$.data")
        for name, value in private.items():
            _check_name(name, "$.data.fields")
            canonical.check(value, f"$.data.fields.{name}")
        for name, value in public.items():
            _check_name(name, "$.data.public")
            _check_public(value, f"$.data.public.{name}")
            if name in private:
                raise InvalidEvent(f"{name} is among the private fields too", f"$.data.public.{name}")


def _check_name(name: str, path: str) -> None:
    if not _FIELD_NAME.fullmatch(name):
        expected = "a field name of 1 to 64 letters, digits, '.', '_' and '-'"
        raise InvalidEvent(f"expected {expected}, got {name[:100]!r}", path)


def _check_public(value: Any, path: str) -> None:
    if isinstance(value, str) and not _PUBLIC_TEXT.fullmatch(value):
        raise InvalidEvent(f"expected a code, id, date or decimal of at most 128 characters, got {value[:100]!r}", path)
    if not isinstance(value, str | int | None):
        raise InvalidEvent("expected a string, an integer, a boolean or null", path)
    canonical.check(value, path)


class _Public(msgspec.Struct):
    collection: str
    public: dict[str, Any] | UnsetType = UNSET


class RecordType(EventType):
    """A type whose private values are named by the event: one for each of its ``fields``, not one for all of them."""

    def split(self, data: EventData) -> tuple[bytes, dict[str, Any]]:
        """Return the collection and public fields as canonical JSON bytes, and every private field by its own name."""
        content = cast("RecordData", data)
        public = UNSET if isinstance(content.public, UnsetType) else dict(sorted(content.public.items()))
        private = {} if isinstance(content.fields, UnsetType) else dict(content.fields)
        return self._encode(_Public(content.collection, public)), private

    def join(self, public: dict[str, Any], disclosed: dict[str, Any]) -> dict[str, Any]:
        """Return the data as a reader sees it: ``fields`` holds those disclosed.

        It is empty when none is, and left out beside ``public`` then.
        """
        return {**public, "fields": disclosed} if disclosed or "public" not in public else dict(public)


def _declared_by(public: Mapping[str, Any]) -> str | None:
    """The stream of the policy that has to declare a record's public fields, if it has any."""
    return f"policy:collection.{public['collection']}" if "public" in public else None


@event_type("record.created", retention="record", reads_data=True, heeds=_declared_by, made_by=RecordType)
class Created(RecordData, frozen=True, kw_only=True):
    """A record begins, with these fields."""


@event_type("record.updated", retention="record", reads_data=True, heeds=_declared_by, made_by=RecordType)
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
