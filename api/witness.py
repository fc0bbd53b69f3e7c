"""A witness over HTTP (c2sp.org/tlog-witness): ``add-checkpoint`` for logs, the latest checkpoints for monitors.

Owns routes, limits and status codes. Decides nothing: ``tools.witness`` does. It needs no credentials, as the protocol
has it: what is not signed by a known log is refused, and what is served is public. So anybody may send anything, and
nothing of it may cost more than a bounded time and memory.
"""

from __future__ import annotations

import asyncio
import logging
import os
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ledger.errors import LedgerError, NotFound
from ledger.witness import MAX_REQUEST, SIZE_TYPE, Refused
from tools.witness import Witness

VARIABLE = "CONTINUITY_WITNESS"
"""Names the witness's folder in the environment."""
BODY_SECONDS = 10.0
"""Seconds in which a request's body must have arrived."""
_TEXT = "text/plain; charset=utf-8"
_LOGGER = logging.getLogger("uvicorn.error")


def create_app(witness: Witness | None = None) -> Starlette:
    """The application; without a witness it opens the folder that ``CONTINUITY_WITNESS`` names."""
    opened = witness or Witness(Path(os.environ[VARIABLE]))

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await _body(request)
        except TimeoutError:
            return _ended("the request did not arrive in time", HTTPStatus.REQUEST_TIMEOUT)
        except ClientDisconnect:  # nobody is left to read this
            return _ended("the request was not whole", HTTPStatus.BAD_REQUEST)
        if body is None:
            return _ended(f"a request has at most {MAX_REQUEST} bytes", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            return Response(await run_in_threadpool(opened.add_checkpoint, body), media_type=_TEXT)
        except Refused as refused:
            if refused.size is not None:
                # In the headers, since a media type given as such gets a charset, which clients don't expect here.
                return Response(f"{refused.size}\n", refused.status, {"Content-Type": SIZE_TYPE})
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
        _LOGGER.error("can't answer: %s", error)  # it names files of this witness, and nothing that was sent
        return PlainTextResponse("the witness can't answer now\n", HTTPStatus.SERVICE_UNAVAILABLE)

    return Starlette(
        routes=[
            Route("/", about),
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin}/checkpoint", checkpoint),
        ],
        exception_handlers={LedgerError: failed, OSError: failed},
    )


async def _body(request: Request) -> bytes | None:
    """The body; None when it is too large. Raises ``TimeoutError``, ``ClientDisconnect``."""
    body = bytearray()
    async with asyncio.timeout(BODY_SECONDS):
        async for part in request.stream():
            body += part
            if len(body) > MAX_REQUEST:
                return None
    return bytes(body)


def _ended(message: str, status: HTTPStatus) -> Response:
    """A refusal of a request that was not read to its end: no other can follow it on the connection."""
    return PlainTextResponse(f"{message}\n", status, {"Connection": "close"})
