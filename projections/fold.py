"""Folding a batch of entries by the handlers of several projections at once.

Owns the loop that each entry passes once, whatever the number of projections; those that take a batch at once are given
it before. Never reads or writes a store by itself.
An error of a handler ends its own projection's part in the batch, and no other's; what it leaves behind is then of no
use, and ``projections.poison`` says what becomes of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from ledger.errors import StoreError
from projections.projection import BatchHandler, Folded, Handler, Projection
from projections.store.protocol import Generation
from projections.work import Work

NOT_A_HANDLER_S = (StoreError, MemoryError)
"""Errors that come from below a handler, when it asks for a row: nothing is wrong with the event."""


class Part(Struct):
    """One generation, as a batch is folded into it."""

    projection: Projection
    generation: Generation
    work: Work


class Failure(NamedTuple):
    """The part whose handler failed, which entry of the batch it was, and what happened."""

    part: Part
    at: int
    error: Exception


def fold(parts: Iterable[Part], batch: Sequence[Folded]) -> list[Failure]:
    """Fold a batch into all parts; returns those that failed, at their first failure."""
    running: list[Part] = []
    failures: list[Failure] = []
    for part in parts:
        if part.projection.batch_handler is None:
            running.append(part)
        elif failure := _fold_at_once(part, part.projection.batch_handler, batch):
            failures.append(failure)
    handlers = _by_type(running)
    nothing: list[tuple[Handler, Work, Part]] = []
    for index, folded in enumerate(batch):
        event = folded.event
        for handler, work, part in handlers.get(event.type, nothing):
            try:
                handler(work, event, folded.seal)
            except NOT_A_HANDLER_S:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a handler does wrong
                failures.append(Failure(part, index, error))
                running = [one for one in running if one is not part]
                handlers = _by_type(running)
    return failures


def _fold_at_once(part: Part, handler: BatchHandler, batch: Sequence[Folded]) -> Failure | None:
    """Fold the whole batch; where that fails, find the entry by folding one after the other."""
    try:
        handler(part.work, batch)
    except NOT_A_HANDLER_S:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a handler does wrong
        for index, folded in enumerate(batch):
            try:
                handler(part.work, [folded])
            except NOT_A_HANDLER_S:
                raise
            except Exception as cause:  # noqa: BLE001
                return Failure(part, index, cause)
        return Failure(part, 0, error)  # none by itself: it stops before them all
    return None


def _by_type(parts: Iterable[Part]) -> dict[str, list[tuple[Handler, Work, Part]]]:
    handlers: dict[str, list[tuple[Handler, Work, Part]]] = defaultdict(list)
    for part in parts:
        for name, handler in part.projection.handlers.items():
            handlers[name].append((handler, part.work, part))
    return dict(handlers)
