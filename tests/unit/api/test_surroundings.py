"""What surrounds a request: ids, headers, the log, and faults of ours."""

import gc
import json
import re

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.journal import Journal
from api.middleware import SECURITY_HEADERS
from api.outlet import Outlet
from api.settings import Settings
from ledger import collector
from ledger.errors import StoreError
from tests.support import http
from tests.support.events import requested
from tests.support.http import BASE, ONE, Service, slug


def test_a_ledger_that_can_not_be_closed_well_is_told_of_and_keeps_no_other_open(tmp_path, capfdbinary):
    with http.service(tmp_path) as service:
        http.make_ledger(tmp_path, "other")
        service.post(requested("R-1"))
        other = service.client.app.state.ledgers._open("other")
        (tmp_path / "studio" / "keys" / "last-checkpoint").chmod(0o644)
        (log,) = [log for log in service.client.app.state.ledgers._logs.values() if log is not other]
    for closed in (log, other):
        with pytest.raises(StoreError, match="closed"):
            closed.head()
    (line,) = [json.loads(line) for line in capfdbinary.readouterr().err.splitlines() if b"while closing" in line]
    assert (line["event"], line["ledger"]) == ("alarm", "studio")


@pytest.mark.parametrize("given", ["a", "Trace-1.2_x", "0" * 64])
def test_a_harmless_request_id_is_taken_over(service: Service, given):
    answer = service.client.get("/nothing", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json()["instance"] == f"urn:continuity-ledger:request:{given}"


@pytest.mark.parametrize("given", ["", "a b", "a\tb", "é", "x" * 65, "a\x0bSet-Cookie: b", "<script>", "a;b"])
def test_any_other_request_id_is_replaced(service: Service, given):
    made = service.client.get("/healthz", headers={"X-Request-Id": given.encode()}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{16}-\d+", made)


def test_request_ids_differ(service: Service):
    assert len({service.client.get("/healthz").headers["x-request-id"] for _ in range(20)}) == 20


@pytest.mark.parametrize("path", ["/healthz", "/nothing", f"{BASE}/events", f"{BASE}/checkpoint", "/healthz%0a"])
def test_every_answer_carries_the_security_headers(service: Service, path):
    answer = service.client.get(path)
    for name, value in SECURITY_HEADERS:
        assert answer.headers[name.decode()] == value.decode()
    assert "cache-control" in answer.headers
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_what_holds_personal_data_is_never_stored_by_caches(service: Service):
    service.post(requested("R-1"))
    for path in ("/events", "/events?disclose=true", "/events/1?disclose=true", "/reservations/R-1"):
        assert service.get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "allow"),
    [(f"{BASE}/events", "GET, HEAD, POST"), (f"{BASE}/events/1", "GET, HEAD"), ("/healthz", "GET, HEAD")],
)
def test_another_method_is_refused_with_those_there_are(service: Service, path, allow):
    answer = service.client.request("DELETE", path)
    assert (answer.status_code, slug(answer), answer.headers["allow"]) == (405, "method-not-allowed", allow)


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/redoc", "/v1", "/v1/ledgers", f"{BASE}", f"{BASE}/events/", "/healthz/", "//"]
)
def test_there_is_nothing_at_other_paths(service: Service, path):
    answer = service.client.get(path, headers=service.as_role("owner"))
    assert (answer.status_code, slug(answer)) == (404, "not-found")


@pytest.mark.parametrize("path", [f"{BASE}/events/1%0A", f"{BASE}/events%0A", f"{BASE}%0A/events", "/healthz%0A"])
def test_a_line_feed_is_no_part_of_any_path(service: Service, path):
    answer = service.client.get(path, headers=service.as_role("owner"))
    assert (answer.status_code, slug(answer)) == (404, "not-found")


@pytest.mark.parametrize(
    ("path", "status"), [("/proxied/healthz", 200), ("/proxied/proxied/healthz", 404), ("/proxiedhealthz", 404)]
)
def test_it_answers_below_the_path_that_a_proxy_serves_it_at(service: Service, path, status):
    client = TestClient(service.client.app, root_path="/proxied")  # of a service that runs already
    assert client.get(path).status_code == status


def test_a_head_is_answered_as_a_get_without_its_body(service: Service):
    got, head = service.client.get("/healthz"), service.client.head("/healthz")
    assert (head.status_code, head.headers["content-length"]) == (200, got.headers["content-length"])


def test_a_preflight_gets_no_leave(service: Service):
    answer = service.client.options(f"{BASE}/events", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


def test_readiness_fails_when_the_data_folder_is_gone(service: Service):
    assert service.client.get("/readyz").json() == {"status": "ready"}
    service.data.rename(service.data.with_name("moved"))
    answer = service.client.get("/readyz")
    assert (answer.status_code, slug(answer)) == (503, "store-failed")
    assert str(service.data) not in answer.text
    assert service.client.get("/healthz").status_code == 200


def test_a_ledger_whose_store_is_gone_is_a_fault_that_names_no_path(tmp_path):
    keys = http.make_ledger(tmp_path)
    (tmp_path / "studio" / "ledger.db").unlink()
    with TestClient(create_app(Settings(data=tmp_path, access_log="none"))) as client:
        answer = client.get(f"{BASE}/events", headers={"Authorization": f"Bearer {keys['owner']}"})
        assert (answer.status_code, slug(answer)) == (503, "store-failed"), answer.text
        assert str(tmp_path) not in answer.text


def logged(tmp_path, access_log: str, monkeypatch, *, break_reading: bool = False) -> list[dict]:
    keys = http.make_ledger(tmp_path)
    told = tmp_path / "told"
    file = told.open("wb")
    outlet = Outlet(file.fileno())
    monkeypatch.setattr("api.app.standard_error", lambda: outlet)
    headers = {"Authorization": f"Bearer {keys['service']}"}
    if break_reading:

        def fail(*_):
            raise RuntimeError("Ada Brandt, ada@example.org")

        monkeypatch.setattr("api.reading.read_page", fail)
    with TestClient(create_app(Settings(data=tmp_path, access_log=access_log, wait_seconds=0))) as client:
        client.post(f"{BASE}/events", content=requested("R-secret"), headers=headers | {"Content-Type": ONE})
        client.get(f"{BASE}/reservations/R-secret?at=1", headers=headers)
        answer = client.get(f"{BASE}/events?member=M-secret", headers=headers)
        assert answer.status_code == (500 if break_reading else 200)
        client.get(f"{BASE}/events", headers={"Authorization": "Bearer ck_secret_" + "A" * 43})
        client.get("/M-secret")
        if not break_reading:  # a reader's own matter, and none of the operator's
            assert client.get(f"{BASE}/events?min_position=99", headers=headers).status_code == 504
    file.close()
    assert b"secret" not in told.read_bytes()
    assert keys["service"].encode() not in told.read_bytes()
    return [json.loads(line) for line in told.read_bytes().splitlines()]


def test_the_log_tells_of_requests_and_of_no_person(tmp_path, monkeypatch):
    lines = logged(tmp_path, "all", monkeypatch)
    told = [(line["method"], line["route"], line["status"], line["credential"]) for line in lines]
    assert told == [
        ("POST", "/v1/ledgers/{ledger}/events", 201, "the-service"),
        ("GET", "/v1/ledgers/{ledger}/reservations/{id}", 200, "the-service"),
        ("GET", "/v1/ledgers/{ledger}/events", 200, "the-service"),
        ("GET", "/v1/ledgers/{ledger}/events", 401, None),
        ("GET", None, 404, None),
        ("GET", "/v1/ledgers/{ledger}/events", 504, "the-service"),
    ]
    assert all(line["timestamp"].endswith("Z") and line["milliseconds"] >= 0 for line in lines)


def test_the_log_may_tell_of_faults_only_or_of_nothing(tmp_path, monkeypatch):
    assert [line["status"] for line in logged(tmp_path / "a", "faults", monkeypatch)] == [401, 404, 504]
    assert logged(tmp_path / "b", "none", monkeypatch) == []


def test_a_fault_of_ours_is_logged_by_its_place_and_told_to_nobody(tmp_path, monkeypatch):
    lines = logged(tmp_path, "none", monkeypatch, break_reading=True)
    (fault,) = lines
    assert (fault["event"], fault["error"], fault["level"]) == ("fault", "RuntimeError", "error")
    assert any("reading.py" in place or "events.py" in place for place in fault["passed"])
    assert "Ada" not in json.dumps(fault)


def test_an_alarm_of_a_ledger_is_logged(tmp_path):
    with (tmp_path / "told").open("wb") as file:
        outlet = Outlet(file.fileno())
        Journal(outlet).alarm("studio", "the clock is behind")
        assert outlet.drain()
    line = json.loads((tmp_path / "told").read_bytes())
    assert (line["event"], line["level"], line["ledger"]) == ("alarm", "warning", "studio")


def test_the_collector_is_tuned_while_serving_and_put_back(tmp_path):
    before = gc.get_threshold()
    http.make_ledger(tmp_path)
    with TestClient(create_app(Settings(data=tmp_path, access_log="none"))):
        assert gc.get_threshold() == collector.THRESHOLDS
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
