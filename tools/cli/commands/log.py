"""``continuity log``: read entries, as lines for people, as CloudEvents, or as the exact bytes that are hashed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import click
import msgspec

from ledger import catalog
from ledger.canonical import MAX_INTEGER
from ledger.entry import decode
from ledger.errors import InvalidEvent
from ledger.event import to_cloudevent
from ledger.log import Log
from ledger.ranges import is_turned_round
from ledger.redaction import Policy, redact
from ledger.redaction import policy as redaction_policy
from ledger.store.protocol import Row, Selection
from tools.cli import output
from tools.cli.settings import Settings, pass_settings, verb

PAGE = 500
"""Rows whose private values are opened together."""


class EventTypeName(click.ParamType[str]):
    """The name of an event type; completes in the shell, and names near matches of a wrong one."""

    name = "type"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check that there is such a type."""
        try:
            return catalog.get(str(value)).name
        except InvalidEvent as error:
            self.fail(f"{error.detail}{f'; {error.advice}' if error.advice else ''}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Offer the types that begin as typed."""
        item = click.shell_completion.CompletionItem
        return [item(name) for name in catalog.names() if name.startswith(incomplete)]


@verb(
    "log",
    "continuity log --stream reservation:R-2101",
    "continuity log --member M-1001 --from 2026-03-01 --to 2026-03-31 --jsonl",
    "continuity log --raw --from 3 --to 3 > entry-3.json",
)
@click.option("--stream", metavar="KIND:ID", help="Only entries of this stream.")
@click.option("--member", metavar="ID", help="Only entries about this member.")
@click.option("--type", "kind", type=EventTypeName(), help="Only entries of this type.")
@click.option("--from", "first", metavar="START", help="From this position or time on, inclusive.")
@click.option("--to", "last", metavar="END", help="Up to this position or time, inclusive.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most this many entries.")
@click.option("--raw", is_flag=True, help="The exact bytes of each entry, one a line.")
@click.option(
    "--policy",
    default="staff",
    show_default=True,
    metavar="NAME",
    help="Which redaction policy discloses private values.",
)
@click.option("--jsonl", is_flag=True, help="Each entry as a CloudEvent, one a line, private values disclosed.")
@pass_settings
def log(
    settings: Settings,
    *,
    stream: str | None,
    member: str | None,
    kind: str | None,
    first: str | None,
    last: str | None,
    limit: int | None,
    raw: bool,
    jsonl: bool,
    policy: str,
) -> None:
    """Read the log, oldest entry first.

    START and END are positions or times: when an entry was recorded, not when its event says that it happened. A time
    is a date, or RFC 3339 with an offset. Bytes from --raw hash to the leaves of the tree and hold no private value;
    --jsonl and --json disclose these by a policy (see "redaction"), as to staff unless another is named, and name the
    others in "ledgerwithheld". With --raw or
    --jsonl, --json only shapes errors.
    """
    if raw and jsonl:
        raise click.UsageError("--raw and --jsonl exclude each other", click.get_current_context())
    chosen = redaction_policy(policy)
    with settings.opened() as opened:
        selection = Selection(*positions(opened, first, last), stream=stream, member=member, type=kind)
        rows = islice(opened.scan(selection), limit)
        if raw:
            for row in rows:
                output.write(row.entry + b"\n")
        elif jsonl:
            for event in _events(opened, rows, chosen):
                output.write(event + b"\n")
        elif settings.json:
            _write_document(_events(opened, rows, chosen))
        else:
            width = len(str(opened.head().size - 1))
            for row in rows:
                output.write_line(_line(row, width))


def bound(opened: Log, text: str, option: str, *, end: bool) -> int:
    """The position that an inclusive bound means. Raises ``click.BadParameter`` for neither position nor time."""
    try:
        return min(opened.bound(text, end=end), MAX_INTEGER)  # no log gets there, so a larger bound means the same
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no position, date or time: {error}", click.get_current_context(), param_hint=option
        ) from None


def positions(opened: Log, first: str | None, last: str | None) -> tuple[int, int | None]:
    """The positions of an inclusive range, given by ``--from`` and ``--to``; without an end, None.

    Raises ``click.BadParameter`` as ``bound`` does, ``click.UsageError`` where the range ends before it begins.
    """
    start = 0 if first is None else bound(opened, first, "--from", end=False)
    end = None if last is None else bound(opened, last, "--to", end=True)
    if first is not None and last is not None and is_turned_round(opened, first, last):
        raise click.UsageError(f"--from {first} is after --to {last}: turn them round", click.get_current_context())
    return start, end


def _events(opened: Log, rows: Iterator[Row], policy: Policy) -> Iterator[bytes]:
    """Each row as a CloudEvent in JSON, with the private values that still open and that the policy discloses."""
    while page := list(islice(rows, PAGE)):
        for row, disclosed in zip(page, opened.disclose(page), strict=True):
            event = decode(row.entry)
            redacted = redact(policy, event.event.type, event.event.commitments(), disclosed)
            yield msgspec.json.encode(to_cloudevent(event, *redacted))


def _write_document(events: Iterator[bytes]) -> None:
    """Write one document ``{"events":[...]}`` without holding it."""
    output.write(b'{"events":[')
    separator = b""
    for event in events:
        output.write(separator + event)
        separator = b","
    output.write(b"]}\n")


def _line(row: Row, width: int) -> str:
    stored = decode(row.entry)
    recorded = f"{stored.seal.recorded[:10]} {stored.seal.recorded[11:19]}Z"
    actor = f"{stored.event.actor.role} {stored.event.actor.id}"
    what = f"{stored.event.stream:<24} {stored.seal.version:>4}  {stored.event.type:<32}"
    return f"{row.position:>{width}}  {recorded}  {what} {actor}"
