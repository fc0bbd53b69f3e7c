"""What happens on a small disk, told as scenarios: each is the whole life of one process that alone sees that disk.

A scenario asserts what a test promises; ``small_disk.run_on`` starts it and brings back what went wrong.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.audit import audit
from ledger.errors import StoreFull, StoreUnreachable
from ledger.flush import Receipt
from ledger.log import Log
from ledger.store import postgres_datastore
from tests.support.events import requested
from tests.support.http import Service, service, slug
from tests.support.postgres import OwnServer, own_server
from tests.support.small_disk import fill
from tests.support.whole import check_file, check_receipts, check_whole

READS = ("/events", "/events/1", "/events?stream=reservation:R-1", "/reservations/R-1")
WORDS = "x" * 2000
"""So that the disk is soon full."""


class Workers:
    """Threads that append until the store takes no more, and later append what they had not got an answer for."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._next = [0, 0, 0]
        self.receipts: list[Receipt] = []

    def append_until(self, *refusals: type[Exception]) -> None:
        """Append, each thread until it is refused."""

        def work(worker: int) -> None:
            while True:
                try:
                    self._append(worker)
                except refusals:
                    return

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(len(self._next))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def append_once_more(self) -> None:
        """Append what was refused, as it was."""
        for worker in range(len(self._next)):
            self._append(worker)

    def _append(self, worker: int) -> None:
        tag = f"{worker}-{self._next[worker]}"
        events = [requested(f"{tag}-{part}", id=f"{tag}-{part}", data={"notes": WORDS}) for part in range(10)]
        self.receipts += self._log.append(events)
        self._next[worker] += 1


@contextmanager
def kept(running: Service) -> Iterator[Workers]:
    """Workers on a service's log; at the end everything promised to them holds."""
    first = running.post(requested(id="first"))
    assert first.status_code == 201
    workers = Workers(running.log)
    yield workers
    workers.append_once_more()
    assert running.post(requested(id="first")).json()["receipts"][0]["position"] == 1
    assert running.post(requested("last", id="last")).status_code == 201
    entries = check_whole(running.log)
    check_receipts(entries, workers.receipts)
    assert len(entries) == 3 + len(workers.receipts), "nothing beside what was acknowledged"
    assert audit(running.log.store, running.log.verifier_keys).ok


def refused(running: Service, kind: str) -> None:
    """A post is refused as that problem, with a time to wait, and so is what would sign."""
    for answer in (running.post(requested("R-2", id="refused")), running.get("/checkpoint")):
        assert (answer.status_code, slug(answer)) == (503, kind), answer.text
        assert int(answer.headers["retry-after"]) > 0


def sqlite_runs_full(folder: Path) -> None:
    """A ledger's file, its index and its keys on a disk that its own entries fill."""
    with service(folder) as running, kept(running) as workers:
        reserve = fill(folder, leave=3_000_000)
        workers.append_until(StoreFull)
        fill(folder)  # the last bytes, which a small write would have found
        refused(running, "store-full")
        for path in READS:
            assert running.get(path).status_code == 200, path
        assert running.client.get("/readyz").status_code == 200
        assert audit(running.log.store, running.log.verifier_keys).ok
        reserve.unlink()
    check_file(folder / "studio" / "ledger.db")
    check_file(folder / "studio" / "index.db")


def sqlite_closes_on_a_full_disk(folder: Path) -> None:
    """The service ends while there is no room even for its last checkpoint, and starts again when there is."""
    with service(folder) as running:
        assert running.post(requested(id="first")).status_code == 201
        workers = Workers(running.log)
        reserve = fill(folder, leave=3_000_000)
        workers.append_until(StoreFull)
        fill(folder)
    reserve.unlink()
    with Log.open(folder, "studio") as log:
        check_receipts(check_whole(log), workers.receipts)
        assert audit(log.store, log.verifier_keys).ok


@contextmanager
def postgres_on(folder: Path) -> Iterator[tuple[Service, Workers, OwnServer]]:
    """A service whose server's files are on the small disk, and its keys elsewhere."""
    postgres_datastore.WAIT = 1
    with (
        tempfile.TemporaryDirectory() as data,
        own_server(folder / "postgres") as server,
        server.template(),
        server.database() as database,
        service(Path(data), database) as running,
        kept(running) as workers,
    ):
        yield running, workers, server


def postgres_has_no_room_for_entries(folder: Path) -> None:
    """The server refuses what does not fit, and serves on."""
    with postgres_on(folder) as (running, workers, server):
        server.execute(
            "SELECT pg_switch_wal()", "CHECKPOINT"
        )  # a whole file of its log lies ready, which won't fill up
        filler = fill(folder)
        workers.append_until(StoreFull)
        answer = running.post(requested("R-2", id="refused", data={"notes": WORDS * 10}))
        assert (answer.status_code, slug(answer)) == (503, "store-full"), answer.text
        assert int(answer.headers["retry-after"]) > 0
        for path in READS:
            assert running.get(path).status_code == 200, path
        assert running.client.get("/readyz").status_code == 200
        assert audit(running.log.store, running.log.verifier_keys).ok
        filler.unlink()


def postgres_has_no_room_for_its_log(folder: Path) -> None:
    """The server needs the next file of its write-ahead log, panics, and stays down until there is room."""
    with postgres_on(folder) as (running, workers, server):
        filler = fill(folder, leave=12_000_000)
        workers.append_until(StoreUnreachable, StoreFull)
        refused(running, "store-unreachable")
        assert running.client.get("/readyz").status_code == 503
        filler.unlink()
        server.start()
