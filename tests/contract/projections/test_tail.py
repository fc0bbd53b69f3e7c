"""The live tail on every kind of store: soon after a commit rows are there, whoever folds them, whatever fails."""

import time
from concurrent.futures import CancelledError
from contextlib import contextmanager

import pytest

from ledger.errors import StoreError
from ledger.log import Log
from projections.runner import Runner
from projections.store.protocol import Unready
from projections.tail import Tail
from tests.contract.projections.histories import Killed, catalogue, grow, naive, quiet
from tests.support.events import estimate_changed, requested
from tests.support.projecting import SEEN, all_rows, contents, projection

WAIT = 20


@contextmanager
def tailing(log, places, *models, told=None, name="store"):
    tail = Tail(
        log,
        lambda: places.open(name),
        (told if told is not None else []).append,
        projections=models or (projection(),),
    )
    try:
        yield tail
    finally:
        tail.close()


def reach(tail, log, name="tally"):
    """Wait until the rows hold what the log holds now."""
    tail.when(name, log.head().size - 1).result(WAIT)


def rows_of(tail):
    with tail.reading() as reads:
        return {table.name: all_rows(reads, table) for model in tail.projections for table in model.tables}


def until(condition):
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_is_appended_is_folded_soon_after(places, log):
    with tailing(log, places) as tail:
        for seed in range(5):
            grow(log, seed, 12)
            reach(tail, log)
            assert rows_of(tail) == naive(log)
        log.append([requested("R-last")])
        until(lambda: rows_of(tail) == naive(log))  # with nobody waiting for it


def test_the_first_rows_are_filled_beside_the_log_s_growth(places, log):
    grow(log, count=400)
    told = []
    with tailing(log, places, told=told) as tail:
        log.append([requested("R-meanwhile")])
        reach(tail, log)
        assert rows_of(tail) == naive(log)
    assert told == []


def test_a_wait_for_what_does_not_come_ends_when_it_is_given_up_or_the_tail_closed(places, log):
    with tailing(log, places) as tail:
        first, second = tail.when("tally", 10_000), tail.when("nothing", 0)
        with pytest.raises(TimeoutError):
            first.result(0.1)
        assert first.cancel()
        reach(tail, log)
        assert len(tail._waiting) == 1
    with pytest.raises(CancelledError):
        second.result(WAIT)


def test_changed_code_is_rebuilt_in_the_background_while_the_old_rows_are_read(places, log):
    grow(log)
    Runner(log, places.open("store"), projections=[projection()]).catch_up()
    old = naive(log)
    began = []

    def slowly(work, event, seal):
        began.append(seal.position)
        time.sleep(0.005)

    with tailing(log, places, projection(version=2, before=slowly)) as tail:
        until(lambda: began)
        assert rows_of(tail) == old
        grow(log, 2, 10)
        until(lambda: rows_of(tail) == naive(log, version=2))
        with tail.reading() as reads:
            assert [(one.version, one.state) for one in reads.generations()] == [(1, "previous"), (2, "live")]


def test_an_operator_s_rebuild_in_another_process_is_taken_over_when_it_is_live(places, log):
    grow(log)
    with tailing(log, places) as tail:
        reach(tail, log)
        other = Runner(log, places.open("store"), projections=[projection()], batch=10)
        other.rebuild()
        grow(log, 2)
        reach(tail, log)
        assert catalogue(other)[-1] == (2, "live", log.head().size - 1)
        assert rows_of(tail) == naive(log)


def test_a_rebuild_that_somebody_left_unfinished_is_finished(places, log, monkeypatch):
    monkeypatch.setattr("projections.tail.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("projections.tail.FILL_PATIENCE_SECONDS", 0.2)
    grow(log)
    runner = Runner(log, places.open("store"), projections=[projection()], batch=10)
    runner.catch_up()
    with tailing(log, places) as tail:

        def stop(done, total):
            raise Killed

        with pytest.raises(Killed):
            runner.rebuild(progress=stop)
        until(lambda: catalogue(runner)[-1] == (2, "live", log.head().size - 1))
        assert rows_of(tail) == naive(log)


def test_two_tails_on_one_store_give_the_rows_of_one_and_answer_both(places, tmp_path, log):
    with Log.open(tmp_path / "data", "studio") as again, tailing(log, places) as one, tailing(again, places) as two:
        for seed in range(6):
            grow(log if seed % 2 else again, seed, 10)
            reach(one, log)
            reach(two, log)
            assert rows_of(one) == rows_of(two) == naive(log)


def test_when_the_process_that_folds_is_gone_another_takes_over(places, tmp_path, log):
    with Log.open(tmp_path / "data", "studio") as again, tailing(again, places) as two:
        with tailing(log, places) as one:
            grow(log)
            reach(one, log)
        grow(log, 2)
        reach(two, log)
        assert rows_of(two) == naive(log)


def test_a_projection_that_stops_is_told_once_and_goes_on_after_a_retry(places, log):
    broken = [True]

    def fail(work, event, seal):
        if seal.position == 3 and broken:
            raise ValueError("unheard of")

    told = []
    with tailing(log, places, projection(before=fail), quiet(), told=told) as tail:
        reach(tail, log)
        log.append([requested("R-1"), estimate_changed("R-1"), estimate_changed("R-1")])
        reach(tail, log, "quiet")
        until(lambda: told)
        log.append([estimate_changed("R-1")])
        reach(tail, log, "quiet")
        assert told == ["the projection tally has stopped at position 3: ValueError: unheard of"]
        with tail.reading() as reads:
            assert all_rows(reads, SEEN)[0][1] == 2
        broken.clear()
        Runner(log, places.open("store"), projections=tail.projections).retry()
        reach(tail, log)
        assert rows_of(tail)["seen"] == naive(log)["seen"]
        log.append([requested("R-2")])
        reach(tail, log)
    assert len(told) == 1


def test_rows_that_had_stopped_are_not_told_of_again_when_others_take_their_place(places, log):
    broken = [True]

    def fail(work, event, seal):
        if seal.position == 3 and broken:
            raise ValueError("unheard of")

    log.append([requested("R-1"), estimate_changed("R-1")])
    model, told = projection(before=fail), []
    with tailing(log, places, model, told=told) as tail:
        reach(tail, log)
        log.append([estimate_changed("R-1")])
        until(lambda: told)
        broken.clear()
        Runner(log, places.open("store"), projections=[model]).rebuild()
        reach(tail, log)
        log.append([estimate_changed("R-1")])
        reach(tail, log)
    assert told == ["the projection tally has stopped at position 3: ValueError: unheard of"]


def test_a_store_that_fails_for_a_time_is_told_once_and_tried_until_it_works(places, log, monkeypatch):
    monkeypatch.setattr("projections.tail.RETRY_SECONDS", 0.02)
    monkeypatch.setattr("projections.tail.OPEN_SECONDS", WAIT)
    away = [True]
    told = []

    def opened():
        if away:
            raise StoreError("the database is away")
        return places.open("store")

    tail = Tail(log, opened, told.append, projections=(projection(),))
    try:
        until(lambda: told)
        asked = time.monotonic()
        with pytest.raises(Unready), tail.reading():
            pass
        assert time.monotonic() - asked < WAIT / 2, "a store that fails is not waited for"
        time.sleep(0.1)
        away.clear()
        reach(tail, log)
        assert told == ["projections can't be kept up: the database is away"]
    finally:
        tail.close()


def test_closing_ends_the_threads_also_in_the_middle_of_a_fill(places, log):
    grow(log, count=300)

    def slowly(work, event, seal):
        time.sleep(0.001)

    tail = Tail(log, lambda: places.open("store"), [].append, projections=(projection(before=slowly),))
    time.sleep(0.1)
    tail.close()
    tail.close()
    assert not any(thread.is_alive() for thread in tail._threads)
    runner = Runner(log, places.open("store"), projections=[projection()])
    runner.catch_up()
    assert contents(runner) == naive(log)
