"""Whose turn it is to fold, where several processes keep one set of projections.

Owns that decision, and makes it without a lock or a message: who sees the marks as it left them, goes on; who sees them
moved by another, lets it, until they stand still for some time. So one process folds, its caches stay good, and another
takes over when it dies. What two do at once all the same is still right: marks and rows change in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from projections.store.protocol import Generation

Standing = frozenset[tuple[str, int, int]]
"""Projection, number and position of each generation that is to be folded."""


def standing(found: Iterable[Generation]) -> Standing:
    """Where these generations stand."""
    return frozenset((one.projection, one.number, one.position) for one in found)


class Turns:
    """The turns of one process. ``patience`` is how many seconds another may stand still."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._left: Standing | None = None
        self._seen: Standing | None = None
        self._since = 0.0

    def ours(self, now: Standing) -> bool:
        """Whether this process is to go on from what stands now."""
        if now == self._left:
            return True
        if now != self._seen:
            self._seen, self._since = now, time.monotonic()
        return time.monotonic() - self._since >= self._patience

    def left(self, now: Standing) -> None:
        """Note what this process has left."""
        self._left = now
