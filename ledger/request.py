"""A request as it was posted, before anything is decided on it: its events are prepared, some at a time.

Never decides anything that needs the log's state, and never prepares an event twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ledger import privacy
from ledger.errors import EventError
from ledger.event import Credential, Prepared, prepare
from ledger.flush import Request, Within

PIECE = 32
"""Events that are prepared at once: a third of a millisecond, which whoever has something else to do waits for."""

Late = Callable[[int, bytes], bytes]
"""Makes an event within its transaction, from the position that it gets and the root of the tree before it."""


class Posted:
    """A request, used by one thread at a time: that which posts it, then the writer's."""

    def __init__(
        self,
        events: Sequence[bytes | msgspec.Raw],
        credential: Credential,
        *,
        atomic: bool,
        within: Within | None = None,
        late: Late | None = None,
    ) -> None:
        """``late``: the one event of the request, which then has no others."""
        self.size = sum(map(len, events))
        """Bytes of the events as they were posted."""
        self.within = within
        """What is to be done in its transaction, which it then has for itself."""
        self._late = late
        self._events = events
        self._credential = credential
        self._prepared: list[Prepared | EventError] = []
        self._atomic = atomic
        self._failure: Exception | None = None

    def __len__(self) -> int:
        return len(self._events) + (self._late is not None)

    @property
    def alone(self) -> bool:
        """Whether it has its transaction for itself."""
        return self.within is not None or self._late is not None

    @property
    def ready(self) -> bool:
        """Whether nothing is left to prepare: ``request`` then returns, or raises, at once."""
        return self._failure is not None or len(self._prepared) == len(self._events)

    def prepare_some(self) -> None:
        """Prepare the next few events, if any are left. Raises nothing: a fault is kept for ``request``."""
        start = len(self._prepared)
        piece = self._events[start : start + PIECE]
        salts = privacy.drawn(privacy.SALT_SIZE, len(piece))
        try:
            for index, raw in enumerate(piece, start):
                try:
                    self._prepared.append(prepare(raw, self._credential, salts))
                except EventError as error:
                    error.index = index
                    if self._atomic:
                        raise
                    self._prepared.append(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for whoever posted this
            self._failure = error

    def request(self) -> Request:
        """The whole request, prepared. Raises the ``EventError`` of the first faulty event when it is atomic."""
        while not self.ready:
            self.prepare_some()
        if self._failure is not None:
            raise self._failure
        return Request(self._prepared, self._atomic, self.within, self._prepare_late if self._late else None)

    def _prepare_late(self, position: int, root: bytes) -> Prepared:
        assert self._late is not None  # noqa: S101 - for the type checker: only such a request has this
        return prepare(self._late(position, root), self._credential)
