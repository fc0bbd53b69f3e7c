"""Request bodies: read within limits, and cut into events.

Owns the limits on size and time, and the framing of events in each content type. Never looks into an event: each comes
out as the bytes that were sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Raw
from starlette.requests import ClientDisconnect, Request

from api.negotiation import CLOUDEVENT, CLOUDEVENT_BATCH, JSON, NDJSON
from api.problems import BadRequest, BodyTooLarge, TooSlow
from api.room import Share
from api.settings import Settings
from ledger.errors import Busy, MalformedEvent
from ledger.event import fault

ACCEPTED = (CLOUDEVENT, CLOUDEVENT_BATCH, JSON, NDJSON)
_DISCARDED_BODIES = 4
"""How many times its limit a body may have and still be read to its end, so that its sender sees the refusal."""
UNCOUNTED = 16_384
"""A body up to this is not counted against the room for bodies: a connection costs as much."""
_array = msgspec.json.Decoder(list[Raw])
_SPACE = b" \t\r\n"


async def read(request: Request, settings: Settings, share: Share) -> bytes:
    """The whole body. Raises ``BodyTooLarge``, ``TooSlow``, or ``ClientDisconnect`` when its sender is gone.

    Raises ``Busy`` when there is no room for it; else ``share`` is what it holds. A body that is refused is not held:
    the rest of it is dropped as it comes, up to a few times the limit, as many clients look for an answer only when
    they have sent everything.
    """
    limit = settings.body_limit
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit * _DISCARDED_BODIES:
        raise BodyTooLarge(limit, "bytes")
    try:
        async with asyncio.timeout(settings.body_seconds):
            return await _receive(request, limit, share)
    except TimeoutError:
        raise TooSlow(f"the body did not arrive within {settings.body_seconds:g} s") from None


async def _receive(request: Request, limit: int, share: Share) -> bytes:
    parts: list[bytes] = []
    size = 0
    busy: Busy | None = None
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if busy is None and UNCOUNTED < size <= limit:
            try:
                share.grow(size - share.size)
            except Busy as error:
                busy = error
        if busy is None and size <= limit:
            parts.append(part)
        else:
            parts.clear()
            share.release()
        if not message.get("more_body", False):
            break
        if size > limit * _DISCARDED_BODIES:
            break
    if size > limit:
        raise BodyTooLarge(limit, "bytes")
    if busy is not None:
        raise busy
    return b"".join(parts)


def split(media_type: str, body: bytes, most: int) -> Sequence[bytes | Raw]:
    """The events of a body, in order. Raises ``MalformedEvent``, ``BadRequest`` for none, ``BodyTooLarge`` for many."""
    events: Sequence[bytes | Raw]
    if media_type == NDJSON:
        events = [line for line in body.split(b"\n") if line.strip(_SPACE)]
    elif media_type == CLOUDEVENT or (media_type == JSON and not body.lstrip(_SPACE).startswith(b"[")):
        events = [body] if body.strip(_SPACE) else []
    else:
        events = _elements(body)
    if not events:
        raise BadRequest("the body holds no event")
    if len(events) > most:
        raise BodyTooLarge(most, "events")
    return events


def _elements(body: bytes) -> list[Raw]:
    try:
        return _array.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEvent(fault(error).detail, "$") from None
