"""Query strings as typed values: each route's parameters are one Struct here.

Owns names, types and bounds of all query parameters; the OpenAPI document takes its parameters from the same Structs.
Unknown and doubled parameters are refused, so that a misspelt one never silently changes what is asked.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request

from api.problems import BadParameter
from ledger.canonical import MAX_INTEGER
from ledger.catalog.values import ID
from ledger.event import STREAM
from ledger.patterns import in_words

MAX_LIMIT = 1_000
Bound = Annotated[
    str,
    Meta(max_length=64, description="a position, an RFC 3339 time with an offset, or a date; the bound is inclusive"),
]
MinPosition = Annotated[
    int,
    Meta(ge=0, le=MAX_INTEGER, description="answer only when the log holds this position; waits a few seconds for it"),
]


class PostQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of posting events."""

    mode: Annotated[
        Literal["atomic", "each"], Meta(description="all or nothing, or a result for each event by itself")
    ] = "atomic"


class EventsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Parameters of reading the log."""

    after: Annotated[int, Meta(ge=0, le=MAX_INTEGER, description="only entries above this position")] | None = None
    from_: Bound | None = None
    to: Bound | None = None
    stream: Annotated[str, Meta(pattern=STREAM, description="only entries of this stream")] | None = None
    member: Annotated[str, Meta(pattern=ID, description="only entries about this member")] | None = None
    type: Annotated[str, Meta(max_length=128, description="only entries of this event type")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="entries of a page, at most")] = 100
    cursor: (
        Annotated[
            str, Meta(max_length=128, description="`next` of the page before, with the other parameters unchanged")
        ]
        | None
    ) = None
    disclose: Annotated[bool, Meta(description="with private values, for those who may read them")] = False
    min_position: MinPosition | None = None


class EntryQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of reading one entry."""

    disclose: Annotated[bool, Meta(description="with private values, for those who may read them")] = False
    min_position: MinPosition | None = None


class CheckpointQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the checkpoint."""

    witnessed: Annotated[
        bool,
        Meta(description="the last one that enough witnesses cosigned, with their cosignatures, which may be older"),
    ] = False


class ConsistencyQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of a consistency proof."""

    old: Annotated[int, Meta(ge=1, le=MAX_INTEGER, description="size of the earlier tree")]
    new: (
        Annotated[
            int, Meta(ge=1, le=MAX_INTEGER, description="size of the later tree; left out, that of the checkpoint")
        ]
        | None
    ) = None


class ReservationQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of showing a reservation."""

    at: (
        Annotated[
            str, Meta(max_length=64, description="as it stood after this position, or at this time (by `recorded`)")
        ]
        | None
    ) = None
    min_position: MinPosition | None = None


class ProjectionsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of showing where projections stand."""

    min_position: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MAX_INTEGER,
                description="answer only when all projections that go on hold this position; waits a few seconds",
            ),
        ]
        | None
    ) = None


class RowsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of reading a table of the read models, but for the columns that rows are found by."""

    at: (
        Annotated[
            str,
            Meta(
                max_length=64,
                description="the rows as they stood after this position, or at this time (by `recorded`); the pages "
                "that follow stay at that moment",
            ),
        ]
        | None
    ) = None
    after: (
        Annotated[
            str, Meta(max_length=2_048, description="`next` of the page before, with the other parameters unchanged")
        ]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="rows of a page, at most")] = 100
    disclose: Annotated[bool, Meta(description="with private values, for those who may read them")] = False
    min_position: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MAX_INTEGER,
                description="answer only when the read model holds this position; waits a few seconds for it",
            ),
        ]
        | None
    ) = None


class NoQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


Q = TypeVar("Q", bound=Struct)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_NAMED = re.compile(r"field `(.*)`", re.DOTALL)


def parse(request: Request, kind: type[Q]) -> Q:
    """The request's query as ``kind``. Raises ``BadParameter``."""
    return _convert(_given(request), kind)


def split(request: Request, kind: type[Q]) -> tuple[Q, dict[str, str]]:
    """The request's query as ``kind``, and those parameters that ``kind`` doesn't have. Raises ``BadParameter``."""
    given = _given(request)
    own = {field.encode_name for field in msgspec.structs.fields(kind)}
    others = {name: value for name, value in given.items() if name not in own}
    return _convert({name: value for name, value in given.items() if name in own}, kind), others


def _given(request: Request) -> dict[str, str]:
    given: dict[str, str] = {}
    if request.scope["query_string"]:
        for name, value in request.query_params.multi_items():
            if name in given:
                raise BadParameter(name[:64], "given twice")
            given[name] = value
    return given


def _convert(given: dict[str, str], kind: type[Q]) -> Q:
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _fault(str(error), kind) from None


def position(request: Request) -> int:
    """The ``{position}`` of the path. Raises ``BadParameter`` unless it is a plain number of at most 2^53 - 1."""
    text: str = request.path_params["position"]
    if not _NUMBER.fullmatch(text) or int(text) > MAX_INTEGER:
        raise BadParameter("position", "expected a number from 0 to 2^53 - 1, without leading zeros")
    return int(text)


def _fault(text: str, kind: type[Struct]) -> BadParameter:
    """What msgspec says of a query, as ours: `detail - at `$.name`` or, for the object as a whole, with its name."""
    detail, _, place = text.partition(" - at `$.")
    named = _NAMED.search(detail)
    if named is not None:
        names = ", ".join(field.encode_name for field in msgspec.structs.fields(kind)) or "none"
        advice = f"the parameters here are: {names}" if "unknown" in detail else ""
        return BadParameter(
            named[1][:64], "needed here" if "missing" in detail else "not a parameter here", advice=advice
        )
    detail = in_words(detail)
    return BadParameter(place.rstrip("`"), detail[:1].lower() + detail[1:])
