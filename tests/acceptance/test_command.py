"""The command as a whole: options before and after the verb, exit codes, errors as JSON, pipes and signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from tests.acceptance.conftest import ORIGIN, Run
from tests.support.events import requested
from tools.cli.main import cli, main, verbs

Program = Callable[..., "subprocess.CompletedProcess[bytes]"]


def test_options_are_accepted_before_and_after_the_verb_and_the_later_wins(run: Run, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert run("--data", one, "init", "a", "--origin", "a.example").code == 0
    assert run("init", "b", "--origin", "b.example", "--data", two).code == 0
    lines = [
        ("--data", one, "--ledger", "a", "--json", "checkpoint"),
        ("checkpoint", "--data", one, "--ledger", "a", "--json"),
        ("--data", two, "--ledger", "b", "checkpoint", "--ledger", "a", "--data", one, "--json"),
        ("--json", "--data", two, "--ledger", "a", "checkpoint", "--data", one),
    ]
    assert {run(*line).json["origin"] for line in lines} == {"a.example"}
    assert run("--data", one, "--ledger", "b", "checkpoint").code == 10


def test_the_environment_gives_defaults_that_options_override(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        assert run("init", name, "--origin", f"{name}.example").code == 0
    monkeypatch.setenv("CONTINUITY_LEDGER", "a")
    assert run("checkpoint", "--json").json["origin"] == "a.example"
    assert run("--ledger", "b", "checkpoint", "--json").json["origin"] == "b.example"
    assert run("checkpoint", "--json", "--ledger", "b").json["origin"] == "b.example"
    monkeypatch.setenv("CONTINUITY_DATA", str(tmp_path / "elsewhere"))
    assert run("checkpoint").code == 10


def test_without_any_word_it_is_the_ledger_studio_in_data_here(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTINUITY_DATA")
    monkeypatch.chdir(tmp_path)
    assert run("init", "studio", "--origin", ORIGIN).code == 0
    assert (tmp_path / "data" / "studio" / "ledger.db").is_file()
    assert run("checkpoint").code == 0


@pytest.mark.parametrize(
    "line",
    [
        "append -",
        "log",
        "log --raw",
        "checkpoint",
        "prove 0",
        "consistency 1 1",
        "show ledger:main",
        "rebuild",
        "query pieces",
        "audit",
    ],
)
@pytest.mark.parametrize("name", ["none", "../studio", "", "STUDIO", "studio/../studio", "x" * 300, "studio\n"])
def test_every_verb_answers_10_where_there_is_no_such_ledger(studio: Run, line: str, name: str) -> None:
    result = (
        studio(*line.split(), "--ledger", name, "--json")
        if name
        else studio(*line.split(), "--data", "/nowhere", "--json")
    )
    assert (result.code, result.out) == (10, b"")
    assert list(result.error) == ["error", "advice", "exit_code"]
    assert result.error["exit_code"] == 10


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "log --nonsense",
        "prove",
        "prove x",
        "init studio",
        "--data",
        "show",
        "append a b",
        "serve --port x",
    ],
)
def test_a_wrong_command_line_answers_2_in_words_or_as_json(run: Run, line: str) -> None:
    assert run(*line.split()).code == 2
    if line and line != "--data":
        result = run(*line.split(), "--json")
        assert (result.code, result.out) == (2, b"")
        assert result.error["exit_code"] == 2
        assert result.error["error"]


def test_an_error_in_words_says_what_to_do(run: Run) -> None:
    result = run("log")
    assert result.err.startswith("error: there is no ledger 'studio'")
    assert "continuity init" in result.err


def test_a_damaged_store_is_a_failure_and_an_open_key_folder_is_denied(studio: Run, data: Path) -> None:
    keys = data / "studio" / "keys"
    keys.chmod(0o755)
    assert studio("log", "--json").error["exit_code"] == 12
    keys.chmod(0o700)
    (keys / "ed25519.seed").unlink()
    assert studio("log").code == 12
    (data / "studio" / "ledger.db").write_bytes(b"no database" * 1000)
    assert studio("log").code == 1


def test_pages_of_the_file_that_are_overwritten_are_a_failure_told_in_words(week: Run, data: Path) -> None:
    file = data / "studio" / "ledger.db"
    whole = file.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    told = set()
    for start in range(size, len(whole), size):
        file.write_bytes(whole[:start] + b"\xaa" * size + whole[start + size :])
        for line in ("log --jsonl", "show reservation:R-2101", "rebuild"):
            result = week(*line.split(), "--json")
            assert result.code in (0, 1)
            told.add(result.code)
            assert result.code == 0 or result.error["error"]
            assert "fault of the program" not in result.err
    assert told == {0, 1}


def test_help_of_every_verb_shows_the_three_options_and_examples_that_parse(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overview = run("--help").out.decode()
    for name, command in verbs():
        assert name.split()[0] in overview
        shown = run(*name.split(), "--help").out.decode()
        assert {"--data", "--ledger", "--json"} <= set(shown.replace(",", " ").split())
        for example in command.examples:
            assert example in shown
            words = example.partition("continuity ")[2].split(" > ")[0].split(" | ")[0].split()
            _parses(words, tmp_path, monkeypatch)


FILES = (".ndjson", ".json", ".checkpoint", ".vkey", ".tlog-proof", ".slice", ".policy", ".rotations", ".history")


def _parses(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in words:
        if Path(word).suffix in FILES:
            (folder / word).touch()
    monkeypatch.chdir(folder)
    with cli.make_context("continuity", list(words)) as context:
        name, command, rest = cli.resolve_command(context, words[words.index(_verb_of(words)) :])
        if isinstance(command, click.Group):
            name, command, rest = command.resolve_command(context, rest)
        assert command is not None
        with command.make_context(name, rest, parent=context):
            pass


def _verb_of(words: list[str]) -> str:
    return next(word for word in words if word in cli.commands)


def test_version_is_told_as_option_and_as_verb(run: Run) -> None:
    told = run("version", "--json").json
    assert list(told) == ["version", "format", "python"]
    assert told["version"] in run("--version").out.decode()
    assert told["version"] in run("version").out.decode()


def test_a_fault_of_the_program_is_a_failure_not_a_success(studio: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ledger.log import Log

    def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(Log, "checkpoint", fail)
    assert studio("checkpoint", "--json").error["exit_code"] == 1
    with pytest.raises(ZeroDivisionError):
        main(["checkpoint"])


def test_a_reader_that_stops_listening_ends_the_command_quietly(studio: Run, program: Program) -> None:
    events = b"\n".join(requested(f"R-{number}") for number in range(2_000))
    assert studio("append", stdin=events).code == 0
    for line in (
        "log | head -1",
        "log --raw | head -1",
        "log --jsonl | head -1",
        "log --json | head -c 1",
        "log | true",
    ):
        done = program(f"continuity {line}")
        assert (done.returncode, done.stderr) == (0, b""), line


def test_output_is_utf_8_in_any_locale(studio: Run, program: Program) -> None:
    assert studio("append", stdin=requested("R-1", data={"notes": "Größe: 38 cm – 釉"})).code == 0
    for line in ("show reservation:R-1", "show reservation:R-1 --json", "log --jsonl --from 1"):
        done = program(f"continuity {line}", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        assert done.returncode == 0, done.stderr
        assert "Größe: 38 cm – 釉" in done.stdout.decode()


def test_results_are_not_wrapped_at_the_width_of_a_terminal(studio: Run, program: Program) -> None:
    narrow, wide = (program("continuity log --raw", COLUMNS=width) for width in ("20", "2000"))
    assert narrow.stdout == wide.stdout != b""
    assert len(narrow.stdout.splitlines()) == 1


def test_ctrl_c_answers_130_and_what_was_read_before_is_recorded(studio: Run, data: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from tools.cli.main import main; sys.exit(main())",
            "append",
            "-",
            "--json",
        ],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"CONTINUITY_DATA": str(data)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(requested("R-1") + b"\n" + requested("R-2") + b"\n")
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while len(studio("log").out.splitlines()) < 3:
        assert time.monotonic() < deadline, "a line is not appended before the next one comes"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert json.loads(err.splitlines()[-1])["exit_code"] == 130
    assert len(studio("log").out.splitlines()) == 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_verbs_types_and_ledgers(studio: Run, program: Program, data: Path, shell: str) -> None:
    (data / ".studio-2.new" / "keys").mkdir(parents=True)  # as a killed init leaves it
    source = program("continuity", _CONTINUITY_COMPLETE=f"{shell}_source")
    assert source.returncode == 0
    assert b"continuity" in source.stdout
    if shell == "bash":
        for words, number, expected in (
            ("continuity che", "1", b"checkpoint"),
            ("continuity log --type member.reg", "3", b"member.registered"),
            ("continuity --ledger st", "2", b"studio"),
            ("continuity --ledger ", "2", b"studio"),
        ):
            done = program("continuity", _CONTINUITY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=number)
            assert expected in done.stdout
            assert b".new" not in done.stdout
