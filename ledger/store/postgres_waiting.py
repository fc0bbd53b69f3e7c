"""A connection that lets its thread do something else while it waits for the server, and does not wait for ever.

Owns the one place where the driver waits. Waiting in another thread would free this one as well, but two threads of one
interpreter that compute at once pay for it with a quarter of their time (docs/adr/0008). A server that stands still
while its machine goes on keeps its connections alive, so the system never ends them: the driver would wait for ever.
"""

from __future__ import annotations

import select
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.rows import DictRow
from psycopg.waiting import Ready, Wait

from ledger.store.protocol import Meanwhile, nothing

_Result = TypeVar("_Result")
_Operation = Generator[Wait, Ready | int, _Result]
"""What the driver calls a ``PQGen``: it says what it waits for, and is sent what of that is ready."""


SILENCE = 40.0
"""Seconds that a server may keep silent: more than one writer waits for another."""


class Silent(OperationalError):
    """The server has kept silent for too long. The connection is closed; what was being written may be committed."""


class FilledConnection(Connection[DictRow]):
    """A connection as any other, but that ``meanwhile`` is done while it waits, and silence has an end."""

    meanwhile: Meanwhile = staticmethod(nothing)
    patience: float = SILENCE
    """Seconds that the server may keep silent, before the connection is closed and ``Silent`` raised."""

    def wait(self, gen: _Operation[_Result], *args: Any, **options: Any) -> _Result:
        """The driver's way to run an operation to its end."""
        try:
            return super().wait(_filled(gen, self.pgconn.socket, self.meanwhile, self.patience), *args, **options)
        except Silent:
            self.pgconn.finish()
            raise

    @contextmanager
    def filled(self, meanwhile: Meanwhile) -> Iterator[None]:
        """Do ``meanwhile`` while this connection waits."""
        self.meanwhile = meanwhile
        try:
            yield
        finally:
            self.meanwhile = nothing


def _filled(operation: _Operation[_Result], socket: int, meanwhile: Meanwhile, patience: float) -> _Operation[_Result]:
    """The operation, which really waits only once there is nothing left to do meanwhile."""
    poll = select.poll()
    try:
        wanted = next(operation)
        while True:
            poll.register(socket, _events(wanted))
            ready = _ready(poll)
            while not ready and meanwhile():
                ready = _ready(poll)
            since = time.monotonic() if not ready else 0.0
            while not ready:  # which the driver sends from time to time, to see whether it was interrupted
                ready = yield wanted
                if not ready and time.monotonic() - since > patience:
                    raise Silent(f"the server has not answered for {patience:g} s")
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
