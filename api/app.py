"""The application: brings settings, ledgers and routes together.

Owns the factory and the life of what the requests share. ``uvicorn --factory api.app:create_app`` serves it.
Shutting down takes no more requests, commits what waits, signs, and releases every ledger.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.types import ASGIApp

from api.dispatch import Dispatch
from api.journal import Journal
from api.ledgers import Ledgers
from api.middleware import Surroundings
from api.outlet import standard_error
from api.past import Past
from api.published import Plan, Publishers
from api.reading import READERS
from api.room import Room, Threads
from api.routes import Routes, erasure, events, health, projections, proofs, publication, read_models, reservations
from api.settings import Settings
from ledger import collector

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


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application for some settings, or for those of the environment. Raises ``ValueError`` for impossible ones."""
    chosen = settings or Settings.from_environment()
    journal = Journal(standard_error())
    app = _Application(
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
    return app


class _Application(FastAPI):
    """FastAPI's application with our own way to the handlers."""

    def build_middleware_stack(self) -> ASGIApp:
        """What answers requests: ``Dispatch`` within ``Surroundings``, and nothing between them."""
        journal: Journal = self.state.journal
        dispatch = Dispatch(self.routes, journal, self.router)
        templates = {handler: path for _, path, handler in ROUTES}
        return Surroundings(dispatch, self.state.settings, journal, templates)


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
        await to_thread.run_sync(standard_error().drain)
