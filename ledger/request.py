"""A request of several events, before it is queued and after it is decided.

Owns the preparing of its events, piece by piece where they are many, and the putting together of its answer: each
outcome at its event's index. Never decides anything itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import nullcontext

import msgspec

from ledger import privacy
from ledger.errors import EventError
from ledger.event import Credential, Prepared, prepare
from ledger.flush import Outcome, Receipt, Unit
from ledger.turn import Turn
from ledger.writer import Results

LARGE = 64
"""From so many events on, preparing takes turns with sealing: two threads that contend for the interpreter lose more
than they gain."""
PIECE = 128
"""Events that are prepared in one turn: about a millisecond, which a writer waits for at most."""


def prepare_all(
    events: Sequence[bytes | msgspec.Raw], credential: Credential, turn: Turn, *, atomic: bool
) -> list[Outcome | Prepared]:
    """Each event prepared, or its error; raises the first error when the request is atomic."""
    outcomes: list[Outcome | Prepared] = []
    salts = privacy.salts(min(len(events), PIECE))
    for start in range(0, len(events), PIECE):
        with turn.preparing() if len(events) >= LARGE else nullcontext():
            for index, raw in enumerate(events[start : start + PIECE], start):
                try:
                    outcomes.append(prepare(raw, credential, salts))
                except EventError as error:
                    error.index = index
                    if atomic:
                        raise
                    outcomes.append(error)
    return outcomes


def answer_with(
    answer: Future[list[Outcome]],
    done: Future[Results],
    outcomes: list[Outcome | Prepared],
    units: list[Unit],
    *,
    atomic: bool,
) -> None:
    """Resolve a request's future from its units' results, each put at its event's index."""
    if (failure := done.exception()) is not None:
        answer.set_exception(failure)
        return
    for unit, result in zip(units, done.result(), strict=True):
        if isinstance(result, EventError) and atomic:
            answer.set_exception(result)
            return
        decided = [result] if isinstance(result, EventError) else result
        for (index, _), outcome in zip(unit.events, decided, strict=True):
            outcomes[index] = outcome
    answer.set_result([outcome for outcome in outcomes if isinstance(outcome, Receipt | EventError)])
