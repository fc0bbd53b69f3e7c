"""UmaDB: a server in Rust with a file of its own, reached by gRPC. Appends without a condition, its fastest."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tools.bench.measure import Contestant
from tools.bench.peers.cell import Cell
from tools.bench.peers.driver import FETCHED, SCRIPTS, Driver
from tools.bench.ports import await_listening, free_port

NAME = "UmaDB"
_PLACE = FETCHED / "python"
_SERVER = "from umadb.umadb_server_cli import main; main()"


class UmaDB:
    """UmaDB's server, fresh for each run, and its client in a process beside it."""

    def __init__(self) -> None:
        self._driver: Driver | None = None

    def contestant(self, cell: Cell, seconds: float) -> Contestant:
        """As one of those who append."""
        installed = (_PLACE / "umadb").is_dir()
        return Contestant(NAME, (lambda: self._run(cell, seconds)) if installed else None)

    def _run(self, cell: Cell, seconds: float) -> float:
        if self._driver is None:
            command = [sys.executable, "-P", str(SCRIPTS / "umadb_driver.py")]
            self._driver = Driver(command, {"PYTHONPATH": str(_PLACE)})
        with _server() as url:
            return self._driver.run(cell, url, seconds)

    def close(self) -> None:
        """End the client's process."""
        if self._driver is not None:
            self._driver.close()


@contextmanager
def _server() -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="continuity-bench-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, "--listen", f"127.0.0.1:{port}", "--db-path", f"{folder}/uma.db"],
            env={"PYTHONPATH": str(_PLACE)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await_listening(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)
