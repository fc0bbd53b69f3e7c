"""``continuity show``: what a stream's events add up to, now or at any earlier moment."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ledger.redaction import policy as redaction_policy
from projections.show import show as state_of
from tools.cli import output
from tools.cli.commands.log import bound
from tools.cli.settings import Settings, pass_settings, verb


@verb(
    "show",
    "continuity show reservation:R-2101",
    "continuity show reservation:R-2101 --at 12 --json",
    "continuity show member:M-1001 --at 2026-03-31",
)
@click.argument("stream", metavar="STREAM")
@click.option("--at", metavar="POSITION_OR_TIME", help="As it stood after this position or at this time, inclusive.")
@click.option(
    "--policy",
    default="staff",
    show_default=True,
    metavar="NAME",
    help="Which redaction policy discloses private values.",
)
@pass_settings
def show(settings: Settings, stream: str, at: str | None, policy: str) -> None:
    """Show how STREAM, such as reservation:R-2101, stands or stood.

    A time means when entries were recorded, not when their events say that they happened. Private values are disclosed
    by a policy (see "redaction"), as to staff unless another is named; the others are listed as withheld, with the rule
    for each. Exit code 10 when there was no such stream.
    """
    chosen = redaction_policy(policy)
    with settings.opened() as log:
        state = state_of(log, stream, None if at is None else bound(log, at, "--at", end=True), chosen)
    if settings.json:
        output.write_json(state)
        return
    width = max(map(len, state))
    for name, value in state.items():
        output.write_line(f"{name:<{width}}  {_text(value)}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
