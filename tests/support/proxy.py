"""A wire between a ledger and its PostgreSQL server that a test can cut at a chosen byte, or hold for a while.

Owns a TCP proxy that follows the frontend protocol just far enough to know a COMMIT when it passes ("Message Formats"
in PostgreSQL's documentation), named or not. Changes nothing that it passes on. Owns no fixtures and no assertions.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from enum import Enum

from psycopg.conninfo import conninfo_to_dict

from tests.support.postgres import url_of

COMMITTED = b"COMMIT\0"
LATE_SECONDS = 0.7


class Cut(Enum):
    """When the wire breaks, once a COMMIT is on it."""

    BEFORE_IT_ARRIVES = "the server never gets it"
    BEFORE_THE_REPLY = "the server has committed, and its reply is lost"
    LONG_BEFORE_IT_ARRIVES = "the client's end breaks at once, and the server gets it later"


class Wire:
    """The proxy. ``url`` leads through it; ``cut_next`` breaks the next connection that commits.

    While ``passing`` is not set, connections are taken, and nothing that is sent on any of them arrives.
    """

    def __init__(self, url: str) -> None:
        self._parts = conninfo_to_dict(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = url_of(self._parts, host="127.0.0.1", port=str(port), sslmode="disable", gssencmode="disable")
        self.cuts = 0
        self.taken = 0
        self.passing = threading.Event()
        self.passing.set()
        self._cut: Cut | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self, when: Cut) -> None:
        """Break the next connection on which a COMMIT is sent."""
        self._cut = when

    def close(self) -> None:
        """Take no more connections, and let go of what is held."""
        self.passing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def take_cut(self) -> Cut | None:
        """What is to happen to a COMMIT that is passing now; once."""
        cut, self._cut = self._cut, None
        self.cuts += cut is not None
        return cut

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.taken += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with closing(client):
            self.passing.wait()
            try:
                server = self._connect()
            except OSError:
                return
            with closing(server):
                _Connection(self, client, server).run()

    def _connect(self) -> socket.socket:
        host, port = self._parts.get("host", "127.0.0.1"), self._parts.get("port", "5432")
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server


class _Connection:
    """One connection through the wire."""

    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire = wire
        self._client = client
        self._server = server
        self._client_gone = False
        self._replies = b""
        self._commits: set[bytes] = set()  # prepared statements that are a COMMIT

    def run(self) -> None:
        """Pass everything on until either end closes, or the wire is cut."""
        back = threading.Thread(target=self._pass_back, daemon=True)
        back.start()
        with suppress(OSError):
            for message in self._messages():
                self._wire.passing.wait()
                cut = self._wire.take_cut() if self._commits_with(message) else None
                if cut is not None:
                    self._break(cut, message)
                    break
                self._server.sendall(message)
        self._hang_up(self._server)
        back.join()

    def _break(self, cut: Cut, message: bytes) -> None:
        if cut is Cut.LONG_BEFORE_IT_ARRIVES:
            self._hang_up(self._client)
            time.sleep(LATE_SECONDS)
        if cut is not Cut.BEFORE_IT_ARRIVES:
            self._client_gone = True
            self._server.sendall(message)
            if message[:1] == b"B":  # what executes it
                self._server.sendall(b"E\0\0\0\x09\0\0\0\0\0" + b"S\0\0\0\x04")
            until = time.monotonic() + 30
            while COMMITTED not in self._replies and time.monotonic() < until:
                time.sleep(0.001)
        self._hang_up(self._client)

    def _hang_up(self, end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)

    def _pass_back(self) -> None:
        with suppress(OSError):
            while part := self._server.recv(65536):
                if self._client_gone:
                    self._replies += part
                else:
                    self._client.sendall(part)
        self._hang_up(self._client)

    def _messages(self) -> Iterator[bytes]:
        """What the client sends, a message at a time: the first has no letter before its length."""
        held, letter = b"", 0
        while part := self._client.recv(65536):
            held += part
            while len(held) >= letter + 4:
                size = letter + int.from_bytes(held[letter : letter + 4], "big")
                if len(held) < size:
                    break
                yield held[:size]
                held, letter = held[size:], 1

    def _commits_with(self, message: bytes) -> bool:
        kind, _, rest = message[:1], message[1:5], message[5:]
        if kind == b"P":
            name, text = rest.split(b"\0")[:2]
            (self._commits.add if text == b"COMMIT" else self._commits.discard)(name)
        if kind == b"B":
            return rest.split(b"\0")[1] in self._commits
        return kind == b"Q" and rest == COMMITTED


@contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """A wire to the server of a database."""
    wire = Wire(url)
    try:
        yield wire
    finally:
        wire.close()
