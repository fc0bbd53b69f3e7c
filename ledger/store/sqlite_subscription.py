"""Following a SQLite ledger as it grows, from this process or another.

Owns the watch on ``PRAGMA data_version``, which changes whenever any other connection commits.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from ledger.store.subscription import Follower

POLL_SECONDS = 0.02
"""How late a commit of another process is noticed, at most; a commit of this one wakes at once."""


class FileFollower(Follower):
    """Wakes subscriptions when the file changes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def _watch(self) -> None:
        """Poll the data version, and wake on any change. A failing poll wakes too: the read then shows the fault."""
        connection: sqlite3.Connection | None = None
        seen: object = None
        try:
            while not self._closed.wait(POLL_SECONDS):
                if self._idle():
                    return
                try:
                    if connection is None:
                        connection = sqlite3.connect(self._path, check_same_thread=False)
                    version: object = connection.execute("PRAGMA data_version").fetchone()[0]
                except sqlite3.Error:
                    version = time.monotonic()
                if version != seen:
                    seen = version
                    self.notify()
        finally:
            if connection is not None:
                connection.close()
