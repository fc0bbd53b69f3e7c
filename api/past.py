"""Past moments of read models: replays that are kept ready, and those that are being made for somebody who waits.

Owns the one thread on which moments are replayed, for all ledgers of the service: a replay takes a core, and time as
the log is long. What is asked for beyond a few is refused as busy; who asked waits a little, then is told when to come
again, while the replay goes on. The folder and what is in it are ``projections.snapshots``'s. Never folds into what is
live. Belongs to the event loop, but for the thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from starlette.requests import Request

from api import reading
from api.problems import BeingReplayed
from api.security import Access
from api.settings import Settings
from ledger.errors import Busy, StoreError
from projections.snapshots import FOLDER, Snapshots
from projections.store.protocol import Reads

PENDING: Final = 4
"""Moments of one ledger that are replayed or wait for it; all ledgers together may have four times as many."""
_LONGEST_RETRY: Final = 60
T = TypeVar("T")
Moment = tuple[str, int]
"""A ledger's name and a position."""


class _Closing(Exception):
    """The service ends, between two batches of a replay."""


class _Making:
    """A replay that is being made, or waits its turn."""

    def __init__(self) -> None:
        self.future: Future[None] | None = None
        self._began = 0.0  # once the first batch is folded
        self._from = self._done = self._total = 0

    def progress(self, done: int, total: int) -> None:
        """Note how far it is; called by its thread."""
        if not self._began:
            self._began, self._from = time.monotonic(), done
        self._done, self._total = done, total

    def seconds_left(self) -> int:
        """When to ask again, in seconds: an estimate by its rate so far."""
        folded = self._done - self._from
        if folded <= 0:
            return 1
        seconds = (time.monotonic() - self._began) / folded * (self._total - self._done)
        return min(max(1, round(seconds)), _LONGEST_RETRY)


class Past:
    """The past moments of all ledgers of one service."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._snapshots: dict[str, Snapshots] = {}
        self._making: dict[Moment, _Making] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="past-moments")
        self._closing = False

    async def read(self, request: Request, access: Access, position: int, work: Callable[[Reads], T]) -> T:
        """What ``work`` answers from the rows after the entry at ``position``, which the log holds; -1 for none.

        Raises ``BeingReplayed`` while they are made for longer than a request waits, ``Busy`` when too many are,
        ``StoreError`` when they can't be.
        """
        until = time.monotonic() + self._settings.wait_seconds
        kept = self._snapshots.get(access.name)
        if kept is None:
            folder = self._settings.data / access.name / FOLDER
            kept = self._snapshots[access.name] = Snapshots(folder, access.log, keep=self._settings.replays)
        while True:
            found: tuple[T] | None = await reading.in_thread(request, _read, kept, position, work)
            if found is not None:
                return found[0]
            await self._wait(self._make((access.name, position), kept), position, until)

    def _make(self, moment: Moment, kept: Snapshots) -> _Making:
        """The replay of a moment, asked for now unless it is being made."""
        making = self._making.get(moment)
        if making is None:
            name, position = moment
            of_ledger = sum(1 for ledger, _ in self._making if ledger == name)
            if of_ledger >= PENDING or len(self._making) >= 4 * PENDING:
                raise Busy("the replays of other moments come before this one")
            making = _Making()
            making.future = self._thread.submit(self._replay, kept, position, making)
            self._making[moment] = making
            loop = asyncio.get_running_loop()
            making.future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._making.pop, moment))
        return making

    async def _wait(self, making: _Making, position: int, until: float) -> None:
        assert making.future is not None  # noqa: S101 - set before anybody sees it
        waiting = asyncio.wrap_future(making.future)
        waiting.add_done_callback(_heeded)
        done, _ = await asyncio.wait([waiting], timeout=max(0.0, until - time.monotonic()))
        if not done:
            raise BeingReplayed(position, making.seconds_left())
        waiting.result()

    def _replay(self, kept: Snapshots, position: int, making: _Making) -> None:
        def progress(done: int, total: int) -> None:
            if self._closing:
                raise _Closing
            making.progress(done, total)

        try:
            kept.make(position, progress)
        except _Closing:
            raise StoreError("the service ends") from None
        except OSError as error:
            raise StoreError(f"a replay can't be written: {error}", advice="see that the disk has room") from error

    async def close(self) -> None:
        """End the replay at hand, which leaves nothing behind."""
        self._closing = True
        await asyncio.to_thread(partial(self._thread.shutdown, cancel_futures=True))


def _heeded(future: asyncio.Future[None]) -> None:
    """A failure that nobody waits for any more is no fault of the loop's: who asks again is told."""
    if not future.cancelled():
        future.exception()


def _read(kept: Snapshots, position: int, work: Callable[[Reads], T]) -> tuple[T] | None:
    """What ``work`` answers, as a tuple of one; None when the moment is not kept."""
    with kept.kept(position) as reads:
        return None if reads is None else (work(reads),)
