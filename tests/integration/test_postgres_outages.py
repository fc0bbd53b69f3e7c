"""A ledger in PostgreSQL while connections are cut and its server goes away: nothing acknowledged is lost."""

import os
import socket
import threading
import time
from contextlib import suppress

import psycopg
import pytest

from ledger.audit import audit
from ledger.errors import StoreLocked, StoreUnreachable
from ledger.store import postgres_datastore, postgres_reach
from ledger.store.postgres_datastore import READING
from ledger.store.postgres_transactions import PostgresWrites
from ledger.store.protocol import Selection
from tests.support.events import Place, estimate_changed, requested
from tests.support.http import service, slug
from tests.support.postgres import own_server
from tests.support.proxy import Cut, wire_to
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


@pytest.fixture
def wire(database):
    with wire_to(database) as wire:
        yield wire


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


def test_no_connection_that_was_cut_while_idle_costs_anybody_an_answer(log, place):
    """Whatever is asked first after an outage takes another connection, be it to read, to append or to sign."""
    with place.open() as other:
        for ask in (
            log.checkpoint,
            lambda: log.append([requested("R-0", id="a")]),
            lambda: log.page(Selection()),
            lambda: log.prove(0),
        ):
            with log.store.reading(), log.store.reading(), log.store.reading():
                pass  # three connections wait in the pool
            other.append([requested(f"R-{other.head().size}")])
            assert cut(place.database) >= 3
            ask()


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


BATCHES = [1, 7, 200]
"""Events: one, some as arrays, many by COPY."""


@pytest.mark.parametrize("size", BATCHES)
@pytest.mark.parametrize("cut_when", Cut)
def test_a_connection_cut_in_mid_commit_is_answered_by_what_became_of_it(place, wire, cut_when, size):
    batch = [requested(f"R-{number}", id=f"a-{number}", data={"notes": "private"}) for number in range(size)]
    with place._replace(database=wire.url).create() as log:
        receipts = log.append([requested("before", id="before")])
        wire.cut_next(cut_when)
        if cut_when is Cut.BEFORE_IT_ARRIVES:
            with pytest.raises(StoreUnreachable):
                log.append(batch)
            first = log.append(batch)
        else:
            first = log.append(batch)
        assert wire.cuts == 1
        assert not any(receipt.duplicate for receipt in first), "it was recorded by this very request"
        again = log.append(batch)
        assert all(receipt.duplicate for receipt in again)
        assert [receipt.position for receipt in again] == [receipt.position for receipt in first]
        receipts += first + log.append([requested("after", id="after")])
        check_receipts(check_whole(log), receipts)
        assert audit(log.store, log.verifier_keys).ok


@pytest.mark.parametrize("cut_when", Cut)
def test_others_append_while_one_s_commit_hangs_in_a_cut_connection(place, wire, cut_when):
    """Whoever comes next under the head's lock comes after the commit or after its end, never beside it."""
    with place.create() as other, place._replace(database=wire.url).open() as log:
        receipts = log.append([requested("R", id="first")])
        wire.cut_next(cut_when)
        answer = log.submit([estimate_changed("R", id="second")])
        until(lambda: wire.cuts == 1)
        receipts += other.append([estimate_changed("R", id="third")])
        with suppress(StoreUnreachable):
            receipts += answer.result(30)
        receipts += log.append([estimate_changed("R", id="second"), estimate_changed("R", id="fourth")])
        entries = check_whole(log)
        check_receipts(entries, receipts)
        assert sorted(entry["event"]["id"] for entry in entries[1:]) == ["first", "fourth", "second", "third"]
        assert audit(log.store, log.verifier_keys).ok


def test_a_commit_whose_fate_can_not_be_learnt_in_time_is_said_to_be_unknown(place, wire, monkeypatch):
    monkeypatch.setattr(postgres_datastore, "LOCK_TIMEOUT", 0.1)  # less than the commit is late
    with place._replace(database=wire.url).create() as log:
        wire.cut_next(Cut.LONG_BEFORE_IT_ARRIVES)
        with pytest.raises(StoreUnreachable):
            log.append([requested("R", id="a")])
        until(lambda: log.head().size == 2)
        (again,) = log.append([requested("R", id="a")])
        assert (again.position, again.duplicate) == (1, True)


def test_the_service_answers_a_post_whose_commit_was_cut_by_what_became_of_it(tmp_path, wire):
    with service(tmp_path, wire.url) as running:
        for number, cut_when in enumerate(Cut):
            event = requested(f"R-{number}", id=f"a-{number}")
            # The projections commit over the same wire; once they are level, the next commit is the append's.
            until(lambda at=number: running.get(f"/projections?min_position={at}").status_code == 200)
            wire.cut_next(cut_when)
            first = running.post(event)
            if cut_when is Cut.BEFORE_IT_ARRIVES:
                assert (first.status_code, slug(first)) == (503, "store-unreachable")
                assert int(first.headers["retry-after"]) > 0
                first = running.post(event)
            again = running.post(event)
            assert (first.status_code, again.status_code) == (201, 200)
            assert again.json()["receipts"][0] == {**first.json()["receipts"][0], "duplicate": True}
        assert wire.cuts == len(Cut)


STEPS = {"begun": "_begin_writing", "written": "write", "before commit": "_commit", "committed": "_commit"}


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_crashes_at_a_step_of_an_append_leaves_the_truth(tmp_path, monkeypatch, step):
    with own_server() as server, server.template(), server.database() as database:
        place = Place(tmp_path, database)
        with place.create() as log:
            receipts = log.append([requested("R", id="first")])
            owner = PostgresWrites if step == "written" else type(log.store)
            run = getattr(owner, STEPS[step])

            def crash():
                monkeypatch.undo()
                server.stop("immediate")
                server.start()

            def at_step(*arguments):
                if step == "before commit":
                    crash()
                result = run(*arguments)
                if step != "before commit":
                    crash()
                return result

            monkeypatch.setattr(owner, STEPS[step], at_step)
            batch = [estimate_changed("R", id=f"e-{number}", data={"notes": "x"}) for number in range(100)]
            if step != "committed":
                with pytest.raises(StoreUnreachable):
                    log.append(batch)
            receipts += (appended := log.append(batch))
            assert not any(receipt.duplicate for receipt in appended)
            check_receipts(check_whole(log), receipts)
            assert audit(log.store, log.verifier_keys).ok


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


def test_the_end_of_an_outage_is_noticed_at_once_however_long_it_was(tmp_path, monkeypatch):
    """The pool by itself tries ever more rarely: after an outage of n seconds it would be blind for n more."""
    monkeypatch.setattr(postgres_datastore, "WAIT", 1)
    monkeypatch.setattr(postgres_reach, "LOOK", 1)
    with own_server() as server, server.template(), server.database() as url, service(tmp_path, url) as running:
        assert running.post(requested("R-1")).status_code == 201
        server.stop()
        began = time.monotonic()
        while time.monotonic() < began + 3.5:
            assert slug(running.post(requested("R-2", id="b"))) == "store-unreachable"
            assert slug(running.get("/events")) == "store-unreachable"
        assert running.client.get("/readyz").status_code == 503
        server.start()
        assert running.post(requested("R-2", id="b")).status_code == 201
        assert running.get("/events").status_code == 200
        assert running.client.get("/readyz").status_code == 200


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has this limit on a connection")
def test_a_server_that_vanishes_without_a_word_is_given_up_after_25_seconds(place, wire):
    """By the kernel, which the connection tells so: on a network that drops everything it was measured by hand."""

    def option(wired, name):
        return wired.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))

    with place._replace(database=wire.url).create() as log:
        pooled = log.store._sessions.begun(lambda connection: connection.fileno(), READING)
        with pooled as (_, number), socket.socket(fileno=os.dup(number)) as wired:
            assert wired.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            silent = option(wired, "TCP_KEEPIDLE") + option(wired, "TCP_KEEPCNT") * option(wired, "TCP_KEEPINTVL")
            assert (silent, option(wired, "TCP_USER_TIMEOUT")) == (25, 25_000)


def test_a_service_that_is_stopped_while_its_database_is_away_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres_datastore, "WAIT", 1)
    with own_server() as server, server.template(), server.database() as database:
        with service(tmp_path, database) as running:
            assert running.post(requested("R-1", id="a")).status_code == 201
            server.stop()
        server.start()
        with Place(tmp_path, database).open() as log:
            assert log.append([requested("R-1", id="a")])[0].duplicate
            assert log.checkpoint()[0].size == 2


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
