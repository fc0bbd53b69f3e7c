"""What is open to all, and tells nothing of any ledger: liveness, readiness and the OpenAPI document."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.ledgers import Ledgers
from api.negotiation import JSON
from api.routes import Routes


async def healthz(request: Request) -> Response:
    """The process answers."""
    return Response(b'{"status":"ok"}', media_type=JSON)


async def readyz(request: Request) -> Response:
    """The data folder is there, and every open store answers; 503 otherwise, within two seconds."""
    ledgers: Ledgers = request.app.state.ledgers
    await ledgers.ready()
    return Response(b'{"status":"ready"}', media_type=JSON)


async def get_document(request: Request) -> Response:
    """The OpenAPI document."""
    return Response(openapi.encoded(), 200, {"Cache-Control": "public, max-age=300"}, JSON)


ROUTES: Routes = (
    ("GET", "/healthz", healthz),
    ("GET", "/readyz", readyz),
    ("GET", "/openapi.json", get_document),
)
