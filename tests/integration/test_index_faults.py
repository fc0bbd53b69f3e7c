"""The index file under hands that should have left it alone: no event is taken twice, no other file is harmed."""

import contextlib
import shutil
import sqlite3
import time

import pytest

from ledger.errors import StoreError
from ledger.log import Log
from ledger.store import sqlite_index, sqlite_tail
from ledger.store.protocol import Selection
from ledger.store.sqlite_index import Indexer
from tests.support.events import ORIGIN, estimate_changed, new_log, requested
from tests.support.whole import check_whole


@pytest.fixture
def few(monkeypatch):
    """Generations of four entries, indexed at once: an id is soon known to the index alone."""
    monkeypatch.setattr(sqlite_tail, "GENERATION", 4)
    monkeypatch.setattr(Indexer, "QUIET_SECONDS", 0.001)


def filled(data):
    log = new_log(data)
    log.append([requested(id="e-first")])
    for number in range(20):
        log.append([estimate_changed(id=f"old-{number}")])
        log.store._indexer.reached = log.store._index.catch_up(log.head().size)
    return log


def replace_by_nothing(folder):
    for file in folder.glob("index.db*"):
        file.unlink()
    with contextlib.closing(sqlite_index.Index(folder / "ledger.db")) as index:
        index.check()


def replace_by_another_ledger_s(folder):
    Log.create(folder.parent, "other", ORIGIN).log.close()
    with Log.open(folder.parent, "other") as other:
        other.append([requested(f"R-{number}") for number in range(40)])
        other.page(Selection(stream="reservation:R-1"))
    for file in folder.glob("index.db*"):
        file.unlink()
    shutil.copy(folder.parent / "other" / "index.db", folder / "index.db")


def empty(folder):
    connection = sqlite3.connect(folder / "index.db")
    connection.execute("UPDATE state SET schema = 'another'")
    connection.commit()
    connection.close()
    with contextlib.closing(sqlite_index.Index(folder / "ledger.db")) as index:
        index.check()


@pytest.mark.parametrize("harm", [replace_by_nothing, replace_by_another_ledger_s, empty])
def test_an_index_that_is_replaced_while_in_use_is_noticed_before_an_id_is_taken_twice(tmp_path, few, harm):
    log = filled(tmp_path)
    harm(tmp_path / "studio")
    with log.store._index._reader.transaction(commit=False):  # a reader at it: the writer takes a new connection
        for event in (estimate_changed(id="old-3"), requested("R-2")):
            with contextlib.suppress(StoreError):
                (receipt,) = log.append([event])
                assert receipt.duplicate == (receipt.id == "old-3")
    with contextlib.suppress(StoreError):  # its checkpoint can't be kept either
        log.close()
    with Log.open(tmp_path, "studio") as log:
        (again,) = log.append([estimate_changed(id="old-3")])
        assert (again.duplicate, again.position) == (True, 5)
        check_whole(log)


def test_an_index_that_was_locked_for_a_while_stops_appends_for_that_while_only(tmp_path, few, monkeypatch):
    monkeypatch.setattr(sqlite_index, "LOCK_TIMEOUT", 0.1)
    with filled(tmp_path) as log:
        other = sqlite3.connect(tmp_path / "studio" / "index.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        log.append([requested("R-2")])
        until = time.monotonic() + 10
        while log.store._indexer._failure is None and time.monotonic() < until:
            time.sleep(0.01)
        with pytest.raises(StoreError, match="locked"):
            log.append([requested("R-3", id="held-up")])
        other.execute("ROLLBACK")
        other.close()
        assert not log.append([requested("R-3", id="held-up")])[0].duplicate
        log.append([requested("R-4")])
        while log.store._index.size() < log.head().size and time.monotonic() < until:
            time.sleep(0.01)
        assert log.store._index.size() == log.head().size, "the thread works again"
        check_whole(log)


def look_up(data):
    with Log.open(data, "studio") as log:
        log.page(Selection(stream="ledger:main"))


@pytest.mark.parametrize("make", ["symlink_to", "hardlink_to"])
def test_a_link_to_a_ledger_in_the_index_s_place_costs_that_ledger_nothing(tmp_path, make):
    new_log(tmp_path).close()
    folder = tmp_path / "studio"
    for file in folder.glob("index.db*"):
        file.unlink()
    getattr(folder / "index.db", make)(folder / "ledger.db")
    with pytest.raises(StoreError, match="no index"):
        look_up(tmp_path)
    (folder / "index.db").unlink()
    with Log.open(tmp_path, "studio") as log:
        check_whole(log)


@pytest.mark.parametrize("content", [None, b"not a database " * 400], ids=["a folder", "text"])
def test_what_is_no_database_in_the_index_s_place_is_an_error_with_what_to_do(tmp_path, content):
    new_log(tmp_path).close()
    path = tmp_path / "studio" / "index.db"
    path.unlink(missing_ok=True)
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(StoreError, match="no usable index") as caught:
        look_up(tmp_path)
    assert "delete" in caught.value.advice
