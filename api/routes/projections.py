"""Where the projections of a ledger stand.

Owns the request on ``.../projections``. Shows no row, and changes nothing: that is the command's to do.
"""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api import negotiation, projected, queries, reading
from api.queries import ProjectionsQuery
from api.routes import Routes
from api.security import READING, Access, admit
from projections import generations
from projections.standing import standings
from projections.tail import Tail


async def get_projections(request: Request) -> Response:
    """The standing of every projection, once all that go on hold a position, if one is given."""
    access = await admit(request, READING)
    query = queries.parse(request, ProjectionsQuery)
    tail = projected.tail_of(request, access)
    if query.min_position is not None:
        going_on = await reading.in_thread(request, _going_on, tail)
        await projected.reach(request, access, going_on, query.min_position)
    return Response(await reading.in_thread(request, _encoded, access, tail), 200, media_type=negotiation.JSON)


def _going_on(tail: Tail) -> list[str]:
    """The projections but for those whose rows, live or the first to be so, have stopped at an event."""
    with tail.reading() as reads:
        found = reads.generations()
    own = {one.name: generations.states(one.name, found) for one in tail.projections}
    current = {name: states.get("live") or states.get("filling") for name, states in own.items()}
    return [name for name, one in current.items() if one is None or one.fault is None]


def _encoded(access: Access, tail: Tail) -> bytes:
    with tail.reading() as reads:
        found = reads.generations()
    size = access.log.head().size
    shown = [one.json() for one in standings(tail.projections, found, size)]
    return orjson.dumps({"size": size, "projections": shown})


ROUTES: Routes = (("GET", "/v1/ledgers/{ledger}/projections", get_projections),)
