"""What is measured, and how: contestants in turn, so that a machine that drifts moves all of them; medians and ratios.

Owns the shape of results (``Figure``, ``Section``) and the way they are taken. Never judges by itself: a budget is
given with the figure, and a peer that wins wins.
"""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

Better = Literal["higher", "lower"]
ABSENT = "not installed"


class Contestant(NamedTuple):
    """Somebody who does the work once when called, and returns how it went, in the figure's unit.

    ``run`` is None where they can't take part here; ``why`` says it.
    """

    name: str
    run: Callable[[], float] | None
    ours: bool = False
    why: str = ABSENT


class Series(Struct, kw_only=True):
    """A contestant's runs, in the order in which they were taken."""

    name: str
    ours: bool
    runs: list[float]
    absent: str = ""
    """Why there are no runs."""

    @property
    def median(self) -> float:
        """The median of the runs, of which there must be some."""
        return statistics.median(self.runs)


class Budget(Struct, kw_only=True):
    """What one of our series must reach: as a ratio to ``against``, or in the figure's unit where that is None."""

    work: str
    ours: str
    against: str | None
    must: float | None
    aim: float


class Figure(Struct, kw_only=True):
    """One thing measured, of all contestants."""

    name: str
    unit: str
    better: Better
    series: list[Series]
    budgets: list[Budget] = []
    paired: bool = True
    """Whether runs with the same index were taken together, so that what slowed one slowed the other."""

    def of(self, name: str) -> Series:
        """The series of a contestant. Raises ``KeyError``."""
        found = next((series for series in self.series if series.name == name), None)
        if found is None:
            raise KeyError(name)
        return found


class Section(Struct, kw_only=True):
    """The figures of one measurement, and when and from which commit they were taken."""

    key: str
    title: str
    text: str
    figures: list[Figure]
    date: str
    commit: str


def measure(
    name: str,
    contestants: Sequence[Contestant],
    *,
    unit: str,
    repeats: int,
    better: Better = "higher",
    budgets: Sequence[Budget] = (),
) -> Figure:
    """Let all run once without counting, then ``repeats`` times in turn, each round begun by another.

    A peer that fails is left out with its reason; what fails of ours is raised.
    """
    series = {each.name: Series(name=each.name, ours=each.ours, runs=[]) for each in contestants}
    for each in contestants:
        if each.run is None:
            series[each.name].absent = each.why
    for number in range(repeats + 1):
        shift = number % len(contestants)
        for each in [*contestants[shift:], *contestants[:shift]]:
            taken = series[each.name]
            result = None if taken.absent else _run(each, taken)
            if result is not None and number:
                taken.runs.append(result)
    return Figure(name=name, unit=unit, better=better, series=list(series.values()), budgets=list(budgets))


def _run(contestant: Contestant, series: Series) -> float | None:
    assert contestant.run is not None
    try:
        return contestant.run()
    except Exception as error:
        if contestant.ours:
            raise
        series.absent = f"failed: {type(error).__name__}"
        series.runs = []
        print(f"{contestant.name} failed: {error}", file=sys.stderr)
        return None


def ratios(figure: Figure, ours: Series, against: Series) -> list[float]:
    """Ours over theirs, of each round or else over their median; empty when either is absent."""
    if not against.runs:
        return []
    others = against.runs if figure.paired else itertools.repeat(against.median)
    return [one / other for one, other in zip(ours.runs, others, strict=False)]


def best(figure: Figure) -> list[Series]:
    """The contestants that ran, the one with the best median first."""
    present = [series for series in figure.series if series.runs]
    return sorted(present, key=lambda series: series.median, reverse=figure.better == "higher")


def lines(figure: Figure) -> Iterator[str]:
    """The figure for people at a terminal: a line for each contestant, a line for each budget."""
    for series in figure.series:
        shown = f"{amount(series.median):>11} {figure.unit}" if series.runs else series.absent
        yield f"  {series.name:<34} {shown}"
    for budget in figure.budgets:
        yield f"  {verdict(figure, budget).line}"


class Verdict(NamedTuple):
    """How a budget came out: the value that counts (None when it was not measured), its spread, and the word for it."""

    value: float | None
    low: float
    high: float
    word: str
    line: str


def verdict(figure: Figure, budget: Budget) -> Verdict:
    """Compare what was measured with a budget: the median of the ratios, or the median itself."""
    ours = figure.of(budget.ours)
    values = ours.runs if budget.against is None else ratios(figure, ours, figure.of(budget.against))
    if not values:
        return Verdict(None, 0, 0, "not measured", f"{budget.work}: not measured")
    value = statistics.median(values)
    word = next(
        (
            word
            for word, limit in (("aim reached", budget.aim), ("reached", budget.must))
            if _meets(figure, value, limit)
        ),
        "",
    )
    if not word:
        word = "MISSED" if budget.must is not None else "below aim"
    unit = f" {figure.unit}" if budget.against is None else " x"
    must = "" if budget.must is None else f"must {budget.must:g}, "
    line = f"{budget.work}: {value:.3g}{unit} ({must}aim {budget.aim:g}): {word}"
    return Verdict(value, min(values), max(values), word, line)


def _meets(figure: Figure, value: float, limit: float | None) -> bool:
    if limit is None:
        return False
    return value >= limit if figure.better == "higher" else value <= limit


def amount(value: float) -> str:
    """A number as people read it: three digits that count, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
