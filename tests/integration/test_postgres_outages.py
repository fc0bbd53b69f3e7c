"""A ledger in PostgreSQL while connections are cut and its server goes away: nothing acknowledged is lost."""

import threading
import time

import psycopg
import pytest

from ledger.audit import audit
from ledger.errors import StoreLocked, StoreUnreachable
from ledger.store import postgres_datastore
from tests.support.events import Place, estimate_changed, requested
from tests.support.postgres import own_server
from tests.support.whole import check_receipts, check_whole

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> {own}"


def cut(database, only=""):
    """Cut the connections to a database, as an administrator or a network would; how many there were."""
    with psycopg.connect(database, autocommit=True) as administrator:
        return len(administrator.execute(CUT.format(own="pg_backend_pid()") + only).fetchall())


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)


@pytest.fixture
def place(tmp_path, database):
    return Place(tmp_path, database)


@pytest.fixture
def log(place):
    with place.create() as log:
        yield log


def follow(log, seen):
    def run():
        for row in log.follow():
            seen.append(row.position)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_an_idle_ledger_goes_on_after_its_connections_were_cut(log, place):
    receipts = log.append([requested("R-1", id="a")])
    assert cut(place.database) >= 1
    receipts += log.append([requested("R-2", id="b")])
    assert cut(place.database) >= 1
    assert log.head().size == 3
    check_receipts(check_whole(log), receipts)


def test_a_follower_misses_nothing_while_its_listening_connection_is_cut_again_and_again(log, place):
    seen = []
    with place.open() as reader:
        thread = follow(reader, seen)
        for number in range(40):
            log.append([requested(f"R-{number}")])
            if number % 8 == 0:
                until(lambda: cut(place.database, " AND query LIKE 'SELECT size%' OR query LIKE 'LISTEN%'"))
        until(lambda: len(seen) == 41)
    thread.join(10)
    assert seen == list(range(41))


def test_a_follower_sees_a_commit_whose_notification_was_lost(log, place, monkeypatch):
    seen = []
    with place.open() as reader:
        thread = follow(reader, seen)
        until(lambda: len(seen) == 1)
        monkeypatch.setattr(log.store._sql, "notify", "SELECT 1")
        log.append([requested()])
        until(lambda: len(seen) == 2)
    thread.join(10)


def test_a_transaction_that_is_cut_before_its_commit_leaves_nothing(log, place):
    def write():
        with log.store.writing() as writes:
            assert writes.head().size == 1
            cut(place.database)

    with pytest.raises(StoreUnreachable):
        write()
    (receipt,) = log.append([requested()])
    assert (receipt.position, receipt.duplicate) == (1, False)


@pytest.mark.parametrize("committed", [True, False])
def test_a_connection_cut_in_mid_commit_is_reported_and_a_retry_gets_one_receipt(log, monkeypatch, committed):
    batch = [requested("R-1", id="a"), estimate_changed("R-1", id="b", data={"notes": "private"})]
    commit = type(log.store)._commit

    def lose(store, connection):
        monkeypatch.setattr(type(store), "_commit", commit)
        if committed:
            connection.execute("COMMIT")
        connection.close()
        connection.execute("COMMIT")

    monkeypatch.setattr(type(log.store), "_commit", lose)
    with pytest.raises(StoreUnreachable):
        log.append(batch)
    again = log.append(batch)
    assert [receipt.duplicate for receipt in again] == [committed] * 2
    assert [receipt.position for receipt in again] == [1, 2]
    check_receipts(check_whole(log), again)


def test_a_program_that_holds_the_head_delays_appends_and_is_named_in_the_error(place, monkeypatch):
    monkeypatch.setattr(postgres_datastore, "LOCK_TIMEOUT", 1)
    with place.create() as log, psycopg.connect(place.database) as other:
        other.execute("SELECT * FROM ledger_studio.head FOR UPDATE")
        with pytest.raises(StoreLocked) as caught:
            log.append([requested()])
        assert "lock" in caught.value.advice
        other.rollback()
        assert log.append([requested()])[0].position == 1


def test_a_server_that_is_away_is_said_to_be_and_its_url_s_password_is_not(tmp_path):
    place = Place(tmp_path, "postgresql://someone:hunter2@127.0.0.1:1/none?connect_timeout=1")
    with pytest.raises(StoreUnreachable) as caught:
        place.create()
    assert "hunter2" not in f"{caught.value} {caught.value.advice} {place.store} {place.store!r}"
    assert not (tmp_path / "studio").exists()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_restarted_under_load_loses_and_doubles_nothing(tmp_path, monkeypatch, mode):
    monkeypatch.setattr(postgres_datastore, "WAIT", 3)
    with own_server() as server, server.template(), server.database() as database:
        place = Place(tmp_path, database)
        with place.create() as log, place.open() as reader:
            seen, stop = [], threading.Event()
            results = [[], [], []]

            def work(one):
                number = 0
                while not stop.is_set():
                    batch = [requested(f"{one}-{number}-{part}", id=f"{one}-{number}-{part}") for part in range(4)]
                    try:
                        results[one] += log.append(batch)
                        number += 1  # a batch without an answer is posted again as it was
                    except StoreUnreachable:
                        time.sleep(0.01)

            follower = follow(reader, seen)
            workers = [threading.Thread(target=work, args=(one,)) for one in range(3)]
            for worker in workers:
                worker.start()
            for _ in range(2):
                before = [len(result) for result in results]
                until(lambda before=before: all(len(now) > then for now, then in zip(results, before, strict=True)))
                server.stop(mode)
                time.sleep(0.3)
                server.start()
            before = [len(result) for result in results]
            until(lambda: all(len(now) > then for now, then in zip(results, before, strict=True)))
            stop.set()
            for worker in workers:
                worker.join(60)
            entries = check_whole(log)
            until(lambda: len(seen) == len(entries))
            assert seen == list(range(len(entries)))
            for result in results:
                check_receipts(entries, result)
            assert len({receipt.id for result in results for receipt in result}) == len(entries) - 1
            assert audit(log.store, log.verifier_keys).ok
        follower.join(20)
        assert not follower.is_alive()
