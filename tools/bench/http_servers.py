"""The HTTP servers that are measured: our service, and an empty handler that parses the same bodies.

Each runs in a process of its own on a loopback port, one worker. Ours is ``continuity serve``, with all that it ships:
its bounds on connections, its log of requests, its live tail. The empty handler is a plain uvicorn on the same loop and
parser.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import orjson
from fastapi import FastAPI, Request, Response

from tools.bench.ports import await_listening, free_port

OURS = ("-c", "import sys; from tools.cli.main import main; sys.exit(main())", "serve")
"""What Python runs for ours, and for the empty handler."""
EMPTY = (
    *("-m", "uvicorn", "--factory", "tools.bench.http_servers:empty_app"),
    *("--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"),
)
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
def serving(program: Sequence[str], environment: Mapping[str, str]) -> Iterator[int]:
    """A server's process on a free loopback port; yields the port, and stops it."""
    port = free_port()
    command = [sys.executable, *program, "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        await_listening(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)
