"""The way from a request to its handler, and from an error to its answer.

Owns the choice by path and method, and the wording of every ``LedgerError`` as a problem. It stands in the place of the
framework's stack of middleware, whose layers each cost a request two calls and a coroutine or more and do nothing for
these handlers: they take a request and return a response. Never sees a body.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api import problems
from api.journal import Journal
from api.problems import BeingReplayed, NotAllowed, NotReached
from api.routes import Handler
from ledger.errors import Busy, LedgerError, NotFound
from projections.store.protocol import Unready

NO_FAULTS = (BeingReplayed, Busy, NotReached, Unready)
"""What is answered with 500 and above and is no fault: to be asked again. It comes in floods, so it is not logged."""


class Dispatch:
    """ASGI application; see the module. What is no HTTP request (the lifespan) goes to ``others``."""

    def __init__(self, routes: Iterable[BaseRoute], journal: Journal, others: ASGIApp) -> None:
        """Of the routes, those count that are one handler each; the first that matches is taken."""
        self._routes = [
            (route.path_regex, route.methods or set(), route.endpoint) for route in routes if isinstance(route, Route)
        ]
        self._journal = journal
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises what is no ``LedgerError``, and what fails once an answer has begun."""
        if scope["type"] != "http":
            await self._others(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await self._handler(scope)(request)
        except LedgerError as error:
            response = problems.response(error, scope[problems.REQUEST_ID])
            if response.status_code >= 500 and not isinstance(error, NO_FAULTS):
                self._journal.fault(scope[problems.REQUEST_ID], error)
        await response(scope, receive, send)

    def _handler(self, scope: Scope) -> Handler:
        """The handler for a request. Raises ``NotFound``, or ``NotAllowed`` naming all methods of its path."""
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        if not path.isprintable():  # a pattern would take a line feed for any other character, or overlook it
            raise NotFound("nothing is answered at this path")
        methods: set[str] = set()
        for pattern, allowed, handler in self._routes:
            if (found := pattern.match(path)) is None:
                continue
            if scope["method"] in allowed:
                scope["endpoint"] = handler
                scope["path_params"] = found.groupdict()
                chosen: Handler = handler
                return chosen
            methods |= allowed
        if methods:
            raise NotAllowed(scope["method"], ", ".join(sorted(methods)))
        raise NotFound("nothing is answered at this path")
