"""The ledgers that this server has open.

Owns their opening, at the start or at the first request that holds a key to them, their closing, and whether all of
them are ready. Never makes a ledger. A name is looked at only when it has a ledger's form, so that no path is ever
built from anything else.

Invariant: however many ask, a ledger is opened by one thread at a time, and readiness is looked for by one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread

from api.gather import Gathering
from api.published import Publishers
from ledger.credentials import Credentials
from ledger.errors import LedgerError, NotFound, ReadOnly, StoreError, StoreUnreachable
from ledger.event import Credential
from ledger.log import NAME, Log
from ledger.store.opening import StoreURL
from projections.store.opening import open_projections
from projections.tail import Tail

OPENING_THREADS = 2
READY_SECONDS = 1.5
"""In which the stores have to answer whoever asks for readiness."""
Alarm = Callable[[str, str], None]
"""Called with a ledger's name and what its operator should know."""


class Ledgers:
    """All ledgers under one data folder. ``authenticate`` first; only then does ``open`` touch a store."""

    def __init__(
        self,
        data: Path,
        alarm: Alarm,
        publishers: Publishers,
        store: StoreURL | None = None,
        *,
        accept_clock: bool = False,
    ) -> None:
        self.publishers = publishers
        self._data = data
        self._store = store
        self._accept_clock = accept_clock
        self._alarm = alarm
        self._credentials: dict[str, Credentials] = {}
        self._nobody = Credentials(data / ".no-ledger")
        self._lock = threading.Lock()  # guards the three below
        self._logs: dict[str, Log] = {}
        self._tails: dict[str, Tail] = {}
        self._closed = False
        self._beginning = threading.Thread(target=self._begin, name="ledgers-begin", daemon=True)
        self._gatherings: dict[str, Gathering] = {}
        self._opening = CapacityLimiter(OPENING_THREADS)
        self._openings: dict[str, asyncio.Future[Log]] = {}  # those under way; the loop's own
        self._checker = CapacityLimiter(1)
        self._check: asyncio.Future[None] | None = None  # the last one, which may be under way; the loop's own
        self._away: set[str] = set()  # ledgers that could not be opened since their database was not there

    def begin(self) -> None:
        """Open every ledger that there is, beside the requests, so that its projections are kept and it is published.

        Returns at once. One that can't be opened raises an alarm, and is tried again when it is asked for. What is made
        later is opened then; or within the interval at which ledgers are published, if they are.
        """
        self._beginning.start()

    def _begin(self) -> None:
        told, names = set[str](), self._names()
        if self._store is not None:
            self._away.update(names)
        for name in names:
            try:
                self._open(name)
            except (
                LedgerError,
                OSError,
            ) as error:  # one folder that can't be read keeps no other ledger from its start
                if self._closed:
                    return
                if not isinstance(error, StoreUnreachable):
                    self._away.discard(name)
                self._alarm(name, f"can't be opened, and its projections are not kept: {error}")
                told.add(name)
        self.publishers.look(self._names, self._open, told)

    def _names(self) -> list[str]:
        return sorted(path.parent.name for path in self._data.glob("*/keys") if NAME.fullmatch(path.parent.name))

    def authenticate(self, name: str, token: str) -> Credential | None:
        """The credential of a token for a ledger; None for an unknown token and an unknown ledger alike.

        Reads at most one small file, when that has changed. Raises ``KeyFileError``.
        """
        found = self._credentials.get(name)
        if found is None:
            found = self._nobody
            if NAME.fullmatch(name):
                found = Credentials(self._data / name / "keys")
        credential = found.authenticate(token)
        if credential is not None:
            self._credentials[name] = found  # only names that are ledgers are kept
        return credential

    async def open(self, name: str) -> Log:
        """The log of a ledger that ``authenticate`` knows. Raises ``StoreError``, ``KeyFileError`` or ``ReadOnly``."""
        log = self._logs.get(name)
        if log is not None:
            return log
        opening = self._openings.get(name)
        if opening is None:
            opening = asyncio.ensure_future(to_thread.run_sync(self._open, name, limiter=self._opening))
            self._openings[name] = opening
            opening.add_done_callback(partial(self._was_opened, name))
        return await asyncio.shield(opening)  # which others may wait for

    def _was_opened(self, name: str, opening: asyncio.Future[Log]) -> None:
        del self._openings[name]
        _heard(opening)

    def _open(self, name: str) -> Log:
        with self._lock:
            if self._closed:
                raise ReadOnly("the server is being stopped", advice="try again after the restart")
            if name not in self._logs:
                try:
                    log = Log.open(
                        self._data,
                        name,
                        store=self._store,
                        accept_clock=self._accept_clock,
                        alarm=partial(self._alarm, name),
                    )
                except NotFound as error:
                    raise StoreError(str(error)) from None  # it has credentials, so its store should be there
                store = partial(open_projections, self._store, name, self._data / name)
                self._tails[name] = Tail(log, store, partial(self._alarm, name))
                self.publishers.begin(name, log)
                self._logs[name] = log  # last: who finds it, finds its tail and its publication
                self._away.discard(name)
                threading.Thread(target=self._settle, args=(name, log), daemon=True).start()
            return self._logs[name]

    def tail(self, name: str) -> Tail:
        """The live tail of a ledger that is open."""
        return self._tails[name]

    def _settle(self, name: str, log: Log) -> None:
        """Finish a turn of the epoch that was interrupted, beside the requests: till then no erasure is effective."""
        try:
            if log.epochs.scrub_due or log.epochs.unsettled():
                settled = log.epochs.settle()
                if settled.damaged:
                    told = f"damaged data keys: {len(settled.damaged):,}, the first {settled.damaged[0]}"
                    self._alarm(name, f"its epoch can't be settled: {told}; see: continuity keys rewrap")
        except (LedgerError, OSError) as error:
            if not self._closed:
                self._alarm(name, f"its epoch can't be settled: {error}")

    def gathering(self, name: str, log: Log) -> Gathering:
        """The one gathering of single events for an open ledger; call it on the event loop."""
        found = self._gatherings.get(name)
        if found is None:
            found = self._gatherings[name] = Gathering(log)
        return found

    async def ready(self) -> None:
        """See that the data folder is there and every open store answers, and every ledger's, if it is a database.

        Raises ``StoreError``; ``StoreUnreachable`` where that takes longer than ``READY_SECONDS``. Whoever asks while
        another waits shares the answer.
        """
        check = self._check
        if check is None or check.done():
            check = self._check = asyncio.ensure_future(to_thread.run_sync(self._look, limiter=self._checker))
            check.add_done_callback(_heard)
        await asyncio.wait({check}, timeout=READY_SECONDS)
        if not check.done():
            raise StoreUnreachable(f"the stores have not answered within {READY_SECONDS:g} s")
        check.result()

    def _look(self) -> None:
        if not self._data.is_dir():
            raise StoreError(f"there is no data folder {self._data}")
        for log in list(self._logs.values()):
            log.head()
        for name in list(self._away):
            try:
                self._open(name)
            except StoreUnreachable:
                raise
            except (LedgerError, OSError):  # of which its operator is told by whoever opens it at the start
                self._away.discard(name)

    async def close(self) -> None:
        """Commit what waits in every ledger, and release them all; one that can't sign keeps no other from it."""
        with self._lock:
            self._closed = True
            logs, self._logs = self._logs, {}
            tails, self._tails = self._tails, {}
        if self._beginning.ident is not None:
            await to_thread.run_sync(self._beginning.join)
        await to_thread.run_sync(self.publishers.close)
        await asyncio.gather(*(to_thread.run_sync(self._close, name, tail) for name, tail in tails.items()))
        await asyncio.gather(*(to_thread.run_sync(self._close, name, log) for name, log in logs.items()))
        if self._check is not None:
            await asyncio.wait({self._check})

    def _close(self, name: str, what: Tail | Log) -> None:
        try:
            what.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others have to be closed
            told = str(error) if isinstance(error, LedgerError) else type(error).__name__
            self._alarm(name, f"while closing: {told}")


def _heard(done: asyncio.Future[Any]) -> None:
    """Take note of a failure, which whoever asked may not be there to hear any more."""
    if not done.cancelled():
        done.exception()
