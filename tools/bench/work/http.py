"""Events over HTTP: one a request over 64 connections, and batches over 8.

Ours is `continuity serve` as it ships: it authenticates, checks, commits, encrypts, chains and syncs before it answers,
bounds what a connection may send and logs each request, one process for all of it. The empty handler, in the same
framework on a plain uvicorn, parses the same body and answers as long a text: it is the most that can be had here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

from tools.bench.http_load import Load, load
from tools.bench.http_servers import EMPTY, OURS, serving
from tools.bench.measure import Budget, Contestant, Figure, measure
from tools.bench.session import STORES, Ledger, Session

TITLE = "HTTP"
TEXT = __doc__

PEER = "empty FastAPI handler"
NAMES = {store: f"Continuity Ledger, {store}" for store in STORES}
SINGLE = (1, 64)
BATCHES = ((10, 8), (100, 8), (1_000, 8))
MOST = 16_000
"""Events that are made for a run, and at least so many requests for each connection:"""
_EACH = 8


class _Served(NamedTuple):
    """A server under load, and where its events go."""

    port: int
    path: str
    key: str


@contextmanager
def _ours(ledger: Ledger) -> Iterator[_Served]:
    """The service over a ledger that nobody else writes to."""
    key = ledger.log.credentials.issue("bench", "service")
    environment = {"CONTINUITY_DATA": str(ledger.data)}
    if ledger.store is not None:
        environment["CONTINUITY_STORE"] = ledger.store.reveal()
    with serving(OURS, environment) as port:
        yield _Served(port, f"/v1/ledgers/{ledger.name}/events", key)


SINGLE_BUDGET = Budget(
    work="single events over HTTP, 64 connections, SQLite", ours=NAMES["SQLite"], against=PEER, must=0.4, aim=0.6
)


def figures(session: Session) -> Iterator[Figure]:
    """Rates of single events and of batches, and the latency of single events."""
    with ExitStack() as stack:
        served = {
            NAMES[store]: stack.enter_context(_ours(stack.enter_context(session.fresh(store)))) for store in STORES
        }
        served[PEER] = _Served(stack.enter_context(serving(EMPTY, {})), "/events", "none")
        runs = itertools.count()

        def post(name: str, batch: int, connections: int) -> Load:
            target = served[name]
            sent = requests(target, f"R{next(runs)}", batch, connections)
            taken = load(target.port, sent, connections, session.seconds)
            if set(taken.statuses) != {201}:
                raise RuntimeError(f"expected answers of 201 alone, got {taken.statuses}")
            return taken

        def rate(name: str, batch: int, connections: int) -> float:
            return post(name, batch, connections).per_second * batch

        def slowest(name: str) -> float:
            return post(name, *SINGLE).percentile(0.99)

        for batch, connections in (SINGLE, *BATCHES):
            yield measure(
                f"{batch:,} × {connections}",
                [Contestant(name, partial(rate, name, batch, connections), ours=name != PEER) for name in served],
                unit="events/s",
                repeats=session.repeats,
                budgets=[SINGLE_BUDGET] if (batch, connections) == SINGLE else (),
            )
        yield measure(
            "1 × 64, 99 of 100 answered within",
            [Contestant(name, partial(slowest, name), ours=name != PEER) for name in served],
            unit="ms",
            repeats=session.repeats,
            better="lower",
        )


def requests(target: _Served, run: str, batch: int, connections: int) -> Iterator[bytes]:
    """Whole HTTP/1.1 requests, made beforehand so that making them costs no measured time."""
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {target.key}\r\n"
        f"Content-Type: application/cloudevents{'-batch' if batch > 1 else ''}+json\r\nContent-Length: "
    ).encode()
    made = []
    for first in range(0, max(MOST, batch * connections * _EACH), batch):
        events = [_event(run, number) for number in range(first, first + batch)]
        body = b"[" + b",".join(events) + b"]" if batch > 1 else events[0]
        made.append(b"%b%d\r\n\r\n%b" % (head, len(body), body))
    return iter(made)


def _event(run: str, number: int) -> bytes:
    """An event with a private field, on a stream of its own, as one service would post it."""
    name = f"{run}-{number:08d}"
    return (
        f'{{"specversion":"1.0","id":"{name}","source":"urn:example:bench","type":"reservation.requested",'
        f'"subject":"reservation:{name}","time":"2026-03-02T09:05:12Z","member":"M-{number % 4001}",'
        '"actor":"staff-07","actorrole":"staff","data":{"firing_type":"bisque","half_shelves":3,'
        '"window":{"earliest":"2026-03-03","latest":"2026-03-05"},"channel":"portal",'
        '"notes":"Twelve mugs and one tall vase, about 38 cm."}}'
    ).encode()
