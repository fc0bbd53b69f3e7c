"""Loopback ports of the servers that are measured."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time

_START_SECONDS = 20.0


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def await_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the process takes connections. Raises ``RuntimeError`` when it ends before, or takes too long."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise RuntimeError("a server to measure did not start")
