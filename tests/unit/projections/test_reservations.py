import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.reservations import PROJECTION, TABLE, row_of, state_of
from projections.state import fold, fold_all
from tests.unit.projections.entries import FULL, entry_of, histories, history_of

NAMES = [column.name for column in TABLE.columns]


def folded(entries, loaded):
    return {row[0]: row for row in PROJECTION.fold(entries, {"reservations": loaded})["reservations"]}


@given(histories)
def test_a_row_holds_the_whole_public_state(entries):
    state = fold_all((entry, None) for entry in entries)
    assert state_of(row_of(state)) == state


@pytest.mark.parametrize("name", sorted(FULL))
def test_every_public_field_of_every_type_has_its_column(name):
    state = fold(None, entry_of(name, FULL[name], role="admin", forced="test"))
    row = row_of(state)
    assert len(row) == len(NAMES) == len(set(NAMES))
    assert state_of(row) == state


def test_the_columns_hold_what_the_events_said():
    entries = history_of(*((name, FULL[name], {"role": "admin", "forced": "test"}) for name in FULL))
    row = dict(zip(NAMES, row_of(fold_all((entry, None) for entry in entries)), strict=True))
    assert (row["stream"], row["version"], row["member"]) == ("reservation:R-1", len(FULL), "M-1")
    assert (row["window_earliest"], row["window_latest"]) == ("2026-03-01", "2026-03-04")
    assert (row["estimate_sla"], row["pickup_state"], row["token_version"]) == ("delayed", "open", 1)
    assert (row["station"], row["queue_class"], row["arrival"]) == ("K7", "rush", "overdue")
    assert orjson.loads(row["add_ons"]) == ["glaze-wash", "rush"]
    assert row["penalty_points"] == 1


def test_no_private_value_enters_a_row():
    entries = history_of(*((name, FULL[name], {"role": "admin", "forced": "test"}) for name in FULL))
    row = row_of(fold_all((entry, None) for entry in entries))
    assert not [value for value in row if value in ("two tall vases", "n", "secret")]


@given(st.lists(histories, min_size=1, max_size=3), st.data())
def test_folding_in_batches_gives_the_rows_of_folding_at_once(several, data):
    streams = [
        history_of(*[(entry.event.type, _data(entry), _more(entry)) for entry in entries], stream=f"reservation:R-{at}")
        for at, entries in enumerate(several)
    ]
    entries = [entry for stream in streams for entry in stream]
    at_once = folded(entries, {})
    cut = data.draw(st.integers(0, len(entries)))
    first = folded(entries[:cut], {})
    assert {**first, **folded(entries[cut:], first)} == at_once


def _data(entry):
    private = dict.fromkeys(entry.event.commitments(), "n")
    return {**entry.event.public(), **private}


def _more(entry):
    return {"role": "admin", "forced": "test", "member": entry.event.member or None}


def test_only_the_touched_streams_are_asked_for():
    entries = [entry_of(*pair, stream=stream) for stream in ("reservation:A", "reservation:B") for pair in [REQUEST]]
    assert PROJECTION.needs(entries) == {"reservations": {"reservation:A", "reservation:B"}}


REQUEST = ("reservation.requested", FULL["reservation.requested"])
