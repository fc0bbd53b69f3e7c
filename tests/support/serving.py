"""The service as a program of its own, for tests that need what runs beside the test. Owns no assertions.

What it tells is read all the time, as an operator's system does. Where a test fails beside it, its last lines and the
stacks of all its threads are shown, so that one which stands still says where.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAM = """
import faulthandler, signal, sys
faulthandler.register(signal.SIGUSR1)
from tools.cli.main import main
sys.exit(main())
"""
_COMMAND = [sys.executable, "-c", _PROGRAM]
_KEPT = 400
"""Lines of its log that are shown, at most."""


@contextmanager
def serving(*arguments: object) -> Iterator[str]:
    """A verb that serves, on a free port, and its address; stopped by SIGTERM at the end."""
    process = subprocess.Popen(
        [*_COMMAND, *map(str, arguments), "--port", "0"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    told: deque[str] = deque(maxlen=_KEPT)
    reader = threading.Thread(target=told.extend, args=(process.stderr,), daemon=True)
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            raise AssertionError("the server did not start")
        reader.start()
        try:
            yield found[0]
        except BaseException:
            process.send_signal(signal.SIGUSR1)
            time.sleep(0.5)  # for the stacks to come
            sys.stderr.writelines(["what the service told last:\n", *told.copy()])
            raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
            if reader.ident is not None:
                reader.join()
            process.stderr.close()


def request_to(address: str, token: str, path: str, body: bytes | None = None) -> urllib.request.Request:
    """A request to the ledger ``studio``: a batch of events where there is a body."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents-batch+json"}
    return urllib.request.Request(f"{address}/v1/ledgers/studio/{path}", body, headers)  # noqa: S310 - our own server
