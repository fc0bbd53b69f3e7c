"""One store under four writers for a while, which are killed and begun again; its server too, where it has one.

Owns the processes and the dice. Ends only what it started.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from ledger.audit import audit
from tests.integration.children import start
from tests.soak import workload
from tests.soak.judge import Judge
from tests.support.events import Place
from tests.support.postgres import OwnServer
from tests.support.whole import check_file

WRITERS = ("w1", "w2", "w3", "w4")
KILL_SECONDS = (1.0, 5.0)
"""Between one kill of a writer and the next."""
SERVER_SECONDS = (15.0, 40.0)
"""Between one stop of the server and the next."""
AWAY_SECONDS = (0.0, 3.0)
END_SECONDS = 120


class Result(NamedTuple):
    """A line of the table."""

    store: str
    events: int
    kills: int
    restarts: int
    refused: int
    receipts: int
    duplicates: int
    lost: int
    doubled: int
    audit: str
    content: bool


class _Life:
    """One life of a writer, and the thread that hears it."""

    def __init__(self, place: Place, writer: str, judge: Judge, refused: Counter[str], seed: int) -> None:
        self.writer = writer
        self._judge = judge
        self._refused = refused
        self.process: BaseProcess
        self._pipe: Connection
        self.process, self._pipe = start(workload.write, place, writer, judge.next_of(writer), seed)
        self._thread = threading.Thread(target=self._hear)
        self._thread.start()

    def _hear(self) -> None:
        with suppress(EOFError, OSError):  # an answer that was cut short by its death was none
            while True:
                told = self._pipe.recv()
                if told == "up":
                    continue
                number, answer = told
                if isinstance(answer, str):
                    self._refused[answer] += 1
                else:
                    self._judge.promised(self.writer, number, answer)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self._bury()

    def end(self) -> int | None:
        """Let it finish what it is at; its exit code."""
        with suppress(OSError):
            self._pipe.send("end")
        self.process.join(END_SECONDS)
        self.process.kill()
        self._bury()
        return self.process.exitcode

    def _bury(self) -> None:
        self.process.join()
        self._thread.join()
        self._pipe.close()


class Trial:
    """Make it, then ``run`` it."""

    def __init__(self, place: Place, seconds: float, seed: int, server: OwnServer | None = None) -> None:
        self._place = place
        self._seconds = seconds
        self._dice = random.Random(seed)
        self._server = server
        self._judge = Judge()
        self._refused: Counter[str] = Counter()
        self._kills = 0
        self._restarts = 0
        self._faults: list[str] = []

    def run(self) -> Result:
        """Write, kill and restart for the time given; then hold everything against the log."""
        self._place.create().close()
        lives = {writer: self._begin(writer) for writer in WRITERS}
        until = time.monotonic() + self._seconds
        next_stop = time.monotonic() + self._dice.uniform(*SERVER_SECONDS)
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, self._dice.uniform(*KILL_SECONDS)))
            writer = self._dice.choice(WRITERS)
            self._faults += [f"{each} ended by itself" for each, life in lives.items() if not life.process.is_alive()]
            lives[writer].kill()
            self._kills += 1
            if self._server is not None and time.monotonic() > next_stop:
                self._restart(self._server)
                next_stop = time.monotonic() + self._dice.uniform(*SERVER_SECONDS)
            lives[writer] = self._begin(writer)
        for writer, life in lives.items():
            if code := life.end():
                self._faults.append(f"{writer} ended with {code}")
        return self._verdict()

    def _begin(self, writer: str) -> _Life:
        return _Life(self._place, writer, self._judge, self._refused, self._dice.randrange(2**32))

    def _restart(self, server: OwnServer) -> None:
        server.stop(self._dice.choice(["fast", "immediate"]))
        time.sleep(self._dice.uniform(*AWAY_SECONDS))
        server.start()
        self._restarts += 1

    def _verdict(self) -> Result:
        judge = self._judge
        with self._place.open() as log:
            judge.hold_against(log.scan())
            report = audit(log.store, log.verifier_keys)
            size = log.head().size
        if self._place.database is None:
            check_file(self._place.data / "studio" / "ledger.db")
        problems = [*self._faults, *([] if report.ok else [str(report.first_fault)])]
        if judge.false or judge.halves:
            problems.append(f"{judge.false} receipts untrue, {judge.halves} batches in part")
        return Result(
            store="SQLite" if self._place.database is None else "PostgreSQL",
            events=size,
            kills=self._kills,
            restarts=self._restarts,
            refused=self._refused.total(),
            receipts=judge.receipts,
            duplicates=judge.duplicates,
            lost=judge.lost,
            doubled=judge.doubled,
            audit="; ".join(problems) or "ok",
            content=judge.content and report.ok and not self._faults,
        )
