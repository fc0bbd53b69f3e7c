"""Which event may follow which: every cell of every table, forced or not, and the bookings of a real hotel."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from ledger import catalog, lifecycle
from ledger.lifecycle import LIFECYCLES, TABLES, State, Step, UnruledState, advance, describe
from tests.unit.ledger.lifecycle.steps import CELLS, DATA, NOW, STATES, data_for, refusal, take

ALL_CELLS = [(name, before) for name in catalog.names() for before in STATES[name.partition(".")[0]]]


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


def test_a_step_decided_beforehand_is_decided_the_same_when_asked():
    assert len(lifecycle._NEXT) > 800
    for (name, state, to, start), after in lifecycle._NEXT.items():
        kind = name.partition(".")[0]
        data = data_for(name, state and state.status) | {"to": to, "from": start}
        data = {field: value for field, value in data.items() if value is not None}
        for role in ("client", "staff", "service", "system", "admin"):
            assert LIFECYCLES[kind].decide(state, Step(name, role, None, NOW, data)) == after


def test_the_first_event_of_most_streams_is_decided_beforehand():
    beginnings = {name.partition(".")[0] for (name, state, _, _) in lifecycle._NEXT if state is None}
    assert beginnings == set(LIFECYCLES) - {"media", "policy", "storage"}


def test_a_kind_without_a_lifecycle_takes_any_event_in_any_order():
    first = take(None, "kiln.fired", {})
    assert first == UnruledState()
    assert take(first, "kiln.built", {}) == first
    assert describe("kiln", first) == {}


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
