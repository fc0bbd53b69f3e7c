"""An owner erases a member.

Owns the request on ``.../members/{member}/erasure``. What is destroyed, and in which order, is ``ledger.erasure``'s. A
request is answered when the epoch is settled; a client that went away loses nothing but its receipt, which it gets by
asking again.
"""

from __future__ import annotations

import asyncio
import re

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from api import bodies, negotiation, queries
from api.problems import BadParameter, BadRequest
from api.queries import NoQuery
from api.room import Room, Threads
from api.routes import Routes
from api.security import OWNING, admit
from ledger.catalog.values import Reason
from ledger.erasure import Target, erase
from ledger.event import STREAM_ID, fault

_ID = re.compile(STREAM_ID)


class ErasureRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a member is erased, as a code."""

    reason: str


async def post_erasure(request: Request) -> Response:
    """Erase the member, and answer with the receipt."""
    access = await admit(request, OWNING)
    queries.parse(request, NoQuery)
    member: str = request.path_params["member"]
    if not _ID.fullmatch(member):
        raise BadParameter("member", "expected 1 to 128 of A-Z, a-z, 0-9 and ._-, and : after the first")
    negotiation.content_type(request.headers, (negotiation.JSON,))
    room: Room = request.app.state.room
    with room.share(access.name) as share:
        body = await bodies.read(request, request.app.state.settings, share)
        try:
            reason = msgspec.json.decode(body, type=ErasureRequest).reason
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadRequest('the body is not {"reason": CODE}') from None
    _check_reason(reason)
    erasers: Threads = request.app.state.erasers
    # Shielded: a client that goes away leaves an erasure to its end.
    work = erasers.run(access.name, erase, access.log, Target(member=member), reason, access.credential)
    receipt = await asyncio.shield(work)
    return Response(msgspec.json.encode(receipt), 200, media_type=negotiation.JSON)


def _check_reason(reason: str) -> None:
    """See that a reason is a code before anything is looked up; said of the request, not of the event made from it."""
    try:
        msgspec.convert(reason, Reason)
    except msgspec.ValidationError as error:
        raise fault(error, "$.reason") from None


ROUTES: Routes = (("POST", "/v1/ledgers/{ledger}/members/{member}/erasure", post_erasure),)
