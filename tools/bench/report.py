"""The report: docs/benchmarks.json, which holds all that was measured, and docs/benchmarks.md, made from it alone.

Owns both files and how a new run is merged with what stands: section by section, and nothing of another machine. The
page is a pure function of the data; a test compares the committed two.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import msgspec
from msgspec import Struct

from tools.bench.machine import Machine
from tools.bench.measure import Figure, Section, Series, amount, best, verdict
from tools.bench.profiles import COLUMNS, Profile

DOCS = Path(__file__).resolve().parents[2] / "docs"
JSON = DOCS / "benchmarks.json"
PAGE = DOCS / "benchmarks.md"


class Report(Struct, kw_only=True):
    """All that was measured on one machine."""

    machine: Machine
    settings: dict[str, str]
    """Settings of the PostgreSQL server that decide on durability and memory."""
    profiles: list[Profile]
    sections: list[Section]


def read(path: Path = JSON) -> Report | None:
    """The report that stands; None when there is none of this form."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (FileNotFoundError, msgspec.ValidationError):
        return None


def merged(old: Report | None, new: Report, order: Sequence[str]) -> Report:
    """The new report with those old sections that it doesn't measure anew, in ``order`` of their keys."""
    sections = {section.key: section for section in new.sections}
    if old is not None and old.machine.same_as(new.machine):
        sections = {section.key: section for section in old.sections} | sections
    return msgspec.structs.replace(new, sections=[sections[key] for key in order if key in sections])


def write(report: Report) -> None:
    """Write both files."""
    JSON.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    PAGE.write_text(page(report), encoding="utf-8")


def page(report: Report) -> str:
    """The page as Markdown."""
    return "\n".join(_page(report)) + "\n"


_HEAD = """\
# Benchmarks

Written by `make bench` from [benchmarks.json](benchmarks.json), which holds every run; don't edit it by hand. Figures
are medians of interleaved runs on one machine, and mean something only beside each other. A peer that wins is printed
as winning, in bold.
"""

_HOW = """\
## How to run it

```console
$ make bench-peers
$ make bench
$ make bench ARGS='append audit'
$ make bench-growth SIZE=10000000
```

`make bench-peers` fetches UmaDB, Emmett and message-db into the ignored folder `.bench/`; it needs npm for the last
two. What isn't there is "not installed" in the report, and the run goes on. `make bench` takes about a quarter of an
hour on two cores; with words, it takes those sections anew and leaves the others. `make bench-growth` takes an hour,
and some 20 GB of disk. `ARGS=--help` lists what else there is.

PostgreSQL is a server of the run's own, reached over TCP on the loopback device, or the one whose URL is in
`CONTINUITY_BENCH_DATABASE_URL`, in a database and with a role in which anything may be made and dropped. Peers are not
among the project's dependencies, not even those of development: nothing here needs them, and each runs in processes of
its own.
"""


def _page(report: Report) -> Iterator[str]:
    yield _HEAD
    yield from _machine(report)
    yield from _budgets(report.sections)
    for section in report.sections:
        yield from _section(section, report.profiles)
    yield from _profiles(report.profiles)
    yield _HOW.rstrip("\n")


def _machine(report: Report) -> Iterator[str]:
    machine = report.machine
    yield "## The machine\n"
    yield from _table(
        ["", ""],
        [
            ["processor", f"{machine.processor}, {machine.cores} cores"],
            ["memory", f"{machine.memory_gib} GiB"],
            ["system", f"{machine.system}, {machine.file_system}"],
            ["a durable write of 4 KiB", f"{machine.fsync_ms:.2f} ms, median"],
            ["Python", machine.python],
            ["SQLite", f"{machine.sqlite}; WAL, `synchronous=FULL`, for us and for the peer"],
            [
                "PostgreSQL",
                machine.postgresql + "; " + ", ".join(f"`{name}={value}`" for name, value in report.settings.items()),
            ],
        ],
    )
    yield (
        "Everybody syncs to disk before an append counts. A run in which PostgreSQL or the peer's SQLite were less "
        "durable than ours would stop; that UmaDB syncs at each commit was seen with `strace`.\n"
    )


def _budgets(sections: Sequence[Section]) -> Iterator[str]:
    rows = [
        [
            budget.work,
            budget.against or "",
            "" if found.value is None else f"{amount(found.value)}{_unit(figure, budget.against)}",
            "" if found.value is None else f"{amount(found.low)} to {amount(found.high)}",
            "" if budget.must is None else f"{budget.must:g}",
            f"{budget.aim:g}",
            f"**{found.word}**" if found.word == "MISSED" else found.word,
        ]
        for section in sections
        for figure in section.figures
        for budget in figure.budgets
        for found in [verdict(figure, budget)]
    ]
    if rows:
        yield "## Against the budget\n"
        yield "Ratios, or times where nothing stands beside ours: the median of all rounds, their least and greatest.\n"
        yield from _table(["work", "against", "measured", "spread", "must", "aim", ""], rows)


def _unit(figure: Figure, against: str | None) -> str:
    return f" {figure.unit}" if against is None else " ×"


def _section(section: Section, profiles: Sequence[Profile]) -> Iterator[str]:
    yield f"## {section.title}\n"
    yield textwrap.dedent(section.text).strip() + "\n"
    for unit, figures in groupby(section.figures, key=lambda figure: figure.unit):
        yield from _grid(unit, list(figures), {profile.name: profile for profile in profiles})
    repeats = {len(series.runs) for figure in section.figures for series in figure.series if series.runs}
    yield f"Medians of {' or '.join(map(str, sorted(repeats)))} runs; {section.date}, commit {section.commit}.\n"


def _grid(unit: str, figures: Sequence[Figure], profiles: dict[str, Profile]) -> Iterator[str]:
    """One row a contestant, one column a figure, who is best in bold."""
    names = list(dict.fromkeys(series.name for figure in figures for series in figure.series))
    contested = any(not series.ours for figure in figures for series in figure.series)
    extra = [_does] if contested and any(name in profiles for name in names) else []
    rows = [
        [
            name,
            *(does(profiles.get(name)) for does in extra),
            *(_cell(figure, name, contested=contested) for figure in figures),
        ]
        for name in names
    ]
    if contested:
        rows.append(["fastest", *("" for _ in extra), *map(_fastest, figures)])
    heads = [f"{unit}", *("types, chain, proofs, encryption" for _ in extra), *(figure.name for figure in figures)]
    yield from _table(heads, rows)


def _cell(figure: Figure, name: str, *, contested: bool) -> str:
    series = next((series for series in figure.series if series.name == name), None)
    if series is None:
        return ""
    if not series.runs:
        return series.absent
    shown = amount(series.median)
    return f"**{shown}**" if contested and best(figure)[0] is series else shown


def _fastest(figure: Figure) -> str:
    """Who is best, and how far ahead of the next (of ours, if it is a peer)."""
    order = best(figure)
    if len(order) < 2:
        return ""
    first = order[0]
    others = order[1:] if first.ours else [series for series in order if series.ours]
    if not others:
        return first.name
    return f"{first.name}, {_times(figure, first, others[0])} × {'the next' if first.ours else 'ours'}"


def _times(figure: Figure, first: Series, other: Series) -> str:
    ratio = first.median / other.median if figure.better == "higher" else other.median / first.median
    return amount(ratio)


def _does(profile: Profile | None) -> str:
    """In a few words, what of our work a contestant does too."""
    if profile is None:
        return ""
    done = [word for word in ("types", "chain", "proofs", "encryption") if getattr(profile, word) == "yes"]
    return "all" if len(done) == 4 else ", ".join(done) or "none"


def _profiles(profiles: Sequence[Profile]) -> Iterator[str]:
    yield "## Who does what\n"
    yield "In the calls that are measured. A contestant that does less has less to do.\n"
    yield from _table(
        ["", "version", "how", *COLUMNS.values()],
        [
            [
                profile.name,
                profile.version or "not installed",
                profile.how,
                *(getattr(profile, column) for column in COLUMNS),
            ]
            for profile in profiles
        ],
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
