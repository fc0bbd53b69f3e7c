"""S3 for tests: one server a session, and a fresh bucket for each test that asks.

Owns the server's life. Where ``../shared/tools/s3-server`` is there and starts, it is a real one (Ceph RADOS Gateway);
elsewhere it is moto's, which takes any credentials. Owns no fixtures and no assertions.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import urllib3
from minio import Minio

from tests.support.watching import watched

TOOL = Path(__file__).resolve().parents[3] / "shared" / "tools" / "s3-server"
START_SECONDS = 60
_numbers = itertools.count(1)


class S3Server(NamedTuple):
    """A running server, by what its users need to know; ``heeds_keys`` tells if it looks at credentials."""

    endpoint: str
    access_key: str
    secret_key: str
    heeds_keys: bool

    def client(self) -> Minio:
        """A client of the SDK itself, to look behind the code under test."""
        pool = urllib3.PoolManager(timeout=30.0, retries=False)
        where = self.endpoint.removeprefix("http://")
        return Minio(where, self.access_key, self.secret_key, secure=False, region="us-east-1", http_client=pool)

    def bucket(self) -> str:
        """A fresh bucket; its name."""
        name = f"test-{os.getpid()}-{next(_numbers)}"
        self.client().make_bucket(name)
        return name

    def environment(self) -> dict[str, str]:
        """The variables by which the code under test finds it."""
        return {
            "CONTINUITY_S3_ENDPOINT": self.endpoint,
            "CONTINUITY_S3_ACCESS_KEY": self.access_key,
            "CONTINUITY_S3_SECRET_KEY": self.secret_key,
            "CONTINUITY_S3_REGION": "us-east-1",
        }


@contextmanager
def any_server() -> Iterator[S3Server]:
    """The real server, or moto's where there is none."""
    with _real_server() as server:
        if server is not None:
            yield server
            return
    with _moto() as server:
        yield server


@contextmanager
def _real_server() -> Iterator[S3Server | None]:
    if not TOOL.is_file():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="continuity-s3-") as folder:
        place = ["--port", str(free_port()), "--dir", f"{folder}/s3"]
        environment = os.environ | {"S3_SERVER_WAIT": str(START_SECONDS), "S3_SERVER_BYTES": str(256 * 1024 * 1024)}

        def run(action: str) -> subprocess.CompletedProcess[str]:
            command = [str(TOOL), action, *place]
            return subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=170)

        with watched(Path(folder), [str(TOOL), "stop", *place]):
            if run("start").returncode:
                yield None
                return
            try:
                lines = [line.removeprefix("export ").split("=", 1) for line in run("env").stdout.splitlines()]
                told = dict(lines)
                yield S3Server(told["S3_ENDPOINT"], told["S3_ACCESS_KEY"], told["S3_SECRET_KEY"], heeds_keys=True)
            finally:
                run("stop")


@contextmanager
def _moto() -> Iterator[S3Server]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "moto's server ended"
                assert time.monotonic() < until, "moto's server does not start"
                time.sleep(0.05)
        with watched(None, ["kill", str(process.pid)]):
            yield S3Server(f"http://127.0.0.1:{port}", "moto", "moto-secret", heeds_keys=False)
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
