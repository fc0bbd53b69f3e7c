"""Ends a server whose test session was killed: a process of its own waits for that, beside the session.

Owns that process. However a session ends, nothing is left running: at its normal end the server is stopped by whoever
started it, and the watcher goes without a deed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_WATCH = """
import shutil, subprocess, sys
folder, user, *stop = sys.argv[1:]
if sys.stdin.buffer.read() != b"done":
    subprocess.run(stop, user=user or None, cwd="/", stdin=subprocess.DEVNULL)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
"""


@contextmanager
def watched(folder: Path | None, stop: Sequence[str], user: str | None = None) -> Iterator[None]:
    """Within the context, the death of this process runs ``stop``, as a user, and removes the folder."""
    watcher = subprocess.Popen(
        [sys.executable, "-IS", "-c", _WATCH, str(folder or ""), user or "", *stop],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt of the session is not one of the watcher
    )
    try:
        yield
    finally:
        watcher.communicate(b"done")
