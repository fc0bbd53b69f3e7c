"""Connections: what a client may send, and how long it may take, before there is a request to admit.

Owns the bounds on what precedes a request's handler: uvicorn's parser of HTTP has none of its own, and would hold a
head without end in memory, from anybody. Never looks into a request; bodies have their bounds in ``api.bodies``.
``uvicorn.run(..., http="api.connections:Connection")`` uses it, as ``continuity serve`` does.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES: Final = 64 * 1024
"""Bytes of a request line and headers, of what frames a chunk, or of trailers, at most; a read of the socket more may
be taken in before the end comes."""
HEAD_SECONDS: Final = 30.0
"""Seconds in which a head must have arrived, and the first of a connection must have come."""


class Connection(HttpToolsProtocol):
    """One client's connection, as uvicorn's, within bounds; beyond them it is closed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._idle_bytes = 0  # since the parser last had a whole head, or a part of a body
        self._in_head = True
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Await the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Await nothing any more."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what came, and close when too much came that is neither a whole head nor a body."""
        self._idle_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._idle_bytes > HEAD_BYTES:
            self.send_400_response(f"The head of a request takes {HEAD_BYTES} bytes at most.")
        elif self._in_head:
            self._await_head()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers of a body are read by nobody, and dropped."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End a head."""
        self._in_head = False
        self._idle_bytes = 0
        self._head_is_here()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._idle_bytes = 0
        super().on_body(body)

    def _await_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _head_is_here(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
