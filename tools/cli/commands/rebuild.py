"""``continuity rebuild``: projections, made anew from the log alone."""

from __future__ import annotations

import time

import click

from tools.cli import output
from tools.cli.commands.projections import shown
from tools.cli.exit_codes import ExitCode
from tools.cli.settings import Settings, pass_settings, verb
from tools.collector import relaxed


@verb("rebuild", "continuity rebuild", "continuity rebuild reservations")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@pass_settings
def rebuild(settings: Settings, names: tuple[str, ...]) -> None:
    """Build projections anew from the log, and put them in the place of those there are: those named, or all.

    NAME is a projection's, or that of one of its tables. Until the new rows are complete, queries read the old ones,
    which are kept for rollback-projections. Events may be appended meanwhile. What a killed rebuild of others has left
    is finished afterwards. Exit code 10 for a name there isn't, 1 when one has stopped at an event that it can't fold:
    queries then go on reading the old rows.
    """
    started = time.monotonic()
    with relaxed(), settings.running() as (log, runner):
        with output.progress("folded", json=settings.json) as tick:
            size, resumed = runner.rebuild(names, tick)
        found, _ = shown(log, runner, [*names, *(one.name for one in resumed)])
    rebuilt = [one for one in found if one.state in ("live", "stopped")]
    if any(one.state == "stopped" for one in rebuilt):
        settings.outcome = ExitCode.FAILURE
    seconds = time.monotonic() - started
    if settings.json:
        output.write_json({"projections": [one.json() for one in rebuilt], "size": size, "seconds": round(seconds, 3)})
        return
    for one in rebuilt:
        fault = f", stopped at {one.fault.position}: {one.fault.reason}" if one.fault else ""
        output.write_line(f"{one.name} (version {one.version}) stands at position {one.position}{fault}")
    output.write_line(f"{size:,} entries in {seconds:.1f} s")
    if resumed:
        output.say(f"finished what an earlier rebuild had left, too: {', '.join(one.name for one in resumed)}")
