"""A peer driven in a process of its own, which is told what to do and answers by lines of JSON.

It knows two commands: ``{"load": FILE}`` takes the requests of a cell and makes of them, unmeasured, what the peer's
client wants to be given; ``{"run": SECONDS, "url": URL}`` sends them, each client waiting for its answers, and answers
``{"events": N, "seconds": S}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.bench.peers.cell import Cell

FETCHED = Path(__file__).resolve().parents[3] / ".bench"
"""Where ``make bench-peers`` puts what it fetches."""
SCRIPTS = Path(__file__).resolve().parent


class Driver:
    """A running driver. Close it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it. Raises ``OSError``."""
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        self._loaded: Path | None = None

    def run(self, cell: Cell, url: str, seconds: float) -> float:
        """Events a second of one run. Raises ``RuntimeError`` when it fails."""
        if self._loaded != cell.file:
            self._ask({"load": str(cell.file)})
            self._loaded = cell.file
        answer = self._ask({"run": seconds, "url": url})
        return float(answer["events"]) / float(answer["seconds"])

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"the driver ended with status {self._process.wait(10)}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended before
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
