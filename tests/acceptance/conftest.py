"""The command as its users run it: through its entry point in this process, or as a program of its own.

In this process is quick, and enough for what a verb says and answers; pipes, signals and the environment need the
program.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tools.cli.main import main

ORIGIN = "ledger.example/studio"


class Result(NamedTuple):
    """What came of a run."""

    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The last line of standard error as JSON."""
        return json.loads(self.err.splitlines()[-1])


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CONTINUITY_") and "_TEST_" not in name]:
        monkeypatch.delenv(name)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder that ``run`` works in."""
    return tmp_path / "data"


@pytest.fixture
def run(data: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Run a command line in this process: ``run("log", "--raw", stdin=b"...")``."""
    monkeypatch.setenv("CONTINUITY_DATA", str(data))

    def invoke(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))
        code = main([str(each) for each in arguments])
        out, err = capsysbinary.readouterr()
        return Result(code, out, err.decode())

    return invoke


@pytest.fixture
def studio(run: Run) -> Run:
    """``run``, with the empty ledger ``studio`` in place."""
    assert run("init", "studio", "--origin", ORIGIN).code == 0
    return run


@pytest.fixture
def week(studio: Run, repository: Path) -> Run:
    """``run``, with the ledger ``studio`` and the sample week in it."""
    assert studio("append", repository / "examples" / "studio-week.ndjson").code == 0
    return studio


@pytest.fixture
def program(data: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run a line of bash, in which ``continuity`` is the command as a program of its own."""
    environment = os.environ | {"CONTINUITY_DATA": str(data), "PYTHON": sys.executable}
    define = 'continuity() { "$PYTHON" -c "import sys; from tools.cli.main import main; sys.exit(main())" "$@"; }'

    def invoke(line: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail\n{define}\n{line}"],
            check=False,
            capture_output=True,
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])} | variables,
            stdin=subprocess.DEVNULL,
            timeout=170,
        )

    return invoke
