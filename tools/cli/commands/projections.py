"""``continuity projections`` and ``rollback-projections``: where they stand, and a way on, or back."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ledger.errors import EventError
from ledger.event import LOCAL
from ledger.log import Log
from projections.runner import Runner
from projections.skipping import skip
from projections.standing import Standing, standings
from tools.cli import output
from tools.cli.exit_codes import ExitCode
from tools.cli.settings import Settings, pass_settings, verb
from tools.cli.values import REASON_CODE

NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")


@verb(
    "projections",
    "continuity projections",
    "continuity projections --retry reservations",
    "continuity projections --skip 4711 --reason known-fault reservations",
)
@NAMES
@click.option("--retry", is_flag=True, help="Let those that have stopped try again, and fold what they then can.")
@click.option(
    "--skip",
    "skipped",
    type=click.IntRange(min=0),
    metavar="POSITION",
    help="Leave out the entry at which NAME stopped.",
)
@click.option("--reason", type=REASON_CODE, help="With --skip: why, as a code such as known-fault.")
@pass_settings
def projections(
    settings: Settings, *, names: tuple[str, ...], retry: bool, skipped: int | None, reason: str | None
) -> None:
    """Show where the projections stand: all, or those named.

    A projection that meets an event it can't fold stops just before it, and no other does. Mend its code, which makes
    it anew by itself; or --retry, if what it lacked is there now; or --skip the entry, which is recorded in the log
    with its reason and holds for each rebuild by this version of the code. Exit code 1 when one named has stopped
    again.
    """
    if (skipped is None) != (reason is None) or (skipped is not None and (retry or len(names) != 1)):
        raise click.UsageError(
            "--skip POSITION takes --reason CODE and one NAME, and no --retry", click.get_current_context()
        )
    with settings.running() as (log, runner):
        runner.named(names)  # or it is refused
        if skipped is not None:
            _skip(log, runner, names[0], skipped, str(reason))
        if retry or skipped is not None:
            runner.retry(names)
            with output.progress("folded", json=settings.json) as tick:
                runner.catch_up(tick, names)
        found, size = shown(log, runner, names)
    if (retry or skipped is not None) and any(one.state == "stopped" for one in found):
        settings.outcome = ExitCode.FAILURE
    tell(settings, found, size)


@verb("rollback-projections", "continuity rollback-projections", "continuity rollback-projections reservations")
@NAMES
@pass_settings
def rollback_projections(settings: Settings, names: tuple[str, ...]) -> None:
    """Let queries read the generation again that they read before the last rebuild: of all projections, or those named.

    It takes effect at once, and for all of them together. What is replaced is kept, and the same command brings it
    back; code that made it does not by itself. Exit code 11 when there is none to go back to.
    """
    with settings.running() as (log, runner):
        runner.roll_back(names)
        found, size = shown(log, runner, names)
    tell(settings, [one for one in found if one.state in ("live", "outdated", "stopped")], size)


def shown(log: Log, runner: Runner, names: Sequence[str]) -> tuple[list[Standing], int]:
    """How the projections of these names stand, all if there are none, and the size of the log."""
    with runner.store.reading() as reads:
        found = reads.generations()
    size = log.head().size
    return standings(runner.named(names), found, size), size


def tell(settings: Settings, found: Sequence[Standing], size: int) -> None:
    """Print standings, as a table or a document."""
    if settings.json:
        output.write_json({"projections": [one.json() for one in found], "size": size})
        return
    lines = [("NAME", "VERSION", "GENERATION", "POSITION", "LAG", "STATE")]
    lines += [
        (one.name, f"{one.version}", f"{one.generation or '-'}", f"{one.position}", f"{one.lag}", one.state)
        for one in found
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line, one in zip(lines, [None, *found], strict=True):
        name, *numbers, state = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        right = [text.strip().rjust(width) for text, width in zip(numbers, widths[1:], strict=False)]
        fault = f"  at position {one.fault.position}: {one.fault.reason}" if one is not None and one.fault else ""
        output.write_line(f"{name}  {'  '.join(right)}  {state.strip()}{fault}")


def _skip(log: Log, runner: Runner, name: str, position: int, reason: str) -> None:
    (projection,) = runner.named([name])
    with runner.store.reading() as reads:
        found = reads.generations()
    try:
        skip(log, projection, found, position, reason, LOCAL.id)
    except EventError:
        raise click.UsageError(
            f"--reason: {reason[:100]!r} is no code: 1 to 64 of a-z, 0-9, _ and -, such as known-fault",
            click.get_current_context(),
        ) from None
