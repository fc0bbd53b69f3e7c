"""All read models made anew from the log, beside those that are live, and switched to.

The measures: on SQLite a bare scan of the same store that decodes each entry into its typed form and does nothing with
it; on PostgreSQL the library's own runner, which folds one projection of one table, an event a transaction. That one
is given the first few thousand entries only: its rate does not depend on how many there are. It waits for the disk at
each commit, as it comes; rows can be made again, so ours need not, and it is shown without that too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice

import msgspec

from ledger.store.protocol import Selection
from projections.models import READ_MODELS
from projections.projection import Folded
from projections.runner import Runner
from projections.store.opening import open_projections
from tools.bench.measure import Budget, Contestant, Figure, measure
from tools.bench.peers import vanilla_projection as vanilla
from tools.bench.session import Ledger, Session, StoreName
from tools.bench.work.audit import stored_entries
from tools.collector import relaxed

TITLE = "Rebuild of projections"
TEXT = __doc__
LONG_TITLE = "Rebuild of projections, a million entries"
LONG_TEXT = "The same, of a larger ledger, in which streams are far apart."

OURS = f"rebuild of all {len(READ_MODELS)} projections"
DECODE = "bare scan + typed decode"
ENTRIES = 60_000
LONG_ENTRIES = 1_000_000
_PEER_ENTRIES = 4_000


def figures(session: Session) -> Iterator[Figure]:
    """Entries a second on each store."""
    yield from _figures(session, ENTRIES, session.repeats)


def long_figures(session: Session) -> Iterator[Figure]:
    """The same of a million entries."""
    yield from _figures(session, LONG_ENTRIES, min(session.repeats, 3))


def _figures(session: Session, entries: int, repeats: int) -> Iterator[Figure]:
    with ExitStack() as stack:
        ledger, ours = _ours(session, stack, "SQLite", entries)
        decode = Contestant(DECODE, partial(_decode, ledger))
        budget = Budget(work="rebuild of all projections, SQLite", ours=OURS, against=DECODE, must=0.1, aim=0.2)
        yield measure("SQLite", [ours, decode], unit="entries/s", repeats=repeats, budgets=[budget])
    with ExitStack() as stack:
        ledger, ours = _ours(session, stack, "PostgreSQL", entries)
        peer_rows = list(islice(ledger.log.scan(Selection(1)), _PEER_ENTRIES))
        peers = [
            Contestant(name, partial(vanilla.fold, session.postgres, peer_rows, awaited=awaited))
            for name, awaited in ((vanilla.NAME, True), (vanilla.NOT_AWAITED, False))
        ]
        budget = Budget(work="rebuild of all projections, PostgreSQL", ours=OURS, against=vanilla.NAME, must=15, aim=30)
        yield measure("PostgreSQL", [ours, *peers], unit="entries/s", repeats=repeats, budgets=[budget])


def _ours(session: Session, stack: ExitStack, store: StoreName, entries: int) -> tuple[Ledger, Contestant]:
    ledger = session.filled(store, entries)
    projections = open_projections(ledger.store, ledger.name, ledger.data / ledger.name)
    runner = stack.enter_context(Runner(ledger.log, projections))
    return ledger, Contestant(OURS, partial(_rebuild, runner), ours=True)


def _rebuild(runner: Runner) -> float:
    with relaxed():
        start = time.perf_counter()
        size = runner.rebuild().size
        return size / (time.perf_counter() - start)


def _decode(ledger: Ledger) -> float:
    decode = msgspec.json.Decoder(Folded).decode
    start, count = time.perf_counter(), 0
    for entry in stored_entries(ledger):
        decode(entry)
        count += 1
    return count / (time.perf_counter() - start)
