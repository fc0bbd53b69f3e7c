"""Where projections stand, over HTTP, and waiting until they have folded what was just posted."""

import time

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from projections.models import READ_MODELS
from projections.standing import Standing
from tests.support import http
from tests.support.events import plain, requested
from tests.support.http import BATCH, Service, batch, slug

NAMES = [model.name for model in READ_MODELS]


def test_what_was_just_posted_is_folded_where_the_position_is_waited_for(service: Service):
    for number in range(5):
        posted = service.post(batch(requested(f"R-{number}"), plain("confirmed", f"R-{number}")), BATCH)
        position = int(posted.headers["ledger-position"])
        answer = service.get(f"/projections?min_position={position}")
        assert answer.status_code == 200
        live = [one for one in answer.json()["projections"] if one["state"] == "live"]
        assert [one["name"] for one in live] == NAMES
        assert {(one["position"], one["lag"], one["fault"]) for one in live} == {(position, 0, None)}
        assert answer.json()["size"] == position + 1
        assert list(live[0]) == list(Standing._fields)


def test_without_a_position_the_answer_comes_at_once_and_tells_of_missing_ones(service: Service):
    shown = service.get("/projections").json()["projections"]
    assert {one["name"] for one in shown} == set(NAMES)
    assert {one["state"] for one in shown} <= {"missing", "filling", "live"}


def test_a_position_that_does_not_come_is_not_reached(tmp_path):
    with http.service(tmp_path / "data", wait_seconds=0.2) as service:
        answer = service.get("/projections?min_position=99")
        assert (answer.status_code, slug(answer)) == (504, "not-reached")
        assert answer.headers["retry-after"] == "1"


def test_a_projection_that_lags_is_not_reached_and_one_that_has_stopped_is_not_waited_for(tmp_path, monkeypatch):
    def fail(work, event, seal):
        raise ValueError("unheard of")

    monkeypatch.setitem(READ_MODELS[0].handlers, "reservation.requested", fail)
    with http.service(tmp_path / "data", wait_seconds=2) as service:
        position = service.post(requested("R-1")).headers["ledger-position"]
        answer = service.get(f"/projections?min_position={position}")
        if answer.status_code == 504:  # asked before it had met the event
            assert "the projection is not at 1 yet" in answer.json()["detail"]
            answer = service.get(f"/projections?min_position={position}")
        shown = answer.json()["projections"]
        (stopped,) = [one for one in shown if one["state"] == "stopped"]
        assert (stopped["name"], stopped["position"]) == (NAMES[0], 0)
        assert stopped["fault"] == {"position": 1, "reason": "ValueError: unheard of"}
        assert {one["position"] for one in shown if one["name"] != NAMES[0]} == {1}


def test_a_store_that_can_t_be_opened_leaves_the_ledger_at_work(tmp_path, monkeypatch):
    monkeypatch.setattr("projections.tail.OPEN_SECONDS", 0.1)
    monkeypatch.setattr("projections.tail.RETRY_SECONDS", 0.05)
    keys = http.make_ledger(tmp_path / "data")
    (tmp_path / "data" / "studio" / "projections.db").write_bytes(b"no database at all, " * 100)
    with TestClient(create_app(Settings(data=tmp_path / "data", access_log="none"))) as client:
        service = Service(client, keys, tmp_path / "data")
        assert service.post(requested("R-1")).status_code == 201
        answer = service.get("/projections")
        assert (answer.status_code, slug(answer)) == (503, "projection-unready")
        assert answer.headers["retry-after"] == "5"
        (tmp_path / "data" / "studio" / "projections.db").unlink()
        until = time.monotonic() + 10
        while service.get("/projections?min_position=1").status_code != 200:
            assert time.monotonic() < until


@pytest.mark.parametrize("query", ["min_position=-1", "min_position=soon", "at=1"])
def test_a_query_of_another_form_is_refused(service: Service, query):
    answer = service.get(f"/projections?{query}")
    assert (answer.status_code, slug(answer)) == (400, "bad-parameter")
