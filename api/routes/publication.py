"""Publishing a ledger now, and how its publication stands.

Owns the requests on ``.../publish`` and ``.../publication``. What is published, where and when the settings say; the
work is ``tools.publishing``'s, and goes on when the client goes away.
"""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import negotiation, queries
from api.ledgers import Ledgers
from api.queries import NoQuery
from api.routes import Routes
from api.security import OPERATING, WHOLE, Access, admit
from tools.publishing import Publishing, Standing


async def post_publish(request: Request) -> Response:
    """Publish the log as it stands, and answer when that is done."""
    access = await admit(request, OPERATING)
    queries.parse(request, NoQuery)
    done = asyncio.wrap_future(_publishing(request, access).now())
    return _answer(await asyncio.shield(done))


async def get_publication(request: Request) -> Response:
    """How the publication stands."""
    access = await admit(request, WHOLE)
    queries.parse(request, NoQuery)
    return _answer(_publishing(request, access).standing())


def _publishing(request: Request, access: Access) -> Publishing:
    ledgers: Ledgers = request.app.state.ledgers
    return ledgers.publishers.of(access.name)


def _answer(standing: Standing) -> Response:
    return Response(msgspec.json.encode(standing), 200, {"Cache-Control": "no-cache"}, negotiation.JSON)


ROUTES: Routes = (
    ("POST", "/v1/ledgers/{ledger}/publish", post_publish),
    ("GET", "/v1/ledgers/{ledger}/publication", get_publication),
)
