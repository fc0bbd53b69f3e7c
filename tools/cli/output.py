"""How the command speaks: results as bytes on standard output, messages and progress on standard error.

Owns encoding, escaping and progress. Results are UTF-8 whatever the locale, never wrapped, never coloured. A text that
may hold what somebody typed is shown with its control characters spelt out, so that no event can steer a terminal.
Progress is a bar on a terminal, a line now and then elsewhere, nothing under ``--json``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ledger.errors import EventError, LedgerError

LINE_SECONDS = 10.0
"""Between two lines of progress where there is no terminal."""

Tick = Callable[[int, int | None], None]
"""Told how much is done, and of how much if that is known."""


def write(data: bytes) -> None:
    """Write bytes to standard output as they are. Raises ``BrokenPipeError`` when nobody reads."""
    sys.stdout.buffer.write(data)


def flush() -> None:
    """Let what was written be read now, by a command that goes on. Raises ``BrokenPipeError`` when nobody reads."""
    sys.stdout.buffer.flush()


def write_json(value: Any) -> None:
    """Write one JSON document as one line."""
    write(msgspec.json.encode(value) + b"\n")


def write_line(text: str) -> None:
    """Write one line for people to standard output."""
    write(printable(text).encode() + b"\n")


_bars: list[Progress] = []
"""The bar that is on the screen, if there is one: lines go above it."""


def say(message: str) -> None:
    """Write one line for people to standard error."""
    _say_line(printable(message))


def say_json(value: Any) -> None:
    """Write one JSON document as one line to standard error."""
    _say_line(msgspec.json.encode(value).decode())


def _say_line(line: str) -> None:
    if _bars:
        _bars[-1].console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
    else:
        click.echo(line, err=True)


def printable(text: str) -> str:
    r"""The text on one line, what could move a cursor, hide or reorder other text spelt out as an escape.

    >>> printable("a\x1b[2J\nb")
    'a\\x1b[2J\\nb'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def report(error: BaseException, exit_code: int, *, json: bool) -> None:
    """Tell of the error that ends a verb: fault and advice, for people or as ``{"error","advice","exit_code"}``."""
    fault, advice = describe(error)
    if json:
        say_json({"error": fault, "advice": advice, "exit_code": exit_code})
        return
    mark = "error:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        mark = click.style(mark, fg="red", bold=True)
    click.echo(f"{mark} {printable(fault)}", err=True)
    if advice:
        say(f"  {advice}")


def describe(error: BaseException) -> tuple[str, str]:
    """Fault and advice of an error, each one line; the advice may be empty."""
    match error:
        case EventError(index=int(index)):
            return f"event {index + 1}: {error}", error.advice
        case LedgerError():
            return str(error), error.advice
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "continuity"
            return error.format_message(), f"see: {path} --help"
        case click.ClickException():
            return error.format_message(), ""
        case click.Abort() | KeyboardInterrupt():
            return "interrupted", ""
        case OSError(strerror=str(reason)):
            return f"{error.filename}: {reason}" if error.filename else reason, ""
    return f"{type(error).__name__}: {error}", "this is a fault of the program; please report it"


@contextmanager
def progress(what: str, *, json: bool) -> Iterator[Tick]:
    """Show how far ``what`` has got, on standard error."""
    if sys.stderr.isatty():
        with _bar(what) as tick:
            yield tick
    else:
        yield _nothing if json else _lines(what)


@contextmanager
def _bar(what: str) -> Iterator[Tick]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        _bars.append(bar)
        try:
            yield lambda done, total: bar.update(task, completed=done, total=total)
        finally:
            _bars.remove(bar)


class _Rate(ProgressColumn):
    """How many are done in a second."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


def _lines(what: str) -> Tick:
    began = last = time.monotonic()
    first: int | None = None

    def tick(done: int, total: int | None) -> None:
        nonlocal began, last, first
        now = time.monotonic()
        if first is None:
            began, first = now, done
        if now - last >= LINE_SECONDS:
            last = now
            say(progress_line(what, done, total, (done - first) / (now - began) if now > began else 0))

    return tick


def progress_line(what: str, done: int, total: int | None, rate: float) -> str:
    """How far ``what`` has got, how fast, and for how long it will go on, as far as that is known.

    >>> progress_line("folded", 20_000, 50_000, 10_000)
    'folded: 20,000 of 50,000, 10,000/s, 3 s left'
    """
    whole = f" of {total:,}" if total else ""
    speed = f", {rate:,.0f}/s" if rate else ""
    left = f", {(total - done) / rate:,.0f} s left" if total and rate else ""
    return f"{what}: {done:,}{whole}{speed}{left}"


def _nothing(done: int, total: int | None) -> None:
    """Show nothing."""
