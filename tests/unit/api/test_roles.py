"""Every role against every route, and what a caller without a key learns: nothing."""

import pytest

from api.app import ROUTES
from tests.support import http
from tests.support.events import requested
from tests.support.http import BASE, ONE, ROLES, Service, slug

# The answer of each role, in the order of ROLES: owner, admin, service, auditor, member. Entry 1 is the service's own,
# entry 2 the owner's.
TABLE = {
    "POST /v1/ledgers/{ledger}/events": (201, 201, 201, 403, 403),
    "GET /v1/ledgers/{ledger}/events": (200, 200, 200, 200, 403),
    "GET /v1/ledgers/{ledger}/events?disclose=true": (200, 200, 200, 403, 403),
    "GET /v1/ledgers/{ledger}/events/1": (200, 200, 200, 200, 403),
    "GET /v1/ledgers/{ledger}/events/1?disclose=true": (200, 200, 200, 403, 403),
    "GET /v1/ledgers/{ledger}/events/2": (200, 200, 404, 200, 403),
    "GET /v1/ledgers/{ledger}/events/2?disclose=true": (200, 200, 404, 403, 403),
    "GET /v1/ledgers/{ledger}/checkpoint": (200, 200, 200, 200, 403),
    "GET /v1/ledgers/{ledger}/checkpoint?witnessed=true": (404, 404, 404, 404, 403),
    "POST /v1/ledgers/{ledger}/publish": (404, 404, 403, 403, 403),
    "GET /v1/ledgers/{ledger}/publication": (404, 404, 403, 404, 403),
    "GET /v1/ledgers/{ledger}/tile/entries/000.p/1": (200, 200, 403, 200, 403),
    "GET /v1/ledgers/{ledger}/tile/0/000.p/1": (200, 200, 403, 200, 403),
    "GET /v1/ledgers/{ledger}/proofs/1": (200, 200, 200, 200, 403),
    "GET /v1/ledgers/{ledger}/proofs/2": (200, 200, 404, 200, 403),
    "GET /v1/ledgers/{ledger}/consistency?old=1": (200, 200, 200, 200, 403),
    "GET /v1/ledgers/{ledger}/reservations/R-mine": (200, 200, 200, 200, 403),
    "GET /v1/ledgers/{ledger}/reservations/R-theirs": (200, 200, 404, 200, 403),
    "POST /v1/ledgers/{ledger}/members/M-1/erasure": (200, 403, 403, 403, 403),
    "GET /v1/ledgers/{ledger}/read-models/reservations?min_position=2": (200, 200, 403, 200, 403),
    "GET /v1/ledgers/{ledger}/read-models/reservations?min_position=2&disclose=true": (200, 200, 403, 403, 403),
    "GET /v1/ledgers/{ledger}/read-models/reservations?at=2": (200, 200, 403, 200, 403),
    "GET /v1/ledgers/{ledger}/read-models/reservations?at=2&disclose=true": (200, 200, 403, 403, 403),
    "GET /v1/ledgers/{ledger}/projections": (200, 200, 200, 200, 403),
    "GET /healthz": (200, 200, 200, 200, 200),
    "GET /readyz": (200, 200, 200, 200, 200),
    "GET /openapi.json": (200, 200, 200, 200, 200),
}


def fill(service: Service) -> Service:
    service.post(requested("R-mine"), role="service")
    service.post(requested("R-theirs"))
    assert service.get("/checkpoint").status_code == 200
    return service


@pytest.fixture
def filled(service: Service) -> Service:
    return fill(service)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """One service for all requests that change nothing: to start one for each takes minutes."""
    with http.service(tmp_path_factory.mktemp("roles")) as service:
        yield fill(service)


@pytest.fixture
def for_line(line, request):
    """A service that a line of the table may be tried on."""
    return request.getfixturevalue("untouched" if line.startswith("GET ") else "filled")


def call(service: Service, line: str, headers: dict[str, str]):
    method, path = line.replace("{ledger}", "studio").split(" ")
    if method == "GET":
        return service.client.get(path, headers=headers)
    if path.endswith("/erasure"):
        return service.client.post(path, json={"reason": "requested"}, headers=headers)
    return service.client.post(path, content=requested("R-new"), headers=headers | {"Content-Type": ONE})


@pytest.mark.parametrize("line", TABLE)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_gets_what_the_table_says(for_line: Service, line, role):
    answer = call(for_line, line, for_line.as_role(role))
    assert answer.status_code == TABLE[line][ROLES.index(role)], answer.text
    if answer.status_code == 403:
        assert slug(answer) == "denied"
        assert f"the-{role}" in answer.json()["detail"]


def test_the_table_leaves_out_no_route():
    told = {(method, path.partition("?")[0]) for method, _, path in (line.partition(" ") for line in TABLE)}
    for method, path, _ in ROUTES:
        pattern = (
            path.replace("{position}", "1")
            .replace("{id}", "R-mine")
            .replace("{member}", "M-1")
            .replace("{table}", "reservations")
            .replace("{path:path}", "0/000.p/1")
        )
        assert (method, pattern) in told, path


@pytest.mark.parametrize("line", [line for line in TABLE if "{ledger}" in line])
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer ck_owner_" + "A" * 43,
        "Bearer ck_nobody_" + "A" * 43,
        "Basic Y2tfb3duZXI6eA==",
        "Bearer \x7f",
    ],
)
def test_without_a_key_every_route_of_a_ledger_answers_401(untouched: Service, line, authorization):
    answer = call(untouched, line, {} if authorization is None else {"Authorization": authorization})
    assert (answer.status_code, slug(answer)) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith('Bearer realm="continuity"')


def test_the_key_itself_is_what_counts(filled: Service):
    key = filled.keys["owner"]
    for given in (key[:-1], key + "A", key.swapcase(), key.replace("ck_owner", "ck_the-admin")):
        assert filled.client.get(f"{BASE}/events", headers={"Authorization": f"Bearer {given}"}).status_code == 401
    assert filled.client.get(f"{BASE}/events", headers={"Authorization": f"bearer {key}"}).status_code == 200


@pytest.mark.parametrize(
    "name",
    ["nothere", "..", "%2e%2e", "..%2fstudio", "studio%00", "studio%0a", ".studio.new", "STUDIO", "s" * 300, "é", "-"],
)
def test_an_unknown_ledger_answers_as_an_unknown_key_does(untouched: Service, name):
    known = untouched.client.get(f"{BASE}/events", headers={"Authorization": "Bearer ck_owner_" + "A" * 43}).json()
    answer = untouched.client.get(f"/v1/ledgers/{name}/events", headers=untouched.as_role("owner"))
    if name in ("..", "..%2fstudio", "studio%00", "studio%0a"):
        assert (answer.status_code, slug(answer)) == (404, "not-found"), "the path is no ledger's"
        return
    assert answer.status_code == 401
    assert {**answer.json(), "instance": ""} == {**known, "instance": ""}


def test_a_key_opens_its_own_ledger_only(tmp_path):
    with http.service(tmp_path) as service:
        http.make_ledger(tmp_path, "other")
        assert service.get("/events").status_code == 200
        answer = service.client.get("/v1/ledgers/other/events", headers=service.as_role("owner"))
        assert answer.status_code == 401


def test_a_key_that_is_issued_later_is_known_at_once(filled: Service):
    key = filled.log.credentials.issue("late", "auditor")
    answer = filled.client.get(f"{BASE}/events", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200


def test_an_auditor_sees_a_reservation_without_its_private_values(filled: Service):
    full = filled.get("/reservations/R-theirs").json()
    assert full["notes"] == "the blue one, please"
    bare = filled.get("/reservations/R-theirs", "auditor")
    assert "the blue one" not in bare.text
    assert bare.json()["withheld"] == ["notes"]


def test_a_service_sees_a_reservation_while_all_of_it_is_its_own_words(filled: Service):
    assert filled.get("/reservations/R-mine", "service").json()["notes"] == "the blue one, please"
    from tests.support.events import plain

    assert filled.post(plain("confirmed", "R-mine")).status_code == 201
    assert filled.get("/reservations/R-mine", "service").status_code == 404
    assert filled.get("/reservations/R-mine?at=2", "service").json()["status"] == "requested"
