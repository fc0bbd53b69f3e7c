"""Index and tail against a list: whatever befalls the index, no id is taken twice, no version skipped, no entry missed.

Several logs stand open on one folder, as in several processes. The constants are small, so that generations, passes and
the longest tail all turn over within a few events; the indexing thread stands still, and a rule does its work instead.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger import heads
from ledger.errors import LedgerError, StoreError
from ledger.log import Log
from ledger.store import sqlite, sqlite_index, sqlite_tail
from ledger.store.protocol import Selection
from ledger.store.sqlite_index import Index, Indexer
from tests.support.events import estimate_changed, new_log, requested
from tests.support.whole import check_file, check_whole

STREAMS = ("A", "B", "C")
IDS = st.tuples(st.sampled_from(("urn:one", "urn:two")), st.integers(0, 9))
LOGS = st.integers(0, 1)


class Entry(NamedTuple):
    """What the model keeps of an entry."""

    source: str
    id: str
    stream: str
    version: int
    member: str
    type: str


def event(source: str, number: int) -> bytes:
    """The one event of a source and number, so that posting it again is a retry. A few of them hold a private value."""
    name = STREAMS[number % len(STREAMS)]
    data = {"notes": f"of {number}"} if number % 4 == 0 else {}
    return estimate_changed(name, member=f"M-{number % 2}", id=str(number), source=source, data=data)


class Ledger(RuleBasedStateMachine):
    """Two doors to one ledger, and a list of what should be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.data = Path(tempfile.mkdtemp(prefix="index-model-"))
        self.folder = self.data / "studio"
        self.logs: list[Log | None] = [None, None]
        self.entries: list[Entry] = []
        self.saved: tuple[Path, list[Entry]] | None = None
        self.disturbed = False  # the index was taken from under those who have it open

    def log(self, which: int) -> Log:
        log = self.logs[which]
        if log is None:
            log = self.logs[which] = Log.open(self.data, "studio")
        return log

    @initialize()
    def begin(self) -> None:
        self.logs[0] = new_log(self.data)
        self.entries.append(Entry("urn:continuity-ledger", "created", "ledger:main", 1, "", "ledger.created"))
        for name in STREAMS:
            self.logs[0].append([requested(name, member="M-0", id=name)])
            self.entries.append(Entry("urn:test", name, f"reservation:{name}", 1, "M-0", "reservation.requested"))

    # --- Use ---------------------------------------------------------------------------------------------------------

    @rule(which=LOGS, busy=st.booleans(), posted=st.lists(IDS, min_size=1, max_size=6))
    def append(self, which: int, busy: bool, posted: list[tuple[str, int]]) -> None:
        """While another thread reads the index, the writer reads it on a connection of its own."""
        log = self.log(which)
        try:
            with log.store._index._reading() if busy else nullcontext():
                receipts = log.append([event(*one) for one in posted])
        except StoreError:
            self.excuse(which)
            return
        known = {(entry.source, entry.id): position for position, entry in enumerate(self.entries)}
        for (source, number), receipt in zip(posted, receipts, strict=True):
            position = known.get((source, str(number)))
            assert receipt.duplicate == (position is not None), "an id was forgotten, or made up"
            if position is None:
                made = json.loads(event(source, number))
                stream = made["subject"]
                version = 1 + sum(entry.stream == stream for entry in self.entries)
                position = known[source, str(number)] = len(self.entries)
                self.entries.append(Entry(source, str(number), stream, version, made["member"], made["type"]))
            assert (receipt.position, receipt.version) == (position, self.entries[position].version)

    @rule(which=LOGS, column=st.sampled_from(("stream", "member", "type")), limit=st.integers(1, 4), data=st.data())
    def read(self, which: int, column: str, limit: int, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted({getattr(entry, column) for entry in self.entries} - {""})))
        found: list[int] = []
        try:
            while page := self.log(which).page(Selection(found[-1] + 1 if found else 0, **{column: name}), limit):
                found += [row.position for row in page]
        except StoreError:
            self.excuse(which)
            return
        assert found == [at for at, entry in enumerate(self.entries) if getattr(entry, column) == name]

    @rule(which=LOGS, size=st.integers(1, 80))
    def index(self, which: int, size: int) -> None:
        """What the indexing thread does, when it likes."""
        store = self.log(which).store
        try:
            store._indexer.reached = store._index.catch_up(min(size, len(self.entries)))
        except StoreError:
            self.excuse(which)

    def excuse(self, which: int) -> None:
        """A refusal is right only when somebody took the index away, and ends with opening the ledger again."""
        assert self.disturbed
        self.stop(which)

    # --- Ends --------------------------------------------------------------------------------------------------------

    @rule(which=LOGS, how=st.sampled_from(("closed", "killed", "killed within a pass")))
    def end(self, which: int, how: str) -> None:
        """Killed, as far as files go: connections end, and nothing more is indexed or signed."""
        log = self.logs[which]
        if log is not None and how == "closed":
            log.close()
        elif log is not None and how == "killed within a pass":
            index = log.store._index
            with suppress(StoreError):
                index.check()
            with suppress(ZeroDivisionError), index._lock, index._transaction() as cursor:
                low, end = (
                    cursor.execute(f"SELECT size FROM {where}").fetchone()[0] for where in ("state", "log.head")
                )
                index._fill(cursor, {"low": low, "high": min(low + 2, end)})
                raise ZeroDivisionError
        self.stop(which)

    def stop(self, which: int) -> None:
        log, self.logs[which] = self.logs[which], None
        if log is None:
            return
        log._appended = False  # so nothing is signed
        log.close()

    # --- Harm --------------------------------------------------------------------------------------------------------

    @rule()
    def take_the_index_away(self) -> None:
        """Against all advice, while others have it open."""
        for file in self.folder.glob("index.db*"):
            file.unlink()
        self.disturbed = any(self.logs)

    @rule()
    def empty_the_index(self) -> None:
        """As a program of another version does that opens the ledger."""
        if (self.folder / "index.db").exists():
            opened = closing(sqlite3.connect(self.folder / "index.db"))
            with opened as connection, connection, suppress(sqlite3.OperationalError):  # it may hold nothing yet
                connection.execute("UPDATE state SET schema = 'another'")
        self.disturbed = any(self.logs)
        with closing(Index(self.folder / "ledger.db")) as index:
            index.check()

    @rule()
    def save(self) -> None:
        saved = self.data / "saved"
        shutil.rmtree(saved, ignore_errors=True)
        saved.mkdir()
        for name in ("ledger.db", "index.db"):
            if (self.folder / name).exists():
                source, target = sqlite3.connect(self.folder / name), sqlite3.connect(saved / name)
                source.backup(target)
                source.close()
                target.close()
        self.saved = (saved, list(self.entries))

    @precondition(lambda self: self.saved is not None)
    @rule(names=st.sampled_from((("ledger.db",), ("index.db",), ("ledger.db", "index.db"))))
    def put_back(self, names: tuple[str, ...]) -> None:
        """An operator puts saved files back, with nobody at them, and has the signer forget."""
        assert self.saved is not None
        for which in range(len(self.logs)):
            self.stop(which)
        saved, entries = self.saved
        for name in names:
            if (saved / name).exists():
                for file in self.folder.glob(f"{name}*"):
                    file.unlink()
                shutil.copy(saved / name, self.folder / name)
        if "ledger.db" in names:
            (self.folder / "keys" / "last-checkpoint").unlink(missing_ok=True)
            self.entries = list(entries)

    # --- Always ------------------------------------------------------------------------------------------------------

    @invariant()
    def nobody_is_left(self) -> None:
        if not any(self.logs):
            self.disturbed = False

    def teardown(self) -> None:
        for which in range(len(self.logs)):
            with suppress(LedgerError):
                self.stop(which)
        if self.entries:
            with Log.open(self.data, "studio") as log:
                log.store._index.catch_up(log.head().size)
                found = check_whole(log)
                assert [one["event"]["id"] for one in found] == [entry.id for entry in self.entries]
            check_file(self.folder / "ledger.db")
            check_file(self.folder / "index.db")
        shutil.rmtree(self.data)


@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("generation", [2, 5])
def test_what_is_indexed_and_what_is_not_yet_make_one_whole(
    monkeypatch: pytest.MonkeyPatch, generation: int, examples: int
) -> None:
    monkeypatch.setattr(sqlite_tail, "GENERATION", generation)
    monkeypatch.setattr(sqlite, "LONGEST_TAIL", 4 * generation)
    monkeypatch.setattr(sqlite_index, "PASS", 3)
    monkeypatch.setattr(heads, "CACHED_HEADS", 2)
    monkeypatch.setattr(Indexer, "wake", lambda self, size: None)
    monkeypatch.setattr(Log, "_sign_when_due", lambda self, head: None)
    checks = (HealthCheck.too_slow, HealthCheck.data_too_large)
    run_state_machine_as_test(
        Ledger,
        settings=settings(max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=checks),
    )
