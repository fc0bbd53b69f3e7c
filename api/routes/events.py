"""Events in, and entries out.

Owns the requests on ``.../events``: framing to receipts on the way in, pages and single entries on the way out. A
request is answered only when its events are durable; a client that went away loses nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response

from api import bodies, negotiation, problems, queries, reading
from api.ledgers import Ledgers
from api.problems import AllRejected, Unrecorded
from api.queries import EntryQuery, EventsQuery, PostQuery
from api.room import Room, Threads
from api.routes import Routes
from api.security import POSTING, READING, Access, admit
from api.settings import Settings
from ledger.errors import EventError
from ledger.flush import Outcome, Receipt
from ledger.redaction import Redacted

INLINE_BYTES = bodies.UNCOUNTED
"""Bodies up to this are checked on the event loop: that takes less time than handing them to a thread would."""
PAGE_TYPES = (negotiation.JSON, negotiation.CLOUDEVENT_BATCH)
ENTRY_TYPES = (negotiation.JSON, negotiation.OCTETS, negotiation.CLOUDEVENT)
_encode = msgspec.json.Encoder().encode


async def post_events(request: Request) -> Response:
    """Append the events of the body."""
    access = await admit(request, POSTING)
    atomic = queries.parse(request, PostQuery).mode == "atomic"
    settings: Settings = request.app.state.settings
    media_type = negotiation.content_type(request.headers, bodies.ACCEPTED)
    room: Room = request.app.state.room
    with room.share(access.name) as share:
        body = await bodies.read(request, settings, share)
        await _check(request, access)
        if len(body) > INLINE_BYTES:
            outcomes = await _append_large(request, access, media_type, body, atomic)
        else:
            events = bodies.split(media_type, body, settings.body_events)
            outcomes = await _append(request, access, events, atomic)
    return _answer(request, access.name, outcomes)


async def _check(request: Request, access: Access) -> None:
    """Before the first append: what it reads of the store must not hold the event loop. Raises as ``Log.check``."""
    if not access.log.checked:
        posters: Threads = request.app.state.posters
        await posters.run(access.name, access.log.check)


async def _append(request: Request, access: Access, events: Sequence[bytes | Raw], atomic: bool) -> list[Outcome]:
    settings: Settings = request.app.state.settings
    if len(events) == 1:
        ledgers: Ledgers = request.app.state.ledgers
        gathering = ledgers.gathering(access.name, access.log)
        try:
            return [await gathering.append(events[0], access.credential, settings.append_seconds)]
        except EventError as error:
            if atomic:
                raise
            return [error]
    return await _recorded(access.log.submit(events, access.credential, atomic=atomic), settings)


async def _append_large(request: Request, access: Access, media_type: str, body: bytes, atomic: bool) -> list[Outcome]:
    settings: Settings = request.app.state.settings
    posters: Threads = request.app.state.posters

    def submit() -> Future[list[Outcome]]:
        events = bodies.split(media_type, body, settings.body_events)
        return access.log.submit(events, access.credential, atomic=atomic)

    return await _recorded(await posters.run(access.name, submit), settings)


async def _recorded(submitted: Future[list[Outcome]], settings: Settings) -> list[Outcome]:
    """What comes of events that were handed over. Raises ``Unrecorded`` when that takes too long."""
    # Shielded: a cancelled request must not cancel a future that the writer is about to resolve.
    waiting = asyncio.shield(asyncio.wrap_future(submitted))
    try:
        async with asyncio.timeout(settings.append_seconds):
            return await waiting
    except TimeoutError:
        raise Unrecorded(settings.append_seconds) from None


def _answer(request: Request, ledger: str, outcomes: list[Outcome]) -> Response:
    """201 when anything was recorded, 200 when all that was taken was known. Raises ``AllRejected``."""
    receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    if len(receipts) == len(outcomes):
        content = _encode({"receipts": receipts})
    else:
        results = [_result(outcome) for outcome in outcomes]
        if not receipts:
            raise AllRejected([result for result in results if isinstance(result, dict)])
        content = _encode({"receipts": results})
    headers = {"Ledger-Position": str(max(receipt.position for receipt in receipts))}
    if len(outcomes) == 1:
        root: str = request.scope.get("root_path", "")
        headers["Location"] = f"{root}/v1/ledgers/{ledger}/events/{receipts[0].position}"
    new = any(not receipt.duplicate for receipt in receipts)
    return Response(content, 201 if new else 200, headers, negotiation.JSON)


def _result(outcome: Outcome) -> Receipt | dict[str, Any]:
    if isinstance(outcome, EventError):
        return {"index": outcome.index, "problem": problems.describe(outcome)}
    return outcome


async def get_events(request: Request) -> Response:
    """A page of the log."""
    access = await admit(request, READING)
    query = queries.parse(request, EventsQuery)
    media_type = negotiation.preferred(request.headers, PAGE_TYPES)
    await reading.reach(request, access.log, query.min_position)
    content, following = await reading.in_thread(request, _page, access, query, media_type)
    headers = {"Vary": "Accept"}
    if following is not None:
        parameters = [(name, value) for name, value in request.query_params.items() if name != "cursor"]
        headers["Link"] = f'<?{urlencode([*parameters, ("cursor", following)])}>; rel="next"'
    return Response(content, 200, headers, media_type)


def _page(access: Access, query: EventsQuery, media_type: str) -> tuple[bytes, str | None]:
    page = reading.read_page(access, query)
    found = zip(page.rows, page.disclosed, strict=True)
    if media_type == negotiation.CLOUDEVENT_BATCH:
        return _encode([reading.cloudevent(row, values) for row, values in found]), page.next
    return _encode({"events": [reading.item(row, values) for row, values in found], "next": page.next}), page.next


async def get_entry(request: Request) -> Response:
    """One entry: as JSON, as its exact bytes, or as a CloudEvent."""
    access = await admit(request, READING)
    position = queries.position(request)
    query = queries.parse(request, EntryQuery)
    media_type = negotiation.preferred(request.headers, ENTRY_TYPES)
    await reading.reach(request, access.log, query.min_position)
    row = await reading.in_thread(request, reading.read_row, access, position)
    headers = {"Vary": "Accept"}
    values: Redacted | None = None
    if query.disclose:
        (values,) = await reading.in_thread(request, reading.disclose, access, [row])
    else:
        # The entry never changes; "no-cache" has a cache ask each time whether its reader still may see it.
        headers |= {"ETag": _etag(reading.leaf_hash(row), media_type), "Cache-Control": "private, no-cache"}
        if _matches(request, headers["ETag"]):
            return Response(None, 304, headers)
    if media_type == negotiation.OCTETS:
        return Response(row.entry, 200, headers, media_type)
    shown = reading.item(row, values) if media_type == negotiation.JSON else reading.cloudevent(row, values)
    return Response(_encode(shown), 200, headers, media_type)


def _etag(leaf_hash: str, media_type: str) -> str:
    """A strong tag names one representation, so all but the entry's own bytes say which they are."""
    suffix = {negotiation.OCTETS: "", negotiation.JSON: ".json"}.get(media_type, ".cloudevent")
    return f'"{leaf_hash}{suffix}"'


def _matches(request: Request, etag: str) -> bool:
    given = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in given or "*" in given


ROUTES: Routes = (
    ("POST", "/v1/ledgers/{ledger}/events", post_events),
    ("GET", "/v1/ledgers/{ledger}/events", get_events),
    ("GET", "/v1/ledgers/{ledger}/events/{position}", get_entry),
)
