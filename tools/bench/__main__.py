"""Run the benchmarks, print a line a figure, and write docs/benchmarks.json. Started by ``make bench``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tools.bench import postgres, sqlite
from tools.bench.http import single_events_figure
from tools.bench.measure import Figure, line

REPORT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.json"


def figures(repeats: int) -> Iterator[Figure]:
    """All figures, as they are taken."""
    yield from sqlite.append_figures(repeats)
    yield from sqlite.audit_figures(repeats)
    yield from postgres.append_figures(repeats)
    yield single_events_figure(repeats)


def main() -> None:
    """Take the figures; write them unless ``--dry-run``."""
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument("--repeats", type=int, default=5, help="interleaved runs of each figure")
    options.add_argument("--dry-run", action="store_true", help="print only, leave docs/benchmarks.json as it is")
    chosen = options.parse_args()
    taken = []
    for figure in figures(chosen.repeats):
        print(line(figure), flush=True)
        taken.append(figure)
    if not chosen.dry_run:
        REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(taken), indent=1) + b"\n")


if __name__ == "__main__":
    main()
