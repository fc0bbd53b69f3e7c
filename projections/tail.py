"""The live tail: projections kept up to a ledger that is open, and answers to those who wait for them to get somewhere.

Owns two threads. One folds what the log takes into the live generations, soon after each commit; the other fills the
generations that are missing, or of changed code, beside them. Neither ends before it is told to: what fails is told,
and tried again. Where several processes keep one ledger, they take turns (``projections.turns``). Never appends to the
log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import Final

from ledger.errors import LedgerError
from ledger.log import Log
from projections import generations
from projections.models import READ_MODELS
from projections.projection import Projection
from projections.runner import Runner
from projections.store.protocol import Generation, ProjectionStore, Reads, Unready
from projections.turns import Turns, standing

OPEN_SECONDS: Final = 2.0
"""How long a reader waits for the store to be opened."""
REST_SECONDS: Final = 0.2
"""Pause after a batch, so that folding takes little from appending, many entries at once; none while somebody waits."""
PATIENCE_SECONDS: Final = 0.5
"""How long another process that folds may stand still before this one takes over."""
FILL_PATIENCE_SECONDS: Final = 10.0
"""The same for one that fills a generation: its batches are larger, and its last one makes indexes."""
POLL_SECONDS: Final = 0.02
"""How often the catalogue is read while somebody waits for what another process may fold."""
LOOK_SECONDS: Final = 2.0
"""How often it is read for a generation that somebody else has begun to fill."""
RETRY_SECONDS: Final = 1.0
"""Pause after a failure."""

Tell = Callable[[str], None]
"""Called with what an operator should know."""


class _Ended(Exception):
    """The tail is being closed, between two batches."""


class Tail:
    """Keeps the projections of an opened ledger. ``close`` it before the ledger."""

    def __init__(
        self,
        log: Log,
        store: Callable[[], ProjectionStore],
        tell: Tell,
        *,
        projections: Sequence[Projection] = READ_MODELS,
    ) -> None:
        """Begin, and return at once. ``store`` opens the store; it is called until it succeeds."""
        self.projections = tuple(projections)
        self._log = log
        self._open = store
        self._tell = tell
        self._stopped: set[Generation] = set()  # of which the operator knows
        self._behind = False  # and it was not our turn
        self._failing = False  # when the store was last to be opened
        self._live_turns, self._filling_turns = Turns(PATIENCE_SECONDS), Turns(FILL_PATIENCE_SECONDS)
        self._runner: Runner | None = None  # once the store is open
        self._opened = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()  # guards the next
        self._waiting: list[tuple[str, int, Future[None]]] = []
        self._urgent = threading.Event()  # somebody waits
        self._look = threading.Event()  # there may be something to fill
        self._watch = log.store.watch()
        self._watch.wake()
        self._threads = [
            threading.Thread(target=self._run, args=(life,), name=name, daemon=True)
            for name, life in (("projections-tail", self._follow), ("projections-filler", self._fill))
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop after the batch at hand, and release the store. Idempotent."""
        self._closing.set()
        self._watch.close()
        self._urgent.set()
        self._look.set()
        for thread in self._threads:
            thread.join()
        if self._runner is not None:
            self._runner.close()
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            future.cancel()

    @contextmanager
    def reading(self) -> Iterator[Reads]:
        """A consistent view of the rows. Raises ``Unready`` when the store can't be opened, else as the store's.

        Waits for the store only while it is being opened for the first time: one that fails is not to hold readers.
        """
        if not self._opened.wait(0 if self._failing else OPEN_SECONDS) or self._runner is None:
            raise Unready("the projections can't be opened", advice="try again")
        with self._runner.store.reading() as reads:
            yield reads

    def when(self, name: str, position: int) -> Future[None]:
        """A future that is done when the live rows of the projection ``name`` hold that position; cancel it to give up.

        It waits for ever for a position that the log does not reach, or that lies behind an event that can't be folded.
        """
        future: Future[None] = Future()
        with self._lock:
            self._waiting.append((name, position, future))
        self._urgent.set()
        self._watch.wake()
        return future

    # --- The threads -------------------------------------------------------------------------------------------------

    def _run(self, life: Callable[[], None]) -> None:
        """The life of a thread: one round after another, whatever becomes of them."""
        told = ""
        while not self._closing.is_set():
            try:
                life()
                told = ""
            except _Ended:
                return
            except Exception as error:  # noqa: BLE001 - a thread that ended would leave everybody waiting
                self._failing = True
                if told != (told := _worded(error)):
                    self._tell(told)
                self._closing.wait(RETRY_SECONDS)

    def _follow(self) -> None:
        """One round: wait for the log to grow, fold what it has, answer those who wait."""
        self._urgent.clear()
        self._watch.wait(POLL_SECONDS if self._waiting else PATIENCE_SECONDS if self._behind else None)
        if self._closing.is_set():
            return
        found = self._advance(self._runner or self._begin())
        self._answer(found)
        self._tell_of(found)
        if not self._waiting:
            self._urgent.wait(REST_SECONDS)

    def _begin(self) -> Runner:
        """Open the store, and begin the generations that are missing."""
        store = self._open()
        try:
            runner = Runner(self._log, store, projections=self.projections)
            if runner.prepare():
                with store.reading() as reads:
                    self._filling_turns.left(standing(self._ours(generations.filling, reads.generations())))
        except BaseException:
            store.close()
            raise
        self._runner = runner
        self._opened.set()
        self._look.set()
        return runner

    def _advance(self, runner: Runner) -> list[Generation]:
        """Bring the live generations up to the log, if it is our turn; returns the catalogue as it is then."""
        size = self._log.head().size
        with runner.store.reading() as reads:
            found = reads.generations()
        late = [one for one in self._ours(generations.followed, found) if one.position < size - 1]
        self._behind = bool(late)
        if late and self._live_turns.ours(standing(late)):
            runner.advance(self._check)
            with runner.store.reading() as reads:
                found = reads.generations()
            self._behind = False
            self._live_turns.left(standing(self._ours(generations.followed, found)))
        return found

    def _fill(self) -> None:
        """One round: wait until a generation may have to be filled, and fill what is ours."""
        self._look.wait(LOOK_SECONDS)
        self._look.clear()
        runner = self._runner
        if runner is None or self._closing.is_set():
            return
        with runner.store.reading() as reads:
            unfilled = self._ours(generations.filling, reads.generations())
        if unfilled and self._filling_turns.ours(standing(unfilled)):
            runner.fill(self._check)
            self._watch.wake()  # what is live now may be behind by a little

    def _check(self, done: int, total: int) -> None:
        if self._closing.is_set():
            raise _Ended

    def _ours(
        self, which: Callable[[Projection, list[Generation]], Generation | None], found: list[Generation]
    ) -> list[Generation]:
        """Those of these generations that this code goes on with."""
        chosen = (which(projection, found) for projection in self.projections)
        return [one for one in chosen if one is not None and one.fault is None]

    def _answer(self, found: list[Generation]) -> None:
        """Answer those who wait for a position that is reached, and forget those who gave up."""
        live = {one.projection: one.position for one in found if one.state == "live"}
        with self._lock:
            reached = [one for one in self._waiting if live.get(one[0], -1) >= one[1]]
            self._waiting = [one for one in self._waiting if one not in reached and not one[2].cancelled()]
        for _, _, future in reached:
            with suppress(InvalidStateError):  # given up just now
                future.set_result(None)

    def _tell_of(self, found: list[Generation]) -> None:
        """Tell of each projection that has stopped, once."""
        stopped = set(generations.stopped(found))
        for one in stopped - self._stopped:
            at, reason = one.fault or ("", "")
            self._tell(f"the projection {one.projection} has stopped at position {at}: {reason}")
        self._stopped = stopped


def _worded(error: Exception) -> str:
    """A failure in words, for an operator."""
    fault = str(error) if isinstance(error, LedgerError) else f"{type(error).__name__}: {error}"
    return f"projections can't be kept up: {fault}"
