"""``continuity append``: post events from a file or a pipe.

Owns the pipeline from input to outcomes: a few batches are in flight at a time, so that checking, sealing and reading
overlap while memory stays bounded. Rejected events are told in the order of the input. Never retries: running the
command again does, since known events are recognised.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import click
import msgspec

from ledger.errors import EventError
from ledger.flush import Outcome
from ledger.log import Log
from ledger.strict import write_base64
from tools.cli import feed, output
from tools.cli.exit_codes import ExitCode
from tools.cli.feed import Item
from tools.cli.input import interruptible
from tools.cli.settings import Settings, pass_settings, verb

IN_FLIGHT = 8
"""Batches that wait for their commit: together below what the log's queue takes."""

Reject = Callable[[Item, EventError], None]


class _Sent(NamedTuple):
    """A batch on its way: its items, and the future of those that were fit to be sent."""

    items: list[Item]
    outcomes: Future[list[Outcome]] | None


class Tally:
    """How the events of an input fared; ``reject`` is told of each that was refused."""

    def __init__(self, reject: Reject) -> None:
        self.accepted = self.duplicates = self.rejected = 0
        self._reject = reject

    @property
    def seen(self) -> int:
        """The events whose outcome is known."""
        return self.accepted + self.duplicates + self.rejected

    def count(self, item: Item, outcome: Outcome) -> None:
        """Count one event's outcome."""
        if isinstance(outcome, EventError):
            self.rejected += 1
            self._reject(item, outcome)
        elif outcome.duplicate:
            self.duplicates += 1
        else:
            self.accepted += 1

    def refuse(self, items: list[Item], item: Item, error: EventError) -> None:
        """Count all items as rejected, for the fault of one."""
        self.rejected += len(items)
        self._reject(item, error)


@verb(
    "append",
    "continuity append events.ndjson",
    "zcat week-*.ndjson.gz | continuity append - --rejects rejected.ndjson",
    "continuity append move.json --atomic --json",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True), default="-")
@click.option("--atomic", is_flag=True, help="All events or none: the first fault refuses the whole input.")
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write rejected events there, as NDJSON, rather than to standard error.",
)
@click.option("--accept-clock", is_flag=True, help="Append although the log is far ahead of this machine's clock.")
@pass_settings
def append(settings: Settings, file: str, atomic: bool, rejects: Path | None, accept_clock: bool) -> None:
    """Append the CloudEvents in FILE, or on standard input.

    FILE holds one event a line (NDJSON) or one JSON array of events, plain or compressed with gzip. Each event stands
    for itself: good ones are recorded, the others are rejected with their line and reason, and the exit code is 3. An
    event that is recorded already is a duplicate and changes nothing, so an append can be repeated without fear.
    """
    if rejects is not None and file != "-" and rejects.exists() and rejects.samefile(file):
        raise click.UsageError("--rejects would overwrite the input", click.get_current_context())
    started = time.monotonic()
    with settings.opened(accept_clock=accept_clock) as log:
        with _source(file) as source, _rejecter(rejects, json=settings.json) as reject:
            tally = Tally(reject)
            with output.progress("appended", json=settings.json) as tick, _told(tally):
                (_append_atomic if atomic else _append_each)(log, source, tally, tick)
        size = log.head().size
        root = write_base64(log.root(size))
    if tally.rejected:
        settings.outcome = ExitCode.INCOMPLETE
    _show(settings, tally, size, root, time.monotonic() - started)


def _append_each(log: Log, source: BinaryIO, tally: Tally, tick: output.Tick) -> None:
    """Send batch after batch, and settle the oldest when it is done or too many are on their way."""
    waiting: deque[_Sent] = deque()
    for items in feed.batches(source):
        ready = [item.content for item in items if isinstance(item.content, bytes)]
        waiting.append(_Sent(items, log.submit(ready, atomic=False) if ready else None))
        while waiting and (len(waiting) > IN_FLIGHT or _is_done(waiting[0])):
            _settle(waiting.popleft(), tally, tick)
    while waiting:
        _settle(waiting.popleft(), tally, tick)


def _is_done(sent: _Sent) -> bool:
    return sent.outcomes is None or sent.outcomes.done()


def _settle(sent: _Sent, tally: Tally, tick: output.Tick) -> None:
    outcomes = iter(sent.outcomes.result() if sent.outcomes is not None else ())
    for item in sent.items:
        tally.count(item, item.content if isinstance(item.content, EventError) else next(outcomes))
    tick(tally.seen, None)


def _append_atomic(log: Log, source: BinaryIO, tally: Tally, tick: output.Tick) -> None:
    items = feed.whole(feed.batches(source))
    for item in items:
        if isinstance(item.content, EventError):
            tally.refuse(items, item, item.content)
            return
    try:
        outcomes = log.append([cast("bytes", item.content) for item in items], atomic=True)
    except EventError as error:
        tally.refuse(items, items[error.index or 0], error)
        return
    for item, outcome in zip(items, outcomes, strict=True):
        tally.count(item, outcome)
    tick(tally.seen, None)


@contextmanager
def _told(tally: Tally) -> Iterator[None]:
    """When something ends the append before the input does, say how far it had got."""
    try:
        yield
    except BaseException:
        if tally.seen:
            output.say(
                f"ended early: at least {tally.accepted:,} were accepted, {tally.duplicates:,} duplicates, "
                f"{tally.rejected:,} rejected; run it again, nothing is counted twice"
            )
        raise


@contextmanager
def _source(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        with interruptible(sys.stdin.buffer) as source:
            yield source
    else:
        with Path(file).open("rb") as source:
            yield source


@contextmanager
def _rejecter(rejects: Path | None, *, json: bool) -> Iterator[Reject]:
    """What takes rejected events: a file that only its owner may read, since events hold private values; or stderr."""
    if rejects is None:
        yield _say_json if json else _say
        return
    descriptor = os.open(rejects, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield lambda item, error: _keep(file, item, error)


def _say(item: Item, error: EventError) -> None:
    advice = f" ({error.advice})" if error.advice else ""
    output.say(f"line {item.line}: {_path(item, error)}: {error.detail}{advice}")


def _say_json(item: Item, error: EventError) -> None:
    output.say_json(_record(item, error))


def _keep(file: BinaryIO, item: Item, error: EventError) -> None:
    record = _record(item, error)
    if isinstance(item.content, bytes) and _is_json(item.content):
        record["event"] = msgspec.Raw(msgspec.json.format(item.content, indent=-1))
    file.write(msgspec.json.encode(record) + b"\n")


def _record(item: Item, error: EventError) -> dict[str, Any]:
    record: dict[str, Any] = {"line": item.line, "path": _path(item, error), "reason": error.detail}
    if error.advice:
        record["advice"] = error.advice
    return record


def _path(item: Item, error: EventError) -> str:
    return item.root + error.path.removeprefix("$")


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _show(settings: Settings, tally: Tally, size: int, root: str, seconds: float) -> None:
    if settings.json:
        output.write_json(
            {
                "accepted": tally.accepted,
                "duplicates": tally.duplicates,
                "rejected": tally.rejected,
                "size": size,
                "root": root,
                "seconds": round(seconds, 3),
            }
        )
        return
    output.write_line(
        f"{tally.accepted:,} accepted, {tally.duplicates:,} duplicates, {tally.rejected:,} rejected, in {seconds:.1f} s"
    )
    output.write_line(f"size {size}, root {root}")
