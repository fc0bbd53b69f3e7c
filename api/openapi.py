"""The OpenAPI 3.1 document: what this service answers, taken from the code that answers.

Owns the description of routes. Event schemas come from the catalogue, parameters from ``api.queries``, receipts from
``ledger.flush``, problems from the table in ``api.problems``; a test holds its paths against the routes. Knows no
ledger, so that it may be read without a key.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import msgspec
import orjson
from msgspec import Struct

from api import problems, queries
from api.bodies import ACCEPTED
from api.negotiation import CLOUDEVENT, CLOUDEVENT_BATCH, JSON, NDJSON, OCTETS, TEXT
from ledger import catalog, errors
from ledger.flush import Receipt
from ledger.tiles import InvalidPath
from projections.models import TABLES
from projections.store.protocol import Unready
from tools.vaults.protocol import VaultError

API_VERSION = "1"
Schema = dict[str, Any]
_LEDGER = "/v1/ledgers/{ledger}"
_HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_ALWAYS: tuple[type[Exception], ...] = (
    problems.BadParameter, problems.Unauthenticated, errors.Denied, errors.StoreError, errors.StoreFull,
    errors.StoreLocked, errors.StoreUnreachable, errors.KeyFileError,
)  # fmt: skip


class _Operation(NamedTuple):
    """One operation: what it is for, its query, its good answers by status, and the faults beyond the usual."""

    method: str
    path: str
    name: str
    summary: str
    query: type[Struct]
    answers: dict[str, Schema]
    faults: tuple[type[Exception], ...] = ()
    body: Schema | None = None
    open: bool = False
    more: tuple[Schema, ...] = ()


@cache
def encoded() -> bytes:
    """The document as JSON."""
    return orjson.dumps(document())


def document() -> Schema:
    """The whole document as a fresh object."""
    paths: dict[str, dict[str, Schema]] = {}
    for operation in _operations():
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Continuity Ledger",
            "version": API_VERSION,
            "description": "Append-only, hash-chained, provable history. Every fault is an RFC 9457 problem.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "an API key of the ledger in the path"}
            },
        },
    }


def _operations() -> list[_Operation]:
    one, many = _ref("Event"), {"type": "array", "items": _ref("Event"), "minItems": 1}
    lines = {"type": "string", "description": "one event a line"}
    bodies = {CLOUDEVENT: one, CLOUDEVENT_BATCH: many, JSON: {"anyOf": [one, many]}, NDJSON: lines}
    posted = _answer("Receipts, in the order of the events.", {JSON: _ref("Receipts")}, "Ledger-Position", "Location")
    entry = _answer(
        "The entry.", {JSON: _ref("Item"), OCTETS: {"type": "string"}, CLOUDEVENT: {"type": "object"}}, "ETag"
    )
    page = _answer("A page.", {JSON: _ref("Page"), CLOUDEVENT_BATCH: {"type": "array", "items": {"type": "object"}}})
    text: Schema = {TEXT: {"type": "string"}}
    return [
        _Operation(
            "post", f"{_LEDGER}/events", "postEvents", "Append events", queries.PostQuery,
            {"201": posted, "200": {**posted, "description": "All events that were taken were known already."}},
            _POSTING, {"required": True, "content": {media: {"schema": bodies[media]} for media in ACCEPTED}},
        ),
        _Operation(
            "get", f"{_LEDGER}/events", "getEvents", "Read the log, a page at a time", queries.EventsQuery,
            {"200": page}, (problems.NotAcceptable, problems.NotReached),
        ),
        _Operation(
            "get", f"{_LEDGER}/events/{{position}}", "getEntry", "Read one entry", queries.EntryQuery,
            {"200": entry, "304": {"description": "The caller has it already."}},
            (errors.NotFound, problems.NotAcceptable, problems.NotReached),
        ),
        _Operation(
            "get", f"{_LEDGER}/checkpoint", "getCheckpoint", "The signed checkpoint (C2SP tlog-checkpoint)",
            queries.CheckpointQuery, {"200": _answer("A signed note.", text)}, (errors.NotFound, errors.ForkError),
        ),
        _Operation(
            "get", f"{_LEDGER}/tile/{{path}}", "getTile", "A tile or an entry bundle (C2SP tlog-tiles)",
            queries.NoQuery, {"200": _answer("Its bytes.", {OCTETS: {"type": "string"}})},
            (errors.NotFound, InvalidPath),
        ),
        _Operation(
            "get", f"{_LEDGER}/proofs/{{position}}", "getProof", "An inclusion proof (C2SP tlog-proof)",
            queries.NoQuery, {"200": _answer("A tlog-proof.", text)}, (errors.NotFound, errors.ForkError),
        ),
        _Operation(
            "get", f"{_LEDGER}/consistency", "getConsistency", "A consistency proof between two sizes",
            queries.ConsistencyQuery, {"200": _answer("Both roots and the proof.", {JSON: _ref("Consistency")})},
            (errors.NotFound, errors.ForkError),
        ),
        _Operation(
            "get", f"{_LEDGER}/reservations/{{id}}", "getReservation", "Where a reservation stands, or stood",
            queries.ReservationQuery, {"200": _answer("Its state.", {JSON: _ref("State")})},
            (errors.NotFound, problems.NotReached),
        ),
        _Operation(
            "post", f"{_LEDGER}/members/{{member}}/erasure", "postErasure", "Erase a member's private values, for good",
            queries.NoQuery, {"200": _answer("The receipt, with its proof.", {JSON: _ref("Erasure")})},
            _ERASING, {"required": True, "content": {JSON: {"schema": _object(reason={"type": "string"})}}},
        ),
        _Operation(
            "post", f"{_LEDGER}/publish", "postPublish", "Publish the log as it stands, now",
            queries.NoQuery, {"200": _answer("It is published.", {JSON: _ref("Publication")})},
            (errors.NotFound, errors.Conflict, errors.ForkError, errors.QuorumMissed, errors.ReadOnly, VaultError),
        ),
        _Operation(
            "get", f"{_LEDGER}/publication", "getPublication", "How its publication stands",
            queries.NoQuery, {"200": _answer("The standing.", {JSON: _ref("Publication")})}, (errors.NotFound,),
        ),
        _Operation(
            "get", f"{_LEDGER}/read-models/{{table}}", "getRows", "Rows of a read model, a page at a time",
            queries.RowsQuery, {"200": _answer("A page.", {JSON: _ref("Rows")})},
            (errors.NotFound, problems.NotReached, problems.BeingReplayed, errors.Busy, Unready), more=(_COLUMNS,),
        ),
        _Operation(
            "get", f"{_LEDGER}/projections", "getProjections", "Where the projections stand", queries.ProjectionsQuery,
            {"200": _answer("A standing for each generation.", {JSON: _ref("Projections")})},
            (problems.NotReached, Unready),
        ),
        _open("/healthz", "getHealth", "The process answers", "ok"),
        _open("/readyz", "getReadiness", "The stores answer", "ready"),
        _Operation(
            "get", "/openapi.json", "getDocument", "This document", queries.NoQuery,
            {"200": _answer("OpenAPI 3.1.", {JSON: {"type": "object"}})}, open=True,
        ),
    ]  # fmt: skip


_COLUMNS: Schema = {
    "name": "columns", "in": "query", "required": False, "style": "form", "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "description": "values that columns of the table must have, each a parameter by itself: `?status=confirmed`",
}  # fmt: skip
_POSTING: tuple[type[Exception], ...] = (
    problems.BadRequest, errors.MalformedEvent, errors.InvalidEvent, errors.RoleDenied, problems.TooSlow,
    errors.VersionConflict, errors.IdConflict, errors.OversizedEvent, problems.BodyTooLarge, problems.UnsupportedMedia,
    errors.LifecycleRefused, problems.AllRejected, errors.Busy, errors.ReadOnly, errors.ForkError,
)  # fmt: skip


_ERASING: tuple[type[Exception], ...] = (
    problems.BadRequest, errors.InvalidEvent, errors.NotFound, errors.Conflict, errors.Held, errors.LifecycleRefused,
    problems.TooSlow, problems.BodyTooLarge, problems.UnsupportedMedia, errors.Busy, errors.ReadOnly, errors.ForkError,
)  # fmt: skip


def _open(path: str, name: str, summary: str, status: str) -> _Operation:
    schema = {"type": "object", "properties": {"status": {"const": status}}, "required": ["status"]}
    faults: tuple[type[Exception], ...] = (errors.StoreError,) if status == "ready" else ()
    return _Operation(
        "get", path, name, summary, queries.NoQuery, {"200": _answer("Yes.", {JSON: schema})}, faults, open=True
    )


def _describe(operation: _Operation) -> Schema:
    faults = operation.faults if operation.open else (*_ALWAYS, *operation.faults)
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [
            *_path_parameters(operation.path),
            *_query_parameters(operation.query),
            *operation.more,
        ],
        "responses": {**operation.answers, **_fault_answers(faults)},
        "security": [] if operation.open else [{"key": []}],
    }
    if operation.body is not None:
        described["requestBody"] = operation.body
    return described


def _fault_answers(faults: tuple[type[Exception], ...]) -> dict[str, Schema]:
    """The answers for faults, by status; the description names their problem types."""
    kinds = sorted({problems.TABLE[fault] for fault in faults} | {problems.INTERNAL})
    answers: dict[str, Schema] = {}
    for kind in kinds:
        told = answers.setdefault(
            str(kind.status), {"description": "", "content": {problems.MEDIA_TYPE: {"schema": _ref("Problem")}}}
        )
        told["description"] += f"{kind.title} (`{kind.slug}`). "
    return {status: {**told, "description": told["description"].strip()} for status, told in answers.items()}


def _path_parameters(path: str) -> list[Schema]:
    schemas: dict[str, Schema] = {
        "ledger": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"},
        "position": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
        "id": {"type": "string", "pattern": "^[A-Za-z0-9._-][A-Za-z0-9._:-]{0,127}$"},
        "member": {"type": "string", "pattern": "^[A-Za-z0-9._-][A-Za-z0-9._:-]{0,127}$"},
        "table": {"enum": list(TABLES)},
        "path": {"type": "string", "examples": ["0/x001/x234/067", "entries/000.p/41"]},
    }
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in schemas.items()
        if f"{{{name}}}" in path
    ]


def _query_parameters(query: type[Struct]) -> list[Schema]:
    described = msgspec.json.schema(query)["$defs"][query.__name__]
    required = described.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, **_parameter(schema)}
        for name, schema in described["properties"].items()
    ]


def _parameter(schema: Schema) -> Schema:
    """A field's schema as a parameter's: left out instead of null, its description beside it."""
    plain = {name: value for name, value in schema.items() if name != "anyOf" and not (name == "default" and not value)}
    for choice in schema.get("anyOf", []):
        if choice != {"type": "null"}:
            plain |= choice
    description = plain.pop("description", None)
    return {"schema": plain} | ({"description": description} if description else {})


def _answer(description: str, content: dict[str, Schema], *headers: str) -> Schema:
    answer: Schema = {
        "description": description,
        "content": {media: {"schema": schema} for media, schema in content.items()},
    }
    if headers:
        answer["headers"] = {name: {"schema": {"type": "string"}} for name in headers}
    return answer


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> dict[str, Schema]:
    schemas = _event_schemas()
    names = list(schemas)
    schemas["Event"] = {"oneOf": [_ref(name) for name in names if name in catalog.names()]}
    position: Schema = {"type": "integer", "minimum": 0}
    receipt = msgspec.json.schema(Receipt)["$defs"]["Receipt"]
    refused = _object(index=position, problem=_ref("Problem"))
    sized = _object(size=position, root=_HASH)
    schemas |= {
        "Receipt": receipt,
        "Receipts": _object(
            receipts={"type": "array", "items": {"anyOf": [_ref("Receipt"), refused]}, "minItems": 1},
        ),
        "Item": _object(
            position=position,
            leaf_hash=_HASH,
            entry=_object(event={"type": "object"}, seal={"type": "object"}),
            disclosed={"type": "object", "description": "private values by name, where asked for"},
            withheld={
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "private fields that are not shown, each with the redaction rule that withheld it",
            },
            optional=("disclosed", "withheld"),
        ),
        "Page": _object(
            events={"type": "array", "items": _ref("Item")},
            next={"type": ["string", "null"], "description": "cursor of the next page; null at the end"},
        ),
        "Consistency": _object(old=sized, new=sized, proof={"type": "array", "items": _HASH}),
        "Rows": _object(
            table={"enum": list(TABLES)},
            position={"type": "integer", "minimum": -1, "description": "of the last entry they hold; -1 for none"},
            rows={"type": "array", "items": _row_schema()},
            next={"type": ["string", "null"], "description": "cursor of the next page; null at the end"},
        ),
        "Projections": _object(size=position, projections={"type": "array", "items": _ref("Standing")}),
        "Standing": _standing_schema(),
        "State": {
            **_object(stream={"type": "string"}, kind={"type": "string"}, version=position, position=position),
            "additionalProperties": True,
        },
        "Erasure": _object(
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
                "items": _object(
                    epoch={"type": "integer", "minimum": 1}, member={"type": "string"}, stream={"type": "string"}
                ),
                "description": "data keys that don't open, for whose sake an older epoch key is kept",
            },
            unscrubbed={"type": "boolean", "description": "the store's files are to be scrubbed yet: tried again"},
            accounts={
                "type": "array",
                "items": _object(
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
    return schemas


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
    fault = _object(position={"type": "integer", "minimum": 0}, reason={"type": "string"})
    return _object(
        name={"type": "string"},
        version={"type": "integer", "minimum": 1, "description": "of the code that made it"},
        generation={"type": ["integer", "null"], "description": "null where there is none that is live"},
        position=place,
        lag={"type": "integer", "minimum": 0, "description": "entries of the log that are not folded yet"},
        state={"enum": states},
        fault={"anyOf": [fault, {"type": "null"}], "description": "the event that can't be folded, and why"},
    )


def _publication_schema() -> Schema:
    said = _object(
        name={"type": "string"},
        outcome={"enum": ["cosigned", "refused", "unreachable"]},
        detail={"type": "string", "description": "why it did not cosign"},
    )
    return _object(
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


def _object(*, optional: tuple[str, ...] = (), **properties: Schema) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _event_schemas() -> dict[str, Schema]:
    """The schema of each event type under its name; what one defines inside itself moves beside it."""
    schemas: dict[str, Schema] = {}
    for name in catalog.names():
        whole = catalog.cloudevent_schema(name)
        whole.pop("$schema", None)
        for inner, schema in whole.pop("$defs", {}).items():
            schemas[f"{name}.{inner}"] = _moved(schema, name)
        schemas[name] = _moved(whole, name)
    return schemas


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
