"""Logs to fold, and what must come of them by another way. Owns no fixtures and no assertions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from ledger.log import Log
from projections.projection import Projection
from projections.runner import Runner
from tests.contract.projections.keys import KEYS, Pair
from tests.support.events import cloud, estimate_changed, plain, requested, stage_changed
from tests.support.projecting import TYPES


class Killed(BaseException):
    """Ends a rebuild at once, as a kill does: nothing of its own is done about it."""


def history(rng: random.Random, reservations: int, count: int) -> Iterator[bytes]:
    """Events that may or may not be accepted: the ledger says."""
    for _ in range(count):
        name, member = f"R-{rng.randrange(reservations)}", f"M-{rng.randrange(4)}"
        yield rng.choice(
            [
                requested(name, member),
                plain("confirmed", name, member, data={"station": rng.choice("AB")}),
                plain("cancelled", name, member, data={"reason": "by-client"}),
                stage_changed(rng.choice(["drying", "stored", "picked_up"]), name, member),
                estimate_changed(name, member),
                cloud("member.registered", f"member:M-{rng.randrange(10**9)}", {"email": "a@example.org"}),
            ]
        )


def grow(log: Log, seed: int = 1, count: int = 60) -> None:
    log.append(list(history(random.Random(seed), 8, count)), atomic=False)


def naive(log: Log, version: int = 1) -> dict[str, list[Any]]:
    """The rows of ``projection(version=...)``, told by entries alone and sharing no code with what is tested."""
    seen, visits, steps = {}, {}, []
    for row in log.scan():
        event = row.content().event
        if not event.type.startswith("reservation."):
            continue
        count, station = seen.get(event.stream, (0, None))[0], seen.get(event.stream, (0, None))[-1]
        seen[event.stream] = (count + version, event.type, event.public().get("station", station))
        steps.append((row.position, event.type))
        if event.member and event.type == "reservation.cancelled":
            visits.pop((event.member, event.stream), None)
        elif event.member:
            visits[event.member, event.stream] = row.position
    return {
        "seen": [(key, *seen[key]) for key in sorted(seen)],
        "visits": [(*key, visits[key]) for key in sorted(visits)],
        "steps": steps,
    }


def catalogue(runner: Runner) -> list[tuple[int, str, int]]:
    with runner.store.reading() as reads:
        return [(one.number, one.state, one.position) for one in reads.generations()]


def quiet() -> Projection:
    """A projection of other tables that never fails."""
    model = Projection("quiet", version=1, tables=(KEYS,))

    @model.on(*TYPES)
    def fold(work, event, seal):
        work.add(KEYS, Pair(event.stream, seal.position))

    return model
