"""Whether a database server is there, as far as this process knows, and how long one that is not is waited for.

Owns the rule that an outage is waited for once and not by each caller anew: all wait out the first seconds of it, which
are a restart; after that one caller at a time looks whether the server is back, and the others are told at once that it
is not. So no caller waits for longer, however many there are, and threads don't fill up with those who wait. Knows the
server by nothing but its URL, and never connects.

Invariants: a server that answered is never held to be away by an attempt that began before; whoever looks, gives up the
look at its end, whatever comes of it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from ledger.errors import StoreUnreachable

LOOK = 2.0
"""Seconds that one caller looks for a server that has been away for long."""
_SERVERS = 256


class Reach:
    """What is known of one server. Safe for use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards the three below
        self._away: float | None = None  # since when, by the clock
        self._answered = -math.inf
        self._looking = False

    @contextmanager
    def asking(self, wait: float, *, insists: bool) -> Iterator[None]:
        """The time in which a caller tries to get an answer, in an outage that is waited for ``wait`` seconds.

        Raises ``StoreUnreachable`` at once if the outage is longer and another looks already; not for one who insists:
        a thread that others queue for, which is the only one of its kind.
        """
        looks = self._looks(wait, insists=insists)
        try:
            yield
        finally:
            if looks:
                with self._lock:
                    self._looking = False

    def _looks(self, wait: float, *, insists: bool) -> bool:
        if self._away is None:  # the usual way takes no lock; an outage that begins at this moment is met soon enough
            return False
        with self._lock:
            away: float | None = self._away
            if insists or away is None or self._clock() < away + wait:
                return False
            if self._looking:
                raise StoreUnreachable(
                    "the database server is away",
                    advice="see that PostgreSQL runs and that the store's URL leads there",
                )
            self._looking = True
            return True

    def until(self, wait: float) -> float:
        """Up to which moment of the clock a connection is worth waiting for."""
        now, away = self._clock(), self._away
        return now + wait if away is None else max(now + LOOK, away + wait)

    def answered(self) -> None:
        """It has answered just now."""
        self._answered = self._clock()
        if self._away is not None:
            with self._lock:
                self._away = None

    def missed(self, since: float) -> None:
        """It has not answered, from ``since`` to now."""
        with self._lock:
            if self._answered <= since and (self._away is None or since < self._away):
                self._away = since


@lru_cache(_SERVERS)
def reach_of(url: str) -> Reach:
    """What this process knows of the server at a URL: shared by all that lead there."""
    return Reach()
