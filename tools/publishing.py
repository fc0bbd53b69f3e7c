"""A ledger's publication, once or at an interval: have the checkpoint cosigned, then bring the vault up to it.

Owns the order of the two, the rule that without a quorum nothing newer is published, and the thread that does it again
and again. It reads the log like any other reader: no append ever waits for it. Never decides whom to ask, or where.

Invariant: what is published last reached its quorum, if there is a policy; a failure leaves it in its place, is told
once, and is tried again, less and less often.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, structs

from ledger import moment
from ledger.errors import LedgerError, QuorumMissed, ReadOnly
from ledger.log import Log
from ledger.trust_policy import TrustPolicy
from tools.publish import Publisher, Stopped, Tick
from tools.vaults.protocol import Vault
from tools.witnessing import Answer, collect, witnesses_of

SHORTEST_BACKOFF = 1.0
LONGEST_BACKOFF = 300.0
"""Seconds between two attempts of which the former failed: the interval, doubled with each failure, within these."""


class Round(NamedTuple):
    """What came of one publication: the size that is published now, objects written, and what the witnesses said.

    ``size`` is None where the quorum was not reached: then nothing was published.
    """

    size: int | None
    files: int
    witnesses: list[Answer]


class Standing(Struct, frozen=True, kw_only=True):
    """How the publication of a ledger stands."""

    place: str
    """The vault."""
    seconds: float
    """From one publication to the next."""
    size: int | None = None
    """Entries under the checkpoint that was published last, by this process; None if none was."""
    time: str | None = None
    """When that was (RFC 3339)."""
    witnesses: tuple[Answer, ...] = ()
    """What each witness said at the last attempt."""
    failures: int = 0
    """Attempts that failed since."""
    fault: str | None = None
    """Why the last one failed."""


class Publication:
    """One ledger and its vault. Not for use from several threads at once."""

    def __init__(
        self,
        log: Log,
        folder: Path,
        vault: Vault,
        *,
        policy: TrustPolicy | None = None,
        entries: bool = False,
        again: bool = False,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """``folder`` is the ledger's; ``policy`` says whose cosignatures it takes; ``entries``: bundles too.

        ``again``: what is there is compared, and written anew where it is damaged.
        """
        self.place = vault.place
        self._log = log
        self._folder = folder
        self._publisher = Publisher(log, vault, entries=entries, again=again, stopping=stopping)
        self._witnesses = None if policy is None else witnesses_of(policy, folder, stopping)

    def once(self, tick: Tick = lambda done, total: None) -> Round:
        """Publish the log as it stands. Raises what ``Publisher.publish`` and ``witnessing.collect`` raise."""
        if self._witnesses is None:
            checkpoint, note = self._log.checkpoint()
            answers: list[Answer] = []
        else:
            checkpoint, collected = collect(self._log, self._folder, self._witnesses)
            note, answers = collected.note, collected.answers
            if not collected.agreed:
                return Round(None, 0, answers)
        published = self._publisher.publish(checkpoint, note, tick)
        return Round(published.size, published.files, answers)


class Publishing:
    """Publishes at an interval, and when asked to, on a thread of its own."""

    def __init__(
        self,
        make: Callable[[Callable[[], bool]], Publication],
        seconds: float,
        alarm: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``make`` gives the publication, told how to learn that it has to stop."""
        self._publication = make(self._is_closed)
        self._seconds = seconds
        self._alarm = alarm
        self._clock = clock
        self._changed = threading.Condition()  # guards the three below
        self._closed = False
        self._asked: list[Future[Standing]] = []
        self._standing = Standing(place=self._publication.place, seconds=seconds)
        self._thread = threading.Thread(target=self._run, name="publishing", daemon=True)

    def start(self) -> None:
        """Publish for the first time now, then at the interval."""
        self._thread.start()

    def standing(self) -> Standing:
        """How it stands."""
        with self._changed:
            return self._standing

    def now(self) -> Future[Standing]:
        """Publish at once all that the log holds now.

        The future raises why that failed: ``QuorumMissed``, ``VaultError``, ``ForkError`` and so on; ``ReadOnly`` when
        this is being closed.
        """
        answer: Future[Standing] = Future()
        answer.set_running_or_notify_cancel()
        with self._changed:
            if self._closed:
                answer.set_exception(_closing())
            else:
                self._asked.append(answer)
                self._changed.notify()
        return answer

    def close(self) -> None:
        """Stop between two objects, and wait for that. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _is_closed(self) -> bool:
        return self._closed

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._asked, max(0.0, due - time.monotonic()))
                asked, self._asked = self._asked, []
                if self._closed:
                    break
            began = time.monotonic()
            failure = self._attempt()
            for answer in asked:
                if failure is None:
                    answer.set_result(self.standing())
                else:
                    answer.set_exception(failure)
            due = began + backoff(self._seconds, self.standing().failures)
        for answer in asked:
            answer.set_exception(_closing())

    def _attempt(self) -> Exception | None:
        """Publish once, and note what came of it; the failure, if it is one."""
        answers: tuple[Answer, ...] = self.standing().witnesses
        try:
            done = self._publication.once()
            answers = tuple(done.witnesses)
            if done.size is None:
                raise _missed(done.witnesses)
        except Stopped:
            return _closing()
        except Exception as error:  # noqa: BLE001 - a thread that ended would publish nothing ever after
            self._failed(error, answers)
            return error
        with self._changed:
            before = self._standing
            self._standing = Standing(
                place=before.place,
                seconds=before.seconds,
                size=done.size,
                time=moment.recorded(int(self._clock() * 1_000_000)),
                witnesses=answers,
            )
        if before.failures:
            self._alarm(f"published again, {done.size:,} entries, after {before.failures} failures")
        return None

    def _failed(self, error: Exception, answers: tuple[Answer, ...]) -> None:
        fault = str(error) if isinstance(error, LedgerError | OSError) else type(error).__name__
        with self._changed:
            before = self._standing
            self._standing = structs.replace(before, failures=before.failures + 1, fault=fault, witnesses=answers)
        if fault != before.fault and not self._closed:
            self._alarm(f"can't publish to {before.place}: {fault}")


def backoff(seconds: float, failures: int) -> float:
    """Seconds from one attempt to the next, at an interval and after so many failures one after the other."""
    if not failures:
        return seconds
    return min(max(seconds, SHORTEST_BACKOFF) * 2.0 ** min(failures - 1, 30), max(seconds, LONGEST_BACKOFF))


def _missed(answers: list[Answer]) -> QuorumMissed:
    said = "; ".join(f"{one.name} {one.outcome}: {one.detail}" for one in answers if one.outcome != "cosigned")
    return QuorumMissed(
        f"too few witnesses cosigned, so nothing newer is published: {said or 'no witness has a URL'}",
        advice="see which of them are away; one that refuses may know another history of this ledger",
    )


def _closing() -> ReadOnly:
    return ReadOnly("the server is being stopped", advice="try again after the restart")
