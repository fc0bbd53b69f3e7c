"""Rows of the read models over HTTP: found by columns, page by page, with private values for those who may see them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import orjson
import pytest

from projections.models import TABLES
from projections.queries.rows import findable
from tests.support import http
from tests.support.events import cloud, plain, requested
from tests.support.http import BATCH, Service, batch, slug


@pytest.fixture
def filled(service: Service) -> Service:
    for number in range(5):
        service.post(batch(requested(f"R-{number}"), plain("confirmed", f"R-{number}", data={"station": "K1"})), BATCH)
    service.post(plain("cancelled", "R-3"))
    return service


def rows(service: Service, path: str, role: str = "owner"):
    """All rows of a query as of now, page by page, and how many pages that took."""
    found, pages, after = [], 0, ""
    position = service.log.head().size - 1
    while True:
        answer = service.get(f"/read-models/{path}{'&' if '?' in path else '?'}min_position={position}{after}", role)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert list(page) == ["table", "position", "rows", "next"]
        assert page["position"] >= position
        found += page["rows"]
        pages += 1
        if page["next"] is None:
            assert "link" not in answer.headers
            return found, pages
        after = f"&after={page['next']}"
        assert f"after={page['next']}" in answer.headers["link"]


def test_what_was_just_posted_is_found(filled: Service):
    found, _ = rows(filled, "reservations?status=confirmed")
    assert [row["stream"] for row in found] == [f"reservation:R-{number}" for number in (0, 1, 2, 4)]
    (row,) = rows(filled, "reservations?stage=cancelled&half_shelves=2")[0]
    assert (row["stream"], row["station"]) == ("reservation:R-3", "K1")
    assert "reason" not in row


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_pages_follow_each_other_in_the_order_of_the_key(filled: Service, limit):
    found, pages = rows(filled, f"stage_history?limit={limit}")
    keys = [(row["stream"], row["version"]) for row in found]
    assert keys == sorted(keys)
    assert (len(found), pages) == (11, -(-11 // limit))


def test_private_values_are_disclosed_to_owner_and_admin_where_they_ask(filled: Service):
    for role in ("owner", "admin"):
        (row,) = rows(filled, "reservations?stream=reservation:R-1&disclose=true", role)[0]
        assert row["disclosed"] == {"notes": "the blue one, please"}
        assert row["private"]["notes"][0] == 3
        (row,) = rows(filled, "reservations?stream=reservation:R-1", role)[0]
        assert "disclosed" not in row


def test_an_arrival_token_is_disclosed_to_nobody(filled: Service):
    token = {"token": "s3cret", "version": 1}
    filled.post(cloud("reservation.arrival_token_issued", "reservation:R-1", token, member="M-1"))
    (row,) = rows(filled, "reservations?stream=reservation:R-1&disclose=true")[0]
    assert row["withheld"] == {"token": "secret"}
    assert "s3cret" not in str(row)


def test_an_auditor_gets_commitments_and_no_value(filled: Service):
    found, _ = rows(filled, "reservations", "auditor")
    assert len(found) == 5
    assert all(row["private"]["notes"][1] for row in found)
    assert "the blue one" not in str(found)
    answer = filled.get("/read-models/reservations?disclose=true", "auditor")
    assert (answer.status_code, slug(answer)) == (403, "denied")


@pytest.mark.parametrize("role", ["service", "member"])
def test_who_does_not_read_the_whole_log_reads_no_rows(filled: Service, role):
    answer = filled.get("/read-models/reservations", role)
    assert (answer.status_code, slug(answer)) == (403, "denied")


@pytest.mark.parametrize(
    "query",
    [
        "reservations?status=confirmed&status=cancelled",
        "reservations?colour=red",
        "reservations?half_shelves=two&status=confirmed",
        "reservations?add_ons=[]&status=confirmed",
        "reservations?half_shelves=2",
        "reservations?limit=0",
        "reservations?limit=1001",
        "reservations?after=nonsense",
        "reservations?after=",
        "reservations?min_position=-1",
        "reservations?at=yesterday",
        "reservations?at=-1",
    ],
)
def test_a_query_of_another_form_is_refused_by_its_parameter(filled: Service, query):
    answer = filled.get(f"/read-models/{query}")
    assert (answer.status_code, slug(answer)) == (400, "bad-parameter")
    assert f"{answer.json()['parameter']}=" in query


def test_what_rows_are_found_by_is_told_where_it_was_not_known(filled: Service):
    answer = filled.get("/read-models/pieces?label=mugs").json()
    assert answer["advice"] == "rows are found by stream, code, reservation, member, status"


def test_a_cursor_belongs_to_its_query(filled: Service):
    cursor = rows_next(filled, "reservations?limit=2")
    assert filled.get(f"/read-models/reservations?limit=3&after={cursor}").status_code == 200
    for path in ("reservations?status=confirmed&", "pieces?", "stage_history?"):
        answer = filled.get(f"/read-models/{path}after={cursor}")
        assert (answer.status_code, answer.json()["parameter"]) == (400, "after")


def rows_next(service: Service, path: str) -> str:
    rows(service, path)
    return service.get(f"/read-models/{path}").json()["next"]


def test_a_table_there_is_not_is_not_found(filled: Service):
    answer = filled.get("/read-models/reservation")
    assert (answer.status_code, slug(answer)) == (404, "not-found")
    assert "reservations" in answer.json()["advice"]


def test_a_position_that_does_not_come_is_not_reached(tmp_path):
    with http.service(tmp_path / "data", wait_seconds=0.2) as service:
        answer = service.get("/read-models/reservations?min_position=99")
        assert (answer.status_code, slug(answer)) == (504, "not-reached")


def test_every_table_can_be_read_by_each_column_that_it_is_found_by(filled: Service):
    for name, table in TABLES.items():
        found, _ = rows(filled, name)
        for column in findable(table):
            for row in [row for row in found if column in row][:1]:
                again, _ = rows(filled, f"{name}?{column}={row[column]}")
                assert row in again
                assert {orjson.dumps(one[column]) for one in again} == {orjson.dumps(row[column])}


@pytest.mark.parametrize("key", [2**63, 2**64 - 1, -(2**63) - 1, 2**53])
def test_a_cursor_beyond_every_number_of_ours_is_refused(filled: Service, key):
    last = filled.log.head().size - 1
    after = filled.get(f"/read-models/stage_history?limit=1&min_position={last}").json()["next"]
    digest = orjson.loads(urlsafe_b64decode(after + "=" * (-len(after) % 4)))[0]
    forged = urlsafe_b64encode(f'["{digest}","reservation:R-1",{key}]'.encode()).decode().rstrip("=")
    answer = filled.get(f"/read-models/stage_history?limit=1&after={forged}")
    assert (answer.status_code, slug(answer)) == (400, "bad-parameter")
