"""Futures of the writer's thread, awaited on the event loop.

Owns the crossing from thread to loop. One flush resolves many requests at once, so they cross together: the loop is
woken once for all of them, where ``asyncio.wrap_future`` would wake it for each. A waiter that is cancelled leaves the
append alone: what was queued is still committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Crossing:
    """Carries results from other threads to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._woken = False

    async def wait(self, future: Future[T]) -> T:
        """The future's result, or its exception raised."""
        waiter: asyncio.Future[T] = self._loop.create_future()
        future.add_done_callback(lambda done: self._arrive(waiter, done))
        return await waiter

    def _arrive(self, waiter: asyncio.Future[Any], done: Future[Any]) -> None:
        """Runs on the thread that resolved the future, or at once on the loop's when it was resolved already."""
        self._arrived.append((waiter, done))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # before the queue is emptied: what arrives later wakes the loop again
        while self._arrived:
            waiter, done = self._arrived.popleft()
            if waiter.done():
                continue  # its request was cancelled
            if (error := done.exception()) is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(done.result())
