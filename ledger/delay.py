"""Something that is done once, some time after it was asked for, however often it was asked for meanwhile.

Owns the thread of a timer, and its end. Never decides what is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Delay:
    """Runs ``run`` on a thread of its own, which raises nothing. Safe for use from several threads."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run
        self._running = threading.Lock()  # held while it runs
        self._lock = threading.Lock()  # guards the one below
        self._timer: threading.Timer | None = None

    def start(self, seconds: float) -> None:
        """Ask for it, so many seconds from now; if it is asked for already, that stands."""
        with self._lock:
            if self._timer is None:
                timer = threading.Timer(seconds, self._go)
                timer.daemon = True
                timer.start()
                self._timer = timer

    def cancel(self) -> None:
        """Don't do what is asked for, and wait for one that has begun."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            timer.join()
        with self._running:  # one that had gone off already
            return

    def _go(self) -> None:
        with self._running:
            with self._lock:
                self._timer = None
            self._run()
