"""One run of the benchmarks: how often and how long, and what is made once for all figures.

Owns the ledgers that are measured, their stores and the server beneath. Everything is made when it is first asked for,
in places that go away with the session.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Self

from ledger.flush import Outcome, Receipt
from ledger.log import Log
from ledger.store.opening import StoreURL, discard_store
from tools.bench import workload
from tools.bench.postgres import Server, server

StoreName = Literal["SQLite", "PostgreSQL"]
STORES: tuple[StoreName, ...] = ("SQLite", "PostgreSQL")
_FILLED_BY = 1_000
_IN_FLIGHT = 4


class Ledger(NamedTuple):
    """A ledger to measure: opened, the folder that it is in, and its store's URL unless that is a file there."""

    log: Log
    name: str
    data: Path
    store: StoreURL | None
    posted: Iterator[workload.Posted]
    """Events to append to it, of which nothing is there yet."""

    @property
    def file(self) -> Path:
        """The file of a SQLite store."""
        return self.data / self.name / "ledger.db"


class Session:
    """One run. Use it as a context manager."""

    def __init__(
        self,
        *,
        repeats: int = 5,
        seconds: float = 0.8,
        scale: float = 1,
        grow_to: int = 10_000_000,
        stores: Sequence[StoreName] = STORES,
    ) -> None:
        """Take ``repeats`` interleaved runs of each figure, of ``seconds`` where the work is without end.

        ``scale`` shrinks ledgers of a given size, for trying things out; ``grow_to`` and ``stores`` are for growth.
        """
        self.repeats = repeats
        self.seconds = seconds
        self.grow_to = grow_to
        self.stores = stores
        self._scale = scale
        self._stack = ExitStack()
        self._numbers = itertools.count(1)
        self._filled: dict[tuple[StoreName, int], Ledger] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @cached_property
    def postgres(self) -> Server:
        """The PostgreSQL server, started now. Raises ``RuntimeError`` when it is not durable."""
        started = self._stack.enter_context(server())
        started.settings()
        return started

    @contextmanager
    def fresh(self, store: StoreName) -> Iterator[Ledger]:
        """A new ledger, which goes away."""
        url = StoreURL(self.postgres.url) if store == "PostgreSQL" else None
        name = f"bench{next(self._numbers)}"
        with tempfile.TemporaryDirectory(prefix="continuity-bench-") as folder:
            log = Log.create(Path(folder), name, "bench.example/ledger", store=url).log
            try:
                yield Ledger(log, name, Path(folder), url, workload.stream())
            finally:
                log.close()
                if url is not None:
                    discard_store(url, name)

    def filled(self, store: StoreName, size: int) -> Ledger:
        """A ledger of ``size`` entries, signed: made at the first call, the same one at each later call."""
        size = self.scaled(size)
        if (store, size) not in self._filled:
            ledger = self._stack.enter_context(self.fresh(store))
            fill(ledger.log, itertools.islice(ledger.posted, size - ledger.log.head().size))
            ledger.log.checkpoint()
            self._filled[store, size] = ledger
        return self._filled[store, size]

    def scaled(self, size: int) -> int:
        """The size as this session has it."""
        return max(round(size * self._scale), 1_000)


def fill(log: Log, posted: Iterable[workload.Posted]) -> None:
    """Append events as fast as it goes, a few requests in flight. Raises ``RuntimeError`` when any is refused."""
    waiting: deque[Future[list[Outcome]]] = deque()
    events = iter(posted)
    while request := [event.body for event in itertools.islice(events, _FILLED_BY)]:
        if len(waiting) >= _IN_FLIGHT:
            expect_receipts(waiting.popleft().result())
        waiting.append(log.submit(request))
    for answer in waiting:
        expect_receipts(answer.result())


def expect_receipts(outcomes: list[Outcome]) -> int:
    """The number of events that were recorded. Raises ``RuntimeError`` unless each was, anew."""
    if not all(isinstance(outcome, Receipt) and not outcome.duplicate for outcome in outcomes):
        raise RuntimeError("the benchmark's events were not all accepted")
    return len(outcomes)
