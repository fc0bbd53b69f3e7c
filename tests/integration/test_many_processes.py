"""Several processes, and several threads of each, append to one ledger: one order, no gaps, no forks, no doubles."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from ledger.audit import audit
from ledger.errors import IdConflict, LifecycleRefused, VersionConflict
from ledger.flush import Receipt
from tests.integration.children import append_mixed, start
from tests.support.events import estimate_changed, plain, requested
from tests.support.whole import check_file, check_receipts, check_whole

PROCESSES = 4


@pytest.fixture
def log(place):
    with place.create() as log:
        yield log


def write_together(place, seconds):
    """Four processes append for so long; what each was told."""
    children = [start(append_mixed, place, f"p{number}", seconds) for number in range(PROCESSES)]
    for _, pipe in children:
        assert pipe.recv() == "ready"
    for _, pipe in children:
        pipe.send("go")
    told = []
    for process, pipe in children:
        assert pipe.poll(seconds + 60), "it does not come to its end"
        told.append(pipe.recv())
        process.join(30)
        assert process.exitcode == 0
    return told


def check_told(entries, told):
    """Everything told is true, and the log holds nothing else."""
    for one in told:
        assert not any(receipt.duplicate for receipt in [*one.own, *one.won])
        assert one.repeated > 0
        check_receipts(entries, [*one.own, *one.common, *one.won])
    new = [one.id for report in told for one in [*report.own, *report.common, *report.won] if not one.duplicate]
    assert len(new) == len(set(new)) == len(entries) - 1, "nothing lost, nothing doubled"
    # An event that all post is new to one of them, and every other gets that one's receipt.
    common = {}
    for report in told:
        for receipt in report.common:
            common.setdefault(receipt.id, []).append(receipt)
    for receipts in common.values():
        assert len({receipt.position for receipt in receipts}) == 1
        assert sum(not receipt.duplicate for receipt in receipts) == 1
    assert max(map(len, common.values())) == PROCESSES
    # Of those who expected the same version of one stream, one at most was right.
    won = [(receipt.stream, receipt.version) for report in told for receipt in report.won]
    assert len(won) == len(set(won))
    lost = [one for report in told for one in report.lost]
    assert all(expected != actual for expected, actual in lost)
    assert won
    assert lost, "they never raced"


@pytest.mark.parametrize(
    "seconds", [2, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(600)])], ids=["briefly", "a minute"]
)
def test_four_processes_on_shared_and_own_streams_make_one_true_history(place, log, seconds):
    told = write_together(place, seconds)
    entries = check_whole(log)
    check_told(entries, told)
    with place.open() as fresh:
        assert audit(fresh.store, fresh.verifier_keys).ok
    if place.database is None:
        check_file(place.data / "studio" / "ledger.db")
    else:
        with psycopg.connect(place.database) as connection:
            found = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            assert found.fetchone() == (0,)


def test_threads_of_one_log_make_one_true_history(log):
    log.append([requested(f"S-{number}", f"M-{number}") for number in range(4)])

    def work(tag):
        receipts = []
        for number in range(40):
            stream = number % 4
            batch = [
                estimate_changed(f"S-{stream}", f"M-{stream}", id=f"{tag}-{number}-{part}", data={"notes": tag})
                for part in range(2)
            ]
            receipts += log.append(batch)
            receipts += log.append([estimate_changed("S-0", "M-0", id=f"common-{number}", data={"notes": "same"})])
        return receipts

    with ThreadPoolExecutor(8) as pool:
        results = [future.result() for future in [pool.submit(work, f"t{one}") for one in range(8)]]
    entries = check_whole(log)
    for receipts in results:
        check_receipts(entries, receipts)
    assert len(entries) == 1 + 4 + 8 * 40 * 2 + 40
    assert Counter(receipt.duplicate for receipts in results for receipt in receipts)[True] == 7 * 40


@pytest.mark.parametrize("handles", ["one log", "two logs"])
def test_of_many_who_expect_the_same_version_exactly_one_wins_each_time(place, log, handles):
    log.append([requested("race")])
    with place.open() as second:
        logs = [log, log if handles == "one log" else second]
        for version in range(1, 21):
            barrier = threading.Barrier(6)

            def bet(one, version=version, barrier=barrier):
                barrier.wait()
                event = estimate_changed("race", id=f"{version}-{one}", expectedversion=version)
                return logs[one % 2].append([event], atomic=False)[0]

            with ThreadPoolExecutor(6) as pool:
                outcomes = list(pool.map(bet, range(6)))
            assert [type(outcome) for outcome in outcomes].count(Receipt) == 1
            for outcome in outcomes:
                if not isinstance(outcome, Receipt):
                    assert isinstance(outcome, VersionConflict)
                    assert (outcome.expected, outcome.actual) == (version, version + 1)
        check_whole(log)


def test_a_log_sees_what_another_process_did_to_its_streams_before_it_decides(place, log):
    """Caches of heads, ids and data keys end where another writer's entries begin."""
    with place.open() as other:
        receipts = log.append([requested("R-1", id="a"), plain("confirmed", id="b")])
        receipts += other.append([plain("cancelled", id="c", data={"notes": "by phone"})])
        with pytest.raises(LifecycleRefused):
            log.append([plain("waitlisted", id="d")])
        assert log.append([plain("cancelled", id="c", data={"notes": "by phone"})])[0].position == 3
        with pytest.raises(IdConflict):
            log.append([plain("cancelled", id="c", data={"notes": "by letter"})])
        receipts += other.append([requested("R-2", "M-2", id="e")])
        receipts += log.append([requested("R-3", "M-2", id="f"), plain("confirmed", "R-2", "M-2", id="g")])
        receipts += other.append([plain("cancelled", "R-3", "M-2", id="h", data={"notes": "again"})])
        check_receipts(check_whole(log), receipts)
        check_receipts(check_whole(other), receipts)


def test_a_member_that_was_nobody_s_before_gets_a_data_key_of_their_own(log):
    """An event about nobody and one about a new member share a stream, never a key."""
    log.append([requested("R-1", member=None, data={"notes": "about nobody"})])
    log.append([estimate_changed("R-1", member="M-new", data={"notes": "about somebody"})])
    assert [values.get("notes") for values in log.disclose(list(log.scan()))][1:] == ["about nobody", "about somebody"]


def test_a_flush_of_requests_that_fail_and_requests_that_do_not_keeps_them_apart(log):
    """Requests of many callers share a transaction, and nothing else."""
    log.append([requested("R-1"), plain("cancelled", "R-1")])

    def ask(number):
        if number % 3 == 0:
            batch = [requested(f"new-{number}", f"M-{number}", id=f"n{number}"), plain("confirmed", "R-1")]
        elif number % 3 == 1:
            batch = [estimate_changed(f"absent-{number}")]
        else:
            batch = [requested(f"good-{number}", f"M-{number - 2}", id=f"n{number - 2}-good")]
        try:
            return log.append(batch)
        except LifecycleRefused as error:
            return error

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(ask, range(120)))
    entries = check_whole(log)
    assert len(entries) == 3 + 40
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, list) == (number % 3 == 2)
        if number % 3 == 0:
            assert outcome.index == 1
    check_receipts(entries, [receipt for outcome in outcomes[2::3] for receipt in outcome])
