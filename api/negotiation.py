"""Media types: what a request body is, and which representation a caller would rather have.

Owns the reading of Content-Type and Accept (RFC 9110, sections 8.3 and 12.5.1). Knows nothing of events.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers

from api.problems import NotAcceptable, UnsupportedMedia

JSON = "application/json"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENT_BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"
OCTETS = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"


def content_type(headers: Headers, accepted: Sequence[str]) -> str:
    """The body's media type, in lower case and without parameters. Raises ``UnsupportedMedia``.

    ``charset`` may say UTF-8, which JSON is anyway; another charset and any content encoding is refused.
    """
    given = headers.get("content-type", "")
    if given in accepted and "content-encoding" not in headers:  # nearly always
        return given
    essence, *parameters = (part.strip() for part in given.split(";"))
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise UnsupportedMedia(f"{given} with encoding {encoding}", accepted)
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMedia(given, accepted)
    if essence.lower() not in accepted:
        raise UnsupportedMedia(given, accepted)
    return essence.lower()


def preferred(headers: Headers, offered: Sequence[str]) -> str:
    """The offered media type that the Accept header likes best, the first offered among equals.

    No header takes anything. Raises ``NotAcceptable``.
    """
    header = ",".join(headers.getlist("accept"))
    if not header.strip():
        return offered[0]
    ranges = [_range(part) for part in header.split(",")]
    best, best_quality = "", 0.0
    for candidate in offered:
        quality = _quality(candidate, ranges)
        if quality > best_quality:
            best, best_quality = candidate, quality
    if not best:
        raise NotAcceptable(offered)
    return best


def _range(part: str) -> tuple[str, float]:
    essence, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                quality = min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                quality = 0.0
    return essence, quality


def _quality(candidate: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of a media type: that of the most specific range which takes it."""
    group = candidate.partition("/")[0]
    for pattern in (candidate, f"{group}/*", "*/*"):
        found = [quality for essence, quality in ranges if essence == pattern]
        if found:
            return max(found)
    return 0.0
