"""What reaches a terminal: escaped, and progress only where it helps."""

from __future__ import annotations

import io
import re
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidEvent, NotFound
from tools.cli import output


class Terminal(io.StringIO):
    """A text stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@given(st.text())
def test_what_is_printed_for_people_is_one_printable_line(text: str) -> None:
    shown = output.printable(text)
    assert shown.isprintable()
    assert (shown == text) == text.isprintable()


def test_an_error_is_told_with_its_advice(capsys: pytest.CaptureFixture[str]) -> None:
    output.report(NotFound("no\x1b[2J such", advice="look elsewhere"), 10, json=False)
    assert capsys.readouterr().err == "error: no\\x1b[2J such\n  look elsewhere\n"


def test_an_error_is_one_json_object_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    output.report(NotFound("no such", advice="look elsewhere"), 10, json=True)
    assert capsys.readouterr().err == '{"error":"no such","advice":"look elsewhere","exit_code":10}\n'


def test_each_kind_of_error_is_described() -> None:
    assert output.describe(InvalidEvent("expected a date", "$.time", index=4)) == (
        "event 5: $.time: expected a date",
        "",
    )
    assert output.describe(OSError(28, "No space left on device", "file"))[0] == "file: No space left on device"
    assert output.describe(OSError("odd"))[0] == "OSError: odd"
    assert output.describe(click.UsageError("wrong")) == ("wrong", "see: continuity --help")
    assert output.describe(click.ClickException("wrong")) == ("wrong", "")
    assert output.describe(KeyboardInterrupt()) == ("interrupted", "")
    assert output.describe(KeyError("k"))[0] == "KeyError: 'k'"


@pytest.mark.parametrize(("no_color", "red"), [(None, True), ("1", False)])
def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch, no_color: str | None, red: bool) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    output.report(NotFound("no such"), 10, json=False)
    assert ("\x1b[" in terminal.getvalue()) is red
    assert "no such" in terminal.getvalue()


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with output.progress("folded", json=False) as tick:
        tick(50, 100)
    assert "folded" in terminal.getvalue()


def test_lines_stand_above_the_bar_whole_and_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    line = "[bold]:smile: " + "x" * 100
    with output.progress("folded", json=False) as tick:
        tick(1, 2)
        output.say(line)
        output.say_json({"line": line})
    assert f"{line}\n" in terminal.getvalue()
    assert f'{{"line":"{line}"}}\n' in terminal.getvalue()


@pytest.mark.parametrize(
    ("done", "total", "rate", "line"),
    [
        (20_000, 50_000, 10_000.4, "folded: 20,000 of 50,000, 10,000/s, 3 s left"),
        (20_000, None, 10_000, "folded: 20,000, 10,000/s"),
        (20_000, 50_000, 0, "folded: 20,000 of 50,000"),
        (50_000, 50_000, 10_000, "folded: 50,000 of 50,000, 10,000/s, 0 s left"),
    ],
)
def test_progress_tells_how_far_how_fast_and_how_long(done: int, total: int | None, rate: float, line: str) -> None:
    assert output.progress_line("folded", done, total, rate) == line


def test_without_a_terminal_there_is_a_line_now_and_then_and_none_under_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "LINE_SECONDS", 0.0)
    with output.progress("folded", json=False) as tick:
        tick(5_000, 10_000)
        tick(7_000, None)
    assert re.fullmatch(r"folded: 5,000 of 10,000\nfolded: 7,000, [0-9,]+/s\n", capsys.readouterr().err)
    monkeypatch.setattr(output, "LINE_SECONDS", 60.0)
    with output.progress("folded", json=False) as tick:
        tick(1, 2)
    with output.progress("folded", json=True) as tick:
        tick(1, 2)
    assert capsys.readouterr().err == ""
