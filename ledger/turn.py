"""Whose turn it is to keep the interpreter busy: the writer's, or that of those who prepare large requests.

Owns one lock with a preference. Threads of one interpreter that compute at once gain nothing, and lose what handing it
back and forth costs; so preparing is done piece by piece, while the writer waits for its database, and makes way as
soon as the writer wants to go on. Never waits long for a writer that wants its turn without taking it (it may be
waiting for another process).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 0.02
"""How long a piece of preparing makes way for a writer that has announced itself."""


class Turn:
    """One writer's turns, among many who prepare."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the two below
        self._held = False
        self._wanted = False

    def want(self) -> None:
        """The writer will take its turn soon."""
        with self._changed:
            self._wanted = True

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The writer's turn, after the piece under way."""
        with self._changed:
            self._wanted = True
            self._changed.wait_for(lambda: not self._held)
            self._held = True
        try:
            yield
        finally:
            self._give_back(wanted=False)

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """The turn for one piece of preparing, when the writer does not want it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held and not self._wanted, PATIENCE_SECONDS)
            self._changed.wait_for(lambda: not self._held)
            self._held = True
        try:
            yield
        finally:
            self._give_back(wanted=None)

    def _give_back(self, *, wanted: bool | None) -> None:
        with self._changed:
            self._held = False
            if wanted is not None:
                self._wanted = wanted
            self._changed.notify_all()
