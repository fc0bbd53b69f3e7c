"""Single events over HTTP: how many a second, against an empty FastAPI handler that parses the same bodies.

Owns a small load client (keep-alive connections that each send the next request when the last is answered) and the two
servers it drives, each in a process of its own on a loopback port, with the same uvicorn options. Bounded: a number of
requests, never a time without end. Run it by itself with ``python -m tools.bench.http_load``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, cast

import click
import httptools
import orjson
import uvloop
from fastapi import FastAPI, Request, Response

from ledger.log import Log

CONNECTIONS = 64
START_SECONDS = 20.0
LEDGER = "bench"


class Load(NamedTuple):
    """What a run measured: requests a second, latencies in milliseconds, answers by status."""

    per_second: float
    median: float
    p99: float
    statuses: dict[int, int]


class Comparison(NamedTuple):
    """Ours and the peer's rate of each round, in requests a second."""

    ours: list[float]
    peer: list[float]

    @property
    def ratio(self) -> float:
        """Median of ours over median of the peer's."""
        return statistics.median(self.ours) / statistics.median(self.peer)


class _Connection(asyncio.Protocol):
    """One keep-alive connection: sends a request, reads the whole answer, sends the next."""

    def __init__(self, requests: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._sent = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self.seconds: list[float] = []
        self.statuses: Counter[int] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by behaviour, not by descent
        self._next()

    def _next(self) -> None:
        request = next(self._requests, None)
        if self._transport is None or request is None:
            self._end()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def _end(self) -> None:
        if not self._done.done():
            self._done.set_result(None)
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls ``on_message_complete``."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """One answer is whole: note it, and go on."""
        self.seconds.append(time.perf_counter() - self._sent)
        self.statuses[self._parser.get_status_code()] += 1
        self._parser = httptools.HttpResponseParser(self)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """Closed before its last answer, it fails the run."""
        if not self._done.done():
            self._done.set_exception(error or ConnectionResetError("the server closed a connection"))


async def load(port: int, requests: Iterator[bytes], connections: int = CONNECTIONS) -> Load:
    """Send all requests over that many connections at once; raises ``OSError`` when one breaks."""
    loop = asyncio.get_running_loop()
    running: list[tuple[_Connection, asyncio.Future[None]]] = []
    began = time.perf_counter()
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        connection = _Connection(requests, done)
        await loop.create_connection(lambda made=connection: made, "127.0.0.1", port)  # type: ignore[misc]
        running.append((connection, done))
    await asyncio.gather(*(done for _, done in running))
    elapsed = time.perf_counter() - began
    latencies = sorted(second * 1000 for connection, _ in running for second in connection.seconds)
    statuses: Counter[int] = Counter()
    for connection, _ in running:
        statuses += connection.statuses
    return Load(
        len(latencies) / elapsed,
        statistics.median(latencies),
        latencies[int(len(latencies) * 0.99)],
        dict(statuses),
    )


def bodies(run: str, count: int) -> Iterator[bytes]:
    """Distinct events with a private field, each on a stream of its own, as one service would post them."""
    for number in range(count):
        event = {
            "specversion": "1.0",
            "id": f"{run}-{number:08d}",
            "source": "urn:example:bench",
            "type": "reservation.requested",
            "subject": f"reservation:{run}-{number:08d}",
            "time": "2026-03-02T09:05:12Z",
            "member": f"M-{number % 4001}",
            "actor": "staff-07",
            "actorrole": "staff",
            "data": {
                "firing_type": "bisque",
                "half_shelves": 3,
                "window": {"earliest": "2026-03-03", "latest": "2026-03-05"},
                "channel": "portal",
                "notes": "Twelve mugs and one tall vase, about 38 cm.",
            },
        }
        yield json.dumps(event).encode()


def requests(path: str, key: str, run: str, count: int) -> Iterator[bytes]:
    """The bodies as whole HTTP/1.1 requests, made beforehand so that making them costs no measured time."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/cloudevents+json\r\nContent-Length: "
    ).encode()
    return iter([b"%b%d\r\n\r\n%b" % (head, len(body), body) for body in bodies(run, count)])


def empty_app() -> FastAPI:
    """The peer: authenticates nobody, checks nothing, stores nothing; parses the body and answers as long a text."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    answer = b'{"receipts":[' + b" " * 300 + b"]}"

    @app.post("/events")
    async def events(request: Request) -> Response:
        orjson.loads(await request.body())
        return Response(answer, 201, media_type="application/json")

    return app


@asynccontextmanager
async def serving(factory: str, environment: dict[str, str]) -> AsyncIterator[int]:
    """A uvicorn process of one worker on a free loopback port; yields the port, and stops it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [
        "--port",
        str(port),
        "--no-access-log",
        "--log-level",
        "warning",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
    ]
    command = [sys.executable, "-m", "uvicorn", "--factory", factory, *options]
    process = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
    try:
        await _listening(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)


async def _listening(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("the server did not start")


async def compare(rounds: int, count: int, connections: int = CONNECTIONS, *, access_log: str = "all") -> Comparison:
    """Drive both servers in turn, after a warm-up that is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        created = Log.create(Path(folder), LEDGER, f"localhost/{LEDGER}")
        created.log.close()
        path = f"/v1/ledgers/{LEDGER}/events"
        ours: list[float] = []
        peer: list[float] = []
        environment = {"CONTINUITY_DATA": folder, "CONTINUITY_ACCESS_LOG": access_log}
        async with (
            serving("api.app:create_app", environment) as our_port,
            serving("tools.bench.http_load:empty_app", {}) as peer_port,
        ):
            for number in range(rounds + 1):
                sent = count if number else max(count // 10, connections)
                measured = await load(our_port, requests(path, created.api_key, f"R{number}", sent), connections)
                empty = await load(peer_port, requests("/events", created.api_key, f"R{number}", sent), connections)
                _expect_created(measured, sent)
                print(f"round {number}: ours {measured}, empty {empty}", file=sys.stderr)
                if number:
                    ours.append(measured.per_second)
                    peer.append(empty.per_second)
        return Comparison(ours, peer)


def _expect_created(measured: Load, sent: int) -> None:
    if measured.statuses != {201: sent}:
        raise RuntimeError(f"expected {sent} answers of 201, got {measured.statuses}")


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--count", default=10_000, show_default=True, help="Requests of each round.")
@click.option("--connections", default=CONNECTIONS, show_default=True)
@click.option("--access-log", default="all", show_default=True, type=click.Choice(["all", "faults", "none"]))
def main(rounds: int, count: int, connections: int, access_log: str) -> None:
    """Compare single events over HTTP with an empty handler."""
    result = uvloop.run(compare(rounds, count, connections, access_log=access_log))
    click.echo(orjson.dumps(result._asdict() | {"ratio": round(result.ratio, 3)}).decode())


if __name__ == "__main__":
    main()
