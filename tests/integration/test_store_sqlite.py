"""The SQLite store on a machine that misbehaves: full disks, failing commits, foreign locks, damaged files."""

import contextlib
import sqlite3
import subprocess
import sys
import threading

import orjson
import pytest

from ledger.errors import LedgerError, NotFound, StoreError
from ledger.log import Log
from ledger.merkle import leaf_hash
from ledger.store import sqlite as sqlite_store
from ledger.store.protocol import Head, Selection, WrappedKey
from ledger.store.sqlite import SQLiteStore
from projections.runner import Runner
from projections.store.opening import open_projections
from tests.contract.stores import EMPTY, new_row, write
from tests.support.events import ORIGIN, estimate_changed, new_log, requested
from tests.support.whole import check_file, check_receipts, check_whole


class FaultyCursor(sqlite3.Cursor):
    """Fails the next COMMIT in the way that its connection is set to."""

    def execute(self, sql, *values):
        how = self.connection.fault
        if sql != "COMMIT" or how is None:
            return super().execute(sql, *values)
        self.connection.fault = None
        if how != "nothing done":
            super().execute("COMMIT" if how == "done all the same" else "ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")


class FaultyConnection(sqlite3.Connection):
    fault = None

    def cursor(self):
        return super().cursor(FaultyCursor)


@pytest.fixture
def log(tmp_path):
    with new_log(tmp_path) as log:
        yield log


@pytest.mark.parametrize("how", ["nothing done", "done all the same", "rolled back already"])
def test_a_commit_that_fails_once_is_reported_and_a_retry_gets_its_one_receipt(tmp_path, monkeypatch, how):
    new_log(tmp_path).close()
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **options: connect(*args, **{"factory": FaultyConnection, **options})
    )
    with Log.open(tmp_path, "studio") as log:
        receipts = log.append([requested("R-1", id="a"), requested("R-2", member="M-2", id="b")])
        batch = [requested("R-3", member="M-3", id="c"), estimate_changed("R-1", id="d", data={"notes": "private"})]
        log.store._writer.fault = how
        with pytest.raises(StoreError, match="disk I/O error"):
            log.append(batch)
        again = log.append(batch)
        assert [receipt.duplicate for receipt in again] == [how == "done all the same"] * 2
        assert [receipt.position for receipt in again] == [3, 4]
        receipts += again + log.append([estimate_changed("R-3", member="M-3", id="e", data={"notes": "more"})])
        check_receipts(check_whole(log), receipts)
    with Log.open(tmp_path, "studio") as log:
        check_receipts(check_whole(log), receipts)
    check_file(tmp_path / "studio" / "ledger.db")


def test_a_full_disk_refuses_appends_whole_and_leaves_the_ledger_readable_until_there_is_room(log):
    first = log.append([requested()])
    writer = log.store._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages + 8}")
    accepted, refused = [], []
    faults = set()
    for number in range(60):
        batch = [estimate_changed(id=f"{number}-{one}", data={"notes": "x" * 500}) for one in range(20)]
        try:
            accepted += log.append(batch)
        except StoreError as error:
            faults.add((str(error), error.advice))
            refused.append(batch)
    ((fault, advice),) = faults
    assert "full" in fault
    assert "room" in advice
    size = log.head().size
    assert size == 2 + len(accepted)
    check_receipts([*_seals(log)], first + accepted)
    writer.execute("PRAGMA max_page_count = 1073741823")
    late = [receipt for batch in refused for receipt in log.append(batch)]
    assert [receipt.position for receipt in late] == list(range(size, size + len(late)))
    assert not any(receipt.duplicate for receipt in late)
    check_receipts(check_whole(log), first + accepted + late)


def _seals(log):
    for row in log.scan():
        content = orjson.loads(row.entry)
        yield {**content["seal"], "event": content["event"], "leaf": leaf_hash(row.entry).hex()}


def test_a_program_that_holds_the_write_lock_delays_appends_and_is_named_in_the_error(tmp_path, monkeypatch):
    new_log(tmp_path).close()
    monkeypatch.setattr(sqlite_store, "LOCK_TIMEOUT", 0.2)
    other = sqlite3.connect(tmp_path / "studio" / "ledger.db", isolation_level=None)
    try:
        with Log.open(tmp_path, "studio") as log:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="locked") as caught:
                log.append([requested(id="a")])
            assert "lock" in caught.value.advice
            assert log.head().size == 1
            other.execute("ROLLBACK")
            assert log.append([requested(id="a")])[0].position == 1
            check_whole(log)
    finally:
        other.close()


def test_the_writer_is_durable_leaves_nothing_of_what_it_deletes_and_lets_readers_read(log):
    log.append([requested()])
    read = {
        name: log.store._writer.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("synchronous", "secure_delete", "journal_mode")
    }
    assert read == {"synchronous": 2, "secure_delete": 1, "journal_mode": "wal"}


def test_vacuum_renumbers_no_position(log):
    log.append([requested(f"R-{number}") for number in range(300)])
    before = list(log.scan())
    connection = sqlite3.connect(log.store.path)
    connection.execute("VACUUM")
    connection.close()
    assert list(log.scan()) == before
    log.append([requested("R-last")])
    check_whole(log)


def test_following_and_paging_walk_the_entries_and_sort_nothing(log):
    store = log.store
    asked = [
        ("SELECT rowid, * FROM stored_events WHERE rowid>? ORDER BY rowid LIMIT ?", (5, 500)),
        ("SELECT * FROM entries WHERE rowid IN (?, ?)", (5, 7)),
    ]
    connection = sqlite3.connect(store.path)
    try:
        for sql, values in asked:
            plan = [step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            assert not [step for step in plan if "TEMP B-TREE" in step], plan
            assert not [step for step in plan if step.startswith("SCAN entries") and "INDEX" not in step], plan
    finally:
        connection.close()


def test_the_end_of_a_long_log_is_found_without_a_walk_over_it(log):
    """The library asks for it at each start of a projection."""
    log.append([requested(f"R-{number}") for number in range(1_000)])
    steps = []
    connection = sqlite3.connect(log.store.path)
    connection.set_progress_handler(lambda: steps.append(1) and None, 1)
    try:
        assert connection.execute(log.store.select_max_notification_id_statement).fetchone() == (1_001,)
    finally:
        connection.close()
    assert len(steps) < 500


# --- Files that are no ledger, or no longer one ---------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 400], ids=["empty", "text"])
def test_a_file_that_is_no_database_of_ours_is_refused(tmp_path, content):
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(StoreError):
        SQLiteStore(path)


def test_a_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE things (name TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError):
        SQLiteStore(path)


def test_a_ledger_of_another_schema_version_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "ledger.db"
    SQLiteStore.create(path, ORIGIN, Head(0, bytes(32), "", 1)).close()
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER IF EXISTS meta_stays")
    connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="99") as caught:
        SQLiteStore(path)
    assert caught.value.advice


def test_opening_a_folder_is_not_opening_a_ledger(tmp_path):
    with pytest.raises(NotFound):
        SQLiteStore(tmp_path)


def test_a_page_of_the_file_that_was_overwritten_is_an_error_of_ours_never_a_foreign_one(tmp_path):
    with new_log(tmp_path) as log:
        log.append([requested(f"R-{number}") for number in range(400)])
    path = tmp_path / "studio" / "ledger.db"
    content = bytearray(path.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    for start in range(page * 3, len(content), page):
        content[start : start + 64] = b"\xff" * 64
    path.write_bytes(content)
    with contextlib.ExitStack() as stack, pytest.raises(LedgerError):  # at the latest when it reads them all
        list(stack.enter_context(Log.open(tmp_path, "studio")).scan())


def test_a_query_that_fails_while_reading_is_a_store_error(log):
    connection = sqlite3.connect(log.store.path)
    connection.execute("ALTER TABLE checkpoints RENAME TO gone")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError), log.store.reading() as reads:
        reads.latest_checkpoint()
    connection = sqlite3.connect(log.store.path)
    connection.execute("ALTER TABLE gone RENAME TO checkpoints")
    connection.commit()
    connection.close()


# --- Changes behind the store's back --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE OR REPLACE entries SET rowid = 2 WHERE rowid = 1",
        "REPLACE INTO entries SELECT rowid, x'00' FROM entries LIMIT 1",
        "REPLACE INTO tiles SELECT level, number, x'00' FROM tiles LIMIT 1",
        "REPLACE INTO checkpoints SELECT size, x'00' FROM checkpoints LIMIT 1",
        "REPLACE INTO head SELECT 1, 0, leaf, recorded, epoch FROM head",
        "REPLACE INTO disclosures SELECT rowid, x'00' FROM disclosures LIMIT 1",
    ],
)
def test_replacing_what_is_written_is_refused_too(log, sql):
    """REPLACE deletes the old row, and delete triggers hear of that only under ``recursive_triggers``."""
    log.append([requested()])
    log.checkpoint()
    connection = sqlite3.connect(log.store.path)
    try:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(sql)
    finally:
        connection.rollback()
        connection.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE meta SET value = 'evil.example/studio' WHERE name = 'origin'",
        "DELETE FROM meta",
        "UPDATE head SET leaf = zeroblob(32)",
        "UPDATE head SET recorded = '2020-01-01T00:00:00.000000Z'",
    ],
)
def test_the_origin_and_the_head_s_seal_are_not_changed_in_place(log, sql):
    connection = sqlite3.connect(log.store.path)
    try:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(sql)
    finally:
        connection.rollback()
        connection.close()


# --- Closing ---------------------------------------------------------------------------------------------------------

CLOSE_WHILE_READING = """
import sys, threading, time
from pathlib import Path
from ledger.errors import LedgerError
from ledger.log import Log

def read(log, how):
    try:
        while True:
            for row in log.follow() if how == "follow" else log.scan():
                pass
            if how == "follow":
                return
    except LedgerError:
        pass

for attempt in range(12):
    log = Log.open(Path(sys.argv[1]), "studio")
    threads = [threading.Thread(target=read, args=(log, sys.argv[2])) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.03)
    log.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
"""


@pytest.mark.parametrize("how", ["scan", "follow"])
def test_closing_a_log_while_threads_read_it_ends_their_reads_and_nothing_else(tmp_path, repository, how):
    """SQLite crashes the process when a connection is closed under a running statement."""
    with new_log(tmp_path) as log:
        log.append([requested(f"R-{number}") for number in range(1_500)])
    ended = subprocess.run(
        [sys.executable, "-c", CLOSE_WHILE_READING, str(tmp_path), how],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_closed_log_says_so_in_an_error_of_ours(tmp_path):
    log = new_log(tmp_path)
    log.close()
    for ask in (log.head, lambda: log.append([requested()]), log.checkpoint, lambda: log.row(0)):
        with pytest.raises(LedgerError):
            ask()


def test_closing_releases_the_file_even_when_the_last_signature_is_refused(tmp_path):
    log = new_log(tmp_path)
    log.append([requested()])
    (tmp_path / "studio" / "keys" / "last-checkpoint").chmod(0o644)
    with contextlib.suppress(LedgerError):
        log.close()
    assert log.store._writer is None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ledger-")]


def test_the_shipped_store_makes_no_table_for_the_library(log):
    log.store.create_table()  # what the library's factory calls
    assert log.page(Selection())[0].position == 0


def test_a_log_that_was_only_read_leaves_no_file_of_sqlite_s_own(tmp_path):
    new_log(tmp_path).close()
    with Log.open(tmp_path, "studio") as log:
        assert log.page(Selection(stream="ledger:main"))
    assert not [*tmp_path.glob("studio/*-wal"), *tmp_path.glob("studio/*-shm")]


def test_no_file_of_a_ledger_is_readable_by_others(tmp_path):
    with new_log(tmp_path) as log:
        log.append([requested()])
        assert log.page(Selection(stream="reservation:R-1"))
        with Runner(log, open_projections(None, "studio", tmp_path / "studio")) as runner:
            runner.catch_up()
        files = [path for path in (tmp_path / "studio").rglob("*") if path.is_file()]
        assert {path.name for path in files} >= {"ledger.db", "ledger.db-wal", "index.db", "projections.db"}
        assert {oct(path.stat().st_mode & 0o077) for path in files} == {"0o0"}


def test_what_is_deleted_is_nowhere_in_the_file_or_its_log_once_scrubbed(tmp_path):
    """Large values too, which stand in pages of their own that become free."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore.create(path, ORIGIN, EMPTY)
    marks = [b"PRIVATE-%d-" % at * size for at, size in enumerate((1, 40, 5_000))]
    write(
        store,
        [new_row(at, "s:1", at + 1, member=("M-1", at + 1)) for at in range(3)],
        disclosures=list(enumerate(marks)),
        keys=[WrappedKey(0, "M-1", "s:1", 1, b"PRIVATE-KEY")],
    )
    assert b"PRIVATE-" in path.with_name("ledger.db-wal").read_bytes()
    with store.writing() as writes:
        writes.erase(range(3), [("M-1", "s:1")])
    with store.reading():
        pass
    assert store.scrub()
    for file in tmp_path.iterdir():
        assert b"PRIVATE-" not in file.read_bytes(), file
    store.close()


def test_a_scrub_says_when_a_reader_kept_it_from_its_work(tmp_path, monkeypatch):
    store = SQLiteStore.create(tmp_path / "ledger.db", ORIGIN, EMPTY)
    monkeypatch.setattr("ledger.store.sqlite.LOCK_TIMEOUT", 0.05)
    with store.reading() as reads:
        assert reads.head() == EMPTY
        write(store, [new_row(0, "s:1", 1)])
        assert not store.scrub()
    assert store.scrub()
    store.close()
