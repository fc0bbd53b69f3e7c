"""How figures are taken, and what is made of them."""

from __future__ import annotations

import pytest

from tools.bench.measure import Budget, Contestant, Figure, Series, amount, best, lines, measure, verdict


def figure(better: str = "higher", **runs: list[float]) -> Figure:
    series = [Series(name=name, ours=name == "ours", runs=taken) for name, taken in runs.items()]
    return Figure(name="work", unit="events/s", better=better, series=series)  # type: ignore[arg-type]


def budget(must: float | None, aim: float, against: str | None = "peer") -> Budget:
    return Budget(work="work", ours="ours", against=against, must=must, aim=aim)


def test_contestants_run_in_turn_each_round_begun_by_another_and_the_first_round_does_not_count() -> None:
    order: list[str] = []

    def run(name: str) -> float:
        order.append(name)
        return float(len(order))

    contestants = [Contestant(name, lambda name=name: run(name), ours=name == "a") for name in "abc"]
    taken = measure("work", contestants, unit="s", repeats=2)
    assert "".join(order) == "abc" + "bca" + "cab"
    assert [series.runs for series in taken.series] == [[6, 8], [4, 9], [5, 7]]


def test_a_peer_that_is_not_installed_is_named_as_such_and_the_others_are_measured() -> None:
    taken = measure("work", [Contestant("ours", lambda: 1.0, ours=True), Contestant("peer", None)], unit="s", repeats=3)
    assert taken.of("ours").runs == [1, 1, 1]
    assert (taken.of("peer").runs, taken.of("peer").absent) == ([], "not installed")
    assert any(line.split() == ["peer", "not", "installed"] for line in lines(taken))


def test_a_peer_that_fails_once_is_left_out_of_all_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter([1.0, 2.0])
    peer = Contestant("peer", lambda: next(answers))
    taken = measure("work", [Contestant("ours", lambda: 1.0, ours=True), peer], unit="s", repeats=3)
    assert (taken.of("peer").runs, taken.of("peer").absent) == ([], "failed: StopIteration")
    assert taken.of("ours").runs == [1, 1, 1]
    assert "peer failed" in capsys.readouterr().err


def test_what_fails_of_ours_ends_the_run() -> None:
    def broken() -> float:
        raise ValueError("ours is broken")

    with pytest.raises(ValueError, match="ours is broken"):
        measure("work", [Contestant("ours", broken, ours=True)], unit="s", repeats=1)


@pytest.mark.parametrize(
    ("better", "ours", "word"),
    [
        ("higher", [5, 5, 5], "MISSED"),
        ("higher", [6, 20, 1], "reached"),
        ("higher", [12, 12, 12], "aim reached"),
        ("lower", [11, 11, 11], "MISSED"),
        ("lower", [6, 6, 6], "reached"),
        ("lower", [5, 5, 5], "aim reached"),
    ],
)
def test_a_budget_is_judged_by_the_median_of_the_rounds_ratios(better: str, ours: list[float], word: str) -> None:
    taken = figure(better, ours=ours, peer=[10.0, 10.0, 10.0])
    limits = {"higher": budget(0.6, 1.2), "lower": budget(1.0, 0.5)}
    assert verdict(taken, limits[better]).word == word


def test_a_budget_without_a_peer_is_judged_in_the_figures_unit() -> None:
    taken = figure("lower", ours=[3.0, 1.0, 2.0])
    found = verdict(taken, budget(2, 0.5, against=None))
    assert (found.value, found.low, found.high, found.word) == (2, 1, 3, "reached")


def test_runs_that_were_not_taken_together_are_held_against_the_others_median() -> None:
    taken = figure("lower", ours=[2.0, 4.0, 8.0], peer=[8.0, 4.0, 2.0])
    taken.paired = False
    found = verdict(taken, budget(2, 1))
    assert (found.value, found.low, found.high) == (1, 0.5, 2)


def test_a_budget_without_a_must_is_below_its_aim_at_worst() -> None:
    assert verdict(figure(ours=[1.0], peer=[1.0]), budget(None, 1.8)).word == "below aim"


def test_a_budget_against_a_peer_that_did_not_run_is_not_measured() -> None:
    found = verdict(figure(ours=[1.0], peer=[]), budget(1, 2))
    assert (found.value, found.word) == (None, "not measured")


@pytest.mark.parametrize(("better", "first"), [("higher", "peer"), ("lower", "ours")])
def test_the_best_has_the_best_median_whoever_it_is(better: str, first: str) -> None:
    taken = figure(better, ours=[1.0, 1.0, 99.0], peer=[2.0, 2.0, 2.0], absent=[])
    assert best(taken)[0].name == first
    assert len(best(taken)) == 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234567.8, "1,234,568"), (100.4, "100"), (99.96, "100"), (12.345, "12.3"), (0.01234, "0.0123")],
)
def test_numbers_are_shown_with_the_digits_that_count(value: float, shown: str) -> None:
    assert amount(value) == shown
