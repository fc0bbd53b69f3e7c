"""The rules of a reservation that its table doesn't say: stages, loads, where a forced event leads."""

from itertools import product

import pytest

from ledger.lifecycle import LOADS, STAGES, ReservationState, describe
from tests.unit.ledger.lifecycle.steps import refusal, take

LIVE = ("requested", "confirmed", "waitlisted")


def confirmed(stage: str = "intake", load: str = "queued") -> ReservationState:
    return ReservationState("confirmed", stage, load)


@pytest.mark.parametrize(("stage", "to"), list(product(STAGES[:-1], STAGES)))
@pytest.mark.parametrize("status", LIVE)
def test_a_stage_goes_forward_freely_and_back_only_by_staff_with_a_reason(status, stage, to):
    state = ReservationState(status, stage, "loading")
    change = "reservation.stage_changed"
    reason = {"reason": "recount"}
    if to == stage:
        assert refusal(state, change, {"to": to}).path == "$.data.to"
    elif to == "picked_up":
        if status == "confirmed":
            assert take(state, change, {"to": to}, role="client") == ("completed", "picked_up", "loading")
        else:
            assert refusal(state, change, {"to": to, **reason}).path == "$.data.to"
    elif STAGES.index(to) > STAGES.index(stage):
        for role in ("client", "service", "staff", "admin"):
            assert take(state, change, {"to": to}, role=role) == (status, to, "loading")
    else:
        for role in ("client", "service", "system"):
            assert refusal(state, change, {"to": to, **reason}, role=role).path == "$.actorrole"
        for role in ("staff", "admin"):
            assert refusal(state, change, {"to": to}, role=role).path == "$.data.reason"
            assert take(state, change, {"to": to, **reason}, role=role) == (status, to, "loading")


@pytest.mark.parametrize(("load", "to"), list(product(LOADS, LOADS)))
def test_a_load_goes_one_step_forward_and_staff_may_correct_it_back_to_queued(load, to):
    state = confirmed(load=load)
    change = "reservation.load_changed"
    if (load, to) in {("queued", "loading"), ("loading", "loaded")}:
        assert take(state, change, {"to": to, "from": load}, role="service") == confirmed(load=to)
    elif (load, to) == ("loaded", "queued"):
        assert take(state, change, {"to": to}, role="staff") == confirmed(load=to)
        assert take(state, change, {"to": to}, role="admin") == confirmed(load=to)
        assert refusal(state, change, {"to": to}, role="client").path == "$.actorrole"
    else:
        assert refusal(state, change, {"to": to}).path == "$.data.to"


def test_a_from_that_is_not_where_it_is_is_refused():
    caught = refusal(confirmed("glaze"), "reservation.stage_changed", {"from": "drying", "to": "stored"})
    assert caught.path == "$.data.from"
    assert "not in drying but in glaze" in caught.detail
    assert take(confirmed("glaze"), "reservation.stage_changed", {"from": "glaze", "to": "stored"}).stage == "stored"
    assert refusal(confirmed(), "reservation.load_changed", {"from": "loaded", "to": "loading"}).path == "$.data.from"


def test_a_refusal_names_state_event_and_what_would_be_allowed():
    caught = refusal(ReservationState("cancelled", "cancelled", "loading"), "reservation.confirmed")
    assert str(caught) == (
        "$.type: reservation.confirmed is refused for a reservation that is status cancelled, stage cancelled, "
        "load loading; allowed: fairness_recorded"
    )
    assert caught.state == "status cancelled, stage cancelled, load loading"
    assert refusal(None, "reservation.arrived").detail.endswith("is not begun; allowed: requested")


@pytest.mark.parametrize(
    ("before", "name", "data", "after"),
    [
        (None, "confirmed", {}, ("confirmed", "intake", "queued")),
        (None, "waitlisted", {}, ("waitlisted", "intake", "queued")),
        (None, "cancelled", {}, ("cancelled", "cancelled", "queued")),
        (None, "arrived", {}, ("requested", "intake", "queued")),
        (None, "stage_changed", {"to": "glaze"}, ("confirmed", "glaze", "queued")),
        (None, "stage_changed", {"to": "picked_up"}, ("completed", "picked_up", "queued")),
        (None, "load_changed", {"to": "loaded"}, ("requested", "intake", "loaded")),
        (("confirmed", "glaze", "loaded"), "requested", {}, ("requested", "intake", "queued")),
        (("confirmed", "glaze", "loaded"), "confirmed", {}, ("confirmed", "glaze", "loaded")),
        (("confirmed", "glaze", "loaded"), "stage_changed", {"to": "intake"}, ("confirmed", "intake", "loaded")),
        (
            ("confirmed", "glaze", "loaded"),
            "stage_changed",
            {"from": "intake", "to": "glaze"},
            ("confirmed", "glaze", "loaded"),
        ),
        (("waitlisted", "glaze", "queued"), "stage_changed", {"to": "picked_up"}, ("completed", "picked_up", "queued")),
        (("waitlisted", "glaze", "queued"), "load_changed", {"to": "loaded"}, ("waitlisted", "glaze", "loaded")),
        (("cancelled", "cancelled", "loaded"), "confirmed", {}, ("confirmed", "intake", "loaded")),
        (("cancelled", "cancelled", "loaded"), "stage_changed", {"to": "glaze"}, ("confirmed", "glaze", "loaded")),
        (("cancelled", "cancelled", "loaded"), "load_changed", {"to": "queued"}, ("cancelled", "cancelled", "queued")),
        (("cancelled", "cancelled", "loaded"), "arrived", {}, ("cancelled", "cancelled", "loaded")),
        (("completed", "picked_up", "loaded"), "cancelled", {}, ("cancelled", "cancelled", "loaded")),
        (("completed", "picked_up", "loaded"), "stage_changed", {"to": "stored"}, ("confirmed", "stored", "loaded")),
    ],
)
def test_a_forced_event_leads_to_what_it_tells_of(before, name, data, after):
    state = ReservationState(*before) if before else None
    assert take(state, f"reservation.{name}", data, role="admin", forced="correction") == after


def test_describing_a_reservation_gives_its_fields_and_nothing_before_it_begins():
    assert describe("reservation", confirmed()) == {"status": "confirmed", "stage": "intake", "load": "queued"}
    assert describe("reservation", None) == {}
