"""Where a reservation stands, now and at earlier moments."""

import pytest

from tests.support.events import plain, requested, stage_changed
from tests.support.http import BATCH, Service, batch, slug


@pytest.fixture
def filled(service: Service) -> Service:
    service.post(batch(requested("R-1"), plain("confirmed", "R-1")), BATCH)
    service.post(stage_changed("drying", "R-1"))
    return service


def test_a_reservation_shows_its_state_and_its_place_in_the_log(filled: Service):
    shown = filled.get("/reservations/R-1").json()
    assert (shown["stream"], shown["kind"], shown["version"], shown["position"]) == (
        "reservation:R-1",
        "reservation",
        3,
        3,
    )
    assert (shown["status"], shown["stage"]) == ("confirmed", "drying")
    assert shown["notes"] == "the blue one, please"


def test_an_earlier_moment_shows_the_earlier_state(filled: Service):
    assert filled.get("/reservations/R-1?at=1").json()["status"] == "requested"
    assert filled.get("/reservations/R-1?at=2").json()["stage"] == "intake"
    recorded = filled.get("/events/2").json()["entry"]["seal"]["recorded"]
    assert filled.get(f"/reservations/R-1?at={recorded}").json()["version"] == 2
    assert filled.get("/reservations/R-1?at=2999-01-01").json()["version"] == 3


@pytest.mark.parametrize("path", ["R-9", "R-1?at=0", "R-1?at=2000-01-01"])
def test_there_is_nothing_to_show_before_the_first_event(filled: Service, path):
    answer = filled.get(f"/reservations/{path}")
    assert (answer.status_code, slug(answer)) == (404, "not-found")


@pytest.mark.parametrize("path", ["R-1?at=soon", "R-1?at=-1", "R 1", "%F0%9F%8F%BA", "x" * 129, "R-1?as=1"])
def test_an_id_or_moment_of_another_form_is_refused(filled: Service, path):
    answer = filled.get(f"/reservations/{path}")
    assert (answer.status_code, slug(answer)) == (400, "bad-parameter")


def test_what_was_just_posted_can_be_read(filled: Service):
    position = filled.post(plain("cancelled", "R-1")).headers["ledger-position"]
    shown = filled.get(f"/reservations/R-1?min_position={position}").json()
    assert shown["status"] == "cancelled"


def test_what_a_service_may_not_see_answers_as_what_is_not_there(filled: Service):
    theirs = [filled.get(f"/reservations/R-1{at}", "service") for at in ("", "?at=0", "?at=2000-01-01")]
    nobodys = filled.get("/reservations/r-1", "service")  # near by name to one that is there
    assert [answer.status_code for answer in (*theirs, nobodys)] == [404] * 4
    told = {answer.text.partition('"instance"')[0].lower() for answer in (*theirs, nobodys)}
    assert len(told) == 1
