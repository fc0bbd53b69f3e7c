"""Faults as RFC 9457 problems: one table from error class to status and stable type.

Owns every status and every problem type that this service answers with, and the errors that only HTTP knows. Never
decides whether something is a fault. A type, once published in ``docs/reference/http.md``, keeps its name and meaning.
Details of faults that are ours (status 500 and above) go to the log, not to the caller, where they could tell of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from starlette.responses import Response

from ledger import errors
from ledger.errors import EventError, LedgerError
from ledger.tiles import InvalidPath
from projections.store.protocol import Unready
from tools.vaults.protocol import VaultError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:continuity-ledger:problem:"
REQUEST_PREFIX = "urn:continuity-ledger:request:"
REQUEST_ID = "continuity.request_id"
"""Key of the request's id in its ASGI scope."""


class RequestError(LedgerError):
    """Root of what can be wrong with a request apart from its events."""


class BadRequest(RequestError):
    """The body holds no events, or the request contradicts itself."""


class BadParameter(RequestError):
    """A query parameter is unknown, doubled or has no such value; ``parameter`` names it."""

    def __init__(self, parameter: str, detail: str, *, advice: str = "") -> None:
        super().__init__(f"{parameter}: {detail}", advice=advice)
        self.parameter = parameter


class Unauthenticated(RequestError):
    """No API key, or none that opens this ledger. An unknown ledger answers alike. ``given`` says if one was sent."""

    def __init__(self, *, given: bool) -> None:
        super().__init__(
            "the API key does not open this ledger" if given else "an API key is needed",
            advice="send the header Authorization: Bearer ck_...",
        )
        self.given = given


class NotAllowed(RequestError):
    """The resource is there, but not for this method; ``allow`` is the value of the Allow header."""

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(f"{method} is not answered here, only {allow}")
        self.allow = allow


class NotAcceptable(RequestError):
    """None of the representations is one that the Accept header takes; ``accepted`` lists those there are."""

    def __init__(self, accepted: Sequence[str]) -> None:
        super().__init__("there is no representation that the Accept header takes")
        self.accepted = list(accepted)


class TooSlow(RequestError):
    """The body did not arrive in time."""


class BodyTooLarge(RequestError):
    """The body has more bytes, or events, than ``limit``."""

    def __init__(self, limit: int, unit: str) -> None:
        super().__init__(f"the body has more than {limit:,} {unit}", advice="send it in several requests")
        self.limit = limit


class UnsupportedMedia(RequestError):
    """The content type is not one of ``accepted``."""

    def __init__(self, given: str, accepted: Sequence[str]) -> None:
        super().__init__(
            f"the content type {given[:100]!r} is not taken here" if given else "no content type was given"
        )
        self.accepted = list(accepted)


class AllRejected(RequestError):
    """A request with ``mode=each`` of whose events none was taken; ``rejected`` holds a problem for each."""

    def __init__(self, rejected: list[dict[str, Any]]) -> None:
        super().__init__(f"none of the {len(rejected):,} events was taken")
        self.rejected = rejected


class NotReached(RequestError):
    """``what`` did not reach ``min_position`` in time; ``size`` is what the log holds."""

    def __init__(self, wanted: int, size: int, *, what: str = "the log") -> None:
        held = f"the log holds {size:,} entries"
        detail = f"{held}, and no position {wanted:,} yet" if wanted >= size else f"{what} is not at {wanted:,} yet"
        super().__init__(detail, advice="try again")
        self.size = size
        self.retry_after = 1


class BeingReplayed(RequestError):
    """The read models after the entry at a position are being made; ``retry_after`` estimates the seconds it takes."""

    def __init__(self, position: int, retry_after: int) -> None:
        super().__init__(f"the read models after position {position:,} are being replayed", advice="ask again later")
        self.retry_after = retry_after


class Unrecorded(RequestError):
    """Events were taken, and not recorded within so many ``seconds``; they may yet be. A retry tells."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the events were not recorded within {seconds:g} s, and may yet be",
            advice="repeat the request as it was: what is recorded by then gets its first receipt",
        )
        self.retry_after = 5


class Kind(NamedTuple):
    """Status, stable name and title of a problem type."""

    status: int
    slug: str
    title: str


INTERNAL = Kind(500, "internal", "A fault of this service")

TABLE: dict[type[Exception], Kind] = {
    BadRequest: Kind(400, "bad-request", "The request can't be read"),
    BadParameter: Kind(400, "bad-parameter", "A query parameter has no such value"),
    InvalidPath: Kind(400, "invalid-path", "Not the path of a tile"),
    errors.MalformedEvent: Kind(400, "malformed-event", "The event is not JSON"),
    errors.InvalidEvent: Kind(400, "invalid-event", "The event is not one of the catalogue"),
    Unauthenticated: Kind(401, "unauthenticated", "No valid API key"),
    errors.Denied: Kind(403, "denied", "The credential lacks the role"),
    errors.RoleDenied: Kind(403, "role-denied", "The credential may not claim that role or type"),
    errors.NotFound: Kind(404, "not-found", "There is no such thing"),
    NotAllowed: Kind(405, "method-not-allowed", "The resource does not take that method"),
    NotAcceptable: Kind(406, "not-acceptable", "No representation that is acceptable"),
    TooSlow: Kind(408, "too-slow", "The body did not arrive in time"),
    errors.VersionConflict: Kind(409, "version-conflict", "The stream is at another version"),
    errors.IdConflict: Kind(409, "id-conflict", "The id is known with other content"),
    errors.Conflict: Kind(409, "conflict", "It exists already or is locked"),
    errors.Held: Kind(409, "held", "A hold forbids that it is destroyed"),
    errors.OversizedEvent: Kind(413, "oversized-event", "The event is too large"),
    BodyTooLarge: Kind(413, "body-too-large", "The request is too large"),
    UnsupportedMedia: Kind(415, "unsupported-media-type", "The content type is not taken here"),
    errors.LifecycleRefused: Kind(422, "lifecycle-refused", "The stream's state does not allow the event"),
    AllRejected: Kind(422, "all-rejected", "Each event was refused"),
    errors.Busy: Kind(503, "busy", "Too much is waiting"),
    errors.ReadOnly: Kind(503, "read-only", "The ledger takes no events now"),
    errors.ForkError: Kind(503, "fork", "The store holds another history than was signed"),
    errors.StoreFull: Kind(503, "store-full", "There is no room for more events"),
    errors.StoreLocked: Kind(503, "store-locked", "Another program holds the store"),
    errors.StoreUnreachable: Kind(503, "store-unreachable", "The store does not answer"),
    Unrecorded: Kind(503, "unrecorded", "The events are not recorded yet"),
    BeingReplayed: Kind(503, "being-replayed", "The past moment is being replayed"),
    Unready: Kind(503, "projection-unready", "The projection is being built"),
    errors.QuorumMissed: Kind(503, "quorum-missed", "Too few witnesses cosigned"),
    VaultError: Kind(503, "vault-failed", "The vault failed"),
    errors.StoreError: Kind(503, "store-failed", "The store failed"),
    errors.KeyFileError: Kind(503, "key-failed", "A key is unusable"),
    NotReached: Kind(504, "not-reached", "The position is not there yet"),
}

_EXTENSIONS = (
    "index", "path", "expected", "actual", "state", "event", "position", "parameter", "accepted", "limit", "rejected",
    "size", "retry_after",
)  # fmt: skip
_TOLD = (
    errors.Busy, errors.QuorumMissed, errors.ReadOnly, errors.ForkError, NotReached, BeingReplayed, Unready, Unrecorded,
)  # fmt: skip
"""Faults of 500 and above whose own words a caller may read: they name no file and no key."""
READ_ONLY_SECONDS = 60
"""What Retry-After says while a ledger is read-only or its disk full: a person must act first."""
UNREADY_SECONDS = 5
"""What it says while a projection is being built, which takes as long as the log is."""
UNREACHABLE_SECONDS = 5
"""What it says while a database server is away: most of them come back by themselves."""


def kind_of(error: Exception) -> Kind:
    """The problem type of an error: that of its nearest ancestor in the table, or ``internal``."""
    return next((TABLE[base] for base in type(error).__mro__ if base in TABLE), INTERNAL)


def describe(error: Exception) -> dict[str, Any]:
    """An error as a problem object, without ``instance``."""
    kind = kind_of(error)
    problem: dict[str, Any] = {"type": TYPE_PREFIX + kind.slug, "title": kind.title, "status": kind.status}
    if kind.status >= 500 and not isinstance(error, _TOLD):
        problem["detail"] = "the operator's log says more, under this request's id"
        return problem
    problem["detail"] = error.detail if isinstance(error, EventError) else str(error)
    if isinstance(error, LedgerError) and error.advice:
        problem["advice"] = error.advice
    for name in _EXTENSIONS:
        value = getattr(error, name, None)
        if value is not None:
            problem[name] = value
    return problem


def response(error: Exception, request_id: str) -> Response:
    """An error as an HTTP answer; ``instance`` names the request, as its X-Request-Id does."""
    problem = describe(error)
    problem["instance"] = REQUEST_PREFIX + request_id
    return Response(orjson.dumps(problem), problem["status"], _headers(error), MEDIA_TYPE)


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        fault = ', error="invalid_token"' if error.given else ""
        return {"WWW-Authenticate": f'Bearer realm="continuity"{fault}'}
    if isinstance(error, NotAllowed):
        return {"Allow": error.allow}
    if isinstance(error, errors.ReadOnly | errors.StoreFull):
        return {"Retry-After": str(READ_ONLY_SECONDS)}
    if isinstance(error, Unready):
        return {"Retry-After": str(UNREADY_SECONDS)}
    if isinstance(error, errors.StoreUnreachable):
        return {"Retry-After": str(UNREACHABLE_SECONDS)}
    if isinstance(error, errors.Busy | NotReached | BeingReplayed | Unrecorded):
        return {"Retry-After": str(max(1, round(error.retry_after)))}
    if isinstance(error, TooSlow | BodyTooLarge):
        return {"Connection": "close"}  # what is left of the body is not read
    return {}
