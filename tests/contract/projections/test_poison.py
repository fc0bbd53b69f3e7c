"""An event that a projection can't fold, on every kind of store: it stops there, alone, and there is a way on."""

import pytest

from ledger.errors import StoreError
from ledger.event import SYSTEM
from projections import poison
from projections.projection import Projection
from projections.runner import Runner
from projections.store.protocol import Fault, Unready
from tests.contract.projections.histories import catalogue, naive, quiet
from tests.support.events import cloud, estimate_changed, requested
from tests.support.projecting import SEEN, STEPS, all_rows, contents, projection


def poisoned(*positions, name="tally"):
    """A projection that fails at these positions, having changed rows already."""

    def fail(work, event, seal):
        if seal.position in positions:
            work.put(SEEN, work.get(SEEN, event.stream)).count = 1_000
            raise ValueError("a thing\nunheard of")

    return projection(name, before=fail)


@pytest.mark.parametrize("batch", [1, 7, 1_000])
def test_a_poison_event_stops_its_projection_just_before_it_and_no_other(places, log, batch):
    log.append([requested(f"R-{number}") for number in range(40)])
    runner = Runner(log, places.open("store"), projections=[poisoned(23, 30), quiet()], batch=batch)
    with pytest.raises(Unready):
        contents(runner)
    runner.catch_up()
    with runner.store.reading() as reads:
        tally, quiet_one = sorted(reads.generations(), reverse=True)
        assert (tally.position, tally.fault) == (22, Fault(23, "ValueError: a thing unheard of"))
        assert runner._holds(tally)
        assert (quiet_one.position, quiet_one.fault, quiet_one.state) == (40, None, "live")
        rows = {"seen": all_rows(reads, SEEN, 1), "steps": all_rows(reads, STEPS, 1)}
    assert rows == {
        "seen": [(f"reservation:R-{at}", 1, "reservation.requested", None) for at in sorted(range(22), key=str)],
        "steps": [(position, "reservation.requested") for position in range(1, 23)],
    }


@pytest.mark.parametrize("batch", [1, 7, 1_000])
def test_one_that_is_given_batches_stops_just_before_the_event_it_fails_at_and_goes_on_when_that_is_skipped(
    places, log, batch
):
    log.append([requested(f"R-{number}") for number in range(40)])
    model = Projection("steps", version=1, tables=(STEPS,))

    @model.on_all
    def fold(work, batch):
        for one in batch:
            work.put(STEPS, STEPS.make((one.seal.position, one.event.type)))
        if any(one.seal.position == 23 for one in batch):
            raise ValueError("unheard of")

    runner = Runner(log, places.open("store"), projections=[model, quiet()], batch=batch)
    runner.catch_up()
    with runner.store.reading() as reads:
        (stopped,) = [one for one in reads.generations() if one.projection == "steps"]
        assert (stopped.position, stopped.fault) == (22, Fault(23, "ValueError: unheard of"))
        assert [position for position, _ in all_rows(reads, STEPS, 1)] == list(range(23))
    skip(log, 23, name="steps")
    runner.retry(["steps"])
    runner.catch_up()
    with runner.store.reading() as reads:
        kept = [position for position, _ in all_rows(reads, STEPS)]
    assert kept == [position for position in range(42) if position != 23]


def test_a_live_projection_that_stops_stays_readable_and_the_log_goes_on(places, log):
    log.append([requested("R-1")])
    runner = Runner(log, places.open("store"), projections=[poisoned(3), quiet()])
    runner.catch_up()
    log.append([estimate_changed("R-1"), estimate_changed("R-1"), estimate_changed("R-1")])
    runner.catch_up()
    runner.catch_up()
    with runner.store.reading() as reads:
        assert all_rows(reads, SEEN) == [("reservation:R-1", 2, "reservation.estimate_changed", None)]
        assert [(one.position, one.fault and one.fault.position) for one in reads.generations()] == [(4, None), (2, 3)]


def test_a_retry_of_what_still_fails_stops_again_and_of_what_is_mended_goes_on(places, log):
    log.append([requested(f"R-{number}") for number in range(10)])
    broken = Runner(log, places.open("store"), projections=[poisoned(5)])
    broken.catch_up()
    stopped = broken.retry(["tally"])
    assert [one.fault.position for one in stopped] == [5]
    broken.catch_up()
    assert broken.retry(["seen"]) == stopped
    mended = Runner(log, places.open("store"), projections=[projection()])
    mended.catch_up()
    assert contents(mended) == naive(log)
    assert mended.retry() == []


def skip(log, position, version=1, name="tally"):
    """Record that an event is left out."""
    data = {"asked_by": "owner", "position": position, "projection_version": version, "reason": "known-fault"}
    log.append([cloud("projection.skipped", f"projection:{name}", data)], SYSTEM)


def test_a_skipped_event_is_left_out_where_it_fails_also_in_a_rebuild_and_nowhere_else(places, log):
    pytest.importorskip("ledger.catalog.projection")
    log.append([requested(f"R-{number}") for number in range(10)])
    runner = Runner(log, places.open("store"), projections=[poisoned(5, 8)])
    runner.catch_up()
    skip(log, 5)
    skip(log, 8, version=2)  # another version's
    skip(log, 2)  # which does not fail
    for again in (runner.retry, runner.rebuild):
        again()
        runner.catch_up()
        with runner.store.reading() as reads:
            last = reads.generations()[-1]
            assert (last.position, last.fault.position) == (7, 8)
            assert [row[0] for row in all_rows(reads, STEPS, last.number)] == [1, 2, 3, 4, 6, 7]
    skip(log, 8)
    runner.retry()
    runner.catch_up()
    with runner.store.reading() as reads:
        assert [row[0] for row in all_rows(reads, STEPS)] == [1, 2, 3, 4, 6, 7, 9, 10]


@pytest.mark.parametrize("batch", [1, 6, 1_000])
def test_rows_that_the_database_refuses_stop_their_projection_at_the_event_that_made_them(places, log, batch):
    def twice(work, event, seal):
        if seal.position == 17:
            work.add(STEPS, type(STEPS.make((3, "t")))(3, "a key that is there"))

    log.append([requested(f"R-{number}") for number in range(30)])
    runner = Runner(log, places.open("store"), projections=[projection(before=twice), quiet()], batch=batch)
    runner.catch_up()
    with runner.store.reading() as reads:
        (_, tally) = reads.generations()
        assert (tally.position, tally.fault.position) == (16, 17)
        assert tally.fault.reason.startswith("RowsRefused: ")
        assert [row[0] for row in all_rows(reads, STEPS, 1)] == list(range(1, 17))


def test_a_handler_that_fails_for_want_of_the_store_is_not_blamed(places, log):
    log.append([requested("R-1"), requested("R-2")])

    def away(work, event, seal):
        raise StoreError("the database is away")

    runner = Runner(log, places.open("store"), projections=[projection(before=away), quiet()])
    with pytest.raises(StoreError, match="is away"):
        runner.catch_up()
    assert {position for _, _, position in catalogue(runner)} == {-1}
    again = Runner(log, runner.store, projections=[projection()])
    again.catch_up()
    assert contents(again) == naive(log)


def test_a_reason_is_one_line_of_bounded_length():
    assert poison.describe(KeyError("window")) == "KeyError: 'window'"
    assert poison.describe(ValueError()) == "ValueError"
    assert len(poison.describe(ValueError("x\n" * 5_000))) <= 500
