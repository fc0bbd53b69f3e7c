"""Running projections on every kind of store: the same rows, however they came about."""

import itertools
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import catalog
from ledger.errors import StoreError
from projections.runner import Runner
from tests.contract.projections.histories import catalogue, grow, naive, quiet
from tests.support.events import estimate_changed, requested
from tests.support.projecting import contents, projection

NUMBERS = itertools.count()


# Drawn whole, before a store is opened: the threads of a connection pool draw from the module `random` too, which
# hypothesis takes for the strategy's own doing when it happens during a draw.
LIVES = st.lists(st.tuples(st.integers(1, 80), st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=3)
"""Of each of some runners that follow each other: its batch size, its bound of the cache, and the steps it takes."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(LIVES)
def test_any_batch_size_and_any_bound_of_the_cache_give_the_same_rows(places, log, lives):
    if log.head().size == 1:
        grow(log, count=150)
    store = places.open(f"store_{next(NUMBERS)}")
    for batch, cached_rows, steps in lives:  # the next one starts with no cache
        runner = Runner(log, store, projections=[projection()], batch=batch, cached_rows=cached_rows)
        runner.prepare()
        for _ in range(steps):
            runner._step("all", runner.projections, log.head().size)
    runner.catch_up()
    assert contents(runner) == naive(log)


def test_catching_up_after_every_batch_equals_a_rebuild_from_nothing(places, log):
    for seed in range(6):
        grow(log, seed, 25)
        runner = Runner(log, places.open("store"), projections=[projection()], batch=7 + seed)
        assert runner.catch_up() == log.head().size
        assert contents(runner) == naive(log)
    whole = contents(runner)
    runner.rebuild()
    assert contents(runner) == whole


def test_several_runners_on_one_store_make_the_rows_of_one(places, log):
    grow(log, count=300)
    runners = [Runner(log, places.open("store"), projections=[projection()], batch=5 + at) for at in range(3)]
    runners[0].prepare()
    threads = [threading.Thread(target=runner.catch_up) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(runners[0]) == naive(log)
    assert len(catalogue(runners[0])) == 1


def test_progress_rises_to_the_size_of_the_log(places, log):
    grow(log)
    told = []
    runner = Runner(log, places.open("store"), projections=[projection()], batch=20)
    size = runner.catch_up(lambda done, total: told.append((done, total)))
    assert [total for _, total in told] == [size] * len(told)
    done = [done for done, _ in told]
    assert done == sorted(done)
    assert done[-1] == size > done[0]
    told.clear()
    runner.catch_up(lambda done, total: told.append((done, total)))
    assert told == [(size, size)]


def test_nothing_is_written_when_there_is_nothing_new(places, log):
    runner = Runner(log, places.open("store"), projections=[projection()])
    runner.catch_up()
    with places.open("store").writing():  # nobody else can write now
        assert runner.advance() == runner.fill() == runner.catch_up() == log.head().size


@pytest.mark.parametrize("batch", [1, 100])
def test_an_entry_of_a_type_that_this_program_does_not_know_stops_everything_before_it(places, log, monkeypatch, batch):
    log.append([requested("R-1"), estimate_changed("R-1"), requested("R-2")])
    real = catalog.get

    def older(name):
        return real("unheard.of" if name == "reservation.estimate_changed" else name)

    model = quiet()
    model.handlers.pop("reservation.estimate_changed")
    monkeypatch.setattr("projections.projection.catalog.get", older)
    monkeypatch.setattr("projections.projection._VERSIONS", {})
    runner = Runner(log, places.open("store"), projections=[model], batch=batch)
    with pytest.raises(StoreError, match="can't read the entry at position 2") as refused:
        runner.catch_up()
    assert "use the version of the program" in refused.value.advice
    assert catalogue(runner) == [(1, "filling", 1)]


def test_rows_of_generations_that_others_replaced_are_not_kept_in_memory(places, log):
    grow(log)
    steady = Runner(log, places.open("store"), projections=[projection()])
    steady.catch_up()
    for seed in range(3):
        Runner(log, places.open("store"), projections=[projection()]).rebuild()
        grow(log, seed, 5)
        steady.catch_up()
    assert set(steady._kept) == {("tally", number) for number, state, _ in catalogue(steady) if state == "live"}
