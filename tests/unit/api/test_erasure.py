"""Erasing a member over HTTP."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.errors import NotFound
from ledger.proof import parse_proof, verify_entry
from tests.support.events import cloud, requested
from tests.support.http import BASE, NDJSON, slug


@pytest.fixture
def filled(service):
    service.post(requested("R-1", "M-1", data={"notes": "Wilhelmina wrote this"}))
    return service


def erase(service, body=None, member="M-1", **options):
    return service.client.post(
        f"{BASE}/members/{member}/erasure",
        json={"reason": "requested"} if body is None else body,
        headers=service.as_role("owner"),
        **options,
    )


def test_an_owner_erases_a_member_and_gets_a_receipt_that_proves_itself(filled):
    assert "Wilhelmina" in filled.get("/events?disclose=true").text
    answer = erase(filled)
    assert answer.status_code == 200
    receipt = answer.json()
    assert list(receipt) == ["member", "entry", "position", "leaf_hash", "proof", "effective", "epoch"]
    assert (receipt["member"], receipt["effective"], receipt["epoch"]) == ("M-1", True, 2)
    assert verify_entry(parse_proof(receipt["proof"].encode()), receipt["entry"].encode(), filled.log.verifier_keys)
    assert json.loads(receipt["entry"])["seal"]["by"] == "owner"
    assert "Wilhelmina" not in filled.get("/events?disclose=true").text
    assert erase(filled).json()["position"] == receipt["position"]


def test_a_hold_forbids_it_and_is_named(filled):
    filled.post(cloud("hold.placed", "hold:H-1", {"reason": "litigation", "scope": "member", "target": "M-1"}))
    answer = erase(filled)
    assert (answer.status_code, slug(answer)) == (409, "held")
    assert "hold:H-1" in answer.json()["detail"]
    assert "Wilhelmina" in filled.get("/events?disclose=true").text


@pytest.mark.parametrize("body", [{}, [], {"reason": 7}, {"reason": "requested", "force": True}])
def test_a_body_of_another_form_is_refused(filled, body):
    answer = erase(filled, body)
    assert (answer.status_code, slug(answer)) == (400, "bad-request")


def test_a_reason_that_is_no_code_an_unknown_member_and_a_bad_id_are_refused(filled):
    refused = erase(filled, {"reason": "No Code!"})
    assert (slug(refused), refused.json()["path"]) == ("invalid-event", "$.reason")
    assert refused.json()["detail"] == "expected a code: 1 to 64 of a-z, 0-9, _ and -, the first a letter or digit"
    assert slug(erase(filled, member="M-9")) == "not-found"
    assert slug(erase(filled, member="%20")) == "bad-parameter"
    assert filled.log.head().epoch == 1


def test_erasures_that_take_long_keep_no_large_post_waiting(filled, monkeypatch):
    begun, ended = threading.Semaphore(0), threading.Event()

    def erasing(*_):
        begun.release()
        assert ended.wait(20)
        raise NotFound("nobody")

    monkeypatch.setattr("api.routes.erasure.erase", erasing)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(erase, filled, member=f"M-{number}") for number in range(3)]
        assert begun.acquire(timeout=20)
        events = b"\n".join(requested(f"R-{number}", "M-1") for number in range(100, 200))
        try:
            assert filled.post(events, NDJSON).status_code == 201
        finally:
            ended.set()
        assert [one.result().status_code for one in asked] == [404] * 3
