"""The service as it runs: uvicorn in a process of its own, on a loopback port."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from tests.support.http import make_ledger

START_SECONDS = 60


class Server(NamedTuple):
    """A running server: its port, its process, the keys of a ledger and its name, and the folder it serves."""

    port: int
    process: subprocess.Popen[bytes]
    keys: dict[str, str]
    data: Path
    ledger: str = "studio"

    def client(self, role: str = "owner") -> httpx2.Client:
        """A client that speaks with the key of a role, below the ledger."""
        return httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}/v1/ledgers/{self.ledger}",
            headers={"Authorization": f"Bearer {self.keys[role]}"},
            timeout=60,
        )

    def raw(self, request: bytes, *more: bytes, pause: float = 0.0) -> bytes:
        """What comes back for raw bytes, until the server closes or nothing comes for a while."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            answer = b""
            try:
                connection.sendall(request)
                for part in more:
                    time.sleep(pause)
                    connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has answered and closed already
            connection.settimeout(5)
            try:
                while part := connection.recv(65536):
                    answer += part
                    if b"\r\n\r\n" in answer and b"connection: close" not in answer.lower():
                        connection.settimeout(0.3)
            except (TimeoutError, ConnectionResetError):
                pass
            return answer

    def post_head(self, length: int | None = None, content_type: str = "application/cloudevents+json") -> bytes:
        """The head of a raw POST to the ledger's events; chunked unless a length is given."""
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        return (
            f"POST /v1/ledgers/{self.ledger}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n{framing}\r\n"
            f"Authorization: Bearer {self.keys['owner']}\r\nContent-Type: {content_type}\r\n\r\n"
        ).encode()

    def memory(self) -> int:
        """Mebibytes that the process has in memory."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") // 2**20


@contextmanager
def serve(data: Path, keys: dict[str, str], **settings: str) -> Iterator[Server]:
    """A server over a folder of ledgers; it is asked to end, and must."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"CONTINUITY_DATA": str(data), "CONTINUITY_ACCESS_LOG": "none"} | settings
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app", "--port", str(port)]
    process = subprocess.Popen([*command, "--no-access-log", "--log-level", "warning"], env=environment)
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, "the server ended at once"
            assert time.monotonic() < until, "the server did not start"
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield Server(port, process, keys, data)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for bodies but briefly. Shared by the tests of a module."""
    data = tmp_path_factory.mktemp("data")
    keys = make_ledger(data)
    with serve(data, keys, CONTINUITY_BODY_SECONDS="1.5") as running:
        yield running
