"""Processes that examine ranges of entries beside this one.

Owns how many there are, and what passes between them and us: a task once, then ranges one way and parts the other. How
they start and end, ``ledger.beside`` says; each opens the source for itself. Never decides what a part is worth: a
process that is lost costs time and nothing else, since whoever asks gets no part and has to look for itself.
"""

from __future__ import annotations

import pickle
import selectors
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from typing import NamedTuple, Self

from ledger import beside
from ledger.audit.part import Examiner, Part, Range
from ledger.audit.source import OpenedSource
from ledger.errors import LedgerError
from ledger.key_history import KeyHistory


class Task(NamedTuple):
    """What a process has to know before it can examine anything: see ``Examiner``."""

    opener: Callable[[], OpenedSource]
    history: KeyHistory
    sizes: tuple[int, ...]


class Member:
    """One of the processes. Answers come in the order of what was asked."""

    def __init__(self, task: bytes) -> None:
        self.line, self._process = beside.start(__name__)
        self._answers: deque[Part | None] = deque()
        self._started = False
        self.lost = False
        self._send(task)

    @property
    def ready(self) -> bool:
        """Whether it works: before it does, to ask it would be to wait."""
        return self._started and not self.lost

    def ask(self, span: Range) -> None:
        """Have a range examined."""
        self._send(pickle.dumps(span))

    def answer(self) -> Part | None:
        """The next answer, waited for. None when the range is not good, or the process is lost."""
        while not self._answers and not self.lost:
            self.receive()
        return self._answers.popleft() if self._answers else None

    def receive(self) -> None:
        """Take in one message, waited for."""
        try:
            message = pickle.loads(self.line.recv_bytes())  # noqa: S301 - from a process of ours
        except (EOFError, OSError):
            self.lost = True
        else:
            if self._started:
                self._answers.append(message)
            self._started = True

    def end(self) -> None:
        """See it end, and bring that about if it takes too long. Its line is closed already."""
        beside.end(self._process)

    def _send(self, message: bytes) -> None:
        try:
            self.line.send_bytes(message)
        except OSError:
            self.lost = True


class Team:
    """Some processes with one task. Use it as a context manager: none outlives it."""

    def __init__(self, task: Task, count: int) -> None:
        self._members: list[Member] = []
        self._lines = selectors.DefaultSelector()
        message = pickle.dumps(task)
        with suppress(OSError):  # no room for another process: fewer will do
            for _ in range(count):
                self._members.append(Member(message))
                self._lines.register(self._members[-1].line, selectors.EVENT_READ, self._members[-1])

    def ready(self) -> list[Member]:
        """Those that can be asked."""
        self.receive()
        return [member for member in self._members if member.ready]

    def receive(self) -> None:
        """Take in what has come, without waiting, so that no process waits for us."""
        for key, _ in self._lines.select(0):
            member: Member = key.data
            member.receive()
            if member.lost:
                self._lines.unregister(member.line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._lines.close()
        for member in self._members:
            member.line.close()
        for member in self._members:
            member.end()


def serve(line: int) -> None:
    """Be such a process: examine what is asked on a line, given by its descriptor, until it closes."""
    with suppress(EOFError, OSError, LedgerError), Connection(line) as asked:
        task: Task = pickle.loads(asked.recv_bytes())  # noqa: S301 - from the process that started this one
        with closing(task.opener()) as source:
            examiner = Examiner(source, task.history, task.sizes)
            asked.send_bytes(pickle.dumps(None))
            while True:
                span: Range = pickle.loads(asked.recv_bytes())  # noqa: S301
                asked.send_bytes(pickle.dumps(examiner.examine(span)))
