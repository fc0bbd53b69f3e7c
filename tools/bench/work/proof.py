"""Inclusion proofs of a ledger of a million entries: the time to make one, whole, with its signed checkpoint.

On a log that rests, the checkpoint is there; right after an append, a new tree is signed first, with both keys.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from functools import partial

from ledger.proof import parse_proof, verify_entry
from tools.bench.measure import Budget, Contestant, Figure, measure
from tools.bench.session import STORES, Ledger, Session, StoreName, expect_receipts

TITLE = "Inclusion proofs"
TEXT = __doc__

ENTRIES = 1_000_000
PROOFS = 300
AFTER_APPENDS = 30
NAMES: dict[StoreName, str] = {store: f"Continuity Ledger, {store}" for store in STORES}

_chance = random.Random(1)


def figures(session: Session) -> Iterator[Figure]:
    """The median time of a proof, of entries at random positions."""
    ledgers = {store: session.filled(store, ENTRIES) for store in STORES}
    for ledger in ledgers.values():
        _verify(ledger)
    budgets = [
        Budget(work=f"inclusion proof at 1M entries, {store}", ours=NAMES[store], against=None, must=2, aim=0.5)
        for store in STORES
    ]
    for name, work, judged in (("log at rest", _resting, budgets), ("after an append", _after_appends, [])):
        yield measure(
            name,
            [Contestant(NAMES[store], partial(work, ledger), ours=True) for store, ledger in ledgers.items()],
            unit="ms",
            better="lower",
            repeats=session.repeats,
            budgets=judged,
        )


def _resting(ledger: Ledger) -> float:
    ledger.log.checkpoint()
    return statistics.median(_proof(ledger) for _ in range(PROOFS))


def _after_appends(ledger: Ledger) -> float:
    taken = []
    for _ in range(AFTER_APPENDS):
        expect_receipts(ledger.log.append([next(ledger.posted).body]))
        taken.append(_proof(ledger))
    return statistics.median(taken)


def _proof(ledger: Ledger) -> float:
    """Milliseconds of one proof."""
    position = _chance.randrange(ledger.log.head().size)
    start = time.perf_counter()
    ledger.log.prove(position)
    return (time.perf_counter() - start) * 1000


def _verify(ledger: Ledger) -> None:
    """That what is timed below proves something. Raises ``ProofError``."""
    position = ledger.log.head().size // 3
    proof = parse_proof(ledger.log.prove(position))
    verify_entry(proof, ledger.log.row(position).entry, ledger.log.verifier_keys)
