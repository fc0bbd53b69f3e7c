"""The OpenAPI 3.1 document: what this service answers, taken from the code that answers.

Owns the description of routes. Schemas come from ``api.openapi_schemas``, parameters from ``api.queries``, problems
from the table in ``api.problems``; a test holds its paths against the routes. Knows no ledger, so that it may be read
without a key.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import msgspec
import orjson
from msgspec import Struct

from api import problems, queries
from api.bodies import ACCEPTED
from api.negotiation import CLOUDEVENT, CLOUDEVENT_BATCH, JSON, NDJSON, OCTETS, TEXT
from api.openapi_schemas import Schema, object_of, ref, schemas
from ledger import errors
from ledger.tiles import InvalidPath
from projections.models import TABLES
from projections.store.protocol import Unready
from tools.vaults.protocol import VaultError

API_VERSION = "1"
_LEDGER = "/v1/ledgers/{ledger}"
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
            "schemas": schemas(),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "an API key of the ledger in the path"}
            },
        },
    }


def _operations() -> list[_Operation]:
    one, many = ref("Event"), {"type": "array", "items": ref("Event"), "minItems": 1}
    lines = {"type": "string", "description": "one event a line"}
    bodies = {CLOUDEVENT: one, CLOUDEVENT_BATCH: many, JSON: {"anyOf": [one, many]}, NDJSON: lines}
    posted = _answer("Receipts, in the order of the events.", {JSON: ref("Receipts")}, "Ledger-Position", "Location")
    entry = _answer(
        "The entry.", {JSON: ref("Item"), OCTETS: {"type": "string"}, CLOUDEVENT: {"type": "object"}}, "ETag"
    )
    page = _answer("A page.", {JSON: ref("Page"), CLOUDEVENT_BATCH: {"type": "array", "items": {"type": "object"}}})
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
            queries.ConsistencyQuery, {"200": _answer("Both roots and the proof.", {JSON: ref("Consistency")})},
            (errors.NotFound, errors.ForkError),
        ),
        _Operation(
            "get", f"{_LEDGER}/reservations/{{id}}", "getReservation", "Where a reservation stands, or stood",
            queries.ReservationQuery, {"200": _answer("Its state.", {JSON: ref("State")})},
            (errors.NotFound, problems.NotReached),
        ),
        _Operation(
            "post", f"{_LEDGER}/members/{{member}}/erasure", "postErasure", "Erase a member's private values, for good",
            queries.NoQuery, {"200": _answer("The receipt, with its proof.", {JSON: ref("Erasure")})},
            _ERASING, {"required": True, "content": {JSON: {"schema": object_of(reason={"type": "string"})}}},
        ),
        _Operation(
            "post", f"{_LEDGER}/publish", "postPublish", "Publish the log as it stands, now",
            queries.NoQuery, {"200": _answer("It is published.", {JSON: ref("Publication")})},
            (errors.NotFound, errors.Conflict, errors.ForkError, errors.QuorumMissed, errors.ReadOnly, VaultError),
        ),
        _Operation(
            "get", f"{_LEDGER}/publication", "getPublication", "How its publication stands",
            queries.NoQuery, {"200": _answer("The standing.", {JSON: ref("Publication")})}, (errors.NotFound,),
        ),
        _Operation(
            "get", f"{_LEDGER}/read-models/{{table}}", "getRows", "Rows of a read model, a page at a time",
            queries.RowsQuery, {"200": _answer("A page.", {JSON: ref("Rows")})},
            (errors.NotFound, problems.NotReached, problems.BeingReplayed, errors.Busy, Unready), more=(_COLUMNS,),
        ),
        _Operation(
            "get", f"{_LEDGER}/projections", "getProjections", "Where the projections stand", queries.ProjectionsQuery,
            {"200": _answer("A standing for each generation.", {JSON: ref("Projections")})},
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
    problems.Unrecorded,
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
            str(kind.status), {"description": "", "content": {problems.MEDIA_TYPE: {"schema": ref("Problem")}}}
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
