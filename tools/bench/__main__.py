"""Run the benchmarks, print what is measured, write the report. ``make bench`` and ``make bench-growth`` start it."""

from __future__ import annotations

import argparse
import datetime as dt
import signal
import sqlite3
import sys
import time

from ledger import collector
from tools.bench import report
from tools.bench.machine import commit, machine
from tools.bench.measure import Figure, Section, lines
from tools.bench.postgres import SETTINGS
from tools.bench.profiles import profiles
from tools.bench.report import Report
from tools.bench.session import STORES, Session
from tools.bench.suite import SUITE, Measurement

QUICK = {"repeats": 1, "seconds": 0.05, "scale": 0.01, "grow_to": 120_000}


def main() -> None:
    """Take the chosen sections; write the report unless it is a dry or quick run."""
    chosen = _options().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that servers end and files go
    if chosen.render:
        _render()
        return
    settings = QUICK if chosen.quick else {"repeats": chosen.repeats, "grow_to": chosen.grow_to}
    wanted = [each for each in SUITE if each.key in chosen.sections or not (chosen.sections or each.long)]
    began = time.monotonic()
    # As docs/how-to/embed.md tells whoever embeds the ledger; the peers in this process have it too.
    with collector.eased(), Session(stores=chosen.stores, **settings) as session:
        taken = [_section(each, session) for each in wanted]
        if not (chosen.quick or chosen.dry_run):
            report.write(report.merged(report.read(), _report(session, taken), [each.key for each in SUITE]))
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="make bench", description="Measure beside peers; writes docs/benchmarks.*")
    keys = [each.key for each in SUITE]
    options.add_argument("sections", nargs="*", help=f"of {', '.join(keys)}; all but the long ones unless named")
    options.add_argument("--repeats", type=int, default=5, help="interleaved runs of each figure")
    options.add_argument("--grow-to", type=int, default=10_000_000, metavar="ENTRIES", help="last size of growth")
    options.add_argument("--stores", nargs="+", choices=STORES, default=STORES, help="stores whose growth is measured")
    options.add_argument("--dry-run", action="store_true", help="print only, leave the report as it is")
    options.add_argument("--quick", action="store_true", help="see in a minute that all of it runs; writes nothing")
    options.add_argument("--render", action="store_true", help="measure nothing, make the page from benchmarks.json")
    return options


def _render() -> None:
    found = report.read()
    if found is None:
        raise SystemExit("there is no docs/benchmarks.json of this form: make bench")
    report.write(found)


def _section(measurement: Measurement, session: Session) -> Section:
    print(measurement.title)
    figures: list[Figure] = []
    for figure in measurement.figures(session):
        print(f" {figure.name}")
        for line in lines(figure):
            print(line, flush=True)
        figures.append(figure)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return Section(
        key=measurement.key,
        title=measurement.title,
        text=measurement.text,
        figures=figures,
        date=today,
        commit=commit(),
    )


def _report(session: Session, sections: list[Section]) -> Report:
    shown = session.postgres.settings()
    return Report(
        machine=machine(shown["server_version"]),
        settings={name: shown[name] for name in SETTINGS},
        profiles=list(profiles(sqlite3.sqlite_version, shown["server_version"])),
        sections=sections,
    )


if __name__ == "__main__":
    main()
