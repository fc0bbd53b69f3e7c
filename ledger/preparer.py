"""A process beside this one that prepares the events of large requests: checked, committed to and encoded.

Owns when it starts and ends (how, ``ledger.beside`` says), and what passes between it and us: a request one way, its
prepared events the other, piece by piece, while this process decides and seals those that are there. All threads of one
interpreter share a processor; this is how appending gets a second one. Never decides anything, and is never needed: it
starts only once large requests have come for a while, and an event that it returns unprepared (a fault in it, or the
process is lost, or late) is prepared by whoever wants it, with the same result. So nothing depends on its life, and it
holds nothing that a crash would lose. What it is sent stays in memory.
"""

from __future__ import annotations

import atexit
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

import msgspec
from msgspec import Raw, Struct

from ledger import beside, privacy
from ledger.errors import LedgerError
from ledger.event import Credential, Prepared, prepare

WORTH = 200
"""Events of a request from which on it is sent to another process: below, sending it takes longer than it saves."""
START_AFTER = 10_000
"""Events of such requests after which the process is started, which costs a fifth of a second of a processor."""
MOST = 16_000
"""Events that it may have before it, at most: a request beyond them is prepared here."""
FIRST_PIECE, LAST_PIECE = 128, 512
"""Events that are returned at once: few at first, since somebody waits, then twice as many each time."""
PATIENCE = 5.0
"""Seconds that the pieces of a request are waited for, all together, since the head's lock may be held meanwhile. Each
takes milliseconds: a process that needs more is stopped, or lost."""

Piece = list[Prepared | None]
"""Some events of a request, in order; None stands for one that could not be prepared."""


class _Job(Struct, array_like=True):
    """What the process is sent."""

    credential: Credential
    events: list[bytes]


_encode = msgspec.msgpack.Encoder().encode
_decode_job = msgspec.msgpack.Decoder(_Job).decode
_decode_piece = msgspec.msgpack.Decoder(Piece).decode


class Ahead:
    """A request that is being prepared elsewhere. Used by one thread at a time."""

    def __init__(self, count: int, process: Process) -> None:
        self.missing = count
        """Events that the process has yet to return: the concern of the thread that receives them."""
        self._process = process
        self._patience = PATIENCE  # what is left of it
        self._arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def arrive(self, piece: bytes | None) -> None:
        """Take a piece as it was received, or None: no more will come."""
        self._arrived.put(piece)

    def piece(self, *, wait: bool) -> Piece | None:
        """The next piece; empty when there is none yet and it is not to be waited for, None when none will come."""
        began = time.monotonic() if wait else 0.0
        try:
            arrived = self._arrived.get(wait, self._patience)
        except queue.Empty:
            if not wait:
                return []
            self._process.give_up()
            return None
        if wait:
            self._patience = max(0.0, self._patience - (time.monotonic() - began))
        return None if arrived is None else _decode_piece(arrived)


class Process:
    """The other process, and the two threads that send and receive, so that whoever asks never waits for it."""

    def __init__(self) -> None:
        """Start it. Raises ``OSError`` where there is no room for another process."""
        self._line, self._process = beside.start(__name__)
        self._lock = threading.Lock()  # guards the three below
        self._asked: deque[Ahead] = deque()
        self._outstanding = 0
        self._usable = False  # until it has said that it works, and after it was lost
        self._unsent: queue.SimpleQueue[tuple[Credential, Sequence[bytes | Raw]] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=work, name=f"preparer-{work.__name__[1:]}", daemon=True)
            for work in (self._send, self._receive)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, events: Sequence[bytes | Raw], credential: Credential) -> Ahead | None:
        """Have a request prepared; None when it has too much to do already, or does not work."""
        with self._lock:
            if not self._usable or self._outstanding + len(events) > MOST:
                return None
            ahead = Ahead(len(events), self)
            self._asked.append(ahead)
            self._outstanding += len(events)
            self._unsent.put((credential, events))  # under the lock: answers come in the order of `_asked`
        return ahead

    @property
    def lost(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def give_up(self) -> None:
        """Ask it for nothing more: it does not answer."""
        with self._lock:
            self._usable = False
        self._process.kill()  # whereupon the receiver hears the end of the line

    def close(self) -> None:
        """End it, and wait until it has ended. Idempotent."""
        with self._lock:
            self._usable = False
        self._unsent.put(None)
        beside.end(self._process)
        for thread in self._threads:
            thread.join(
                beside.END_SECONDS
            )  # it hears no end while a fork, made as we started, holds the other end open
        self._line.close()

    def abandon(self) -> None:
        """In a fork of this process, which has none of its threads: let go of the line, which is the parent's."""
        self._line.close()

    def _send(self) -> None:
        with suppress(OSError):  # it is lost, as the receiver hears
            while (job := self._unsent.get()) is not None:
                credential, events = job
                self._line.send_bytes(_encode(_Job(credential, list(map(bytes, events)))))
            self._line.send_bytes(b"")  # the end

    def _receive(self) -> None:
        with suppress(EOFError, OSError):
            self._line.recv_bytes()
            with self._lock:
                self._usable = True
            while True:
                message = self._line.recv_bytes()
                ahead, count = self._asked[0], int.from_bytes(message[:4], "big")
                ahead.missing -= count
                with self._lock:
                    self._outstanding -= count
                    if not ahead.missing:
                        self._asked.popleft()
                ahead.arrive(message[4:])
        with self._lock:
            self._usable = False
            lost, self._asked = self._asked, deque()
        for ahead in lost:
            ahead.arrive(None)


class Preparer:
    """The one such process of this interpreter, if there is any: all ledgers opened in it share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below
        self._seen = 0
        self._process: Process | None = None

    def ask(self, events: Sequence[bytes | Raw], credential: Credential) -> Ahead | None:
        """Have a request prepared by another process, if it is worth it and one can be had."""
        if len(events) < WORTH:
            return None
        with self._lock:
            if self._process is not None and self._process.lost:
                self._process.close()
                self._process, self._seen = None, 0
            if self._process is None:
                self._seen += len(events)
                if self._seen < START_AFTER or _cores() < 2 or not sys.executable:  # embedded, it may be unknown
                    return None
                self._seen = 0  # where there is no room now, there may be later
                with suppress(OSError):
                    self._process = Process()
            process = self._process
        return None if process is None else process.ask(events, credential)

    def close(self) -> None:
        """End the process, if there is one. Another is started when it is worth it again. Idempotent."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.close()

    def abandon(self) -> None:
        """Begin anew in a fork of this process."""
        if self._process is not None:
            self._process.abandon()
        self._lock, self._seen, self._process = threading.Lock(), 0, None


def _cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


PREPARER = Preparer()
"""That of this interpreter."""
atexit.register(PREPARER.close)
os.register_at_fork(after_in_child=PREPARER.abandon)


def serve(line: int) -> None:
    """Be the other process: prepare what is sent on a line, given by its descriptor, until it closes."""
    with suppress(EOFError, OSError), Connection(line) as asked:
        asked.send_bytes(b"")
        while message := asked.recv_bytes():
            job = _decode_job(message)
            start, width = 0, FIRST_PIECE
            while start < len(job.events):
                piece = list(_prepared(job.events[start : start + width], job.credential))
                asked.send_bytes(len(piece).to_bytes(4, "big") + _encode(piece))
                start, width = start + width, min(2 * width, LAST_PIECE)


def _prepared(events: list[bytes], credential: Credential) -> Iterator[Prepared | None]:
    salts = privacy.drawn(privacy.SALT_SIZE, len(events))
    for raw in events:
        try:
            yield prepare(raw, credential, salts)
        except LedgerError:  # whoever wants it meets the same, and has it with all that belongs to it
            yield None
