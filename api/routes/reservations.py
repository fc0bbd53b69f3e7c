"""Where a reservation stands, now or at an earlier moment.

Owns the request on ``.../reservations/{id}``. The state is folded from entries by ``projections.show``; private values
are shown to those who may read them in every entry of the stream.
"""

from __future__ import annotations

import re

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api import negotiation, queries, reading
from api.problems import BadParameter
from api.queries import ReservationQuery
from api.routes import Routes
from api.security import READING, Access, admit
from ledger import redaction
from ledger.errors import NotFound
from ledger.event import STREAM_ID
from ledger.store.protocol import Selection
from projections.show import show

_ID = re.compile(STREAM_ID)


async def get_reservation(request: Request) -> Response:
    """The state of a reservation."""
    access = await admit(request, READING)
    query = queries.parse(request, ReservationQuery)
    identity: str = request.path_params["id"]
    if not _ID.fullmatch(identity):
        raise BadParameter("id", "expected 1 to 128 of A-Z, a-z, 0-9 and ._-, and : after the first")
    await reading.reach(request, access.log, query.min_position)
    content = await reading.in_thread(request, _show, access, f"reservation:{identity}", query.at)
    return Response(content, 200, media_type=negotiation.JSON)


def _show(access: Access, stream: str, at: str | None) -> bytes:
    """The state as JSON. Raises ``NotFound`` alike for a stream that is not there and one that is not the caller's."""
    last = None if at is None else reading.bound(access.log, "at", at, end=True)
    role = access.credential.role
    if role == "service" and not _posted_all(access, stream, last):
        raise NotFound(f"there is no {stream} for you to read")
    return orjson.dumps(show(access.log, stream, last, redaction.policy(redaction.ROLES[role])))


def _posted_all(access: Access, stream: str, last: int | None) -> bool:
    """Whether the caller posted each entry of a stream (up to a position), so that its state is their own words.

    Not so where there is none: what is then told of the stream, or of those with like names, is not theirs to know.
    """
    found = False
    for row in access.log.scan(Selection(0, last, stream)):
        if not access.sees(reading.posted_by(row)):
            return False
        found = True
    return found


ROUTES: Routes = (("GET", "/v1/ledgers/{ledger}/reservations/{id}", get_reservation),)
