"""The machine's clock is set back, or forward and back again, on both stores and over HTTP."""

import time
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from ledger.audit import audit
from ledger.errors import ReadOnly
from ledger.store.opening import StoreURL
from tests.support.events import estimate_changed, requested
from tests.support.http import service, slug
from tests.support.whole import check_receipts, check_whole

SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_772_357_400_000_000  # 2026-03-01T09:30:00Z


class Clock:
    """A clock of a machine, in microseconds, that somebody sets."""

    def __init__(self):
        self.now = START

    def __call__(self):
        self.now += 1
        return self.now

    def time_ns(self):
        return self() * 1000

    def set_by(self, amount):
        self.now += amount


@pytest.fixture
def clock():
    return Clock()


def moments(entries):
    return [entry["recorded"] for entry in entries]


@pytest.mark.parametrize("back", [1 * SECOND, 6 * SECOND, 299 * SECOND])
def test_a_clock_set_back_a_little_stops_nothing_and_no_time_runs_back(place, clock, back):
    alarms = []
    with place.create(clock=clock) as log:
        receipts = log.append([requested("R-1", id="a")])
        with place.open(clock=clock, alarm=alarms.append) as other:
            clock.set_by(-back)
            for number in range(3):
                receipts += other.append([estimate_changed("R-1", id=f"b-{number}")])
            clock.set_by(back)
            receipts += log.append([estimate_changed("R-1", id="c")])
        entries = check_whole(log)
        check_receipts(entries, receipts)
        assert len(set(moments(entries))) == 3, "while it is behind, the last time stands"
        assert len(alarms) == (back > 5 * SECOND), "told once, not for each flush"
        assert audit(log.store, log.verifier_keys).ok


def test_a_clock_that_ran_ahead_and_was_set_right_stops_every_process_until_an_owner_accepts(place, clock):
    """Times are never made up: the log waits until it is caught up with, or somebody says that it may go on."""
    with place.create(clock=clock) as log, place.open(clock=clock) as other:
        receipts = log.append([requested("R-1", id="a")])
        clock.set_by(10 * MINUTE)
        receipts += log.append([estimate_changed("R-1", id="ahead")])
        clock.set_by(-10 * MINUTE)
        for each in (log, other):
            with pytest.raises(ReadOnly, match="ahead of this machine's clock") as caught:
                each.append([estimate_changed("R-1", id="b")])
            assert "--accept-clock" in caught.value.advice
            assert len(check_whole(each)) == 3
        alarms = []
        with place.open(clock=clock, accept_clock=True, alarm=alarms.append) as owner:
            receipts += owner.append([estimate_changed("R-1", id="b")])
            assert alarms
        clock.set_by(5 * MINUTE + SECOND)  # by now it is less than that ahead
        receipts += other.append([estimate_changed("R-1", id="c")])
        clock.set_by(5 * MINUTE)
        receipts += log.append([estimate_changed("R-1", id="d")])
        entries = check_whole(log)
        check_receipts(entries, receipts)
        assert moments(entries)[2] == moments(entries)[4] < moments(entries)[5]
        assert audit(log.store, log.verifier_keys).ok


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_service_on_a_machine_whose_clock_is_set_back_is_read_only_and_says_so(
    tmp_path, request, monkeypatch, clock, store, capfdbinary
):
    database = request.getfixturevalue("database") if store == "postgresql" else None
    monkeypatch.setattr("ledger.log.time", SimpleNamespace(time_ns=clock.time_ns, sleep=time.sleep))
    with service(tmp_path, database) as running:
        assert running.post(requested("R-1", id="a")).status_code == 201
        clock.set_by(-6 * SECOND)
        assert running.post(requested("R-2", id="b")).status_code == 201
        assert b"behind the last entry" in capfdbinary.readouterr().err
        clock.set_by(-5 * MINUTE)
        refused = running.post(requested("R-3", id="c"))
        assert (refused.status_code, slug(refused)) == (503, "read-only")
        assert int(refused.headers["retry-after"]) > 0
        assert "ahead of this machine's clock" in refused.json()["detail"]
        for path in ("/events", "/reservations/R-2", "/checkpoint", "/proofs/2"):
            assert running.get(path).status_code == 200
        assert running.client.get("/readyz").status_code == 200
        clock.set_by(5 * MINUTE)
        assert running.post(requested("R-3", id="c")).status_code == 201
        clock.set_by(60 * MINUTE)
        assert running.post(requested("R-4", id="d")).status_code == 201
        assert len(check_whole(running.log)) == 5
    clock.set_by(-60 * MINUTE)
    for accept, status in ((False, 503), (True, 201)):
        url = StoreURL(database) if database else None
        app = create_app(Settings(data=tmp_path, store=url, accept_clock=accept, access_log="none"))
        with TestClient(app) as client:
            assert running._replace(client=client).post(requested("R-5", id="e")).status_code == status
