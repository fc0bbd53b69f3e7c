"""``continuity rebuild``: projections, made anew from the log alone."""

from __future__ import annotations

import time

import click

from projections.runner import Runner
from tools.cli import output
from tools.cli.settings import Settings, pass_settings, verb

PROJECTIONS = "projections.db"
"""Name of the projections' file in a ledger's folder."""


@verb("rebuild", "continuity rebuild", "continuity rebuild reservations stage_history")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@pass_settings
def rebuild(settings: Settings, names: tuple[str, ...]) -> None:
    """Throw projections away and build them anew from the log: those named, or all.

    Nothing is lost by it: projections hold nothing that the log does not. Exit code 10 for a name there isn't.
    """
    started = time.monotonic()
    with settings.opened() as log, Runner(log, settings.folder / PROJECTIONS) as runner:
        with output.progress("folded", json=settings.json) as tick:
            size = runner.rebuild(names or None, tick)
        rebuilt = [standing for standing in runner.standings() if not names or standing.name in names]
    seconds = time.monotonic() - started
    if settings.json:
        output.write_json(
            {"projections": [one._asdict() for one in rebuilt], "size": size, "seconds": round(seconds, 3)}
        )
        return
    for one in rebuilt:
        output.write_line(f"{one.name} (version {one.version}) stands at position {one.position}")
    output.write_line(f"{size:,} entries in {seconds:.1f} s")
