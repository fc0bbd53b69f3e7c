"""How the cost of an append grows with the log: requests of 1,000 events, some in flight, from 100,000 entries on.

Measured once the log has the size, over five stretches of events on end, which were made beforehand. Ids of events that
ascend with time fall side by side in an index; random ones fall anywhere. All else is the same: the mix of events, and
how far back their streams begin.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from tools.bench import workload
from tools.bench.measure import Budget, Figure, Series
from tools.bench.session import Session, StoreName, fill

TITLE = "Growth"
TEXT = __doc__

FIRST = 100_000
LEAD = 20_000
"""Reservations between booking and arrival: the mix of events is steady before the first stretch."""
STRETCH = 20_000
STRETCHES = 5
_RUN_IN = 10_000


def figures(session: Session) -> Iterator[Figure]:
    """For each store and kind of ids, microseconds an event at each size."""
    sizes = sizes_up_to(session.grow_to)
    for store in session.stores:
        for ordered in (True, False):
            yield _figure(session, store, ordered, sizes)


def sizes_up_to(last: int) -> list[int]:
    """Sizes from 100,000 to ``last``, three to a factor of ten at most."""
    steps = (FIRST * factor * 10**power for power in range(9) for factor in (1, 3))
    return [*itertools.takewhile(lambda size: size < last, steps), last]


def _figure(session: Session, store: StoreName, ordered: bool, sizes: list[int]) -> Figure:
    kind = "time-ordered" if ordered else "random"
    must, aim = (1.5, 1.1) if ordered else (6, 1.5)
    events = workload.stream(ordered_ids=ordered, lead=LEAD)
    series = []
    with session.fresh(store) as ledger:
        for size in sizes:
            fill(ledger.log, itertools.islice(events, max(0, size - ledger.log.head().size)))
            print(f"  {store}, {kind} ids: {size:,} entries", flush=True)
            made = list(itertools.islice(events, _RUN_IN + STRETCH * STRETCHES))
            fill(ledger.log, made[:_RUN_IN])  # so that what runs behind is at work again
            runs = []
            for first in range(_RUN_IN, len(made), STRETCH):
                start = time.perf_counter()
                fill(ledger.log, made[first : first + STRETCH])
                runs.append((time.perf_counter() - start) * 1e6 / STRETCH)
            series.append(Series(name=_at(size), ours=True, runs=runs))
    budget = Budget(
        work=f"append cost at {sizes[-1]:,} entries, {kind} ids, {store}",
        ours=_at(sizes[-1]),
        against=_at(sizes[0]),
        must=must,
        aim=aim,
    )
    return Figure(
        name=f"{store}, {kind} ids", unit="µs/event", better="lower", series=series, budgets=[budget], paired=False
    )


def _at(size: int) -> str:
    return f"at {size:,} entries"
