"""A request as it was posted, before anything is decided on it: its events are prepared, some at a time.

They are prepared here, or by a process beside this one (``ledger.preparer``) that was asked for it in time. Never
decides anything that needs the log's state, and never prepares an event twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from ledger import privacy
from ledger.errors import EventError
from ledger.event import Credential, Prepared, glimpse, prepare
from ledger.flush import Piece, Request, Within
from ledger.preparer import PREPARER, Ahead

PIECE = 32
"""Events that are prepared at once: a third of a millisecond, which whoever has something else to do waits for."""

Late = Callable[[int, bytes], bytes]
"""Makes an event within its transaction, from the position that it gets and the root of the tree before it."""
OWN_PART = 8
"""Of a request that another process prepares, the first eighth is prepared here while that begins with the rest."""


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
        self._ahead: Ahead | None = None

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

    @property
    def ahead(self) -> bool:
        """Whether another process is preparing it, so that its events come by themselves."""
        return self._ahead is not None and not self.ready

    def prepare_ahead(self, *, first: bool) -> None:
        """Have it prepared by another process, if it is worth it and one can be had.

        If it is the ``first`` of all that wait, its first events are prepared here: there is nothing else to do.
        """
        own = len(self._events) // OWN_PART if first else 0
        self._ahead = PREPARER.ask(self._events[own:], self._credential)
        if self._ahead is not None and own:
            try:
                self._take([None] * own)
            except Exception as error:  # noqa: BLE001 - as in ``prepare_some``
                self._failure = error

    def prepare_some(self, *, wait: bool = True) -> bool:
        """Prepare the next few events, if any are left, or ``wait`` for those that another process prepares.

        Whether there was anything to do. Raises nothing: a fault is kept for ``request``.
        """
        start = len(self._prepared)
        try:
            if self._ahead is not None:
                piece = self._ahead.piece(wait=wait)
                if piece is not None:
                    self._take(piece)
                    return len(self._prepared) > start
                self._ahead = None
            self._take([None] * len(self._events[start : start + PIECE]))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for whoever posted this
            self._failure = error
        return self.ready or len(self._prepared) > start

    def _take(self, piece: Sequence[Prepared | None]) -> None:
        """Add the next events, and prepare those that are not. Raises the first fault of an atomic request."""
        if None not in piece:
            self._prepared += piece  # type: ignore[arg-type]  # none of them is None
            return
        salts = privacy.drawn(privacy.SALT_SIZE, piece.count(None))
        for index, event in enumerate(piece, len(self._prepared)):
            try:
                self._prepared.append(event or prepare(self._events[index], self._credential, salts))
            except EventError as error:
                error.index = index
                if self._atomic:
                    raise
                self._prepared.append(error)

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

    def begun(self, *, foresee: bool) -> Request:
        """The request with what is prepared of it by now; the rest arrives as it is taken. Raises as ``request``.

        For a store that is asked at a cost, ``foresee`` what of the rest will have to be looked up: all in one go.
        """
        if not self.ahead:
            return self.request()
        done = len(self._prepared)
        foreseen = [names for raw in self._events[done:] if (names := glimpse(raw)) is not None] if foresee else ()
        return Request(list(self._prepared), self._atomic, self.within, rest=self._following(done), foreseen=foreseen)

    def _following(self, done: int) -> Iterator[Piece]:
        """The events after the first ``done``, as they get prepared."""
        while not self.ready or done < len(self._prepared):
            if done == len(self._prepared):
                self.prepare_some()
            if self._failure is not None:
                raise self._failure
            yield self._prepared[done:]
            done = len(self._prepared)
