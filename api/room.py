"""What the ledgers of one service share: memory for request bodies, and threads for blocking work.

Owns the bounds on both, and their sharing, so that a ledger which is flooded fills neither for the others. Never waits
for memory: a body that finds no room is refused, and its sender asked to come back. Belongs to the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

from anyio import CapacityLimiter, to_thread

from ledger.errors import Busy

T = TypeVar("T")


class Room:
    """Bytes of request bodies that are held at once, over all ledgers.

    A ledger may hold as many as it leaves free: half of all when it is alone, and whatever others do, none takes the
    last byte.
    """

    def __init__(self, size: int) -> None:
        self._free = size
        self._held: dict[str, int] = {}

    def share(self, ledger: str) -> Share:
        """An empty share for one request to a ledger; to be used as a context manager."""
        return Share(self, ledger)

    def take(self, ledger: str, count: int) -> None:
        """Take bytes for a ledger. Raises ``Busy`` when it holds too many already."""
        held = self._held.get(ledger, 0) + count
        if held > self._free - count:
            raise Busy("the bodies of other requests take up the room for this one")
        self._held[ledger] = held
        self._free -= count

    def give_back(self, ledger: str, count: int) -> None:
        """Give back what was taken."""
        self._free += count
        held = self._held.pop(ledger) - count
        if held:
            self._held[ledger] = held


class Share:
    """What one request holds of the room; given back at its end."""

    __slots__ = ("_ledger", "_room", "size")

    def __init__(self, room: Room, ledger: str) -> None:
        self._room = room
        self._ledger = ledger
        self.size = 0

    def grow(self, count: int) -> None:
        """Take so many bytes more. Raises ``Busy``, and then holds none."""
        try:
            self._room.take(self._ledger, count)
        except Busy:
            self.release()
            raise
        self.size += count

    def release(self) -> None:
        """Give back all of it."""
        if self.size:
            self._room.give_back(self._ledger, self.size)
            self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class Threads:
    """A few threads for blocking work, of which each ledger uses a part.

    Work beyond a ledger's part waits in a queue of its own: whoever comes for another ledger is before it.
    """

    def __init__(self, count: int, part: int) -> None:
        self._all = CapacityLimiter(count)
        self._part = part
        self._parts: dict[str, CapacityLimiter] = {}

    async def run(self, ledger: str, work: Callable[..., T], *arguments: Any) -> T:
        """The result of ``work(*arguments)``, on one of the threads."""
        part = self._parts.get(ledger)
        if part is None:
            part = self._parts[ledger] = CapacityLimiter(self._part)
        async with part:
            return await to_thread.run_sync(work, *arguments, limiter=self._all)
