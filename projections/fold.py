"""Folding a batch of entries by the handlers of several projections at once.

Owns the loop that each entry passes once, whatever the number of projections. Never reads or writes a store by itself.
An error of a handler ends its own projection's part in the batch, and no other's; what it leaves behind is then of no
use, and ``projections.poison`` says what becomes of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from ledger.errors import StoreError
from projections.projection import Folded, Handler, Projection
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
    running = list(parts)
    handlers = _by_type(running)
    failures: list[Failure] = []
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


def _by_type(parts: Iterable[Part]) -> dict[str, list[tuple[Handler, Work, Part]]]:
    handlers: dict[str, list[tuple[Handler, Work, Part]]] = defaultdict(list)
    for part in parts:
        for name, handler in part.projection.handlers.items():
            handlers[name].append((handler, part.work, part))
    return dict(handlers)
