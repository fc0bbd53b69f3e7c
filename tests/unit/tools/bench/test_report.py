"""What the page says, and what of an earlier run stays in it."""

from __future__ import annotations

import msgspec
import pytest

from tools.bench.machine import Machine
from tools.bench.measure import Budget, Figure, Section, Series
from tools.bench.profiles import Profile
from tools.bench.report import Report, merged, page

MACHINE = Machine(
    processor="Example",
    cores=2,
    memory_gib=8,
    system="Linux",
    file_system="ext4",
    python="3.11.7",
    sqlite="3.45.0",
    postgresql="18.4",
    fsync_ms=0.2,
)


def section(key: str, *figures: Figure, date: str = "2026-03-02") -> Section:
    return Section(key=key, title=key.title(), text="What it is.", figures=list(figures), date=date, commit="abc1234")


def appends(ours: list[float], peer: list[float], absent: str = "") -> Figure:
    return Figure(
        name="1 × 8",
        unit="events/s",
        better="higher",
        series=[
            Series(name="Ours", ours=True, runs=ours),
            Series(name="Peer", ours=False, runs=peer, absent=absent),
        ],
        budgets=[Budget(work="appends", ours="Ours", against="Peer", must=0.5, aim=1)],
    )


def report(*sections: Section, machine: Machine = MACHINE) -> Report:
    profiles = [
        Profile(name="Ours", version="1", how="called", types="yes", chain="yes", proofs="yes", encryption="yes"),
        Profile(name="Peer", version="2", how="called", types="when compiled"),
    ]
    return Report(machine=machine, settings={"fsync": "on"}, profiles=profiles, sections=list(sections))


def row(text: str, name: str) -> list[str]:
    """The cells of the first row that begins with a name."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_peer_that_wins_is_printed_as_winning() -> None:
    text = page(report(section("append", appends([1000.0], [4000.0]))))
    assert row(text, "Peer") == ["Peer", "none", "**4,000**"]
    assert row(text, "Ours") == ["Ours", "all", "1,000"]
    assert row(text, "fastest") == ["fastest", "", "Peer, 4 × ours"]
    assert row(text, "appends") == ["appends", "Peer", "0.25 ×", "0.25 to 0.25", "0.5", "1", "**MISSED**"]


def test_where_we_win_the_page_says_by_how_much() -> None:
    text = page(report(section("append", appends([3000.0], [2000.0]))))
    assert row(text, "Ours")[-1] == "**3,000**"
    assert row(text, "fastest")[-1] == "Ours, 1.5 × the next"
    assert row(text, "appends")[-1] == "aim reached"


def test_a_peer_that_is_not_there_is_said_to_be_absent() -> None:
    text = page(report(section("append", appends([1000.0], [], absent="not installed"))))
    assert row(text, "Peer")[-1] == "not installed"
    assert row(text, "appends")[-1] == "not measured"


def test_nobody_wins_against_themselves() -> None:
    alone = Figure(name="10", unit="ms", better="lower", series=[Series(name="Ours", ours=True, runs=[1.0])])
    text = page(report(section("proof", alone)))
    assert row(text, "Ours") == ["Ours", "1"]
    assert "fastest" not in text


def test_the_page_states_machine_durability_commit_and_number_of_runs() -> None:
    text = page(report(section("append", appends([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]))))
    for stated in (
        "Example, 2 cores",
        "0.20 ms",
        "3.11.7",
        "18.4; `fsync=on`",
        "Medians of 3 runs; 2026-03-02, commit abc1234",
    ):
        assert stated in text


def test_a_run_of_some_sections_leaves_the_others_as_they_were() -> None:
    old = report(section("append", date="old"), section("audit", date="old"))
    both = merged(old, report(section("audit", date="new")), ["append", "audit", "proof"])
    assert [(each.key, each.date) for each in both.sections] == [("append", "old"), ("audit", "new")]


@pytest.mark.parametrize("change", [{"cores": 4}, {"python": "3.12.0"}, {"postgresql": "15.1"}])
def test_figures_of_another_machine_do_not_stay(change: dict[str, object]) -> None:
    old = report(section("append"), machine=msgspec.structs.replace(MACHINE, **change))
    assert [each.key for each in merged(old, report(section("audit")), ["append", "audit"]).sections] == ["audit"]


def test_a_disk_that_is_slower_for_a_moment_is_the_same_machine() -> None:
    old = report(section("append"), machine=msgspec.structs.replace(MACHINE, fsync_ms=3.0))
    assert len(merged(old, report(section("audit")), ["append", "audit"]).sections) == 2


def test_a_report_survives_its_file() -> None:
    whole = report(section("append", appends([1.0], [2.0])))
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Report) == whole
