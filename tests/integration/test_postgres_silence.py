"""A PostgreSQL server that is stopped, keeps silent, or lies behind a network that drops everything.

Whoever asks is answered within a bounded time, however many they are; threads and connections don't pile up.
"""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from ledger.errors import StoreUnreachable
from ledger.store import postgres, postgres_datastore, postgres_reach
from ledger.store.opening import StoreURL
from ledger.store.postgres_datastore import READING, WRITING
from tests.support.events import Place, requested
from tests.support.http import make_ledger, service, slug
from tests.support.postgres import own_server, url_of
from tests.support.proxy import wire_to

SOON = 2.5
"""Seconds: the two in which readiness has to be told, and something for a loaded machine."""


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr(postgres_datastore, "WAIT", 1.6)
    monkeypatch.setattr(postgres_reach, "LOOK", 0.5)
    monkeypatch.setattr(postgres_datastore, "CONNECTION", {**postgres_datastore.CONNECTION, "connect_timeout": 2})


@pytest.fixture
def wire(database):
    with wire_to(database) as wire:
        yield wire


def probed(client):
    """What readiness says, and after how many seconds."""
    began = time.monotonic()
    answer = client.get("/readyz")
    return answer.status_code, time.monotonic() - began


def working():
    """How many threads there are for the blocking work of requests."""
    return sum("AnyIO" in thread.name for thread in threading.enumerate())


def becomes_ready(client, seconds=20):
    deadline = time.monotonic() + seconds
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, "it does not become ready again"
        time.sleep(0.05)


def check_probes(client, times=8):
    """Probe again and again, more often than anybody would: each is answered in time, and nothing piles up."""
    assert probed(client)[0] == 503
    workers = working()
    with ThreadPoolExecutor(times) as probers:
        answers = list(probers.map(lambda number: time.sleep(number / 8) or probed(client), range(times)))
        assert working() <= workers + 1
    assert {status for status, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < SOON


def test_readiness_is_told_in_time_while_the_server_is_stopped_and_afterwards(tmp_path):
    with own_server() as server, server.template(), server.database() as url, service(tmp_path, url) as running:
        assert probed(running.client)[0] == 200
        server.stop()
        check_probes(running.client)
        answer = running.client.get("/readyz")
        assert (slug(answer), int(answer.headers["retry-after"]) > 0) == ("store-unreachable", True)
        server.start()
        becomes_ready(running.client)


def test_many_requests_to_a_server_that_is_away_are_each_answered_soon(tmp_path):
    with own_server() as server, server.template(), server.database() as url, service(tmp_path, url) as running:
        server.stop()
        assert slug(running.get("/events")) == "store-unreachable"  # the outage is waited for once
        began = time.monotonic()
        with ThreadPoolExecutor(30) as callers:
            answers = list(callers.map(lambda number: running.get(f"/events/{number}"), range(60)))
        assert time.monotonic() - began < 6, "each waited for the ones before"
        assert {slug(answer) for answer in answers} == {"store-unreachable"}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        server.start()
        becomes_ready(running.client)


def test_a_server_that_takes_connections_and_never_answers_holds_nobody(tmp_path, wire, monkeypatch):
    for name, patience in (("READING", READING), ("WRITING", WRITING)):
        monkeypatch.setattr(postgres, name, patience._replace(beginning=0.5))
    with service(tmp_path, wire.url) as running:
        assert running.post(requested("R-1", id="a")).status_code == 201
        wire.passing.clear()
        began = time.monotonic()
        assert slug(running.post(requested("R-2", id="b"))) == "store-unreachable"
        assert time.monotonic() - began < 5
        taken = wire.taken
        check_probes(running.client)
        assert wire.taken - taken < 15
        wire.passing.set()
        becomes_ready(running.client)
        assert running.post(requested("R-2", id="b")).status_code in (200, 201)


@contextmanager
def dropping():
    """The port of a listener whose queue is full, at which the kernel drops what comes, as a bad network does."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_host_that_drops_everything_is_given_up_in_time(tmp_path):
    with dropping() as port:
        place = Place(tmp_path, url_of({}, host="127.0.0.1", port=str(port), dbname="none", user="nobody"))
        began = time.monotonic()
        with pytest.raises(StoreUnreachable):
            place.create()
        assert 1 < time.monotonic() - began < 4, "it was bound by connect_timeout"


def test_a_service_whose_database_is_not_there_at_its_start_is_not_ready(tmp_path, wire):
    store = StoreURL(wire.url)
    keys = make_ledger(tmp_path, store=store)
    wire.passing.clear()
    with TestClient(create_app(Settings(data=tmp_path, store=store, access_log="none"))) as client:
        check_probes(client, times=4)
        began = time.monotonic()
        with ThreadPoolExecutor(20) as callers:
            headers = {"Authorization": f"Bearer {keys['owner']}"}
            paths = ["/v1/ledgers/studio/events"] * 40
            answers = list(callers.map(lambda path: client.get(path, headers=headers), paths))
        assert {slug(answer) for answer in answers} == {"store-unreachable"}
        assert time.monotonic() - began < 8
        wire.passing.set()
        becomes_ready(client)
        assert client.get(paths[0], headers=headers).status_code == 200


def test_a_silent_server_delays_no_shutdown_for_ever(tmp_path, wire, monkeypatch):
    monkeypatch.setattr("ledger.store.postgres_datastore.SILENCE", 1.0)
    place = Place(tmp_path, wire.url)
    log = place.create()
    watch = log.store.watch()  # which has the listening connection made
    watch.wait(5)
    wire.passing.clear()
    began = time.monotonic()
    log.close()
    assert time.monotonic() - began < 15


def test_a_writer_may_wait_for_another_for_longer_than_silence_at_a_read_is_borne(tmp_path, database, monkeypatch):
    monkeypatch.setattr(postgres_datastore, "ANSWER", 0.3)
    place = Place(tmp_path, database)
    with place.create() as log, psycopg.connect(database) as other:
        other.execute("SELECT * FROM ledger_studio.head FOR UPDATE")
        answer = log.submit([requested()])
        time.sleep(1)
        other.rollback()
        assert answer.result(10)[0].position == 1
