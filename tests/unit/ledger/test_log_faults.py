# ruff: noqa: F811 - fixtures of the neighbouring tests are used by name
"""The log and its writer when others misbehave: a store that goes back, callers who leave, listeners that fail."""

import sqlite3
import time
from hashlib import sha256

import pytest

from ledger.errors import ForkError, KeyFileError, NotFound, ReadOnly
from ledger.log import Log
from ledger.store.protocol import Selection
from ledger.writer import Writer
from tests.support.events import estimate_changed, new_log, plain, requested
from tests.unit.ledger.test_log import entries, log  # noqa: F401 - a fixture
from tests.unit.ledger.test_writer import clock, gate, keys, posted, writer  # noqa: F401 - fixtures


def cut_back(path, size):
    """Move a store's head back by hand, as a restore of an older file under a running process would."""
    database = sqlite3.connect(path)
    with database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        entry = database.execute("SELECT entry FROM entries WHERE rowid = ?", (size,)).fetchone()[0]
        database.execute("DELETE FROM entries WHERE rowid > ?", (size,))
        database.execute("DELETE FROM disclosures WHERE rowid > ?", (size,))
        database.execute("UPDATE tiles SET hashes = substr(hashes, 1, ?) WHERE level = 0", (32 * size,))
        database.execute("UPDATE head SET size = ?, leaf = ?", (size, sha256(b"\x00" + entry).digest()))
    database.close()


def test_afterwards_nothing_is_taken(tmp_path):
    log = new_log(tmp_path)
    log.append([requested()])
    log.close()
    with pytest.raises(ReadOnly, match="closed"):
        log.append([plain("confirmed")])


def test_releases_everything_even_if_the_signer_fails(tmp_path, monkeypatch):
    log = new_log(tmp_path)
    log.append([requested()])
    (tmp_path / "studio/keys/last-checkpoint").chmod(0o644)
    released = []
    monkeypatch.setattr(log.store, "close", lambda close=log.store.close: (close(), released.append(1)))
    with pytest.raises(KeyFileError):
        log.close()
    assert released


def test_a_caller_who_no_longer_waits_disturbs_nobody(log, caplog):
    answers = [log.submit([requested(f"R-{n}")]) for n in range(20)]
    for answer in answers[::2]:
        answer.cancel()
    for answer in answers[1::2]:
        answer.result(10)
    log.append([requested("last")])
    assert not caplog.records
    assert [row.position for row in log.scan()] == list(range(len(entries(log))))


def test_a_store_that_goes_back_under_a_running_writer_is_never_appended_to(tmp_path):
    with new_log(tmp_path) as log:
        log.append([requested(f"R-{n}") for n in range(5)])
        cut_back(tmp_path / "studio/ledger.db", 3)
        for _ in range(3):
            with pytest.raises(ForkError):
                log.append([requested("R-new")])
        assert log.head().size == 3


def test_waves_of_cancelled_requests_wear_nothing_out(writer, gate):
    for _ in range(1200):
        with writer._condition:  # so that it can't be taken before it is cancelled
            writer.submit(posted(estimate_changed())).cancel()
        while writer._queue:
            time.sleep(0)
    assert writer.submit(posted(requested())).result(20)[0].position == 0


def test_of_the_listener_does_not_undo_what_is_durable(gate, keys, clock):
    def listener(head):
        raise RuntimeError("can't start new thread")

    writer = Writer(gate, keys, clock, committed=listener)
    assert writer.submit(posted(requested())).result(20)[0].position == 0
    writer.close()


@pytest.mark.parametrize("origin", ["x:\u0667", "x" * 256])
def test_an_origin_that_the_format_refuses_is_a_value_error_and_leaves_nothing(tmp_path, origin):
    with pytest.raises(ValueError, match="origin"):
        Log.create(tmp_path, "studio", origin)
    assert not list(tmp_path.iterdir())


def test_a_position_beyond_64_bits_is_not_found_and_no_crash(log):
    with pytest.raises(NotFound):
        log.row(2**63)
    assert log.page(Selection(first=2**63)) == []


def test_a_page_of_less_than_nothing_is_not_everything(log):
    assert log.page(Selection(), -1) == []
