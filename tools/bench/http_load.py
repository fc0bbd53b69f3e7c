"""A small HTTP load client: keep-alive connections that each send the next request when the last is answered.

Bounded by a number of requests and a time. Knows nothing of what is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, cast

import httptools
import uvloop


class Load(NamedTuple):
    """What a run measured: requests a second, latencies of each in milliseconds, ascending, and answers by status."""

    per_second: float
    latencies: list[float]
    statuses: dict[int, int]

    def percentile(self, share: float) -> float:
        """The latency that this share of requests did not exceed."""
        return self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)]


class _Connection(asyncio.Protocol):
    """One keep-alive connection: sends a request, reads the whole answer, sends the next."""

    def __init__(self, requests: Iterator[bytes], until: float, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._until = until
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
        self._sent = time.perf_counter()
        request = next(self._requests, None) if self._sent < self._until else None
        if self._transport is None or request is None:
            self._end()
            return
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


def load(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Load:
    """Send requests to a loopback port over that many connections, until none is left or the time is over.

    Raises ``OSError`` when a connection breaks.
    """
    return uvloop.run(_load(port, requests, connections, seconds))


async def _load(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    running: list[tuple[_Connection, asyncio.Future[None]]] = []
    began = time.perf_counter()
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        connection = _Connection(requests, began + seconds, done)
        await loop.create_connection(lambda made=connection: made, "127.0.0.1", port)  # type: ignore[misc]
        running.append((connection, done))
    await asyncio.gather(*(done for _, done in running))
    elapsed = time.perf_counter() - began
    latencies = sorted(second * 1000 for connection, _ in running for second in connection.seconds)
    statuses: Counter[int] = Counter()
    for connection, _ in running:
        statuses += connection.statuses
    return Load(len(latencies) / elapsed, latencies, dict(statuses))
