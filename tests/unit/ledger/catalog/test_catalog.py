"""Every type of the catalogue: decoding, splitting, refusals with their paths, schemas."""

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger import canonical, catalog
from ledger.catalog.base import RETENTION, require_canonical_order
from ledger.errors import InvalidEvent
from ledger.event import CloudEvent, fault
from tests.unit.ledger.catalog.examples import EXAMPLES, NOTES, PERSON, WINDOW

ALL = catalog.names()
RECORDS = ("record.created", "record.updated")


def decoded(name: str, data: Any) -> Any:
    """What the type makes of the data; a refusal as the caller of ``event.prepare`` would see it."""
    try:
        return catalog.get(name).decode(json.dumps(data).encode())
    except msgspec.ValidationError as error:
        raise fault(error, "$.data") from None


def refusal(name: str, data: Any) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        decoded(name, data)
    return caught.value


def full(name: str, **changes: Any) -> dict[str, Any]:
    """The fullest example, with some fields changed; None takes one away."""
    return {key: value for key, value in {**EXAMPLES[name][1], **changes}.items() if value is not None}


def declared(name: str) -> dict[str, dict[str, Any]]:
    return catalog.json_schema(name)["properties"]


# --- What is there ----------------------------------------------------------------------------------------------------


def test_every_type_has_examples_and_every_example_a_type():
    assert sorted(EXAMPLES) == ALL
    assert " ".join(catalog.kinds()) == (
        "account backup credential drill export hold import incident ledger media member notification piece policy "
        "projection record reservation restore state storage"
    )


def test_the_fullest_example_of_each_type_has_every_field():
    apart = {"counterpart", "side", "account", "collection", "retention", "trash"}  # one of several, in two types
    for name in ALL:
        missing = set(declared(name)) - set(EXAMPLES[name][1])
        assert not missing or name in ("member.account_changed", "policy.set"), name
        assert missing <= apart, name


def test_an_unknown_type_is_refused_with_near_matches():
    with pytest.raises(InvalidEvent, match=r"\$\.type: unknown event type 'reservation\.canceled'") as caught:
        catalog.get("reservation.canceled")
    assert "did you mean reservation.cancelled" in caught.value.advice
    with pytest.raises(InvalidEvent) as caught:
        catalog.get("\x1b[31m" + "z" * 10_000)
    assert len(str(caught.value)) < 200
    assert "\x1b" not in str(caught.value)
    assert caught.value.advice == "the catalogue lists every type"


def test_types_written_by_the_ledger_are_exactly_these():
    assert [name for name in ALL if catalog.get(name).issued_by_ledger] == [
        "backup.completed",
        "backup.failed",
        "backup.pruned",
        "credential.issued",
        "credential.refused",
        "credential.revoked",
        "drill.completed",
        "export.issued",
        "import.applied",
        "import.undone",
        "ledger.created",
        "ledger.key_rotated",
        "media.purged",
        "member.erased",
        "projection.skipped",
        "record.purged",
        "restore.completed",
        "state.attested",
    ]


def test_types_that_not_every_writer_may_post_are_exactly_these():
    restricted = {name: catalog.get(name).posted_by for name in ALL if catalog.get(name).posted_by is not None}
    assert restricted == {
        "hold.placed": {"owner"},
        "hold.released": {"owner"},
        "incident.closed": {"owner", "admin"},
        "incident.opened": {"owner", "admin"},
        "policy.set": {"owner", "admin"},
    }


def test_a_schema_says_who_may_post_a_type_that_not_every_writer_may_post():
    assert catalog.json_schema("policy.set")["x-posted-by"] == ["admin", "owner"]
    assert "x-posted-by" not in catalog.json_schema("piece.registered")


def test_notes_are_private_wherever_they_occur_and_a_token_is_withheld():
    for name in ALL:
        found = catalog.get(name)
        assert ("notes" in declared(name)) == ("notes" in found.private)
        assert found.withheld == (("token",) if name == "reservation.arrival_token_issued" else ())
        assert set(found.withheld) <= set(found.private)
        assert found.retention in RETENTION


def test_every_public_string_is_an_enumeration_a_date_or_bounded_by_a_pattern():
    def strings(schema: Any) -> Any:
        if isinstance(schema, dict):
            if schema.get("x-private"):
                return
            if schema.get("type") == "string":
                yield schema
            for part in schema.values():
                yield from strings(part)
        elif isinstance(schema, list):
            for part in schema:
                yield from strings(part)

    found = [schema for name in ALL for schema in strings(catalog.json_schema(name))]
    assert len(found) > 50
    for schema in found:
        assert "pattern" in schema or schema.get("format") == "date", schema


def test_every_integer_is_bounded_within_what_json_readers_keep():
    def integers(schema: Any) -> Any:
        if isinstance(schema, dict):
            if schema.get("type") == "integer":
                yield schema
            for part in schema.values():
                yield from integers(part)

    found = [schema for name in ALL for schema in integers(catalog.json_schema(name))]
    assert found
    for schema in found:
        assert -(2**53) < schema["minimum"] <= schema["maximum"] < 2**53


# --- Splitting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [0, 1], ids=["smallest", "fullest"])
@pytest.mark.parametrize("name", ALL)
def test_an_example_splits_into_canonical_public_bytes_and_private_values(name, which):
    example, found = EXAMPLES[name][which], catalog.get(name)
    public, private = found.split(decoded(name, example))
    if name in RECORDS:
        expected = {key: value for key, value in example.items() if key != "fields"}
        assert private == example.get("fields", {})
    else:
        expected = {key: value for key, value in example.items() if key not in found.private}
        assert private == {key: value for key, value in example.items() if key in found.private}
    assert public == rfc8785.dumps(expected)
    assert found.join(json.loads(public), private) == example


@pytest.mark.parametrize("name", ALL)
def test_splitting_changes_neither_the_data_nor_what_it_was_decoded_from(name):
    found, data = catalog.get(name), decoded(name, EXAMPLES[name][1])
    before = msgspec.to_builtins(data)
    first = found.split(data)
    first[1].clear()
    assert msgspec.to_builtins(data) == before
    assert found.split(data)[0] == first[0]


def test_joining_with_nothing_disclosed_gives_the_public_part_alone():
    found = catalog.get("member.registered")
    public, private = found.split(decoded("member.registered", EXAMPLES["member.registered"][1]))
    assert found.join(json.loads(public), {}) == {"joined": "2026-01-01", "kind": "studio", "locale": "en-IE"}
    assert found.join(json.loads(public), {"name": private["name"]})["name"] == PERSON["name"]
    assert catalog.get("record.created").join({"collection": "clients"}, {}) == {"collection": "clients", "fields": {}}


@pytest.mark.parametrize("name", ALL)
def test_fields_are_declared_in_the_order_of_canonical_json(name):
    require_canonical_order(catalog.get(name).data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="ascii")), inner, max_size=4)
    ),
    max_leaves=12,
)
field_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9._-]{0,63}", fullmatch=True)


@given(st.dictionaries(field_names, json_values, min_size=1, max_size=6))
def test_a_record_of_any_fields_splits_and_joins_back(fields):
    found = catalog.get("record.created")
    example = {"collection": "charts", "fields": fields}
    public, private = found.split(decoded("record.created", example))
    assert found.join(json.loads(public), private) == example
    for value in private.values():
        assert canonical.dumps(value) == rfc8785.dumps(value)


@given(
    st.sampled_from(["bisque", "glaze", "other"]),
    st.integers(1, 1_000_000),
    st.lists(st.dates(), min_size=2, max_size=2).map(sorted),
    st.none() | st.text(),
    st.none() | st.decimals(-(10**9), 10**9, places=2).map(str),
)
def test_any_reservation_request_splits_and_joins_back(firing, shelves, days, notes, rate):
    example = {"firing_type": firing, "half_shelves": shelves}
    example["window"] = {"earliest": days[0].isoformat(), "latest": days[1].isoformat()}
    example |= {name: value for name, value in (("notes", notes), ("rate", rate)) if value is not None}
    found = catalog.get("reservation.requested")
    public, private = found.split(decoded(found.name, example))
    assert public == rfc8785.dumps(json.loads(public))
    assert private == ({} if notes is None else {"notes": notes})
    assert found.join(json.loads(public), private) == example


# --- Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_an_unknown_field_is_refused_at_its_path(name):
    assert refusal(name, full(name, colour="red")).path == "$.data.colour"


@pytest.mark.parametrize(("name", "field"), [(name, field) for name in ALL for field in declared(name)])
def test_null_a_float_and_a_number_too_large_are_refused_in_every_field(name, field):
    for wrong in (None, 1.5, 2**53, -(2**53), 10**40):
        caught = refusal(name, {**EXAMPLES[name][1], field: wrong})
        assert caught.path == f"$.data.{field}"


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name in ALL for field in catalog.json_schema(name)["required"]]
)
def test_a_missing_field_is_refused_at_its_path(name, field):
    assert refusal(name, full(name, **{field: None})).path == f"$.data.{field}"


@pytest.mark.parametrize("name", ALL)
def test_data_that_is_no_object_is_refused(name):
    for wrong in ([], "x", None, 1):
        assert refusal(name, wrong).path == "$.data"


@pytest.mark.parametrize(
    ("field", "wrong", "path"),
    [
        ("window", {"earliest": "2026-03-02", "latest": "2026-03-01"}, "$.data.window"),
        ("window", {"earliest": "2026-02-30", "latest": "2026-03-01"}, "$.data.window.earliest"),
        ("window", {"earliest": "2026-03-01"}, "$.data.window.latest"),
        ("window", {**WINDOW["window"], "nights": 1}, "$.data.window.nights"),
        ("window", {"earliest": "2026-3-1", "latest": "2026-03-01"}, "$.data.window.earliest"),
        ("window", {"earliest": "2026-03-01T00:00:00Z", "latest": "2026-03-01"}, "$.data.window.earliest"),
        ("half_shelves", 0, "$.data.half_shelves"),
        ("half_shelves", True, "$.data.half_shelves"),
        ("half_shelves", "2", "$.data.half_shelves"),
        ("half_shelves", 1e3, "$.data.half_shelves"),
        ("firing_type", "raku", "$.data.firing_type"),
        ("channel", "TA/TO", "$.data.channel"),
        ("channel", "direct\n", "$.data.channel"),
        ("channel", "a" * 65, "$.data.channel"),
        ("channel", "", "$.data.channel"),
        ("preferred_station", "A ", "$.data.preferred_station"),
        ("preferred_station", "Ä", "$.data.preferred_station"),
        ("rate", "1,5", "$.data.rate"),
        ("rate", "01.5", "$.data.rate"),
        ("rate", "1e3", "$.data.rate"),
        ("rate", "NaN", "$.data.rate"),
        ("rate", "٣", "$.data.rate"),
        ("rate", "1.5\n", "$.data.rate"),
        ("photo", "https://example.org/p.jpg", "$.data.photo"),
        ("photo", ":p", "$.data.photo"),
        ("photo", "p" * 129, "$.data.photo"),
        ("add_ons", ["wax", "Two Words"], "$.data.add_ons[1]"),
        ("add_ons", ["wax"] * 33, "$.data.add_ons"),
        ("resources", {"special_handling": [None]}, "$.data.resources.special_handling[0]"),
        ("resources", {"colour": "red"}, "$.data.resources.colour"),
        ("notes", 5, "$.data.notes"),
    ],
)
def test_a_wrong_value_in_a_request_is_refused_at_its_path(field, wrong, path):
    caught = refusal("reservation.requested", {**EXAMPLES["reservation.requested"][1], field: wrong})
    assert caught.path == path
    assert caught.detail


@pytest.mark.parametrize(
    ("name", "changes", "path"),
    [
        ("reservation.stage_changed", {"to": "cancelled"}, "$.data.to"),
        ("reservation.stage_changed", {"to": "canceled"}, "$.data.to"),
        ("reservation.load_changed", {"from": "intake"}, "$.data.from"),
        ("reservation.estimate_changed", {"start": "2026-03-02T00:00:00Z"}, "$.data.end"),
        ("reservation.estimate_changed", {"start": "2026-03-01T09:00:00"}, "$.data.start"),
        ("reservation.estimate_changed", {"start": "2026-02-30T09:00:00Z"}, "$.data.start"),
        ("reservation.estimate_changed", {"end": "2026-03-01T24:00:00Z"}, "$.data.end"),
        ("reservation.estimate_changed", {"end": "2026-03-01T23:59:60Z"}, "$.data.end"),
        ("reservation.estimate_changed", {"end": "2026-03-01T09:00:00Z\n"}, "$.data.end"),
        ("reservation.pickup_window_changed", {"end": "2026-02-28T00:00:00Z"}, "$.data.end"),
        ("reservation.pickup_window_changed", {"misses": -1}, "$.data.misses"),
        ("reservation.arrival_token_issued", {"expires": "2026-02-28T00:00:00Z"}, "$.data.expires"),
        ("reservation.arrival_token_issued", {"token": ""}, "$.data.token"),
        ("reservation.arrival_token_issued", {"version": 0}, "$.data.version"),
        ("reservation.fairness_recorded", {"boost": None}, "$.data.boost"),
        ("reservation.fairness_recorded", {"expires": None}, "$.data.expires"),
        ("reservation.fairness_recorded", {"expires": "2026-13-01T00:00:00Z"}, "$.data.expires"),
        ("reservation.fairness_recorded", {"kind": "late_arrival", "points": None}, "$.data.points"),
        ("member.account_changed", {"counterpart": None}, "$.data.counterpart"),
        ("member.account_changed", {"change": "closed"}, "$.data.counterpart"),
        ("member.account_changed", {"change": "closed", "counterpart": None}, "$.data.side"),
        ("member.registered", {"birth_date": "1990-02-30"}, "$.data.birth_date"),
        ("member.registered", {"locale": "Galway Irish"}, "$.data.locale"),
        ("ledger.created", {"format": 2}, "$.data.format"),
        ("ledger.created", {"origin": "a studio"}, "$.data.origin"),
        ("ledger.created", {"verifier_keys": []}, "$.data.verifier_keys"),
        ("ledger.created", {"verifier_keys": ["not a key"]}, "$.data.verifier_keys[0]"),
        ("record.created", {"collection": "Clients"}, "$.data.collection"),
    ],
)
def test_a_wrong_value_in_other_types_is_refused_at_its_path(name, changes, path):
    assert refusal(name, full(name, **changes)).path == path


def test_an_estimate_or_a_contact_update_of_nothing_is_refused():
    assert refusal("reservation.estimate_changed", dict(NOTES)).path == "$.data"
    caught = refusal("member.contact_updated", {})
    assert caught.path == "$.data"
    assert "birth_date" in caught.detail


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "$.data.fields"),
        ({"": 1}, "$.data.fields"),
        ({"naïve": 1}, "$.data.fields"),
        ({"two words": 1}, "$.data.fields"),
        ({"line\n": 1}, "$.data.fields"),
        ({"a" * 65: 1}, "$.data.fields"),
        ({f"f{i}": i for i in range(513)}, "$.data.fields"),
        ({"a": 1.0}, "$.data.fields.a"),
        ({"a": [1, {"b": [0.5]}]}, "$.data.fields.a[1].b[0]"),
        ({"a": {"b": 2**53}}, "$.data.fields.a.b"),
        ({"a": -(10**30)}, "$.data.fields.a"),
        ({"a": {"ü": 1}}, "$.data.fields.a"),
    ],
)
def test_a_record_field_with_no_canonical_form_is_refused_at_its_path(fields, path):
    assert refusal("record.updated", {"collection": "clients", "fields": fields}).path == path


def test_a_record_field_may_be_nested_32_levels_deep_and_no_deeper():
    value: Any = 0
    for _ in range(32):
        value = [value]
    assert decoded("record.created", {"collection": "c", "fields": {"deep": value}})
    assert refusal("record.created", {"collection": "c", "fields": {"deep": [value]}}).path.startswith(
        "$.data.fields.deep"
    )


def test_private_text_may_be_long():
    assert decoded("reservation.cancelled", {"notes": "x" * 100_000})


# --- Schemas ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_schema_names_its_dialect_and_tells_private_fields_and_retention(name):
    schema, found = catalog.json_schema(name), catalog.get(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == name
    assert schema["additionalProperties"] is False
    assert schema["x-retention"] == found.retention
    assert schema["x-version"] == found.version
    assert schema["x-issued-by-ledger"] is found.issued_by_ledger
    marked = sorted(field for field, of in schema["properties"].items() if of.get("x-private"))
    assert marked == list(found.private)
    assert sorted(of for of in schema["properties"] if schema["properties"][of].get("x-withheld")) == list(
        found.withheld
    )
    for reference in _references(schema):
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


def _references(schema: Any) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for part in schema.values():
            yield from _references(part)


@pytest.mark.parametrize("name", ALL)
def test_the_schema_of_each_type_is_json(name):
    schema = catalog.json_schema(name)
    assert json.loads(json.dumps(schema)) == schema


def test_the_schema_of_a_whole_event_names_the_attributes_that_an_event_may_have():
    schema = catalog.cloudevent_schema("reservation.requested")
    attributes = {field.encode_name: field for field in msgspec.structs.fields(CloudEvent)}
    assert set(schema["properties"]) == set(attributes)
    assert set(schema["required"]) == {name for name, field in attributes.items() if field.required}
    assert schema["properties"]["type"] == {"const": "reservation.requested"}
    assert "Window" in schema["$defs"]
    assert "$defs" not in schema["properties"]["data"]


# --- Real events ------------------------------------------------------------------------------------------------------


def test_every_event_of_the_real_bookings_is_taken_and_its_public_part_is_canonical(shared):
    made = subprocess.run(
        [sys.executable, shared / "tools" / "hotel_events.py"], capture_output=True, check=True
    ).stdout.splitlines()
    assert len(made) == 58_148
    for line in made:
        event = json.loads(line)
        found = catalog.get(event["type"])
        public, private = found.split(decoded(event["type"], event["data"]))
        expected = {name: value for name, value in event["data"].items() if name != "notes"}
        assert public == rfc8785.dumps(expected)
        assert private == {name: value for name, value in event["data"].items() if name == "notes"}
