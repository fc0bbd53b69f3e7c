"""The HTTP servers that are measured: our service, and an empty handler that parses the same bodies.

Each runs in a process of its own on a loopback port, one worker, with the same uvicorn options.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import orjson
from fastapi import FastAPI, Request, Response

from tools.bench.ports import await_listening, free_port

OURS = "api.app:create_app"
EMPTY = "tools.bench.http_servers:empty_app"
_OPTIONS = ("--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools")
_RECEIPT_BYTES = 300


def empty_app() -> FastAPI:
    """The peer: authenticates nobody, checks nothing, stores nothing; parses the body and answers as long a text."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/events")
    async def events(request: Request) -> Response:
        parsed = orjson.loads(await request.body())
        count = len(parsed) if isinstance(parsed, list) else 1
        return Response(b'{"receipts":[' + b" " * _RECEIPT_BYTES * count + b"]}", 201, media_type="application/json")

    return app


@contextmanager
def serving(factory: str, environment: Mapping[str, str]) -> Iterator[int]:
    """A uvicorn process of one worker on a free loopback port; yields the port, and stops it."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port), *_OPTIONS]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        await_listening(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)
