"""kill -9 at every step of an append, on both stores: what was acknowledged is there, and a start needs no repair."""

import random
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest

from ledger.audit import audit
from tests.integration.children import start
from tests.integration.killed import INSIDE, SIGNING, Step, Word, append_until_killed, batch
from tests.support.events import requested
from tests.support.whole import check_file, check_receipts, check_whole

AT_RANDOM = "at a random moment"
CHOSEN = [Step.BEGUN, Step.DECIDED, Step.ROWS_WRITTEN, Step.TILES_WRITTEN, Step.BEFORE_COMMIT]
FEW = [Step.IN_COMMIT, AT_RANDOM, Step.ROWS_WRITTEN, Step.REMEMBERED]
SOME = [*[Step.IN_COMMIT] * 14, Step.COMMITTED, Step.COMMITTED, *SIGNING * 2]
LABELS = {
    Step.WAITING: "between transactions",
    Step.BEGUN: "transaction begun, deciding and sealing",
    Step.DECIDED: "writing entries",
    Step.ROWS_WRITTEN: "entries written, writing what belongs to them",
    Step.TILES_WRITTEN: "tiles written",
    Step.BEFORE_COMMIT: "head written, before COMMIT",
    Step.IN_COMMIT: "in COMMIT",
    Step.COMMITTED: "after COMMIT, before the answer",
}


def drain(pipe, into):
    """Take what the process reports until its end; a report cut short by its death is none."""
    with suppress(EOFError, OSError):
        while True:
            into.append(pipe.recv())


def kill(process, word, when, generator):
    """Kill the process when asked to, and wait for its end."""
    deadline = time.monotonic() + 30
    if when is AT_RANDOM:
        time.sleep(generator.uniform(0, 0.12))
    elif when is Step.IN_COMMIT:  # it can't be made to stand still in there: catch it in passing
        time.sleep(generator.uniform(0, 0.05))
        while word.writer != Step.IN_COMMIT and time.monotonic() < deadline:
            pass
    else:
        while not word.stands_still and time.monotonic() < deadline:
            time.sleep(0.001)
    process.kill()
    process.join(30)
    assert process.exitcode == -9


def steps_of(place):
    """The steps inside a transaction at which its writer can be made to stand still."""
    return [step for step in CHOSEN if place.database is None or step is not Step.TILES_WRITTEN]


def run_and_kill(place, word, tag, when, generator):
    """One life and death of a writer. Returns its receipts, and the number of the last batch that it tried."""
    stop_at = when if when not in (AT_RANDOM, Step.IN_COMMIT) else Step.WAITING
    word.reset(stop_at, after=generator.randrange(2, 9))
    reports = []
    process, pipe = start(append_until_killed, place, tag, place.data / "word")
    reports.append(pipe.recv())  # it is up
    reader = threading.Thread(target=drain, args=(pipe, reports))
    reader.start()
    kill(process, word, when, generator)
    reader.join(30)
    pipe.close()
    receipts = [receipt for kind, content in reports if kind == "done" for receipt in content]
    tried = [content for kind, content in reports if kind == "trying"][-1]
    answered = sum(kind == "done" for kind, _ in reports)
    assert answered in (tried, tried + 1)
    return receipts, tried


def check_after(log, acknowledged, tag, tried, number):
    """Every promise kept; then the last batch is retried, and appends go on."""
    entries = check_whole(log)
    assert audit(log.store, log.verifier_keys).ok
    check_receipts(entries, acknowledged)
    last = [receipt for receipt in acknowledged if receipt.id.startswith(f"{tag}-{tried}-")]
    again = log.append(batch(tag, tried))
    assert len({receipt.duplicate for receipt in again}) == 1, "half of an atomic batch was recorded"
    if last:
        assert [(one.position, one.leaf_hash, one.duplicate) for one in again] == [
            (one.position, one.leaf_hash, True) for one in last
        ]
    on = log.append([requested(f"after-{tag}", id=f"after-{tag}")])
    assert on[0].position == log.head().size - 1
    acknowledged += again + on
    if number % 3 == 0:
        log.checkpoint()
    return again[0].duplicate and not last


def kill_again_and_again(place, plan, show):
    with place.create() as log:
        log.append([requested(f"shared-{number}", "M-0") for number in range(5)])
    word = Word(place.data / "word")
    generator = random.Random(len(plan))
    acknowledged, died, signing, survived = [], Counter(), Counter(), 0
    bystander = place.open()  # a process that lives on, with all its caches
    for number, when in enumerate(generator.sample(plan, len(plan))):
        tag = f"run-{number}"
        receipts, tried = run_and_kill(place, word, tag, when, generator)
        died[word.writer] += 1
        signing[word.signer] += word.signer in SIGNING
        acknowledged += receipts
        if number % 2:
            survived += check_after(bystander, acknowledged, tag, tried, number)
        else:
            with place.open() as log:
                survived += check_after(log, acknowledged, tag, tried, number)
    bystander.close()
    with place.open() as log:
        entries = check_whole(log)
        check_receipts(entries, acknowledged)
    if place.database is None:
        check_file(place.data / "studio" / "ledger.db")
    show(died, signing, survived, len(entries), len(acknowledged))
    return died


@pytest.fixture
def show(capsys):
    """Print the histogram, whatever pytest captures."""

    def show(died, signing, survived, entries, acknowledged):
        lines = [f"kill -9 during append, {died.total()} times; the writer died"]
        lines += [f"  {died[step]:3}  {label}" for step, label in LABELS.items()]
        inside = sum(died[step] for step in INSIDE)
        lines.append(f"  {inside:3}  of them inside a transaction; {signing.total()} while the signer was at work")
        lines.append(
            f"  {acknowledged:,} receipts held, {entries:,} entries audited after the last kill, none doubled; "
            f"{survived} times a batch was durable before its answer was lost"
        )
        with capsys.disabled():
            print("\n" + "\n".join(lines))  # noqa: T201 - the result that the test is run for

    return show


def test_what_was_acknowledged_survives_a_few_kills(place):
    died = kill_again_and_again(place, FEW, lambda *_: None)
    assert sum(died[step] for step in INSIDE) >= 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_was_acknowledged_survives_fifty_kills(place, show):
    steps = steps_of(place)
    plan = [*steps * 3, *SOME]
    plan += [AT_RANDOM] * (50 - len(plan))
    died = kill_again_and_again(place, plan, show)
    assert died.total() == 50
    assert sum(died[step] for step in INSIDE) >= 27
    assert all(died[step] for step in [*steps, Step.IN_COMMIT, Step.COMMITTED])
