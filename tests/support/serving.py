"""The service as a program of its own, for tests that need what runs beside the test. Owns no assertions."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_COMMAND = [sys.executable, "-c", "import sys; from tools.cli.main import main; sys.exit(main())"]


@contextmanager
def serving(*arguments: object) -> Iterator[str]:
    """A verb that serves, on a free port, and its address; stopped by SIGTERM at the end."""
    process = subprocess.Popen(
        [*_COMMAND, *map(str, arguments), "--port", "0"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found[0]
                return
        raise AssertionError("the server did not start")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def request_to(address: str, token: str, path: str, body: bytes | None = None) -> urllib.request.Request:
    """A request to the ledger ``studio``: a batch of events where there is a body."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents-batch+json"}
    return urllib.request.Request(f"{address}/v1/ledgers/studio/{path}", body, headers)  # noqa: S310 - our own server
