"""The index is of one history: of another, or of none, it is made anew; and what can't be read does not stop it."""

import shutil
import sqlite3

import pytest

from ledger.errors import StoreError
from ledger.log import Log
from ledger.store.protocol import Selection
from ledger.store.sqlite_index import Index
from tests.support.events import new_log, plain, requested


def files(folder):
    return folder / "studio" / "ledger.db", folder / "studio" / "index.db"


def test_an_index_of_another_history_of_the_same_length_is_made_anew(tmp_path):
    for name, reservation in (("one", "R-1"), ("two", "R-2")):
        with new_log(tmp_path / name) as log:
            log.append([requested(reservation)])
            assert len(log.page(Selection(stream=f"reservation:{reservation}"))) == 1
    shutil.copy(files(tmp_path / "two")[1], files(tmp_path / "one")[1])
    index = Index(files(tmp_path / "one")[0])
    try:
        assert index.size() == 0
        index.catch_up(2)
        assert index.positions("stream", "reservation:R-1", 0, 9, 9) == [1]
        assert index.positions("stream", "reservation:R-2", 0, 9, 9) == []
    finally:
        index.close()


def test_an_index_ahead_of_its_log_is_made_anew(tmp_path):
    ledger, _ = files(tmp_path)
    with new_log(tmp_path) as log:
        log.append([requested()])
    shutil.copy(ledger, tmp_path / "older.db")
    with Log.open(tmp_path, "studio") as log:
        log.append([plain("confirmed")])
        assert len(log.page(Selection(stream="reservation:R-1"))) == 2
    shutil.copy(tmp_path / "older.db", ledger)
    index = Index(ledger)
    try:
        assert index.size() == 0
        assert index.catch_up(2) == 2
        assert index.positions("stream", "reservation:R-1", 0, 9, 9) == [1]
    finally:
        index.close()


def test_an_entry_that_is_no_json_is_left_out_and_the_others_are_found(tmp_path):
    ledger, index_file = files(tmp_path)
    with new_log(tmp_path) as log:
        log.append([requested("R-1"), requested("R-2", member="M-2")])
    index_file.unlink()
    connection = sqlite3.connect(ledger)
    connection.execute("DROP TRIGGER entries_stay")
    connection.execute("UPDATE entries SET entry = x'7b' WHERE rowid = 2")
    connection.commit()
    connection.close()
    index = Index(ledger)
    try:
        assert index.catch_up(3) == 3
        assert index.positions("stream", "reservation:R-2", 0, 9, 9) == [2]
        assert index.positions("stream", "reservation:R-1", 0, 9, 9) == []
    finally:
        index.close()


def test_a_closed_index_says_so(tmp_path):
    new_log(tmp_path).close()
    index = Index(files(tmp_path)[0])
    index.close()
    with pytest.raises(StoreError, match="closed"):
        index.size()
