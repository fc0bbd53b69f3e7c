"""Locks are taken in one order everywhere (docs/adr/0015), so that no two threads or processes can wait for each other.

Every lock that somebody else may be waiting for is watched while a ledger lives through all that takes any of them.
"""

import threading
from contextlib import contextmanager

import pytest

from ledger import credentials, epochs, log, signer
from ledger.epochs import Epochs
from ledger.erasure import Target, erase
from ledger.log import Log
from ledger.private_files import locked
from ledger.store.postgres import PostgresStore
from ledger.store.sqlite import SQLiteStore
from ledger.store.sqlite_index import Index
from ledger.writer import Writer
from tests.support.events import ORIGIN, cloud, requested
from tools.credentials import issue

ORDER = [".init.lock", ".credentials.lock", ".epoch.lock", ".signer.lock", "writer", "store", "index"]
"""``writer`` is no lock: whoever waits for what was submitted waits for that thread, and for what it takes."""


class Watched:
    """What was taken or waited for while what was held: pairs, from all threads."""

    def __init__(self) -> None:
        self.pairs: set[tuple[str, str]] = set()
        self._of_thread = threading.local()

    def wanted(self, name: str) -> None:
        self.pairs.update((one, name) for one in self._held)

    def take(self, name: str) -> None:
        self.wanted(name)
        self._held.append(name)

    def leave(self, name: str) -> None:
        self._held.remove(name)

    @contextmanager
    def holding(self, name: str):
        self.take(name)
        try:
            yield
        finally:
            self.leave(name)

    @property
    def _held(self) -> list[str]:
        if not hasattr(self._of_thread, "held"):
            self._of_thread.held = []
        return self._of_thread.held


class WatchedLock:
    """A lock of one process, watched."""

    def __init__(self, watched: Watched, name: str) -> None:
        self._lock = threading.Lock()
        self._watched = watched
        self._name = name

    def __enter__(self) -> None:
        self._watched.take(self._name)
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()
        self._watched.leave(self._name)


@pytest.fixture
def watched(monkeypatch) -> Watched:
    watched = Watched()

    @contextmanager
    def watched_file(path):
        with watched.holding(path.name), locked(path):
            yield

    for module in (credentials, epochs, log, signer):
        monkeypatch.setattr(module, "locked", watched_file)

    def around(cls, name, holding):
        method = getattr(cls, name)

        def replaced(self, *given, **named):
            with holding():
                return method(self, *given, **named)

        monkeypatch.setattr(cls, name, replaced)

    def made_with(cls, attribute, name):
        made = cls.__init__

        def replaced(self, *given, **named):
            made(self, *given, **named)
            setattr(self, attribute, WatchedLock(watched, name))

        monkeypatch.setattr(cls, "__init__", replaced)

    made_with(SQLiteStore, "_write_lock", "store")
    made_with(Index, "_lock", "index")
    around(Writer, "_flush", lambda: watched.holding("writer"))
    submit = Writer.submit

    def submitted(self, posted):
        watched.wanted("writer")
        return submit(self, posted)

    monkeypatch.setattr(Writer, "submit", submitted)
    writing = PostgresStore.writing

    @contextmanager
    def watched_writing(self, *given):
        with watched.holding("store"), writing(self, *given) as writes:
            yield writes

    monkeypatch.setattr(PostgresStore, "writing", watched_writing)
    return watched


def test_a_lock_is_only_ever_taken_after_those_before_it_in_the_order(watched: Watched, place, monkeypatch):
    monkeypatch.setattr(log, "SIGN_SECONDS", 0.01)
    monkeypatch.setattr(epochs, "SCRUB_AGAIN_SECONDS", 0.01)
    opened = Log.create(place.data, "studio", ORIGIN, store=place.store).log
    with opened, place.open() as other:  # as of another process: it finds the head moved on, and its epoch turned
        for number in range(5):
            opened.append([requested(f"R-{number}", f"M-{number}", data={"notes": "private"})])
            other.append([requested(f"S-{number}", f"M-{number}", data={"notes": "private"})])
        issue(opened, "kiosk", "service")
        other.checkpoint()
        opened.prove(3)
        opened.rotate_keys("scheduled")
        other.epochs.turn()
        other.append([cloud("member.registered", subject="member:M-9", member="M-9", data={"name": "Ada"})])
        assert other.epochs.settle().effective
        assert erase(opened, Target(member="M-1"), "asked-for").effective
        with monkeypatch.context() as patched:  # a scrub that is left to later
            patched.setattr(Epochs, "_scrubbed", lambda _: False)
            patched.setattr(epochs, "SCRUB_PAUSE", 0)
            opened.epochs.turn()
            opened.epochs.settle()
        opened.append([requested("R-last")])
        opened.disclose(list(other.scan()))
    place.open().close()

    rank = {name: number for number, name in enumerate(ORDER)}
    assert {(first, second) for first, second in watched.pairs if rank[first] >= rank[second]} == set()
    expected = {(".credentials.lock", "writer"), (".epoch.lock", "writer"), (".signer.lock", "writer")}
    expected |= {("writer", "store"), (".epoch.lock", "store")}
    assert expected <= watched.pairs, "they are watched"
