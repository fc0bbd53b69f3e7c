"""A connection that lets its thread do something else while it waits for the server.

Owns the one place where the driver waits. Waiting in another thread would free this one as well, but two threads of one
interpreter that compute at once pay for it with a quarter of their time (docs/adr/0008).
"""

from __future__ import annotations

import select
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.waiting import Ready, Wait

from ledger.store.protocol import Meanwhile, nothing

_Result = TypeVar("_Result")
_Operation = Generator[Wait, Ready | int, _Result]
"""What the driver calls a ``PQGen``: it says what it waits for, and is sent what of that is ready."""


class FilledConnection(Connection[DictRow]):
    """A connection as any other, but that ``meanwhile`` is done while it waits."""

    meanwhile: Meanwhile = staticmethod(nothing)

    def wait(self, gen: _Operation[_Result], *args: Any, **options: Any) -> _Result:
        """The driver's way to run an operation to its end."""
        return super().wait(_filled(gen, self.pgconn.socket, self.meanwhile), *args, **options)

    @contextmanager
    def filled(self, meanwhile: Meanwhile) -> Iterator[None]:
        """Do ``meanwhile`` while this connection waits."""
        self.meanwhile = meanwhile
        try:
            yield
        finally:
            self.meanwhile = nothing


def _filled(operation: _Operation[_Result], socket: int, meanwhile: Meanwhile) -> _Operation[_Result]:
    """The operation, which really waits only once there is nothing left to do meanwhile."""
    poll = select.poll()
    try:
        wanted = next(operation)
        while True:
            poll.register(socket, _events(wanted))
            ready = _ready(poll)
            while not ready and meanwhile():
                ready = _ready(poll)
            while not ready:  # which the driver sends from time to time, to see whether it was interrupted
                ready = yield wanted
            wanted = operation.send(ready)
    except StopIteration as end:
        result: _Result = end.value
        return result


def _events(wanted: Wait) -> int:
    return (select.POLLIN if wanted & Wait.R else 0) | (select.POLLOUT if wanted & Wait.W else 0)


def _ready(poll: select.poll) -> int:
    """What of that which is waited for is ready now; a broken connection is ready to say so."""
    ready = 0
    for _, events in poll.poll(0):
        if events & ~select.POLLOUT:
            ready |= Ready.R
        if events & ~select.POLLIN:
            ready |= Ready.W
    return ready
