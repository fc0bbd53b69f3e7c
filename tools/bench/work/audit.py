"""The full audit: chain, tree, tiles, seals, versions and signatures of every entry, derived again from its bytes.

A bare scan of the same store that takes one SHA-256 of each entry, and compares it with nothing, is the measure. Two
cores are two processes of the audit; a server of PostgreSQL is one more.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from functools import partial
from hashlib import sha256

import psycopg
from psycopg.sql import SQL, Identifier

from ledger.audit import audit
from ledger.store.postgres_schema import schema_of
from tools.bench.measure import Budget, Contestant, Figure, measure
from tools.bench.session import STORES, Ledger, Session

TITLE = "Audit"
TEXT = __doc__

ONE_CORE = "audit, one core"
TWO_CORES = "audit, two cores"
PEER = "bare scan + SHA-256"
ENTRIES = 200_000
"""A second process takes a quarter of a second to start, of the second that one core takes for these: so that two are
1.6 times as fast at best, and come nearer to twice on longer logs."""
_FETCHED = 5_000


def figures(session: Session) -> Iterator[Figure]:
    """Entries a second on each store."""
    for store in STORES:
        ledger = session.filled(store, ENTRIES)
        budgets = [
            Budget(work=f"audit on one core, {store}", ours=ONE_CORE, against=PEER, must=0.3, aim=0.6),
            Budget(work=f"audit on two cores, {store}", ours=TWO_CORES, against=ONE_CORE, must=None, aim=1.8),
        ]
        yield measure(
            store,
            [
                Contestant(ONE_CORE, partial(_audit, ledger, 1), ours=True),
                Contestant(TWO_CORES, partial(_audit, ledger, 2), ours=True),
                Contestant(PEER, partial(_scan, ledger)),
            ],
            unit="entries/s",
            repeats=session.repeats,
            budgets=budgets,
        )


def _audit(ledger: Ledger, jobs: int) -> float:
    report = audit(ledger.log.store, ledger.log.verifier_keys, jobs=jobs)
    if not report.ok:
        raise RuntimeError(f"the benchmark's ledger does not audit: {report.first_fault}")
    return report.size / report.seconds


def _scan(ledger: Ledger) -> float:
    start, count = time.perf_counter(), 0
    for entry in stored_entries(ledger):
        sha256(entry).digest()
        count += 1
    return count / (time.perf_counter() - start)


def stored_entries(ledger: Ledger) -> Iterator[bytes]:
    """The bytes of all entries, read straight from the store."""
    return _sqlite(ledger) if ledger.store is None else _postgres(ledger)


def _sqlite(ledger: Ledger) -> Iterator[bytes]:
    connection = sqlite3.connect(ledger.file)
    try:
        for (entry,) in connection.execute("SELECT entry FROM entries ORDER BY rowid"):
            yield entry
    finally:
        connection.close()


def _postgres(ledger: Ledger) -> Iterator[bytes]:
    assert ledger.store is not None
    statement = SQL("SELECT entry FROM {}.entries ORDER BY position").format(Identifier(schema_of(ledger.name)))
    with psycopg.connect(ledger.store.reveal()) as connection, connection.cursor("scan", binary=True) as cursor:
        cursor.itersize = _FETCHED
        for (entry,) in cursor.execute(statement):
            yield entry
