"""The SQLite figures: durable sealed appends, and the full audit.

The peer of the appends is the recorder of the ``eventsourcing`` library with the same file system and the same
durability (WAL, ``synchronous=FULL``), given ready-made rows of the very bytes that we seal: it neither parses,
checks, chains nor encrypts. The peer of the audit is a bare scan of the same file with one SHA-256 an entry.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from ledger.audit import audit
from ledger.flush import Receipt
from ledger.log import Log
from tools.bench.measure import Figure, compare
from tools.bench.workload import events

BATCHES = {1: 1_000, 100: 10_000, 1_000: 40_000}
"""Events appended in a run, by batch size: enough for about a second of ours."""
AUDITED = 100_000
_IN_FLIGHT = 3


@contextmanager
def fresh_ledger() -> Iterator[tuple[Log, Path]]:
    """A new ledger in a folder that goes away, and its file."""
    with tempfile.TemporaryDirectory(prefix="continuity-bench-") as folder:
        log = Log.create(Path(folder), "bench", "bench.example/ledger").log
        try:
            yield log, Path(folder) / "bench" / "ledger.db"
        finally:
            log.close()


def append_all(log: Log, posted: Sequence[bytes], batch: int) -> None:
    """Append events in requests of ``batch``, a few in flight, as a busy client would."""
    waiting = []
    for start in range(0, len(posted), batch):
        waiting.append(log.submit(posted[start : start + batch]))
        if len(waiting) >= _IN_FLIGHT:
            _expect_receipts(waiting.pop(0).result())
    for answer in waiting:
        _expect_receipts(answer.result())


def _expect_receipts(outcomes: Sequence[object]) -> None:
    if not all(isinstance(outcome, Receipt) and not outcome.duplicate for outcome in outcomes):
        raise RuntimeError("the benchmark's events were not all accepted")


def append_figures(repeats: int) -> Iterator[Figure]:
    """Appends in batches of 1, 100 and 1,000 against the library's recorder."""
    for batch, count in BATCHES.items():
        posted = events(count)
        rows = _ready_made(posted)

        def ours(posted: Sequence[bytes] = posted, batch: int = batch) -> float:
            with fresh_ledger() as (log, _):
                start = time.perf_counter()
                if batch == 1:  # one at a time, each waited for: what a single client without pipelining sees
                    for event in posted:
                        log.append([event])
                else:
                    append_all(log, posted, batch)
                return len(posted) / (time.perf_counter() - start)

        def peer(rows: Sequence[StoredEvent] = rows, batch: int = batch) -> float:
            return _vanilla(rows, batch)

        yield compare(
            f"append, SQLite, batches of {batch:,}",
            ours,
            peer,
            peer_name="eventsourcing recorder",
            unit="events/s",
            must=0.25 if batch == 1_000 else None,  # the budget names batches of 1,000
            aim=0.5 if batch == 1_000 else None,
            note="ours parses, checks, commits, encrypts, chains and hashes; the peer writes ready-made rows",
            repeats=repeats,
        )


def _ready_made(posted: Sequence[bytes]) -> list[StoredEvent]:
    """The rows that the peer is given: our own entries of these events."""
    with fresh_ledger() as (log, _):
        append_all(log, posted, 1_000)
        return [
            StoredEvent(
                originator_id=content.event.stream,
                originator_version=content.seal.version,
                topic=content.event.type,
                state=row.entry,
            )
            for row in log.scan()
            for content in (row.content(),)
        ][1:]


def _vanilla(rows: Sequence[StoredEvent], batch: int) -> float:
    with tempfile.TemporaryDirectory(prefix="continuity-bench-") as folder:
        datastore = SQLiteDatastore(f"{folder}/peer.db", originator_id_type="text")
        recorder = SQLiteApplicationRecorder(datastore)
        recorder.create_table()
        with datastore.transaction(commit=False) as cursor:
            cursor.execute("PRAGMA synchronous")
            if cursor.fetchone()[0] != 2:
                raise RuntimeError("the peer is not as durable as we are")
        start = time.perf_counter()
        for first in range(0, len(rows), batch):
            recorder.insert_events(rows[first : first + batch])
        seconds = time.perf_counter() - start
        datastore.close()
        return len(rows) / seconds


def audit_figures(repeats: int) -> Iterator[Figure]:
    """The full audit on one core against a bare scan with one SHA-256 an entry."""
    with fresh_ledger() as (log, path):
        append_all(log, events(AUDITED), 1_000)
        log.checkpoint()

        def ours() -> float:
            report = audit(log.store, log.verifier_keys)
            if not report.ok:
                raise RuntimeError(f"the benchmark's ledger does not audit: {report.first_fault}")
            return report.size / report.seconds

        def peer() -> float:
            return _bare_scan(path)

        yield compare(
            "audit, SQLite, one core",
            ours,
            peer,
            peer_name="bare scan + SHA-256",
            unit="entries/s",
            must=0.3,
            aim=0.6,
            note=f"{AUDITED:,} entries; chain, tree, tiles, seals, versions and signatures",
            repeats=repeats,
        )


def _bare_scan(path: Path) -> float:
    connection = sqlite3.connect(path)
    start, count = time.perf_counter(), 0
    for (entry,) in connection.execute("SELECT entry FROM entries ORDER BY rowid"):
        sha256(entry).digest()
        count += 1
    seconds = time.perf_counter() - start
    connection.close()
    return count / seconds
