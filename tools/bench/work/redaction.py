"""What redaction costs those who check.

An audit takes no longer: a hash covers commitments, whether their values can still be read or not. The same log is
audited whole, and after the private values and keys of every other member were destroyed. A slice that carries private
values takes longer to check, since each is compared with its commitment: one that carries none, one that withholds all
by rule, and one that discloses all. Rates are by processor time.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from functools import partial

from ledger.audit import audit
from ledger.datakeys import pair_of
from ledger.redaction import policy
from ledger.slice import verify_slice
from tools.bench.measure import Budget, Contestant, Figure, measure
from tools.bench.session import Ledger, Session, fill
from tools.slices import cut

TITLE = "Redaction"
TEXT = __doc__

WHOLE, ERASED = "audit, nothing erased", "audit, half of the members erased"
PLAIN, WITHHELD, DISCLOSED = "slice without values", "slice, all withheld", "slice, all disclosed"
ENTRIES = 100_000


def figures(session: Session) -> Iterator[Figure]:
    """Entries a second of processor time: of the audit, and of checking slices, on SQLite."""
    whole = session.filled("SQLite", ENTRIES)
    with session.fresh("SQLite") as erased:
        fill(erased.log, (next(erased.posted) for _ in range(whole.log.head().size - 1)))
        erased.log.checkpoint()
        _erase_half(erased)
        yield measure(
            "audit",
            [Contestant(ERASED, partial(_audit, erased), ours=True), Contestant(WHOLE, partial(_audit, whole))],
            unit="entries/s",
            repeats=session.repeats,
            budgets=[Budget(work="audit after erasures", ours=ERASED, against=WHOLE, must=0.95, aim=1)],
        )
    slices = {PLAIN: _slice(whole, None), WITHHELD: _slice(whole, "auditor"), DISCLOSED: _slice(whole, "staff")}
    yield measure(
        "check-slice",
        [Contestant(name, partial(_check, whole, data), ours=name is not PLAIN) for name, data in slices.items()],
        unit="entries/s",
        repeats=session.repeats,
        budgets=[],
    )


def _erase_half(ledger: Ledger) -> None:
    """Delete the disclosures and keys of every other member, as erasures do, but of all of them at once."""
    private = [row for row in ledger.log.scan() if (event := row.content().event).private and event.member]
    gone = [row for row in private if int((row.content().event.member or "-0").rpartition("-")[2]) % 2]
    with ledger.log.store.writing() as writes:
        writes.erase([row.position for row in gone], sorted({pair_of(row.content().event) for row in gone}))


def _audit(ledger: Ledger) -> float:
    start = time.process_time()
    report = audit(ledger.log.store, ledger.log.verifier_keys)
    if not report.ok:
        raise RuntimeError(f"the benchmark's ledger does not audit: {report.first_fault}")
    return report.size / (time.process_time() - start)


def _slice(ledger: Ledger, name: str | None) -> bytes:
    file = io.BytesIO()
    cut(ledger.log, file, 0, None, None if name is None else policy(name))
    return file.getvalue()


def _check(ledger: Ledger, data: bytes) -> float:
    start = time.process_time()
    proven = verify_slice(io.BytesIO(data), ledger.log.verifier_keys)
    return (proven.end - proven.first) / (time.process_time() - start)
