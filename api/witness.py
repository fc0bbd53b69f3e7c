"""A witness over HTTP (c2sp.org/tlog-witness): ``add-checkpoint`` for logs, the latest checkpoints for monitors.

Owns routes, limits and status codes. Decides nothing: ``tools.witness`` does. It needs no credentials, as the protocol
has it: what is not signed by a known log is refused, and what is served is public.
"""

from __future__ import annotations

import asyncio
import logging
import os
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ledger.errors import LedgerError, NotFound
from ledger.witness import MAX_REQUEST, SIZE_TYPE, Refused
from tools.witness import Witness

VARIABLE = "CONTINUITY_WITNESS"
"""Names the witness's folder in the environment."""
BODY_SECONDS = 10.0
"""Seconds in which a request must have arrived: it has a few kilobytes."""
_log = logging.getLogger("uvicorn.error")
_TEXT = "text/plain; charset=utf-8"


def create_app(witness: Witness | None = None) -> Starlette:
    """The application; without a witness it opens the folder that ``CONTINUITY_WITNESS`` names."""
    opened = witness or Witness(Path(os.environ[VARIABLE]))

    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for part in request.stream():
                    body += part
                    if len(body) > MAX_REQUEST:
                        return _closing("the request is too large\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except TimeoutError:
            return _closing("the request did not arrive in time\n", HTTPStatus.REQUEST_TIMEOUT)
        try:
            return Response(await run_in_threadpool(opened.add_checkpoint, bytes(body)), media_type=_TEXT)
        except Refused as refused:
            if refused.size is not None:
                return Response(f"{refused.size}\n", refused.status, media_type=SIZE_TYPE)
            return PlainTextResponse(f"{refused}\n", refused.status)

    async def checkpoint(request: Request) -> Response:
        try:
            note = await run_in_threadpool(opened.checkpoint, request.path_params["origin"])
        except NotFound as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.NOT_FOUND)
        return Response(note, media_type=_TEXT, headers={"Cache-Control": "no-cache"})

    async def about(request: Request) -> Response:
        return PlainTextResponse("".join(f"{key}\n" for key in opened.keys))

    async def failed(request: Request, error: Exception) -> Response:
        _log.error("a request failed: %s", error)
        return PlainTextResponse("the witness can't answer now\n", HTTPStatus.SERVICE_UNAVAILABLE)

    return Starlette(
        routes=[
            Route("/", about),
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin}/checkpoint", checkpoint),
        ],
        exception_handlers={LedgerError: failed, OSError: failed},
    )


def _closing(text: str, status: HTTPStatus) -> Response:
    """An answer after which the rest of the request is not read."""
    return PlainTextResponse(text, status, headers={"Connection": "close"})
