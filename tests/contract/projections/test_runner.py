"""Running projections on every kind of store: the same rows however they came about, one poisoned without the others,
and generations that take each other's place."""

import random
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import catalog
from ledger.errors import Conflict, NotFound, StoreError
from ledger.event import SYSTEM
from projections import poison
from projections.projection import Projection
from projections.runner import Runner
from projections.store.protocol import Fault, Unready
from tests.contract.projections.keys import KEYS, Pair
from tests.support.events import cloud, estimate_changed, plain, requested, stage_changed
from tests.support.projecting import SEEN, STEPS, TYPES, VISITS, all_rows, contents, projection


def history(rng, reservations, count):
    """Events that may or may not be accepted: the ledger says."""
    for _ in range(count):
        name, member = f"R-{rng.randrange(reservations)}", f"M-{rng.randrange(4)}"
        yield rng.choice(
            [
                requested(name, member),
                plain("confirmed", name, member, data={"station": rng.choice("AB")}),
                plain("cancelled", name, member, data={"reason": "by-client"}),
                stage_changed(rng.choice(["drying", "stored", "picked_up"]), name, member),
                estimate_changed(name, member),
                cloud("member.registered", f"member:M-{rng.randrange(10**9)}", {"email": "a@example.org"}),
            ]
        )


def grow(log, seed=1, count=60):
    log.append(list(history(random.Random(seed), 8, count)), atomic=False)


def naive(log, version=1):
    """The rows of ``projection(version=...)``, told by entries alone and sharing no code with what is tested."""
    seen, visits, steps = {}, {}, []
    for row in log.scan():
        event = row.content().event
        if not event.type.startswith("reservation."):
            continue
        count, station = seen.get(event.stream, (0, None))[0], seen.get(event.stream, (0, None))[-1]
        seen[event.stream] = (count + version, event.type, event.public().get("station", station))
        steps.append((row.position, event.type))
        if event.member and event.type == "reservation.cancelled":
            visits.pop((event.member, event.stream), None)
        elif event.member:
            visits[event.member, event.stream] = row.position
    return {
        "seen": [(key, *seen[key]) for key in sorted(seen)],
        "visits": [(*key, visits[key]) for key in sorted(visits)],
        "steps": steps,
    }


def catalogue(runner):
    with runner.store.reading() as reads:
        return [(one.number, one.state, one.position) for one in reads.generations()]


# --- The same rows, however they came about ---------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.data())
def test_any_batch_size_and_any_bound_of_the_cache_give_the_same_rows(places, log, data):
    if log.head().size == 1:
        grow(log, count=150)
    name = f"s{data.draw(st.integers(0, 10**9))}_{random.random():.12f}".replace(".", "")
    store = places.open(name)
    for _ in range(data.draw(st.integers(1, 3))):  # the next one starts with no cache
        runner = Runner(
            log,
            store,
            projections=[projection()],
            batch=data.draw(st.integers(1, 80)),
            cached_rows=data.draw(st.integers(0, 20)),
        )
        for _ in range(data.draw(st.integers(0, 2))):
            runner._step("all", runner.projections, log.head().size)
        runner.prepare()
        for _ in range(data.draw(st.integers(0, 3))):
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
    assert done == sorted(set(done))
    assert done[-1] == size > done[0]
    told.clear()
    runner.catch_up(lambda done, total: told.append((done, total)))
    assert told == [(size, size)]


def test_nothing_is_written_when_there_is_nothing_new(places, log):
    runner = Runner(log, places.open("store"), projections=[projection()])
    runner.catch_up()
    with places.open("store").writing():  # nobody else can write now
        assert runner.advance() == runner.fill() == runner.catch_up() == log.head().size


# --- Poison -----------------------------------------------------------------------------------------------------------


def poisoned(*positions, name="tally"):
    """A projection that fails at these positions, having changed rows already."""

    def fail(work, event, seal):
        if seal.position in positions:
            work.put(SEEN, work.get(SEEN, event.stream)).count = 1_000
            raise ValueError("a thing\nunheard of")

    return projection(name, before=fail)


def quiet():
    """A projection of other tables that never fails."""
    model = Projection("quiet", version=1, tables=(KEYS,))

    @model.on(*TYPES)
    def fold(work, event, seal):
        work.add(KEYS, Pair(event.stream, seal.position))

    return model


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


# --- Generations ------------------------------------------------------------------------------------------------------


def test_a_rebuild_makes_a_new_generation_live_and_keeps_the_one_before(places, log):
    grow(log)
    runner = Runner(log, places.open("store"), projections=[projection()], batch=10)
    runner.catch_up()
    end = log.head().size - 1
    assert catalogue(runner) == [(1, "live", end)]
    whole = contents(runner)
    runner.rebuild(["tally"])
    assert catalogue(runner) == [(1, "previous", end), (2, "live", end)]
    runner.rebuild(["visits"])
    assert catalogue(runner) == [(2, "previous", end), (3, "live", end)]
    assert contents(runner) == whole


def test_until_a_rebuild_is_done_the_live_rows_are_read_and_kept_up(places, log):
    grow(log)
    runner = Runner(log, places.open("store"), projections=[projection()], batch=10)
    keeper = Runner(log, places.open("store"), projections=[projection()])
    runner.catch_up()
    seen = []

    def meanwhile(done, total):
        if done < total:
            grow(log, done, 5)
            keeper.advance()
            seen.append(contents(keeper) == naive(log))

    runner.rebuild(progress=meanwhile)
    assert seen
    assert all(seen)
    live = catalogue(runner)[-1]
    assert live == (2, "live", log.head().size - 1)
    assert contents(keeper) == naive(log)


def test_a_rebuild_that_was_cut_short_is_gone_on_with(places, log):
    grow(log)
    runner = Runner(log, places.open("store"), projections=[projection()], batch=10)
    runner.catch_up()

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.rebuild(progress=stop)
    end = log.head().size - 1
    assert catalogue(runner) == [(1, "live", end), (2, "filling", 9)]
    other = Runner(log, places.open("store"), projections=[projection()], batch=10)
    other.advance()
    assert catalogue(other)[1] == (2, "filling", 9)
    other.catch_up()
    assert catalogue(other) == [(1, "previous", end), (2, "live", end)]
    assert contents(other) == naive(log)


def test_a_rebuild_takes_the_place_of_one_that_is_under_way(places, log):
    grow(log)
    runner, other = (Runner(log, places.open("store"), projections=[projection()], batch=10) for _ in range(2))

    def begin_another(done, total):
        if done < 20:
            other.rebuild()

    with pytest.raises(Conflict):
        runner.rebuild(progress=begin_another)
    assert catalogue(runner) == [(2, "live", log.head().size - 1)]
    assert contents(runner) == naive(log)


def test_changed_code_is_rebuilt_by_itself_while_the_old_rows_are_read(places, log):
    grow(log)
    old = Runner(log, places.open("store"), projections=[projection()])
    old.catch_up()
    before, end = contents(old), log.head().size - 1
    new = Runner(log, places.open("store"), projections=[projection(version=2)])
    new.prepare()
    assert catalogue(new) == [(1, "live", end), (2, "filling", -1)]
    assert contents(new) == before
    grow(log, 2)
    new.advance()  # the old rows are not for this code to go on with
    assert catalogue(new)[0] == (1, "live", end)
    new.fill()
    end = log.head().size - 1
    assert catalogue(new)[-1] == (2, "live", end)
    assert contents(new) == naive(log, version=2)


def test_an_old_release_that_comes_back_finds_its_rows_at_once(places, log):
    grow(log)
    old, new = (Runner(log, places.open("store"), projections=[projection(version=version)]) for version in (1, 2))
    old.catch_up()
    new.catch_up()
    old.prepare()
    assert [state for _, state, _ in catalogue(old)] == ["live", "previous"]
    grow(log, 2)
    old.catch_up()
    assert contents(old) == naive(log)


def test_two_releases_at_work_side_by_side_do_not_undo_each_other(places, log):
    grow(log)
    old, new = (Runner(log, places.open("store"), projections=[projection(version=version)]) for version in (1, 2))
    old.catch_up()
    new.catch_up()
    for seed in range(3):
        grow(log, seed)
        old.advance()
        old.fill()
        new.advance()
    assert catalogue(old)[1] == (2, "live", log.head().size - 1)


def test_going_back_is_instant_and_can_be_undone(places, log):
    grow(log)
    old, new = (Runner(log, places.open("store"), projections=[projection(version=version)]) for version in (1, 2))
    old.catch_up()
    new.catch_up()
    after, end = contents(new), log.head().size - 1
    (live,) = new.roll_back()
    assert (live.number, live.state) == (1, "live")
    assert contents(new) == naive(log)
    new.catch_up()  # what was withdrawn is not brought back by the code that made it
    assert catalogue(new) == [(1, "live", end), (2, "withdrawn", end)]
    new.roll_back(["tally"])
    assert catalogue(new) == [(1, "previous", end), (2, "live", end)]
    assert contents(new) == after
    new.roll_back()
    later = Runner(log, places.open("store"), projections=[projection(version=3)])
    later.catch_up()
    assert catalogue(later) == [(1, "previous", end), (3, "live", end)]


def test_after_going_back_to_rows_of_the_same_code_they_are_kept_up(places, log):
    grow(log)
    runner = Runner(log, places.open("store"), projections=[projection()])
    runner.catch_up()
    runner.rebuild()
    grow(log, 2)
    runner.catch_up()
    runner.roll_back()
    runner.catch_up()
    assert catalogue(runner)[0] == (1, "live", log.head().size - 1)
    assert contents(runner) == naive(log)


def test_there_is_nothing_to_go_back_to_before_the_first_rebuild(places, log):
    runner = Runner(log, places.open("store"), projections=[projection()])
    runner.catch_up()
    with pytest.raises(Conflict, match="no generation of tally to go back to"):
        runner.roll_back()


def test_a_projection_there_isnt_is_refused_with_the_nearest_name(places, log):
    runner = Runner(log, places.open("store"), projections=[projection()])
    for act in (runner.rebuild, runner.roll_back, runner.retry):
        with pytest.raises(NotFound) as refused:
            act(["visit"])
        assert refused.value.advice == "did you mean visits?"


def test_an_entry_of_a_type_that_this_program_does_not_know_stops_everything_before_it(places, log, monkeypatch):
    log.append([requested("R-1"), estimate_changed("R-1"), requested("R-2")])
    real = catalog.get

    def older(name):
        return real("unheard.of" if name == "reservation.estimate_changed" else name)

    model = quiet()
    model.handlers.pop("reservation.estimate_changed")
    monkeypatch.setattr("projections.projection.catalog.get", older)
    runner = Runner(log, places.open("store"), projections=[model])
    with pytest.raises(StoreError, match="can't read the entry at position 2") as refused:
        runner.catch_up()
    assert "use the version of the program" in refused.value.advice
    assert catalogue(runner) == [(1, "filling", 1)]
