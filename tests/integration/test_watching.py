"""The servers that tests start end with their session, even one that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SESSION = """
import sys, time
from pathlib import Path
from tests.support.watching import watched
folder = Path(sys.argv[1])
with watched(folder / "server", ["touch", str(folder / "stopped")]):
    (folder / "ready").touch()
    while not (folder / "leave").exists():
        time.sleep(0.02)
"""


def wait_for(path: Path) -> None:
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.02)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None])
def test_a_server_is_stopped_and_its_folder_removed_by_the_watcher_where_a_session_is_killed(
    tmp_path: Path, repository: Path, end: signal.Signals | None
) -> None:
    (tmp_path / "server").mkdir()
    session = subprocess.Popen([sys.executable, "-c", SESSION, str(tmp_path)], cwd=repository)
    wait_for(tmp_path / "ready")
    if end is None:
        (tmp_path / "leave").touch()
        assert session.wait(30) == 0  # once the watcher has gone
        assert not (tmp_path / "stopped").exists(), "whoever started it stops it"
        assert (tmp_path / "server").exists()
        return
    os.kill(session.pid, end)
    session.wait(30)
    wait_for(tmp_path / "stopped")
    until = time.monotonic() + 30
    while (tmp_path / "server").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
