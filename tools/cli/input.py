"""Standard input whose reader an interrupt always ends.

Owns the wait for input. Python calls a signal's handler between two instructions of the main thread: a signal that
comes after the last of them and before the system call is noted, and the read then waits for input that may never
come. That is no rare thing while another thread holds the interpreter, as the writer does right after a commit. So the
wait is for either of two descriptors: the input, and one on which each signal leaves a byte. Never looks at what is
read.

Source: https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd.
"""

from __future__ import annotations

import io
import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

_MANY = 4096


class InterruptibleInput(io.RawIOBase):
    """Reads a descriptor, which stays open, and lets signals have their turn. In the main thread only; one at a time.

    What a handler raises, as Python's own does for an interrupt, comes out of the read.
    """

    def __init__(self, source: int) -> None:
        self._source = source
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with what there is, once there is something; 0 at the end."""
        while self._woken in select.select([self._source, self._woken], [], [])[0]:
            os.read(self._woken, _MANY)  # the handlers are called before the next turn
        return os.readv(self._source, [buffer])

    def close(self) -> None:
        """Put the signals back as they were. Idempotent."""
        if not self.closed:
            signal.set_wakeup_fd(self._before)
            os.close(self._woken)
            os.close(self._wake)
        super().close()


@contextmanager
def interruptible(stream: BinaryIO) -> Iterator[BinaryIO]:
    """A stream of which nothing was read yet, read such that signals are heard; as it is if it has no descriptor."""
    try:
        source = stream.fileno()
    except io.UnsupportedOperation:
        source = -1
    if source < 0 or threading.current_thread() is not threading.main_thread():
        yield stream
        return
    with io.BufferedReader(InterruptibleInput(source)) as reader:
        yield cast("BinaryIO", reader)
