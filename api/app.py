"""The application: brings settings, ledgers, routes and error handling together.

Owns the factory and the life of what the requests share. ``uvicorn --factory api.app:create_app`` serves it.
Shutting down takes no more requests, commits what waits, signs, and releases every ledger.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from api import problems
from api.journal import Journal
from api.ledgers import Ledgers
from api.middleware import Surroundings
from api.past import Past
from api.problems import BeingReplayed, NotAllowed, NotReached
from api.published import Plan, Publishers
from api.reading import READERS
from api.room import Room, Threads
from api.routes import Routes, erasure, events, health, projections, proofs, publication, read_models, reservations
from api.settings import Settings
from ledger import collector
from ledger.errors import Busy, LedgerError, NotFound
from projections.store.protocol import Unready

ROUTES: Routes = (
    events.ROUTES
    + proofs.ROUTES
    + reservations.ROUTES
    + read_models.ROUTES
    + projections.ROUTES
    + erasure.ROUTES
    + publication.ROUTES
    + health.ROUTES
)
POSTERS = 4
"""Threads that check large bodies at once."""
ERASERS = 2
"""Threads that erase, one a ledger: each may take minutes, for which no post is to wait."""
NO_FAULTS = (BeingReplayed, Busy, NotReached, Unready)
"""What is answered with 500 and above and is no fault: to be asked again. It comes in floods, so it is not logged."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application for some settings, or for those of the environment. Raises ``ValueError`` for impossible ones."""
    chosen = settings or Settings.from_environment()
    journal = Journal(sys.stderr.buffer)
    app = FastAPI(
        title="Continuity Ledger",
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
        },  # paths hold ids
        lifespan=_lifespan,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.settings = chosen
    app.state.plan = Plan.of(chosen)
    app.state.journal = journal
    for method, path, handler in ROUTES:
        # A plain route: FastAPI's own would solve dependencies and validate for each request what handlers here do.
        app.add_route(path, handler, methods=[method])
    app.add_exception_handler(LedgerError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_route)
    templates = {handler: path for _, path, handler in ROUTES}
    app.add_middleware(Surroundings, settings=chosen, journal=journal, templates=templates)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    journal: Journal = app.state.journal
    app.state.readers = Threads(READERS, READERS // 2)
    app.state.posters = Threads(POSTERS, POSTERS // 2)
    app.state.erasers = Threads(ERASERS, ERASERS // 2)
    app.state.room = Room(max(settings.body_memory, 2 * settings.body_limit))
    publishers = Publishers(app.state.plan, settings.data, journal.alarm)
    ledgers = Ledgers(settings.data, journal.alarm, publishers, settings.store, accept_clock=settings.accept_clock)
    app.state.ledgers = ledgers
    app.state.past = past = Past(settings)
    ledgers.begin()
    gc.collect()
    try:
        with collector.eased():
            yield
    finally:
        await past.close()
        await ledgers.close()
        journal.flush()


async def _refuse(request: Request, error: Exception) -> Response:
    answer = problems.response(error, request.scope[problems.REQUEST_ID])
    if answer.status_code >= 500 and not isinstance(error, NO_FAULTS):
        journal: Journal = request.app.state.journal
        journal.fault(request.scope[problems.REQUEST_ID], error)
    return answer


async def _refuse_route(request: Request, error: Exception) -> Response:
    """The framework's own refusals, of which only these two can arise here, as problems of ours."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    if error.status_code == 405:
        ours: LedgerError = NotAllowed(request.method, ", ".join(_methods_here(request)))
    else:
        ours = NotFound("nothing is answered at this path")
    return problems.response(ours, request.scope[problems.REQUEST_ID])


def _methods_here(request: Request) -> list[str]:
    """The methods of all routes at a request's path; the framework names only those of the first."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)
