"""The schemas that the OpenAPI document refers to: events, what is answered, and problems.

Owns their form. Event schemas come from the catalogue, receipts from ``ledger.flush``, the names of tables from the
read models, problems from the table in ``api.problems``. Knows no route and no ledger.
"""

from __future__ import annotations

from typing import Any

import msgspec

from api import problems
from ledger import catalog
from ledger.flush import Receipt
from projections.models import TABLES

Schema = dict[str, Any]
_HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas() -> dict[str, Schema]:
    """All schemas of the document, by name; fresh objects."""
    found = _event_schemas()
    names = list(found)
    found["Event"] = {"oneOf": [ref(name) for name in names if name in catalog.names()]}
    position: Schema = {"type": "integer", "minimum": 0}
    receipt = msgspec.json.schema(Receipt)["$defs"]["Receipt"]
    refused = object_of(index=position, problem=ref("Problem"))
    sized = object_of(size=position, root=_HASH)
    found |= {
        "Receipt": receipt,
        "Receipts": object_of(
            receipts={"type": "array", "items": {"anyOf": [ref("Receipt"), refused]}, "minItems": 1},
        ),
        "Item": object_of(
            position=position,
            leaf_hash=_HASH,
            entry=object_of(event={"type": "object"}, seal={"type": "object"}),
            disclosed={"type": "object", "description": "private values by name, where asked for"},
            withheld={
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "private fields that are not shown, each with the redaction rule that withheld it",
            },
            optional=("disclosed", "withheld"),
        ),
        "Page": object_of(
            events={"type": "array", "items": ref("Item")},
            next={"type": ["string", "null"], "description": "cursor of the next page; null at the end"},
        ),
        "Consistency": object_of(old=sized, new=sized, proof={"type": "array", "items": _HASH}),
        "Rows": object_of(
            table={"enum": list(TABLES)},
            position={"type": "integer", "minimum": -1, "description": "of the last entry they hold; -1 for none"},
            rows={"type": "array", "items": _row_schema()},
            next={"type": ["string", "null"], "description": "cursor of the next page; null at the end"},
        ),
        "Projections": object_of(size=position, projections={"type": "array", "items": ref("Standing")}),
        "Standing": _standing_schema(),
        "State": {
            **object_of(stream={"type": "string"}, kind={"type": "string"}, version=position, position=position),
            "additionalProperties": True,
        },
        "Erasure": object_of(
            member={"type": "string"},
            entry={"type": "string", "description": "the entry that says so, byte for byte"},
            position=position,
            leaf_hash=_HASH,
            proof={"type": "string", "description": "its inclusion proof (C2SP tlog-proof)"},
            effective={"type": "boolean", "description": "whether no key is left that opens older copies"},
            epoch={"type": "integer", "minimum": 1},
            awaited={
                "type": "array",
                "items": {"type": "integer"},
                "description": "older epochs whose keys the operator has to destroy first",
            },
            damaged={
                "type": "array",
                "items": object_of(
                    epoch={"type": "integer", "minimum": 1}, member={"type": "string"}, stream={"type": "string"}
                ),
                "description": "data keys that don't open, for whose sake an older epoch key is kept",
            },
            unscrubbed={"type": "boolean", "description": "the store's files are to be scrubbed yet: tried again"},
            accounts={
                "type": "array",
                "items": object_of(
                    member={"type": "string"},
                    entry={"type": "string"},
                    position=position,
                    leaf_hash=_HASH,
                    proof={"type": "string"},
                ),
                "description": "accounts that were merged into the member's, and went along",
            },
            optional=("awaited", "damaged", "unscrubbed", "accounts"),
        ),
        "Publication": _publication_schema(),
        "Problem": _problem_schema(),
    }
    return found


def _row_schema() -> Schema:
    return {
        "type": "object",
        "description": "a row by column name, without columns that have no value; the reference tells of each table",
        "properties": {
            "disclosed": {"type": "object", "description": "private values by name, where asked for"},
            "withheld": {"type": "object", "description": "by name, the rule that withheld each of the others"},
        },
        "additionalProperties": True,
    }


def _standing_schema() -> Schema:
    place: Schema = {"type": "integer", "minimum": -1, "description": "of the last entry folded; -1 for none"}
    states = ["live", "outdated", "filling", "stopped", "previous", "withdrawn", "missing"]
    fault = object_of(position={"type": "integer", "minimum": 0}, reason={"type": "string"})
    return object_of(
        name={"type": "string"},
        version={"type": "integer", "minimum": 1, "description": "of the code that made it"},
        generation={"type": ["integer", "null"], "description": "null where there is none that is live"},
        position=place,
        lag={"type": "integer", "minimum": 0, "description": "entries of the log that are not folded yet"},
        state={"enum": states},
        fault={"anyOf": [fault, {"type": "null"}], "description": "the event that can't be folded, and why"},
    )


def _publication_schema() -> Schema:
    said = object_of(
        name={"type": "string"},
        outcome={"enum": ["cosigned", "refused", "unreachable"]},
        detail={"type": "string", "description": "why it did not cosign"},
    )
    return object_of(
        place={"type": "string", "description": "the vault"},
        seconds={"type": "number", "description": "from one publication to the next"},
        size={
            "type": ["integer", "null"],
            "description": "entries published; null if none since the start",
        },
        time={"type": ["string", "null"], "description": "when that was last found to be so, or made so"},
        witnesses={"type": "array", "items": said, "description": "what each said at the last attempt"},
        failures={"type": "integer", "minimum": 0, "description": "attempts that failed since"},
        fault={"type": ["string", "null"], "description": "why the last one failed"},
    )


def _problem_schema() -> Schema:
    kinds = [*problems.TABLE.values(), problems.INTERNAL]
    return {
        "type": "object",
        "description": "RFC 9457; faults of an event also carry its `index` and the JSON `path`.",
        "properties": {
            "type": {"enum": [problems.TYPE_PREFIX + kind.slug for kind in kinds]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string"},
            "advice": {"type": "string"},
            "index": {"type": "integer", "minimum": 0},
            "path": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail"],
        "additionalProperties": True,
    }


def object_of(*, optional: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """The schema of an object with these properties and no others, all required but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _event_schemas() -> dict[str, Schema]:
    """The schema of each event type under its name; what one defines inside itself moves beside it."""
    found: dict[str, Schema] = {}
    for name in catalog.names():
        whole = catalog.cloudevent_schema(name)
        whole.pop("$schema", None)
        for inner, schema in whole.pop("$defs", {}).items():
            found[f"{name}.{inner}"] = _moved(schema, name)
        found[name] = _moved(whole, name)
    return found


def _moved(schema: Any, name: str) -> Any:
    """A schema with its references to ``#/$defs/X`` turned to ``#/components/schemas/<name>.X``."""
    if isinstance(schema, dict):
        return {
            key: f"#/components/schemas/{name}.{value.rpartition('/')[2]}" if key == "$ref" else _moved(value, name)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_moved(value, name) for value in schema]
    return schema
