"""``continuity diff``: what changed between two moments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from ledger.redaction import policy as redaction_policy
from projections.diff import StreamDiff
from projections.diff import diff as differences
from tools.cli import output
from tools.cli.commands.log import bound
from tools.cli.settings import Settings, pass_settings, verb


@verb(
    "diff",
    "continuity diff --from 12 --to 40",
    "continuity diff --from 2026-03-01 --to 2026-03-31 reservation:R-2101 --json",
)
@click.option("--from", "first", metavar="A", required=True, help="The first moment: a position or a time.")
@click.option("--to", "last", metavar="B", help="The second moment, by default now.")
@click.argument("stream", metavar="[STREAM]", required=False)
@click.option(
    "--policy",
    default="staff",
    show_default=True,
    metavar="NAME",
    help="Which redaction policy discloses private values.",
)
@pass_settings
def diff(settings: Settings, *, first: str, last: str | None, stream: str | None, policy: str) -> None:
    """Show what changed between A and B, field by field: of STREAM, or of every stream that has entries between them.

    A and B are positions or times; the state at each is that after the entry there, so the entry at A itself is not
    among the changes. Private values are disclosed by a policy (see "redaction"), as to staff unless another is named;
    what was erased since is shown at neither moment. Exit code 10 when there is no such stream.
    """
    chosen = redaction_policy(policy)
    with settings.opened() as log:
        end = log.head().size - 1
        start = min(bound(log, first, "--from", end=True), end)
        stop = end if last is None else min(bound(log, last, "--to", end=True), end)
        if start > stop:
            raise click.UsageError(
                f"--from is at position {start}, after --to at {stop}: turn them round", click.get_current_context()
            )
        found = differences(log, start, stop, stream, chosen)
        if settings.json:
            _write_document(start, stop, found)
        else:
            _write_lines(found)


def _write_document(start: int, stop: int, found: Iterator[StreamDiff]) -> None:
    """Write one document ``{"from","to","streams"}`` without holding it."""
    output.write(b'{"from":%d,"to":%d,"streams":[' % (start, stop))
    separator = b""
    for one in found:
        changes = [{"field": name, "from": before, "to": after} for name, before, after in one.changes]
        document = {"stream": one.stream, "from_version": one.before, "to_version": one.after, "changes": changes}
        output.write(separator + msgspec.json.encode(document))
        separator = b","
    output.write(b"]}\n")


def _write_lines(found: Iterator[StreamDiff]) -> None:
    for one in found:
        output.write_line(f"{one.stream}  version {one.before} to {one.after}")
        for name, before, after in one.changes:
            output.write_line(f"  {name}: {_text(before)} -> {_text(after)}")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
