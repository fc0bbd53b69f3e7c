"""``continuity serve`` starts the service on this machine, and stops it when asked to."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Run

COMMAND = [sys.executable, "-c", "import sys; from tools.cli.main import main; sys.exit(main())"]


@pytest.fixture
def server(studio: Run, data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its address."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--data", str(data)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            yield process, found[0]
            break
    else:
        pytest.fail("the server did not start")
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=60)


def test_it_answers_on_this_machine_and_ends_on_sigterm(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:  # noqa: S310 - our own server
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def test_it_goes_on_when_nobody_reads_what_it_tells(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    for _ in range(1000):  # two and a half times what the pipe of its log holds
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
    connection.close()
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert told.count('"route":"/healthz"') == 1000


def test_a_port_that_is_taken_is_a_failure_and_not_an_incomplete_input(
    server: tuple[subprocess.Popen[str], str], data: Path
) -> None:
    port = server[1].rpartition(":")[2]
    done = subprocess.run(
        [*COMMAND, "serve", "--port", port, "--data", str(data)],
        check=False,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, b"")


def test_an_impossible_setting_is_a_fault_of_usage(studio: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTINUITY_BODY_LIMIT", "none")
    result = studio("serve", "--port", "0", "--json")
    assert (result.code, result.error["exit_code"]) == (2, 2)
    assert "CONTINUITY_BODY_LIMIT" in result.error["error"]


@pytest.mark.parametrize(
    ("host", "warned"), [("127.0.0.1", False), ("::1", False), ("localhost", False), ("192.0.2.7", True)]
)
def test_listening_beyond_this_machine_is_warned_of(
    studio: Run, monkeypatch: pytest.MonkeyPatch, host: str, warned: bool
) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr("tools.cli.commands.serve.uvicorn.run", lambda *_, **how: asked.append(how))
    result = studio("serve", "--host", host, "--port", "9000")
    assert (result.code, result.out, "without TLS" in result.err) == (0, b"", warned)
    assert (asked[0]["host"], asked[0]["port"]) == (host, 9000)
    assert asked[0]["http"] == "api.connections:Connection", "which bounds what anybody may send"


def test_a_folder_without_a_ledger_is_warned_of(
    studio: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.cli.commands.serve.uvicorn.run", lambda *_, **__: None)
    for folder, warned in ((data, False), (tmp_path / "empty", True)):
        assert ("holds no ledger yet" in studio("serve", "--data", folder).err) is warned
