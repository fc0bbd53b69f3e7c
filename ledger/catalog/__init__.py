"""The catalogue: every event type there is, by name, with its JSON Schema.

Owns the look-up and the schemas. A kind of event is one module in this package; it is found by being here. Never
decides what may follow what (``ledger.lifecycle``) or reads an envelope (``ledger.event``).
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import Any

import msgspec

from ledger.catalog.base import EventData, EventType, Private, Secret, event_type, registry
from ledger.errors import InvalidEvent

__all__ = [
    "EventData",
    "EventType",
    "Private",
    "Secret",
    "cloudevent_schema",
    "event_type",
    "get",
    "json_schema",
    "kinds",
    "names",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

_TYPES = registry()
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def get(name: str) -> EventType:
    """Return the type ``name``. Raises ``InvalidEvent`` at ``$.type``, with near matches as advice."""
    found = _TYPES.get(name)
    if found is None:
        near = difflib.get_close_matches(name[:100], _TYPES, n=3)
        advice = f"did you mean {' or '.join(near)}?" if near else "the catalogue lists every type"
        raise InvalidEvent(f"unknown event type {name[:100]!r}", "$.type", advice=advice)
    return found


def names() -> list[str]:
    """Return the names of all types, sorted."""
    return sorted(_TYPES)


def kinds() -> list[str]:
    """Return the kinds of stream that have types, sorted."""
    return sorted({found.kind for found in _TYPES.values()})


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the ``data`` of the type ``name``, self-contained.

    ``x-private`` marks fields that the log holds as commitments only, ``x-withheld`` those that nobody is shown;
    ``x-version``, ``x-retention``, ``x-issued-by-ledger`` and, where not all may post it, ``x-posted-by`` tell of the
    type. Raises as ``get`` does.
    """
    found = get(name)
    schema = msgspec.json.schema(found.data)
    definitions = schema.pop("$defs", {})
    own = definitions.pop(schema.pop("$ref").rpartition("/")[2])
    own["title"] = found.name
    for described in (own, *definitions.values()):
        described["description"] = " ".join(described["description"].replace("``", "`").split())
    return {
        "$schema": _DIALECT,
        "x-version": found.version,
        "x-retention": found.retention,
        "x-issued-by-ledger": found.issued_by_ledger,
        **({} if found.posted_by is None else {"x-posted-by": sorted(found.posted_by)}),
        **own,
        **({"$defs": definitions} if definitions else {}),
    }


def cloudevent_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a whole CloudEvent of the type ``name``, as a caller posts it. Raises as ``get`` does.

    The envelope is CloudEvents 1.0 JSON with the ledger's extension attributes (``docs/how-to/post-events.md``).
    """
    data = json_schema(name)
    definitions = data.pop("$defs", {})
    dialect = data.pop("$schema")
    kind = get(name).kind
    text = {"type": "string", "pattern": "^[!-~]{1,256}$"}
    ignored = {"type": "string", "maxLength": 4096, "description": "accepted and not kept"}
    code = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}
    identity = {"type": "string", "pattern": "^[A-Za-z0-9._-][A-Za-z0-9._:-]{0,127}$"}
    properties: dict[str, Any] = {
        "specversion": {"const": "1.0"},
        "id": text,
        "source": {"type": "string", "minLength": 1, "maxLength": 512, "format": "uri-reference"},
        "type": {"const": name},
        "subject": {"type": "string", "pattern": f"^{kind}:[A-Za-z0-9._-][A-Za-z0-9._:-]{{0,127}}$"},
        "time": {"type": "string", "format": "date-time"},
        "data": data,
        "member": identity,
        "actor": identity,
        "actorrole": {"enum": ["client", "staff", "service", "system", "admin"]},
        "expectedversion": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
        "correlationid": text,
        "tags": {"type": "string", "minLength": 1, "description": "at most 32 tags, separated by single spaces"},
        "forced": {**code, "description": "the reason code of a forced transition; needs the actor role admin"},
        "datacontenttype": {"type": "string", "description": "must be JSON"},
        "dataschema": ignored,
        "traceparent": ignored,
        "tracestate": ignored,
    }
    required = ["specversion", "id", "source", "type", "subject", "time", "data"]
    return {
        "$schema": dialect,
        "title": name,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **({"$defs": definitions} if definitions else {}),
    }
