"""Entries that a projection leaves out because an operator said so, since it can't fold them.

Owns the event that says it, and the reading of those events. State is disposable, the decision is not: it stands in the
log, so that every rebuild follows it. It is one for a version of the projection's code, and takes effect only where the
event fails (``projections.poison``).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

import msgspec

from ledger import moment
from ledger.errors import Conflict, EventError
from ledger.event import SYSTEM
from ledger.log import Log, system_clock
from ledger.store.protocol import PAGE, Selection
from projections import generations
from projections.entries import Source
from projections.projection import Projection
from projections.store.protocol import Generation

TYPE: Final = "projection.skipped"


def skipped(source: Source, projection: Projection) -> set[int]:
    """The positions that this version of a projection is to leave out."""
    found: set[int] = set()
    selection = Selection(stream=_stream(projection), type=TYPE)
    while rows := source.page(selection, PAGE):
        told = [row.content().event.public() for row in rows]
        found.update(one["position"] for one in told if one["projection_version"] == projection.version)
        selection = selection._replace(first=rows[-1].position + 1)
    return found


def skip(log: Log, projection: Projection, found: Iterable[Generation], position: int, reason: str, by: str) -> None:
    """Record that a projection leaves out the entry at ``position``, at which it has stopped; ``reason`` is a code.

    ``found`` is the catalogue, ``by`` the id of who decides. Recorded already, it is not again. Raises ``Conflict``
    when the projection has not stopped there, ``EventError`` for a reason that is no code.
    """
    faults = (one.fault for one in generations.stopped(found) if one.projection == projection.name)
    stopped = {fault.position for fault in faults if fault is not None}
    if position not in stopped:
        where = f"it has stopped at {', '.join(map(str, sorted(stopped)))}" if stopped else "it has not stopped"
        raise Conflict(
            f"{projection.name} has not stopped at position {position}", advice=f"{where}; see: continuity projections"
        )
    if position in skipped(log, projection):
        return
    event = {
        "specversion": "1.0",
        "id": f"skipped-{projection.name}-{position}-{time.time_ns()}",
        "source": "urn:continuity-ledger",
        "type": TYPE,
        "subject": _stream(projection),
        "time": moment.recorded(system_clock()),
        "data": {
            "asked_by": by,
            "position": position,
            "projection_version": projection.version,
            "reason": reason,
        },
    }
    (outcome,) = log.append([msgspec.json.encode(event)], SYSTEM)
    if isinstance(outcome, EventError):
        raise outcome


def _stream(projection: Projection) -> str:
    return f"projection:{projection.name}"
