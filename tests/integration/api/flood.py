"""Many requests at once over raw connections, from one thread: more than a service wants to hold.

Owns the sending and the collecting of answers. Asserts nothing.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import NamedTuple, Self

from tests.support.events import requested

_PART = 262_144


class Answer(NamedTuple):
    """A status, and the value of Retry-After if there was one."""

    status: int
    retry_after: str | None


class Flood:
    """Requests under way at once, each on a connection of its own; a context manager that hangs up on what is left."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._unsent: dict[socket.socket, memoryview] = {}
        self._received: dict[socket.socket, bytes] = {}
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for connection in self._received:
            connection.close()
        self._selector.close()

    @property
    def under_way(self) -> int:
        """Requests without an answer yet."""
        return len(self._received)

    def send(self, request: bytes) -> None:
        """Begin one more request."""
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        self._unsent[connection] = memoryview(request)
        self._received[connection] = b""

    def run(self, seconds: float) -> None:
        """Send and receive for a while, or until every request has its answer."""
        until = time.monotonic() + seconds
        while self._received and time.monotonic() < until:
            for key, events in self._selector.select(0.1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if events & selectors.EVENT_WRITE:
                    self._write(connection)
                if events & selectors.EVENT_READ:
                    self._read(connection)

    def _write(self, connection: socket.socket) -> None:
        left = self._unsent[connection]
        try:
            self._unsent[connection] = left = left[connection.send(left[:_PART]) :]
        except ConnectionError:  # its answer is there already
            left = left[:0]
        if not left:
            self._selector.modify(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            part = connection.recv(_PART)
        except ConnectionError:
            part = b""
        received = self._received[connection] = self._received[connection] + part
        head, end, _ = received.partition(b"\r\n\r\n")
        if part and not end:
            return
        lines = dict(line.lower().split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:])
        status = int(head.split(b" ", 2)[1]) if end else 0
        self.answers.append(Answer(status, lines.get("retry-after")))
        self._selector.unregister(connection)
        connection.close()
        del self._received[connection], self._unsent[connection]


def batches(tag: str, size: int, letters: int = 20) -> Iterator[bytes]:
    """Bodies of ``size`` new events each, with so many letters of private words, as lines of JSON."""
    number = "NUMBER"
    names = [f"{tag}-{number}-{part}" for part in range(size)]
    one = b"\n".join(requested(name, id=name, data={"notes": "x" * letters}) for name in names)
    for at in range(1_000_000):
        yield one.replace(number.encode(), b"%d" % at)


def flood_until_told(pipe: Connection, port: int, head: bytes, at_once: int) -> None:
    """Keep so many requests of 1,000 new events under way, each with ``head``; report the answers when told to end."""
    bodies = batches("flood", 1_000)
    with Flood(port) as flood:
        while not pipe.poll():
            while flood.under_way < at_once:
                body = next(bodies)
                flood.send(head % len(body) + body)
            flood.run(0.05)
        flood.run(60)
        pipe.send(flood.answers)
