"""Checking the state on every kind of store: rows beside what the log makes of them, whatever befell a fold."""

import pytest

from ledger.errors import NotFound
from projections import attest
from projections.replay import Prefix
from projections.runner import Runner
from tests.contract.projections.histories import quiet
from tests.contract.projections.test_poison import poisoned, skip
from tests.support.events import requested
from tests.support.projecting import projection


def checked(log, store, tmp_path, models, at=None):
    return attest.check(log, store, tmp_path / "scratch.db", at, projections=models)


def test_rows_equal_to_what_the_log_makes_of_them_are_confirmed(places, log, tmp_path):
    log.append([requested("R-1"), requested("R-2")])
    models = [projection(), quiet()]
    runner = Runner(log, places.open("store"), projections=models)
    attest.attest(log, runner)
    runner.catch_up()
    found = checked(log, runner.store, tmp_path, models)
    assert found.ok
    assert [(one.position, one.name, one.against) for one in found.compared] == [
        (2, "quiet", "attested"),
        (2, "tally", "attested"),
        (3, "quiet", "live"),
        (3, "tally", "live"),
    ]


def test_what_was_decided_to_be_skipped_later_is_left_out_where_rows_are_checked_too(places, log, tmp_path):
    log.append([requested(f"R-{number}") for number in range(4)])
    models = [poisoned(2), quiet()]
    skip(log, 2)  # at position 5
    before = Prefix(log, 4)
    with Runner(before, places.open("store"), projections=models, decisions=log) as runner:
        runner.catch_up()  # live rows on their way, before the entry that says so
        assert checked(log, runner.store, tmp_path, models).ok


@pytest.mark.parametrize("attested", [False, True])
def test_rows_that_the_log_does_not_come_to_any_more_differ_at_the_event_that_is_not_folded(
    places, log, tmp_path, attested
):
    log.append([requested(f"R-{number}") for number in range(4)])
    runner = Runner(log, places.open("store"), projections=[projection(), quiet()])
    if attested:
        attest.attest(log, runner)
        with runner.store.writing() as writes:
            for one in writes.generations():
                writes.drop(one)
    else:
        runner.catch_up()
    found = checked(log, runner.store, tmp_path, [poisoned(2), quiet()])
    assert not found.ok
    (wrong,) = [one for one in found.compared if one.expected != one.actual]
    assert (wrong.name, wrong.position, wrong.against) == ("tally", 4, "attested" if attested else "live")
    assert wrong.difference == "tally: a fold of the log stops at position 2: ValueError: a thing unheard of"


def test_where_there_is_nothing_to_compare_that_is_told(places, log, tmp_path):
    with pytest.raises(NotFound, match="no state to check"):
        checked(log, places.open("store"), tmp_path, [projection()])
