"""A request of several events, before it is queued: its events prepared, piece by piece where they are many.

Never decides anything that needs the log's state.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import msgspec

from ledger import privacy
from ledger.errors import EventError
from ledger.event import Credential, Prepared, prepare
from ledger.flush import Request
from ledger.turn import Turn

LARGE = 64
"""From so many events on, preparing takes turns with sealing: two threads that contend for the interpreter lose more
than they gain."""
PIECE = 128
"""Events that are prepared in one turn: about a millisecond, which a writer waits for at most."""


def prepare_all(events: Sequence[bytes | msgspec.Raw], credential: Credential, turn: Turn, *, atomic: bool) -> Request:
    """Each event prepared, or its error; raises the first error when the request is atomic."""
    prepared: list[Prepared | EventError] = []
    salts = privacy.drawn(privacy.SALT_SIZE, min(len(events), PIECE))
    for start in range(0, len(events), PIECE):
        with turn.preparing() if len(events) >= LARGE else nullcontext():
            for index, raw in enumerate(events[start : start + PIECE], start):
                try:
                    prepared.append(prepare(raw, credential, salts))
                except EventError as error:
                    error.index = index
                    if atomic:
                        raise
                    prepared.append(error)
    return Request(prepared, atomic)
