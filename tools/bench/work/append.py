"""Durable appends: requests of 1 to 1,000 events, of one client and of eight, on both stores and by every peer.

Ours are called in this process, as an application that embeds the ledger does: typed events with private fields, given
as JSON, parsed, checked, chained, hashed into the tree, encrypted where private, and committed with fsync. Each client
waits for its answer before it asks again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tools.bench import workload
from tools.bench.clients import drive
from tools.bench.measure import Budget, Contestant, Figure, measure
from tools.bench.peers import vanilla
from tools.bench.peers.cell import Cell
from tools.bench.peers.emmett import Emmett, emmett
from tools.bench.peers.message_db import MessageDB, message_db
from tools.bench.peers.umadb import UmaDB
from tools.bench.peers.vanilla import Vanilla
from tools.bench.session import STORES, Session, StoreName, expect_receipts, fill

TITLE = "Appends"
TEXT = __doc__

OURS: dict[StoreName, str] = {store: f"Continuity Ledger, {store}" for store in STORES}
BATCHES = {1: 10_000, 10: 20_000, 100: 40_000, 1_000: 40_000}
"""Events that a run appends at most, by the size of requests."""
CLIENTS = (1, 8)


class _Field:
    """All who append, and what they need."""

    def __init__(self, session: Session, peers: tuple[Vanilla, UmaDB, Emmett, MessageDB]) -> None:
        self._session = session
        self._vanilla, self._umadb, self._emmett, self._message_db = peers

    def contestants(self, cell: Cell) -> list[Contestant]:
        """All of them, before one cell."""
        seconds = self._session.seconds
        return [
            *(Contestant(OURS[store], partial(self._ours, store, cell), ours=True) for store in STORES),
            *self._vanilla.contestants(cell, seconds),
            self._umadb.contestant(cell, seconds),
            self._emmett.contestant(cell, seconds),
            self._message_db.contestant(cell, seconds),
        ]

    def _ours(self, store: StoreName, cell: Cell) -> float:
        requests = [[[event.body for event in request] for request in one] for one in cell.requests]
        with self._session.fresh(store) as ledger:
            if store == "PostgreSQL":
                self._session.postgres.rest()

            def send(client: int, request: list[bytes]) -> int:
                return expect_receipts(ledger.log.append(request))

            return drive(requests, send, self._session.seconds)


@contextmanager
def _field(session: Session, posted: list[workload.Posted]) -> Iterator[_Field]:
    with ExitStack() as stack:
        ledger = stack.enter_context(session.fresh("SQLite"))
        fill(ledger.log, posted)
        ready = Vanilla(session.postgres, ledger.log.scan())
        uma = UmaDB()
        stack.callback(uma.close)
        others = stack.enter_context(emmett(session.postgres)), stack.enter_context(message_db(session.postgres))
        yield _Field(session, (ready, uma, *others))


def figures(session: Session) -> Iterator[Figure]:
    """A figure for each size of request and number of clients."""
    posted = workload.events(max(BATCHES.values()))
    with tempfile.TemporaryDirectory(prefix="continuity-bench-") as folder, _field(session, posted) as field:
        for batch, count in BATCHES.items():
            for clients in CLIENTS:
                cell = Cell(posted[:count], batch, clients, Path(folder))
                yield measure(
                    f"{batch:,} × {clients}",
                    field.contestants(cell),
                    unit="events/s",
                    repeats=session.repeats,
                    budgets=_budgets(batch, clients),
                )


def _budgets(batch: int, clients: int) -> list[Budget]:
    """The budget is for requests of 1,000."""
    if batch != 1_000:
        return []
    many = f"appends of 1,000, {clients} client{'s' if clients > 1 else ''}"
    return [
        Budget(work=f"{many}, SQLite", ours=OURS["SQLite"], against=vanilla.SQLITE, must=0.25, aim=0.5),
        Budget(work=f"{many}, PostgreSQL", ours=OURS["PostgreSQL"], against=vanilla.POSTGRES, must=1.2, aim=2),
    ]
