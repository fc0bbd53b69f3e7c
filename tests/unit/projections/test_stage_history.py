import itertools

from hypothesis import given
from hypothesis import strategies as st

from projections.stage_history import PROJECTION, TABLE
from projections.state import fold
from tests.unit.projections.entries import REQUESTED, histories, history_of

NAMES = [column.name for column in TABLE.columns]
REQUEST = ("reservation.requested", REQUESTED, {"role": "client"})
CONFIRM = ("reservation.confirmed", {})


def rows(entries, loaded=None):
    return PROJECTION.fold(entries, {"stage_history": loaded or {}})["stage_history"]


def dicts(entries):
    return [dict(zip(NAMES, row, strict=True)) for row in rows(entries)]


def test_the_first_event_comes_from_nowhere():
    (row,) = dicts(history_of(REQUEST))
    assert row == {
        "stream": "reservation:R-1",
        "version": 1,
        "position": 1,
        "type": "reservation.requested",
        "from_status": None,
        "from_stage": None,
        "from_load": None,
        "to_status": "requested",
        "to_stage": "intake",
        "to_load": "queued",
        "time": "2026-03-01T00:00:01Z",
        "recorded": "1970-01-01T00:00:01.000000Z",
        "actor": "desk",
        "actor_role": "client",
        "reason": None,
        "forced": None,
    }


def test_a_stage_change_leaves_a_row_with_its_reason_and_where_it_came_from():
    row = dicts(history_of(REQUEST, CONFIRM, ("reservation.stage_changed", {"to": "stored", "reason": "moved-in"})))[-1]
    assert (row["version"], row["from_stage"], row["to_stage"], row["reason"]) == (3, "intake", "stored", "moved-in")
    assert (row["from_status"], row["to_status"], row["from_load"]) == ("confirmed", "confirmed", "queued")


def test_an_event_that_moves_nothing_leaves_no_row():
    entries = history_of(REQUEST, ("reservation.station_assigned", {"station": "K1"}), ("reservation.arrived", {}))
    assert [row["type"] for row in dicts(entries)] == ["reservation.requested"]


def test_a_forced_transition_names_its_reason_code():
    forced = ("reservation.stage_changed", {"to": "picked_up"}, {"role": "admin", "forced": "import"})
    row = dicts(history_of(REQUEST, forced))[-1]
    assert (row["to_status"], row["forced"], row["actor_role"]) == ("completed", "import", "admin")


def test_notes_are_not_copied():
    noted = ("reservation.confirmed", {"notes": "tall vases"})
    assert "tall vases" not in str(dicts(history_of(REQUEST, noted)))


@given(histories, st.data())
def test_folding_on_from_the_last_row_gives_the_rows_of_folding_at_once(entries, data):
    cut = data.draw(st.integers(0, len(entries)))
    first = rows(entries[:cut])
    assert [*first, *rows(entries[cut:], {row[0]: row for row in first})] == rows(entries)


@given(histories)
def test_the_rows_are_a_path_that_ends_in_the_state_shown(entries):
    found = dicts(entries)
    for before, after in itertools.pairwise(found):
        assert [before[f"to_{name}"] for name in ("status", "stage", "load")] == [
            after[f"from_{name}"] for name in ("status", "stage", "load")
        ]
    state = None
    for entry in entries:
        state = fold(state, entry)
    assert tuple(found[-1][f"to_{name}"] for name in ("status", "stage", "load")) == tuple(state.lifecycle)
