"""The writer: one thread and one queue a ledger, committing in groups.

Owns the queue and its bound, the right edge of the tree, the heads and the clock rule. Nothing is acknowledged before
its transaction is durable. Never reads for others.

All of an append that takes this process's time is done by this one thread, preparing included: threads of one
interpreter that compute at once gain nothing, and lose a quarter to handing it back and forth between processors. Under
load large requests are prepared by another process (``ledger.preparer``) while this thread decides and seals what has
arrived of them. While a store waits for its database, the thread prepares what waits in the queue.

The thread holds none of the locks of the key folder, and takes none: whoever waits for what they submitted may hold one
(docs/adr/0015-locks-and-their-order.md).

A commit that got no answer (the database's connection broke) is looked for under the head's next lock, which is had
only when its fate is decided, so that its callers hear the truth.

Order of effects of a flush: take what waits, begin the transaction (which takes the head lock), see that the head is
the one we left, decide and seal, write entries with all that belongs to them, commit, then resolve the futures. A crash
before the commit leaves nothing; a crash after it leaves events whose callers got no answer, and who get the first
receipt again when they retry.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from msgspec import Struct

from ledger.datakeys import DataKeys
from ledger.errors import Busy, EventError, ForkError, LedgerError, ReadOnly, StoreError, StoreLocked, StoreUnreachable
from ledger.flush import Flush, Outcome, Request, Result, Undone
from ledger.heads import Heads
from ledger.merkle import HASH_SIZE
from ledger.moment import microseconds, recorded
from ledger.request import Posted
from ledger.store.protocol import Head, Reads, Store, Writes
from ledger.tiles import TILE_WIDTH, Edge

FLUSH_EVENTS = 2_000
"""Events after which a flush takes no further request."""
MAX_QUEUED = 20_000
MAX_QUEUED_BYTES = 32 * 1024 * 1024
"""Events that may wait, and bytes of them; more are refused as busy rather than held in memory."""
CLOCK_ALARM = 5_000_000
CLOCK_LIMIT = 300_000_000
"""Microseconds that the log may be ahead of the clock: the first raises an alarm, the second stops appends."""
ALARM_SECONDS = 60.0
"""How often the alarm is raised while a clock stays behind."""

SWITCH_SECONDS = 0.00005
"""How long a thread of this process may keep the interpreter from another once there is a writer."""

Clock = Callable[[], int]


class _Waiting(Struct):
    """A request that waits for a flush, and where its outcomes go."""

    posted: Posted
    future: Future[list[Outcome]]

    @property
    def events(self) -> int:
        return len(self.posted)


class Writer:
    """Takes requests from any thread, and appends them to one ledger from its own."""

    def __init__(
        self,
        store: Store,
        keys: DataKeys,
        clock: Clock,
        *,
        accept_clock: bool = False,
        alarm: Callable[[str], None] = lambda message: None,
        committed: Callable[[Head], None] = lambda head: None,
    ) -> None:
        """``alarm`` is told of a clock that is behind, ``committed`` of each new head, after its commit.

        ``accept_clock`` is an owner's word that a log far ahead of the clock is right.
        """
        self._store = store
        self._keys = keys
        self.clock = clock
        self._accept_clock = accept_clock
        self._alarm = alarm
        self._committed = committed
        # Owned by the thread that flushes: the head that we last saw, and what we know of the log up to it.
        self._head: Head | None = None
        self._alarmed: float | None = None  # when a clock that is behind was last told of
        self._known = False  # whether the edge and the heads are those of `_head`
        self._heads = Heads()
        self._edge = Edge()
        self._condition = threading.Condition()  # guards the five below
        self._queue: deque[_Waiting] = deque()
        self._unprepared: deque[Posted] = deque()  # of the queue, in its order: all that are not ready
        self._queued = 0
        self._queued_bytes = 0
        self._closed = False
        self._fork: ForkError | None = None  # once seen, no append until the ledger is opened anew
        self._thread: threading.Thread | None = None

    def submit(self, posted: Posted) -> Future[list[Outcome]]:
        """Queue a request; the future resolves after its commit, with an outcome for each event.

        Raises as ``check`` does. The future raises ``EventError`` when an atomic request is refused, ``StoreError``,
        ``ReadOnly`` or ``ForkError`` when nothing of the flush was written.
        """
        future: Future[list[Outcome]] = Future()
        with self._condition:
            self.check(posted)
            self._queue.append(_Waiting(posted, future))
            if not posted.ready:
                self._unprepared.append(posted)
            self._queued += len(posted)
            self._queued_bytes += posted.size
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
                self._thread.start()
            self._condition.notify()
        return future

    @property
    def idle(self) -> bool:
        """Whether nothing waits, as far as can be told without waiting."""
        return not self._queued

    def refuse(self, fork: ForkError) -> None:
        """Append nothing from now on: this log's store holds another history than the one that was signed."""
        self._fork = fork

    def check(self, posted: Posted) -> None:
        """See that a request may be queued now.

        Raises ``ReadOnly`` once closed, ``ForkError`` once a fork was seen, ``Busy`` when too much waits. When nothing
        does, a request may be of any size.
        """
        if self._closed:
            raise ReadOnly("it is closed", advice="open the ledger again")
        if self._fork is not None:
            raise self._fork
        events, size = self._queued + len(posted), self._queued_bytes + posted.size
        if self._queued and (events > MAX_QUEUED or size > MAX_QUEUED_BYTES):
            raise Busy(f"{self._queued:,} events wait already")

    def close(self) -> None:
        """Take no more requests, commit those that wait, and stop. Idempotent."""
        with self._condition:
            self._closed = True
            self._condition.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        # SQLite gives up the interpreter at each row; a busy thread would keep it for the whole interval every time,
        # and 5 ms a row is 200 rows a second.
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
        while group := self._take():
            if ready := [one for one in group if self._prepare(one)]:
                self._flush(ready)

    def _prepare(self, waiting: _Waiting) -> bool:
        """Prepare what is left of a request, or have it come as it is decided; whether it is to be decided.

        If not, its caller has heard why. Where others wait, a store beside us gets the request as a whole: it takes no
        longer, and the head's lock is held for less.
        """
        try:
            if not (waiting.posted.ahead and (self._store.local or self.idle)):
                waiting.posted.request()
        except Exception as error:  # noqa: BLE001 - an error of its events, or whatever else preparing them met
            waiting.future.set_exception(error)
            return False
        return True

    def _prepare_ahead(self) -> bool:
        """Prepare a little of what waits in the queue; False when there is nothing to prepare."""
        with self._condition:
            while self._unprepared and self._unprepared[0].ready:
                self._unprepared.popleft()
            if not self._unprepared:
                return False
            posted = self._unprepared[0]
        return posted.prepare_some(wait=False)

    def _take(self) -> list[_Waiting]:
        """The next group of requests, waiting for one; empty when closed and drained.

        One that is yet to be prepared ends the group of a store that leaves time for it during the flush.
        """
        taken: list[_Waiting] = []
        events = 0
        with self._condition:
            while not taken and (self._queue or not self._closed):
                while not self._queue and not self._closed:
                    self._condition.wait()
                while self._queue and (not taken or self._fits(taken[-1], events, self._queue[0])):
                    first = self._queue.popleft()
                    if self._unprepared and self._unprepared[0] is first.posted:
                        self._unprepared.popleft()
                    self._queued -= first.events
                    self._queued_bytes -= first.posted.size
                    if first.future.set_running_or_notify_cancel():
                        taken.append(first)
                        events += first.events
        return taken

    def _fits(self, last: _Waiting, events: int, following: _Waiting) -> bool:
        """Whether a request may share the flush of others, of so many events together."""
        if last.posted.alone or following.posted.alone or events + following.events > FLUSH_EVENTS:
            return False
        return self._store.local or following.posted.ready

    def _flush(self, group: list[_Waiting]) -> None:
        head = self._head
        try:
            if self._fork is not None:
                raise self._fork
            results = self._commit([one.posted.begun(foresee=not self._store.local) for one in group])
        except Undone as undone:
            self._forget()
            group.pop(undone.request).future.set_exception(undone.error)
            if group:
                self._flush(group)
            return
        except BaseException as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
            self._forget()
            if isinstance(error, ForkError):
                self.refuse(error)
            elif len(group) > 1 and not isinstance(error, ReadOnly | StoreLocked | StoreUnreachable):
                for one in group:  # it may be the cause, and must not cost the others
                    self._flush([one])
                return
            reason = error if isinstance(error, LedgerError) else StoreError(f"the flush failed: {error!r}")
            for one in group:
                one.future.set_exception(reason)
            return
        if self._head is not None and self._head != head:
            self._tell(self._head)
        for one, result in zip(group, results, strict=True):
            if isinstance(result, EventError):
                one.future.set_exception(result)
            else:
                one.future.set_result(result)

    def _tell(self, head: Head) -> None:
        """Tell the listener of a new head. What is durable stays so, whatever the listener makes of it."""
        try:
            self._committed(head)
        except Exception as error:  # noqa: BLE001
            self._alarm(f"after a commit: {error}")

    def _commit(self, requests: list[Request]) -> list[Result]:
        flush: Flush | None = None
        try:
            with self._store.writing(self._prepare_ahead) as writes:
                flush = self._seal(writes, requests)
                if flush.batch.rows:
                    writes.write(flush.batch)
        except StoreUnreachable:
            if flush is None or not self._stands(flush.batch.head):
                raise
        if flush.batch.rows:
            self._head = flush.batch.head
        return flush.results

    def _stands(self, head: Head) -> bool:
        """Whether a batch that ended in ``head`` is in the log; False also when the store stays away."""
        try:
            with self._store.writing() as writes:
                return writes.head().size >= head.size and _leaf(writes, head.size - 1) == head.leaf
        except StoreError:
            return False

    def _seal(self, writes: Writes, requests: list[Request]) -> Flush:
        """Decide and seal within the transaction."""
        head = writes.head()
        self._adopt(head, writes)
        flush = Flush(writes, head, self._heads, self._keys, self._store.origin, self._now(head), self._edge)
        for request in requests:
            if request.late is not None:
                request.events = [request.late(head.size, self._edge.root())]
        flush.run(requests)
        if flush.batch.rows:
            self._edge.extend(flush.leaves)
            flush.batch.tiles = self._edge.take_dirty()
            for request in requests:
                if request.within is not None:
                    request.within(writes, flush.batch)
        return flush

    def _adopt(self, head: Head, writes: Writes) -> None:
        """See that the store's head is the one we left; if another process moved it on, load our caches anew."""
        if self._known and head == self._head:
            return
        if self._head is not None and self._head.size:
            self._refuse_fork(self._head, head, writes)
        self._forget()
        self._edge = Edge.load(writes.tile, head.size)
        self._head, self._known = head, True

    def _refuse_fork(self, ours: Head, head: Head, writes: Writes) -> None:
        """Raise ``ForkError`` unless the last entry that we know is still in its place."""
        if head.size < ours.size or _leaf(writes, ours.size - 1) != ours.leaf:
            raise ForkError(
                f"the store held {ours.size:,} entries, and now holds another history of {head.size:,}",
                advice="stop all writers and audit the store against a signed checkpoint",
            )

    def _forget(self) -> None:
        """Drop what we know of the log, but not the head that we last saw: a store behind it was rolled back."""
        self._known = False
        self._heads.forget()
        self._keys.forget()

    def _now(self, head: Head) -> str:
        """The ``recorded`` of this flush: the clock, but never before the last entry's. Raises ``ReadOnly``."""
        now = self.clock()
        if not head.recorded:
            return recorded(now)
        ahead = microseconds(head.recorded) - now
        if ahead <= 0:
            return recorded(now)
        if ahead > CLOCK_LIMIT and not self._accept_clock:
            raise ReadOnly(
                f"its last entry was recorded at {head.recorded}, {ahead / 1e6:,.0f} s ahead of this machine's clock",
                advice="set the clock right; if the log is right, an owner appends with --accept-clock, "
                "and serves with CONTINUITY_ACCEPT_CLOCK=true until the clock has caught up",
            )
        told = self._alarmed
        if ahead > CLOCK_ALARM and (told is None or time.monotonic() - told > ALARM_SECONDS):
            self._alarmed = time.monotonic()
            self._alarm(f"the clock is {ahead / 1e6:,.1f} s behind the last entry")
        return head.recorded


def _leaf(reads: Reads, position: int) -> bytes:
    """The leaf hash at a position, from its tile."""
    at = position % TILE_WIDTH * HASH_SIZE
    return reads.tile(0, position // TILE_WIDTH)[at : at + HASH_SIZE]
