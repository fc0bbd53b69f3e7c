"""The routes: one module for events, proofs, publication, reservations, erasure and so on, each with its ``ROUTES``.

A handler admits its caller first, then reads its parameters, then works; it raises errors and never words them.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]
Routes = tuple[tuple[str, str, Handler], ...]
"""(method, path template, handler) of each route of a module."""
