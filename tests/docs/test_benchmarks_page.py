"""The page of the benchmarks says what the file behind it says."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tools.bench.report import Report, page
from tools.bench.suite import SUITE


def read(repository: Path) -> Report:
    return msgspec.json.decode((repository / "docs" / "benchmarks.json").read_bytes(), type=Report)


def test_the_committed_page_is_the_one_made_from_the_committed_figures(repository: Path) -> None:
    text = (repository / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert text == page(read(repository)), "run: make bench ARGS=--render"


def test_every_section_that_is_not_long_is_there(repository: Path) -> None:
    sections = {section.key for section in read(repository).sections}
    assert sections >= {each.key for each in SUITE if not each.long}


def test_everybody_with_figures_of_appends_says_what_they_do(repository: Path) -> None:
    report = read(repository)
    appended = next(section for section in report.sections if section.key == "append")
    names = {series.name for figure in appended.figures for series in figure.series}
    assert names <= {profile.name for profile in report.profiles}
