"""Which event may follow which: every cell of every table, the rules beside them, and a naive model at random."""

import json
import subprocess
import sys
from collections import Counter
from itertools import product
from typing import Any

import pytest

from ledger import catalog
from ledger.errors import LifecycleRefused
from ledger.lifecycle import (
    LOADS,
    STAGES,
    TABLES,
    LedgerState,
    MemberState,
    RecordState,
    ReservationState,
    State,
    Step,
    UnruledState,
    advance,
    describe,
    is_frozen,
)

NOW = "2026-03-01T00:00:00.000000Z"
LIVE = ("requested", "confirmed", "waitlisted")

# The smallest data, of the types that a lifecycle looks into, that the table alone decides about.
DATA: dict[str, dict[str, Any]] = {
    "reservation.stage_changed": {"to": "drying"},
    "reservation.load_changed": {"to": "loading"},
    "member.account_changed": {"change": "closed", "reason": "moved-away", "side": "received", "counterpart": "M-2"},
}
STATES: dict[str, dict[str | None, State | None]] = {
    "reservation": {
        None: None,
        "requested": ReservationState("requested", "intake", "queued"),
        "confirmed": ReservationState("confirmed", "intake", "queued"),
        "waitlisted": ReservationState("waitlisted", "intake", "queued"),
        "cancelled": ReservationState("cancelled", "cancelled", "queued"),
        "completed": ReservationState("completed", "picked_up", "queued"),
    },
    "member": {
        None: None,
        **{name: MemberState(name) for name in ("active", "transferred", "merged", "closed", "erased")},
    },
    "record": {
        None: None,
        "active": RecordState("active", None),
        "trashed": RecordState("trashed", "2026-01-30T00:00:00.000000Z"),
        "purged": RecordState("purged", None),
    },
    "ledger": {None: None, "open": LedgerState("open"), "frozen": LedgerState("frozen")},
}
# Written out here once more, by hand: what the table in the code has to say.
EXPECTED = """
    reservation.requested              -:requested
    reservation.confirmed              requested:confirmed waitlisted:confirmed
    reservation.waitlisted             requested:waitlisted confirmed:waitlisted
    reservation.cancelled              requested:cancelled confirmed:cancelled waitlisted:cancelled
    reservation.stage_changed          requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.load_changed           requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.estimate_changed       requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.station_assigned       requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.arrival_token_issued   requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.arrived                requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.pickup_window_changed  requested:requested confirmed:confirmed waitlisted:waitlisted
    reservation.fairness_recorded      requested:requested confirmed:confirmed waitlisted:waitlisted
                                       cancelled:cancelled completed:completed
    member.registered                  -:active closed:active
    member.contact_updated             active:active
    member.account_changed             active:active
    member.erased                      -:erased active:erased erased:erased
                                       transferred:erased merged:erased closed:erased
    record.created                     -:active
    record.updated                     active:active
    record.trashed                     active:trashed
    record.restored                    trashed:active
    record.purged                      trashed:purged
    ledger.created                     -:open
    ledger.key_rotated                 open:open frozen:frozen
    ledger.frozen                      open:frozen
    ledger.thawed                      frozen:open
"""


def expected_cells() -> dict[tuple[str, str | None], str]:
    cells: dict[tuple[str, str | None], str] = {}
    name = ""
    for word in EXPECTED.split():
        if "." in word:
            name = word
        else:
            before, after = word.split(":")
            cells[name, None if before == "-" else before] = after
    return cells


CELLS = expected_cells()
ALL_CELLS = [(name, before) for name in catalog.names() for before in STATES[name.partition(".")[0]]]


def step(name: str, data: dict[str, Any] | None = None, *, role: str = "staff", forced: str | None = None) -> Step:
    return Step(name, role, forced, NOW, DATA.get(name, {}) if data is None else data)


def take(state: State | None, name: str, data: dict[str, Any] | None = None, **how: Any) -> State:
    return advance(name.partition(".")[0], state, step(name, data, **how))


def refusal(state: State | None, name: str, data: dict[str, Any] | None = None, **how: Any) -> LifecycleRefused:
    with pytest.raises(LifecycleRefused) as caught:
        take(state, name, data, **how)
    assert caught.value.event == name
    return caught.value


# --- The tables -------------------------------------------------------------------------------------------------------


def test_the_tables_rule_every_type_of_the_catalogue_and_no_other():
    assert sorted(f"{kind}.{verb}" for kind, table in TABLES.items() for verb in table) == catalog.names()


def test_the_lifecycle_looks_into_the_data_of_these_types_only():
    assert [name for name in catalog.names() if catalog.get(name).reads_data] == sorted(DATA)


@pytest.mark.parametrize(("name", "before"), ALL_CELLS)
def test_a_cell_of_the_table_allows_or_refuses_as_expected(name, before):
    kind = name.partition(".")[0]
    role = "admin" if name in ("ledger.frozen", "ledger.thawed") else "service"
    after = CELLS.get((name, before))
    if after is None:
        caught = refusal(STATES[kind][before], name, role=role)
        assert caught.path == "$.type"
        assert name in caught.detail
        assert (f"status {before}" if before else "not begun") in caught.detail
        assert caught.state in caught.detail
        assert "admin" in caught.advice
        listed = {verb for verb in TABLES[kind] if (f"{kind}.{verb}", before) in CELLS}
        assert caught.detail.rpartition("allowed: ")[2] == (", ".join(sorted(listed)) or "nothing")
    else:
        assert take(STATES[kind][before], name, role=role).status == after


@pytest.mark.parametrize(("name", "before"), ALL_CELLS)
def test_an_admin_may_force_any_event_in_any_state(name, before):
    kind = name.partition(".")[0]
    forced = take(STATES[kind][before], name, role="admin", forced="import")
    assert describe(kind, forced)
    after = CELLS.get((name, before))
    if after is not None:
        assert forced.status == after


@pytest.mark.parametrize("role", ["client", "staff", "service", "system"])
def test_nobody_but_an_admin_may_force_even_what_would_be_allowed(role):
    for name, before in ALL_CELLS:
        caught = refusal(STATES[name.partition(".")[0]][before], name, role=role, forced="import")
        assert caught.path == "$.forced"
        assert role in caught.detail


def test_a_kind_without_a_table_takes_any_event_in_any_order():
    first = advance("piece", None, step("piece.fired", {}))
    assert first == UnruledState()
    assert advance("piece", first, step("piece.registered", {})) == first
    assert describe("piece", first) == {}


# --- Reservations -----------------------------------------------------------------------------------------------------


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


# --- Members, records, the ledger -------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["transferred", "merged", "closed"])
def test_an_account_ends_on_the_side_that_gives_and_lives_on_where_it_is_received(change):
    active = MemberState("active")
    for given in ({}, {"side": "given"}):
        ended = take(active, "member.account_changed", {"change": change, **given})
        assert ended == MemberState(change)
        assert refusal(ended, "member.contact_updated").path == "$.type"
    assert take(active, "member.account_changed", {"change": change, "side": "received"}) == active
    forced = take(None, "member.account_changed", {"change": change}, role="admin", forced="import")
    assert forced == MemberState(change)


def purge(trashed: str, recorded: str, **how: Any) -> State:
    forced = Step("record.purged", how.get("role", "system"), how.get("forced"), recorded, {})
    return advance("record", RecordState("trashed", trashed), forced)


def test_a_record_is_purged_thirty_days_after_it_was_trashed_and_no_sooner():
    trashed = take(RecordState("active", None), "record.trashed")
    assert trashed == RecordState("trashed", NOW)
    assert describe("record", trashed) == {"status": "trashed", "trashed": NOW}
    assert purge(NOW, "2026-03-31T00:00:00.000000Z") == RecordState("purged", None)
    with pytest.raises(LifecycleRefused, match="purged 30 days after it was trashed, at the soonest"):
        purge(NOW, "2026-03-30T23:59:59.999999Z")
    assert purge(NOW, NOW, role="admin", forced="import") == RecordState("purged", None)


def test_a_restored_record_can_be_purged_only_after_it_is_trashed_again():
    restored = take(RecordState("trashed", NOW), "record.restored")
    assert restored == RecordState("active", None)
    assert refusal(restored, "record.purged", role="system").path == "$.type"
    again = advance("record", restored, Step("record.trashed", "staff", None, "2026-04-01T00:00:00.000000Z", {}))
    with pytest.raises(LifecycleRefused):
        advance("record", again, Step("record.purged", "system", None, "2026-04-30T00:00:00.000000Z", {}))


def test_a_record_updated_by_force_while_trashed_stays_trashed():
    trashed = RecordState("trashed", NOW)
    assert take(trashed, "record.updated", role="admin", forced="correction") == trashed


@pytest.mark.parametrize("role", ["client", "staff", "service", "system"])
def test_only_an_admin_freezes_and_thaws_the_ledger(role):
    assert refusal(LedgerState("open"), "ledger.frozen", role=role).path == "$.actorrole"
    assert refusal(LedgerState("frozen"), "ledger.thawed", role=role).path == "$.actorrole"


def test_only_a_frozen_ledger_counts_as_frozen():
    frozen = take(LedgerState("open"), "ledger.frozen", role="admin")
    assert is_frozen(frozen)
    assert not is_frozen(take(frozen, "ledger.thawed", role="admin"))
    assert not is_frozen(None)
    assert not is_frozen(MemberState("frozen"))


# --- Real events ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [2000, 0], ids=["2,000 bookings", "all bookings"])
def test_the_real_bookings_go_through_their_lifecycles_and_end_as_their_rows_say(shared, rows):
    program = [sys.executable, shared / "tools" / "hotel_events.py", "--rows", str(rows)]
    made = subprocess.run(program, capture_output=True, check=True).stdout.splitlines()
    states: dict[str, State] = {}
    last: dict[str, str] = {}
    for line in made:
        event = json.loads(line)
        stream, name = event["subject"], event["type"]
        data = event["data"] if catalog.get(name).reads_data else {}
        states[stream] = advance("reservation", states.get(stream), Step(name, event["actorrole"], None, NOW, data))
        last[stream] = name
    ends = Counter((last[stream], state.status) for stream, state in states.items())
    assert set(ends) == {("reservation.cancelled", "cancelled"), ("reservation.stage_changed", "completed")}
    assert ends.total() == (rows or 14_938)
