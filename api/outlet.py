"""The way out for what a server tells: standard error, which may be read slowly, or by nobody.

Owns the bytes that wait to be written, the bound on them, and the thread that writes. Whoever tells something never
waits: a pipe whose reader stands still would hold the event loop, or a writer in its transaction, and with it every
request, for as long as that lasts. What finds no room is dropped, and how much that was is told when there is room
again. Lines stay whole and in their order. Never looks into a line, and owns no wording but that of what was dropped.
"""

from __future__ import annotations

import atexit
import datetime as dt
import functools
import logging
import os
import select
import sys
import threading
from typing import Final

import orjson

ROOM: Final = 1024 * 1024
"""Bytes that may wait: some 4,000 lines."""
END_SECONDS: Final = 1.0
"""How long a process that ends waits for what it has told to be written."""


class Outlet:
    """Writes whole lines to a descriptor, from a thread of its own. Safe for use from several threads."""

    def __init__(self, descriptor: int, room: int = ROOM) -> None:
        """The descriptor stays the caller's; ``room`` is in bytes."""
        self._descriptor = descriptor
        self._room = room
        self._condition = threading.Condition()  # guards all below
        self._waiting: list[bytes] = []
        self._held = 0  # bytes that wait, and those that are being written
        self._dropped = 0  # lines, since that was last told
        self._thread: threading.Thread | None = None

    def write(self, lines: bytes, *, common: bool = False) -> None:
        """Take lines, each with its end, and return at once.

        ``common`` ones, which come by thousands, leave half of the room to what an operator must see.
        """
        room = self._room // 2 if common else self._room
        with self._condition:
            if self._held and self._held + len(lines) > room:
                self._dropped += lines.count(b"\n")
                return
            self._waiting.append(lines)
            self._held += len(lines)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outlet", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def drain(self, seconds: float = END_SECONDS) -> bool:
        """Wait until all that was taken is written, so many seconds at most; whether it is."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._held, seconds)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waiting)
                lines, self._waiting = b"".join(self._waiting), []
            written = self._put(lines)
            with self._condition:
                self._held -= len(lines)
                if not written:
                    self._dropped += lines.count(b"\n")
                elif self._dropped:
                    told, self._dropped = _told(self._dropped), 0
                    self._waiting.append(told)  # beyond the room if need be: it is one line
                    self._held += len(told)
                self._condition.notify_all()

    def _put(self, lines: bytes) -> bool:
        """Write all of it, however long that takes; False where that can't be done: nobody reads, or a disk is full."""
        left = memoryview(lines)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # somebody who shares it wants it so
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True


def _told(dropped: int) -> bytes:
    """The line that tells how many were dropped."""
    line = {"event": "dropped", "level": "warning", "lines": dropped, "timestamp": dt.datetime.now(dt.UTC)}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)


@functools.cache
def standard_error() -> Outlet:
    """The outlet of this process, which ends only when that is written, or takes too long."""
    # Started without one, its number is that of the next file that is opened, which may be a key's.
    outlet = Outlet(2 if sys.__stderr__ is not None else os.open(os.devnull, os.O_WRONLY))
    atexit.register(outlet.drain)
    return outlet


class Handler(logging.Handler):
    """What libraries log, to standard error; ``continuity serve`` names it in uvicorn's settings."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it. The few lines of a start or an end are waited for, since the process may end right after."""
        try:
            standard_error().write(f"{self.format(record)}\n".encode(errors="backslashreplace"))
            if record.levelno == logging.INFO:  # the server's own; what a client can cause is a warning or more
                standard_error().drain()
        except Exception:  # noqa: BLE001 - as any handler of the library: a line that can't be told is no fault
            self.handleError(record)
