"""Generations on every kind of store: how they take each other's place while the rows are read and kept up."""

import pytest

from ledger.errors import Conflict, NotFound, StoreLocked
from projections import generations
from projections.entries import read_entries
from projections.runner import LOCKED_TRIES, Runner
from tests.contract.projections.histories import Killed, catalogue, grow, naive, quiet
from tests.support.projecting import contents, projection


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


@pytest.mark.parametrize("stride", [1, 2])
def test_a_rebuild_that_was_cut_short_is_gone_on_with(places, log, stride):
    grow(log)
    runner = Runner(log, places.open("store"), projections=[projection()], batch=10, stride=stride)
    runner.catch_up()

    def stop(done, total):
        if done >= 10:
            raise Killed

    with pytest.raises(Killed):
        runner.rebuild(progress=stop)
    end = log.head().size - 1
    assert catalogue(runner) == [(1, "live", end), (2, "filling", 10 * stride - 1)]
    other = Runner(log, places.open("store"), projections=[projection()], batch=10)
    other.advance()
    assert catalogue(other)[1] == (2, "filling", 10 * stride - 1)
    other.catch_up()
    assert catalogue(other) == [(1, "previous", end), (2, "live", end)]
    assert contents(other) == naive(log)


def ends(kind):
    """A progress that ends the rebuild after its first batch."""

    def stop(done, total):
        if 10 <= done < total:
            raise kind

    return stop


def with_a_killed_rebuild(places, log, models):
    """A runner whose rebuild of all was killed after its first batch."""
    grow(log)
    runner = Runner(log, places.open("store"), projections=models, batch=10, stride=1)
    runner.catch_up()
    with pytest.raises(Killed):
        runner.rebuild(progress=ends(Killed))
    return runner


def test_ctrl_c_in_a_rebuild_leaves_the_live_rows_and_nothing_else(places, log):
    grow(log)
    runner = Runner(log, places.open("store"), projections=[projection()], batch=10, stride=1)
    runner.catch_up()
    before, tables = catalogue(runner), places.tables("store")
    with pytest.raises(KeyboardInterrupt):
        runner.rebuild(progress=ends(KeyboardInterrupt))
    assert catalogue(runner) == before
    assert places.tables("store") == tables
    assert contents(runner) == naive(log)


def test_ctrl_c_in_the_first_build_leaves_it_to_be_gone_on_with(places, log):
    grow(log)
    runner = Runner(log, places.open("store"), projections=[projection()], batch=10, stride=1)
    with pytest.raises(KeyboardInterrupt):
        runner.rebuild(progress=ends(KeyboardInterrupt))
    assert [state for _, state, _ in catalogue(runner)] == ["filling"]
    runner.catch_up()
    assert contents(runner) == naive(log)


def test_ctrl_c_in_a_rebuild_leaves_one_that_another_has_begun_since(places, log):
    grow(log)
    runner, other = (Runner(log, places.open("store"), projections=[projection()], batch=10, stride=1) for _ in "ab")
    runner.catch_up()

    def replaced(done, total):
        if catalogue(other)[-1][0] == 2:
            with pytest.raises(Killed):
                other.rebuild(progress=ends(Killed))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.rebuild(progress=replaced)
    assert [one[:2] for one in catalogue(runner)] == [(1, "live"), (3, "filling")]


def test_what_a_killed_rebuild_left_is_dropped_by_the_next(places, log):
    runner = with_a_killed_rebuild(places, log, [projection()])
    runner.rebuild()
    end = log.head().size - 1
    assert catalogue(runner) == [(1, "previous", end), (3, "live", end)]
    assert not [name for name in places.tables("store") if "__g2" in name]


def test_what_a_killed_rebuild_of_all_left_is_finished_by_one_of_some_once_its_own_are_live(places, log):
    models = [projection(), quiet()]
    with_a_killed_rebuild(places, log, models)
    seen = []
    other = Runner(log, places.open("store"), projections=models, batch=10, stride=1)
    rebuilt = other.rebuild(["tally"], lambda done, total: seen.append(catalogue(other)))
    end = log.head().size - 1
    assert catalogue(other) == [(1, "previous", end), (2, "live", end), (1, "previous", end), (3, "live", end)]
    assert any(found[1][1] == "filling" and found[-1] == (3, "live", end) for found in seen)
    assert (rebuilt.size, [one.name for one in rebuilt.resumed]) == (end + 1, ["quiet"])
    assert other.rebuild(["tally"]).resumed == []


def test_what_another_is_filling_meanwhile_is_left_to_it(places, log):
    grow(log)
    models = [projection(), quiet()]
    runner, other = (Runner(log, places.open("store"), projections=models, batch=10, stride=1) for _ in "ab")
    runner.catch_up()
    with pytest.raises(Killed):
        runner.rebuild(["quiet"], ends(Killed))

    def meanwhile(done, total):
        if catalogue(runner)[1] == (2, "filling", 9):
            other._step("filling", models[1:], log.head().size)

    assert runner.rebuild(["tally"], meanwhile).resumed == []
    assert catalogue(runner)[1] == (2, "filling", 19)


def test_a_first_build_that_was_killed_is_finished_by_a_rebuild_of_some_too(places, log):
    grow(log)
    models = [projection(), quiet()]
    runner = Runner(log, places.open("store"), projections=models, batch=10, stride=1)
    with pytest.raises(Killed):
        runner.rebuild(progress=ends(Killed))
    runner.rebuild(["tally"])
    end = log.head().size - 1
    assert catalogue(runner) == [(1, "live", end), (2, "live", end)]


def test_ctrl_c_while_a_rebuild_finishes_what_another_left_leaves_its_own_live(places, log):
    runner = with_a_killed_rebuild(places, log, [projection(), quiet()])

    def stop(done, total):
        if catalogue(runner)[-1][:2] == (3, "live"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.rebuild(["tally"], stop)
    states = [(number, state) for number, state, _ in catalogue(runner)]
    assert states == [(1, "live"), (2, "filling"), (1, "previous"), (3, "live")]


def test_a_rebuild_that_falls_far_behind_a_growing_log_reads_it_batch_by_batch(places, log, monkeypatch):
    grow(log)
    runner = Runner(log, places.open("store"), projections=[projection()], batch=10, stride=1)
    keeper = Runner(log, places.open("store"), projections=[projection()], batch=10)
    runner.catch_up()
    read = []

    def counted(source, first, last):
        found = read_entries(source, first, last)
        read.append(len(found.read))
        return found

    def meanwhile(done, total):
        if log.head().size < 300:
            grow(log, done, 40)
            keeper.advance()

    monkeypatch.setattr("projections.runner.read_entries", counted)
    runner.rebuild(progress=meanwhile)
    assert catalogue(runner)[-1] == (2, "live", log.head().size - 1)
    assert contents(runner) == naive(log)
    assert max(read) <= 2 * 10


@pytest.mark.parametrize("times", [2, LOCKED_TRIES])
def test_a_rebuild_whose_switch_a_reader_holds_up_tries_again_before_it_gives_up(places, log, monkeypatch, times):
    grow(log)
    runner = Runner(log, places.open("store"), projections=[projection()], batch=10)
    runner.catch_up()
    really, locked = generations.finish, [StoreLocked("a report reads the view")] * times

    def finish(writes, model, generation):
        really(writes, model, generation)
        if locked:
            raise locked.pop()

    monkeypatch.setattr(generations, "finish", finish)
    end = log.head().size - 1
    if times < LOCKED_TRIES:
        runner.rebuild()
        assert catalogue(runner) == [(1, "previous", end), (2, "live", end)]
    else:
        with pytest.raises(StoreLocked):
            runner.rebuild()
        assert [one[:2] for one in catalogue(runner)] == [(1, "live"), (2, "filling")]
    assert contents(runner) == naive(log)


def test_a_rebuild_takes_the_place_of_one_that_is_under_way(places, log):
    grow(log)
    runner, other = (Runner(log, places.open("store"), projections=[projection()], batch=10) for _ in range(2))

    def begin_another(done, total):
        if catalogue(other) == [(1, "filling", -1)]:
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
