"""Single events of many requests, gathered into groups for the writer.

Owns the crossing between event loop and writer for requests of one event, which most are. Events that arrive while a
group is being committed wait and go together as the next. A group goes as soon as a turn of the loop brings no more to
it, so that an event which comes alone waits for nothing, and those that come in a rush share the cost of a commit, of
waking a thread and of waking the loop. Each event still stands for itself: one that is refused takes no other with it.
A waiter that is cancelled, or gives up, leaves its event alone: what was handed over is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from msgspec import Raw

from api.problems import Unrecorded
from ledger.errors import Busy, EventError
from ledger.event import Credential
from ledger.flush import Outcome, Receipt
from ledger.log import Log

GROUP = 256
"""Events that are handed over at once, at most: their checking holds the loop for some milliseconds."""

MAX_WAITING = 4_000
"""Events that may wait while a group is being committed; more are refused as busy."""

RUSH_SECONDS = 0.03
"""How long a group that keeps growing is held, at most."""


class _Waiting(NamedTuple):
    event: bytes | Raw
    credential: Credential
    waiter: asyncio.Future[Receipt]


class Gathering:
    """Gathers for one log, on one event loop."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Waiting] = []
        self._seen = 0  # of those waiting, how many the last turn knew
        self._until = 0.0  # when the group goes in any case, by the loop's clock
        self._turning = False
        self._flying = 0

    async def append(self, event: bytes | Raw, credential: Credential, seconds: float) -> Receipt:
        """Append one event; returns when it is durable.

        Raises ``Busy``, ``Unrecorded`` when that takes longer than so many seconds, and as ``Log.append`` does, with
        index 0.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise Busy(f"{MAX_WAITING:,} events wait already")
        waiter: asyncio.Future[Receipt] = self._loop.create_future()
        self._waiting.append(_Waiting(event, credential, waiter))
        if not self._turning and not self._flying:
            self._begin()
        patience = self._loop.call_later(seconds, _give_up, waiter, seconds)  # a fourth of what asyncio.timeout takes
        try:
            return await waiter
        finally:
            patience.cancel()

    def _begin(self) -> None:
        self._turning = True
        self._seen = 0
        self._until = self._loop.time() + RUSH_SECONDS
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Once a turn of the loop: hand the group over when it has stopped growing, is full, or was held for long."""
        count = len(self._waiting)
        if self._seen < count < GROUP and self._loop.time() < self._until:
            self._seen = count
            self._loop.call_soon(self._turn)
            return
        self._turning = False
        group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
        by_credential: dict[str, list[_Waiting]] = {}
        for one in group:
            by_credential.setdefault(one.credential.id, []).append(one)
        for same in by_credential.values():
            self._submit(same)
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting and not self._flying and not self._turning:
            self._begin()

    def _submit(self, group: Sequence[_Waiting]) -> None:
        try:
            future = self._log.submit([one.event for one in group], group[0].credential, atomic=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, its callers wait to hear of it
            _fail(group, error)
            return
        self._flying += 1
        future.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._arrived, group, done))

    def _arrived(self, group: Sequence[_Waiting], done: Future[list[Outcome]]) -> None:
        self._flying -= 1
        self._go_on()
        error = done.exception()
        if error is not None:
            _fail(group, error)
            return
        for one, outcome in zip(group, done.result(), strict=True):
            if one.waiter.done():
                continue  # its request was cancelled, or has waited for too long
            if isinstance(outcome, EventError):
                outcome.index = 0
                one.waiter.set_exception(outcome)
            else:
                one.waiter.set_result(outcome)


def _give_up(waiter: asyncio.Future[Receipt], seconds: float) -> None:
    if not waiter.done():
        waiter.set_exception(Unrecorded(seconds))


def _fail(group: Sequence[_Waiting], error: BaseException) -> None:
    for one in group:
        if not one.waiter.done():
            one.waiter.set_exception(error)
