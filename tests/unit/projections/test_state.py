import copy

import msgspec
import pytest
from hypothesis import given

from ledger import catalog
from ledger.errors import InvalidEvent
from projections.state import HEADER, RULES, fold, fold_all, present
from tests.unit.projections.entries import FULL, REQUESTED, entry_of, histories, history_of

REQUEST = ("reservation.requested", REQUESTED)
CONFIRM = ("reservation.confirmed", {"station": "K1"})


def shown(*events, disclosed=None, stream="reservation:R-1"):
    return present(fold_all((entry, disclosed) for entry in history_of(*events, stream=stream)))


def test_a_new_reservation_shows_its_request_under_the_names_of_the_data():
    assert shown(REQUEST) == {
        "stream": "reservation:R-1",
        "kind": "reservation",
        "version": 1,
        "position": 1,
        "recorded": "1970-01-01T00:00:01.000000Z",
        "status": "requested",
        "stage": "intake",
        "load": "queued",
        "member": "M-1",
        **REQUESTED,
    }


def test_the_header_stands_first_and_the_fields_follow_by_name():
    names = list(shown(REQUEST, CONFIRM))
    header = ["stream", "kind", "version", "position", "recorded", "status", "stage", "load", "member"]
    assert names[: len(header)] == header
    assert names[len(header) :] == sorted(names[len(header) :])


def test_the_last_station_wins_and_fields_left_out_stay():
    moved = ("reservation.stage_changed", {"to": "drying", "station": "K9"})
    seen = shown(REQUEST, CONFIRM, moved, ("reservation.arrived", {"via": "desk"}))
    assert (seen["station"], seen["half_shelves"], seen["via"]) == ("K9", 2, "desk")


def test_where_a_change_came_from_and_led_to_are_no_fields():
    seen = shown(REQUEST, CONFIRM, ("reservation.stage_changed", {"from": "intake", "to": "drying"}))
    assert seen["stage"] == "drying"
    assert not {"from", "to"} & seen.keys()


def test_an_arrival_without_a_state_was_made():
    assert shown(REQUEST, ("reservation.arrived", {}))["arrival"] == "arrived"
    assert shown(REQUEST, ("reservation.arrived", {"state": "no_show"}))["arrival"] == "no_show"


def test_an_estimate_keeps_its_span_when_only_the_outlook_changes():
    span = {"start": "2026-03-08T00:00:00Z", "end": "2026-03-09T00:00:00Z", "sla": "on_track"}
    seen = shown(REQUEST, ("reservation.estimate_changed", span), ("reservation.estimate_changed", {"sla": "at_risk"}))
    assert seen["estimate"] == {**span, "sla": "at_risk"}


def test_estimate_and_pickup_window_do_not_mix_their_times():
    seen = shown(
        REQUEST,
        ("reservation.estimate_changed", {"start": "2026-03-08T00:00:00Z"}),
        ("reservation.pickup_window_changed", {"start": "2026-03-11T00:00:00Z", "state": "open"}),
    )
    assert seen["estimate"]["start"] == "2026-03-08T00:00:00Z"
    assert seen["pickup_window"] == {"start": "2026-03-11T00:00:00Z", "state": "open"}


def test_penalty_points_add_up_and_the_last_fairness_record_stands_alone():
    record = "reservation.fairness_recorded"
    seen = shown(
        REQUEST,
        (record, {"kind": "no_show", "points": 2, "reason": "absent", "evidence": "E-1"}),
        (record, {"kind": "late_arrival", "points": 1, "reason": "late"}),
    )
    assert seen["penalty_points"] == 3
    assert seen["fairness"] == {"kind": "late_arrival", "points": 1, "reason": "late"}


def test_the_reason_is_that_of_the_last_transition_and_of_nothing_else():
    wait = ("reservation.waitlisted", {"reason": "no-room"})
    assigned = ("reservation.station_assigned", {"reason": "kiln-down", "station": "K2"})
    assert shown(REQUEST, wait)["reason"] == "no-room"
    assert shown(REQUEST, wait, assigned)["reason"] == "no-room"
    assert "reason" not in shown(REQUEST, wait, assigned, CONFIRM)


def test_the_member_is_the_last_one_named():
    told = ("reservation.confirmed", {}, {"member": None})
    taken_over = ("reservation.station_assigned", {"station": "K1"}, {"member": "M-2"})
    assert shown(REQUEST, told)["member"] == "M-1"
    assert shown(REQUEST, told, taken_over)["member"] == "M-2"


NOTED = ("reservation.requested", {**REQUESTED, "notes": "first"})
NOTED_AGAIN = ("reservation.confirmed", {"notes": "second"})


def test_a_disclosed_private_value_stands_under_its_name():
    seen = present(fold_all([(entry_of(*NOTED), {"notes": "first"})]))
    assert seen["notes"] == "first"
    assert "withheld" not in seen


def test_an_older_value_never_stands_in_for_one_that_is_gone():
    first, second = history_of(NOTED, NOTED_AGAIN)
    seen = present(fold_all([(first, {"notes": "first"}), (second, {})]))
    assert "notes" not in seen
    assert seen["withheld"] == ["notes"]


def test_a_newer_disclosed_value_makes_up_for_an_older_one_that_is_gone():
    first, second = history_of(NOTED, NOTED_AGAIN)
    seen = present(fold_all([(first, {}), (second, {"notes": "second"})]))
    assert seen["notes"] == "second"
    assert "withheld" not in seen


def test_an_arrival_token_is_withheld_even_where_it_opens():
    issued = ("reservation.arrival_token_issued", {"token": "abc", "version": 3})
    seen = shown(REQUEST, issued, disclosed={"token": "abc"})
    assert seen["withheld"] == ["token"]
    assert seen["arrival_token"] == {"version": 3}
    assert "abc" not in str(seen)


def test_a_fold_that_is_told_nothing_of_private_fields_does_not_name_them():
    assert "withheld" not in shown(NOTED, disclosed=None)


def record(verb, data):
    return (f"record.{verb}", {"collection": "invoices", **data})


def test_a_record_shows_its_collection_and_its_fields():
    first, second = history_of(
        record("created", {"fields": {"number": 7, "paid": False}}),
        record("updated", {"fields": {"paid": None}}),
        stream="record:I-7",
    )
    seen = present(fold_all([(first, {"number": 7, "paid": False}), (second, {"paid": None})]))
    assert (seen["kind"], seen["status"], seen["collection"]) == ("record", "active", "invoices")
    assert (seen["number"], seen["paid"]) == (7, None)


def test_a_records_field_with_a_name_of_the_header_stands_aside():
    values = {"status": "due", "collection": "mine", "total": "9.50"}
    (entry,) = history_of(record("created", {"fields": values}), stream="record:I-7")
    seen = present(fold_all([(entry, values)]))
    assert (seen["status"], seen["collection"], seen["total"]) == ("active", "invoices", "9.50")
    assert seen["fields"] == {"collection": "mine", "status": "due"}


def test_a_note_on_the_trash_does_not_hide_a_field_called_notes():
    made, trashed = history_of(
        record("created", {"fields": {"notes": "of the record"}}),
        record("trashed", {"notes": "of the trash", "reason": "paid"}),
        stream="record:I-7",
    )
    seen = present(fold_all([(made, {"notes": "of the record"}), (trashed, {"notes": "of the trash"})]))
    assert (seen["status"], seen["reason"], seen["notes"]) == ("trashed", "paid", "of the record")
    assert seen["trashed"] == trashed.seal.recorded


def test_a_member_shows_contact_fields_and_the_kind_of_membership():
    data = {"kind": "studio", "email": "a@example.org", "phone": "1"}
    first, second = history_of(
        ("member.registered", data), ("member.contact_updated", {"email": "b@example.org"}), stream="member:M-1"
    )
    seen = present(fold_all([(first, {"email": "a@example.org"}), (second, {"email": "b@example.org"})]))
    assert (seen["kind"], seen["status"], seen["membership"]) == ("member", "active", "studio")
    assert seen["email"] == "b@example.org"
    assert seen["withheld"] == ["phone"]


def test_an_unknown_schema_version_is_refused_by_name():
    entry = entry_of(*REQUEST)
    newer = msgspec.structs.replace(entry, event=msgspec.structs.replace(entry.event, v=99))
    with pytest.raises(InvalidEvent, match="version 99 is not known"):
        fold(None, newer)


def _names_in_state(event_type):
    """The names that the public fields of a type get at the top of a state."""
    rule = RULES.get(event_type.name)
    public = set(event_type.data.__struct_encode_fields__) - set(event_type.private)
    if rule is None:
        return public
    if rule.group is not None:
        return {rule.group, *rule.summed.values()}
    return {rule.renamed.get(name, name) for name in public - set(rule.left_out)} | set(rule.implied)


@pytest.mark.parametrize("name", catalog.names())
def test_no_field_of_the_catalogue_is_lost_under_a_name_of_the_header(name):
    event_type = catalog.get(name)
    assert not _names_in_state(event_type) & (HEADER | {"fields", "withheld"})
    private = set(event_type.private) - {"fields"}  # of a record: the object around its private fields
    assert not private & (HEADER | {"collection", "reason", "fields", "withheld"})


@pytest.mark.parametrize("kind", catalog.kinds())
def test_no_private_field_shares_its_name_with_a_public_one(kind):
    types = [catalog.get(name) for name in catalog.names() if catalog.get(name).kind == kind]
    public = set().union(*(_names_in_state(event_type) for event_type in types))
    assert not public & set().union(*(event_type.private for event_type in types))


def test_every_rule_is_of_a_type_that_there_is_and_of_fields_that_it_has():
    for name, rule in RULES.items():
        fields = set(catalog.get(name).data.__struct_encode_fields__)
        assert {*rule.left_out, *rule.renamed, *rule.summed} <= fields


@given(histories)
def test_a_fold_changes_none_of_what_it_is_given(entries):
    state = None
    for entry in entries:
        before = copy.deepcopy(state)
        after = fold(state, entry, {})
        assert state == before
        state = after


@given(histories)
def test_version_position_and_times_are_those_of_the_entries(entries):
    state = fold_all((entry, None) for entry in entries)
    last = entries[-1]
    assert (state.version, state.position, state.recorded) == (len(entries), last.seal.position, last.seal.recorded)
    assert (state.created, state.updated) == (entries[0].event.time, last.event.time)


def test_the_full_data_of_the_tests_is_full():
    types = {name for name in catalog.names() if name.startswith("reservation.")}
    assert FULL.keys() == types
    for name, data in FULL.items():
        assert data.keys() == set(catalog.get(name).data.__struct_encode_fields__)
