"""Entries out: pages, cursors, single entries, and who may see what of them."""

import json
import re
from hashlib import sha256
from urllib.parse import parse_qs

import pytest

from tests.support import http
from tests.support.events import cloud, estimate_changed, plain, requested
from tests.support.http import BATCH, Service, batch, slug


@pytest.fixture
def filled(service: Service) -> Service:
    """Twelve entries: the ledger's own, ten by a service on two streams, and one by the owner."""
    mine = [requested("R-1"), requested("R-2", member="M-2")]
    mine += [estimate_changed(f"R-{1 + number % 2}", f"M-{1 + number % 2}") for number in range(8)]
    assert service.post(batch(*mine), BATCH, role="service").status_code == 201
    assert service.post(plain("confirmed", "R-1")).status_code == 201
    return service


def positions(answer) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [one["position"] for one in answer.json()["events"]]


def walk(service: Service, query: str, role: str = "owner") -> list[int]:
    """All positions of a query, page by page."""
    found, cursor = [], ""
    for _ in range(50):
        answer = service.get(f"/events?{query}{cursor}", role)
        found += positions(answer)
        following = answer.json()["next"]
        assert ("link" in answer.headers) == (following is not None)
        if following is None:
            return found
        link = answer.headers["link"]
        assert parse_qs(link[2 : link.index(">")])["cursor"] == [following]
        cursor = f"&cursor={following}"
    raise AssertionError("the pages never end")


def test_an_entry_is_shown_as_its_exact_bytes_and_its_leaf_hash(filled: Service):
    row = filled.log.row(3)
    (shown,) = filled.get("/events?from=3&to=3").json()["events"]
    assert shown["leaf_hash"] == sha256(b"\x00" + row.entry).hexdigest()
    assert row.entry in filled.get("/events?from=3&to=3").content, "spliced as stored"
    assert "disclosed" not in shown


@pytest.mark.parametrize("limit", [1, 3, 5, 12, 13])
def test_pages_of_any_size_give_every_entry_once(filled: Service, limit):
    assert walk(filled, f"limit={limit}") == list(range(12))


def test_selections_narrow_what_comes(filled: Service):
    assert walk(filled, "stream=reservation:R-1&limit=2") == [1, 3, 5, 7, 9, 11]
    assert walk(filled, "member=M-2&limit=2") == [2, 4, 6, 8, 10]
    assert walk(filled, "type=reservation.requested") == [1, 2]
    assert walk(filled, "after=8") == [9, 10, 11]
    assert walk(filled, "from=2&to=4") == [2, 3, 4]
    assert walk(filled, "from=2&after=3&to=5") == [4, 5]
    assert walk(filled, "from=2999-01-01") == []
    assert walk(filled, "to=2000-01-01T00:00:00Z") == []
    assert walk(filled, "from=2000-01-01&to=2999-01-01T00:00:00%2B01:00") == list(range(12))


def test_a_cursor_goes_with_the_query_that_gave_it(filled: Service):
    cursor = filled.get("/events?limit=2").json()["next"]
    other = filled.get(f"/events?limit=2&stream=reservation:R-1&cursor={cursor}")
    assert (other.status_code, slug(other), other.json()["parameter"]) == (400, "bad-parameter", "cursor")
    assert positions(filled.get(f"/events?limit=3&cursor={cursor}")) == [2, 3, 4], "another limit is no other query"


@pytest.mark.parametrize(
    "cursor", ["x", "%00", "é", "MQ", "LTEuYWJj", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkuYQ", "a" * 128, "A"]
)
def test_a_tampered_cursor_is_refused(filled: Service, cursor):
    answer = filled.get(f"/events?cursor={cursor}")
    assert (answer.status_code, slug(answer)) == (400, "bad-parameter")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("limit=ten", "limit"),
        ("after=-1", "after"),
        ("after=9007199254740992", "after"),
        ("from=-1", "from"),
        ("from=99999999999999999999", "from"),
        ("to=yesterday", "to"),
        ("to=2026-02-30", "to"),
        ("from=2026-03-01T10:00:00", "from"),
        ("from=5&to=3", "from"),
        ("from=2026-03-02&to=2026-03-01", "from"),
        ("from=3&to=2000-01-01", "from"),
        ("stream=R-1", "stream"),
        ("stream=reservation:R-1%0a", "stream"),
        ("member=", "member"),
        ("type=reservation.lost", "type"),
        ("disclose=perhaps", "disclose"),
        ("min_position=-1", "min_position"),
        ("offset=3", "offset"),
        ("limit=1&limit=2", "limit"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(filled: Service, query, parameter):
    answer = filled.get(f"/events?{query}")
    assert (answer.status_code, slug(answer)) == (400, "bad-parameter")
    assert answer.json()["parameter"] == parameter


@pytest.mark.parametrize("query", ["stream=R-1", "member=%20", "stream=reservation:"])
def test_a_parameter_of_another_form_is_told_in_words_what_it_may_be(filled: Service, query):
    detail = filled.get(f"/events?{query}").json()["detail"]
    assert re.match(r"(stream|member): expected (a stream: its kind|an id: 1 to 128 of)", detail), detail


def test_a_range_that_ends_before_it_begins_is_refused_with_both_its_ends(filled: Service):
    detail = filled.get("/events?from=5&to=3").json()["detail"]
    assert "5 is after to=3" in detail
    assert walk(filled, "from=500&to=600") == walk(filled, "from=500&to=2999-01-01") == []


def test_private_values_come_only_when_asked_for(filled: Service):
    plain_page = filled.get("/events?stream=reservation:R-1")
    assert "the blue one" not in plain_page.text
    first, *rest = filled.get("/events?stream=reservation:R-1&disclose=true").json()["events"]
    assert first["disclosed"] == {"notes": "the blue one, please"}
    assert all(one["disclosed"] == {} for one in rest)


def test_an_auditor_reads_everything_but_private_values(filled: Service):
    assert walk(filled, "limit=5", "auditor") == list(range(12))
    for path in ("/events?disclose=true", "/events/1?disclose=true", "/events?from=500&disclose=true"):
        answer = filled.get(path, "auditor")
        assert (answer.status_code, slug(answer)) == (403, "denied")
        assert "the blue one" not in answer.text


def test_a_service_reads_what_it_posted_and_nothing_else(filled: Service):
    assert walk(filled, "limit=3", "service") == list(range(1, 11))
    assert walk(filled, "limit=3", "other") == []
    assert walk(filled, "stream=reservation:R-1&limit=2", "service") == [1, 3, 5, 7, 9]
    (mine,) = filled.get("/events?to=1&disclose=true", "service").json()["events"]
    assert mine["disclosed"] == {"notes": "the blue one, please"}


def test_a_service_among_many_entries_of_others_still_gets_to_the_end(service: Service):
    for start in range(0, 2400, 800):
        many = [cloud("member.registered", f"member:M-{number}", {"name": "x"}) for number in range(start, start + 800)]
        assert service.post(batch(*many), BATCH).status_code == 201
        service.post(requested(f"R-{start}"), role="service")
    first = service.get("/events?limit=10", "service").json()
    assert len(first["events"]) == 1
    assert first["next"] is not None, "a page may be short and yet have a next one"
    assert walk(service, "limit=10", "service") == [801, 1602, 2403]
    assert walk(service, "limit=1", "service") == [801, 1602, 2403]


def test_an_entry_that_is_not_the_callers_is_as_absent_as_one_that_is_not_there(filled: Service):
    theirs, missing = filled.get("/events/11", "service"), filled.get("/events/999", "service")
    assert theirs.status_code == missing.status_code == 404
    assert theirs.json()["detail"].replace("11", "#") == missing.json()["detail"].replace("999", "#")


def test_pages_come_as_cloudevents_when_preferred(filled: Service):
    answer = filled.get("/events?from=1&limit=2&disclose=true", headers={"Accept": BATCH})
    assert answer.headers["content-type"] == BATCH
    assert "link" in answer.headers
    first, second = answer.json()
    assert (first["specversion"], first["subject"], first["ledgerposition"]) == ("1.0", "reservation:R-1", 1)
    assert first["data"]["notes"] == "the blue one, please"
    assert second["ledgerposition"] == 2


def test_one_entry_has_three_representations_with_their_own_tags(filled: Service):
    row = filled.log.row(1)
    leaf = sha256(b"\x00" + row.entry).hexdigest()
    shown = filled.get("/events/1")
    assert json.loads(row.entry) == shown.json()["entry"]
    exact = filled.get("/events/1", headers={"Accept": "application/octet-stream"})
    assert (exact.content, exact.headers["etag"]) == (row.entry, f'"{leaf}"')
    cloud_event = filled.get("/events/1", headers={"Accept": "application/cloudevents+json"})
    assert cloud_event.json()["id"] == shown.json()["entry"]["event"]["id"]
    assert len({one.headers["etag"] for one in (shown, exact, cloud_event)}) == 3
    assert all(one.headers["vary"] == "Accept" for one in (shown, exact, cloud_event))


@pytest.mark.parametrize("template", ["{}", 'W/{}, "x"', '"x" , {}', "*"])
def test_an_entry_that_the_caller_has_is_not_sent_again(filled: Service, template):
    etag = filled.get("/events/1").headers["etag"]
    answer = filled.get("/events/1", headers={"If-None-Match": template.format(etag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert filled.get("/events/2", headers={"If-None-Match": etag}).status_code == 200


def test_a_disclosed_entry_is_never_cached(filled: Service):
    answer = filled.get("/events/1?disclose=true")
    assert answer.json()["disclosed"] == {"notes": "the blue one, please"}
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


@pytest.mark.parametrize("position", ["-1", "abc", "01", "1.0", "9007199254740992", "9" * 40, "٣"])
def test_a_position_of_another_form_is_refused(filled: Service, position):
    for path in ("events", "proofs"):
        answer = filled.get(f"/{path}/{position}")
        assert (answer.status_code, slug(answer)) == (400, "bad-parameter")


def test_nothing_acceptable_is_406_with_what_there_is(filled: Service):
    answer = filled.get("/events/1", headers={"Accept": "text/html, application/json;q=0"})
    assert (answer.status_code, slug(answer)) == (406, "not-acceptable")
    assert "application/octet-stream" in answer.json()["accepted"]


def test_a_read_waits_for_a_position_and_gives_up_in_time(tmp_path):
    with http.service(tmp_path, wait_seconds=0.2) as service:
        service.post(requested("R-1"))
        assert service.get("/events/1?min_position=1").status_code == 200
        for path in ("/events", "/events/1", "/reservations/R-1"):
            answer = service.get(f"{path}?min_position=2")
            assert (answer.status_code, slug(answer)) == (504, "not-reached")
            assert answer.json()["size"] == 2
            assert answer.headers["retry-after"] == "1"
