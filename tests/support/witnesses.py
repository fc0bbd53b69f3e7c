"""Witnesses for tests: real ones on servers of their own, and fronts before them that are slow or lie.

Owns their processes and threads. Owns no fixtures and no assertions.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from ledger.note import VerifierKey
from tools.witness import Witness

_MAIN = "import sys; from tools.cli.main import main; sys.exit(main())"
REPOSITORY = Path(__file__).resolve().parents[2]


class Serving(NamedTuple):
    """A witness that serves: its folder, its address and its process."""

    folder: Path
    address: str
    process: subprocess.Popen[str]

    @property
    def key(self) -> VerifierKey:
        """The key that policies name it by."""
        return Witness(self.folder).keys[0]

    def know(self, keys: Iterable[VerifierKey]) -> None:
        """Let it know a log from now on."""
        witness = Witness(self.folder)
        for key in keys:
            witness.add_log(key)


@contextmanager
def serving(folder: Path, *, before: str = "") -> Iterator[Serving]:
    """The witness in a folder, made if need be, on a free port; its process runs the code ``before`` all else."""
    if not folder.exists():
        Witness.create(folder, f"witness.example/{folder.name}")
    process = subprocess.Popen(
        [sys.executable, "-c", f"{before}\n{_MAIN}", "witness", "serve", str(folder), "--port", "0"],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                drain = threading.Thread(target=process.stderr.read, daemon=True)
                drain.start()  # or it would stand still once the pipe is full
                yield Serving(folder, found[0], process)
                break
        else:
            raise AssertionError("the witness did not start")
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)
        process.stderr.close()


Behave = Callable[[bytes, Callable[[bytes], tuple[int, bytes]]], tuple[int, bytes]]
"""(body, pass it on) -> status and body of the answer."""


@contextmanager
def front(address: str, behave: Behave) -> Iterator[str]:
    """A server before a witness that answers as ``behave`` says; its address."""

    def pass_on(body: bytes) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"{address}/add-checkpoint", body, timeout=30) as answer:  # noqa: S310 - ours
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = behave(body, pass_on)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                pass  # who asked has gone

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
