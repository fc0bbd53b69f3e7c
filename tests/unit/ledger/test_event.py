import json

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

import ledger.event
from ledger import catalog, entry, privacy
from ledger.errors import EventError, MalformedEvent, OversizedEvent, RoleDenied
from ledger.event import LOCAL, SYSTEM, CloudEvent, Credential, difference, prepare
from tests.unit.ledger.catalog.examples import EXAMPLES, stream_of
from tests.unit.ledger.events import ADMIN, BASE, DATA, RECORD, SERVICE, body, event, fault, stored

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


class TestAccepted:
    def test_the_least_event(self):
        assert body(event(data={**DATA, "notes": "x"}))["actor"] == {"id": "local", "role": "admin"}

    def test_everything_said_is_kept_and_sorted(self):
        raw = event(
            member="M-1",
            actor="staff-7",
            actorrole="staff",
            correlationid='c"\\1',
            tags="b a:1 b",
            time="2026-03-01T10:30:00.50+01:00",
            expectedversion=0,
        )
        prepared = prepare(raw, LOCAL)
        assert prepared.body == rfc8785.dumps(json.loads(prepared.body))
        kept = json.loads(prepared.body)
        commitment = kept["private"].pop("notes")
        assert commitment == privacy.commitment_of(prepared.disclosures[0])
        assert kept == {
            "actor": {"id": "staff-7", "role": "staff"},
            "correlation": 'c"\\1',
            "data": {name: value for name, value in DATA.items() if name != "notes"},
            "id": "e-1",
            "member": "M-1",
            "private": {},
            "source": "urn:test",
            "stream": "reservation:R-1",
            "tags": ["a:1", "b"],
            "time": "2026-03-01T09:30:00.5Z",
            "type": "reservation.requested",
            "v": 1,
        }
        assert prepared.expected_version == 0
        assert prepared.names == ("notes",)
        assert prepared.private == {"notes": "for Zoë"}

    def test_absent_attributes_are_left_out_of_the_entry(self):
        assert set(body(event(data={name: DATA[name] for name in DATA if name != "notes"}))) == {
            "actor",
            "data",
            "id",
            "source",
            "stream",
            "time",
            "type",
            "v",
        }

    @pytest.mark.parametrize("name", ["dataschema", "traceparent", "tracestate", "datacontenttype"])
    def test_some_attributes_are_accepted_and_not_kept(self, name):
        value = "application/json" if name == "datacontenttype" else "https://example.org/kept-nowhere"
        assert value.encode() not in prepare(event(**{name: value}), LOCAL).body

    @pytest.mark.parametrize(
        "media_type",
        [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json ;charset=utf-8",
            "text/json",
            "application/vnd.example.v1+json",
            "application/cloudevents+json",
        ],
    )
    def test_data_of_any_json_media_type(self, media_type):
        prepare(event(datacontenttype=media_type), LOCAL)

    def test_spacing_key_order_and_escapes_do_not_matter(self):
        plain = json.dumps(BASE, ensure_ascii=False).encode()
        other = json.dumps(dict(reversed(BASE.items())), indent=3).replace('"id"', '"\\u0069d"').encode()
        assert (
            difference(prepare(other, LOCAL), msgspec.json.decode(prepare(plain, LOCAL).body, type=entry.EventBody), {})
            is None
        )

    def test_raw_json_as_well_as_bytes(self):
        (raw,) = msgspec.json.decode(b"[%b]" % event(), type=list[Raw])
        assert prepare(raw, LOCAL).stream == "reservation:R-1"

    @pytest.mark.parametrize("identity", ["a", "A-z.0_9", "a:b:c", "x" * 128, "-", ".", "a:"])
    def test_ids_of_streams_and_members(self, identity):
        kept = body(event(subject=f"reservation:{identity}", member=identity))
        assert kept["stream"] == f"reservation:{identity}"
        assert kept["member"] == identity

    def test_an_event_on_a_member_carries_that_member(self):
        raw = {"type": "member.registered", "subject": "member:M-1", "data": {}}
        assert prepare(event(**raw), LOCAL).member == "M-1"
        assert body(event(**raw, member="M-1"))["member"] == "M-1"

    def test_text_of_any_kind_in_private_fields(self):
        text = '\x00\x1f\x7f"\\/é\u2028\U0001f600'
        assert prepare(event(data={**DATA, "notes": text}), LOCAL).private["notes"] == text

    def test_a_record_keeps_each_field_private_under_its_own_name(self):
        fields = {"b": None, "a": {"z": [1, "x"], "y": True}}
        prepared = prepare(event(**RECORD, data={"collection": "clients", "fields": fields}), LOCAL)
        assert json.loads(prepared.body)["data"] == {"collection": "clients"}
        assert prepared.names == ("a", "b")
        assert dict(map(privacy.open_disclosure, prepared.disclosures)) == fields

    def test_no_private_value_enters_the_body(self):
        marker = "unmistakable-4711"
        raw = event(
            type="member.registered", subject="member:M-1", data={"name": marker, "email": f"{marker}@example.org"}
        )
        assert marker.encode() not in prepare(raw, LOCAL).body

    def test_two_preparations_commit_with_different_salts(self):
        assert body(event())["private"] != body(event())["private"]


class TestRoles:
    def test_an_actor_left_out_is_the_credential(self):
        assert body(event(), SERVICE)["actor"] == {"id": "portal", "role": "service"}
        assert body(event(actor="x"), SERVICE)["actor"] == {"id": "x", "role": "service"}
        assert body(event(actorrole="client"), SERVICE)["actor"] == {"id": "portal", "role": "client"}

    @pytest.mark.parametrize("role", ["client", "staff", "service"])
    def test_a_service_may_speak_for_its_roles(self, role):
        assert prepare(event(actorrole=role), SERVICE).actor_role == role

    @pytest.mark.parametrize(
        ("role", "credential"),
        [("admin", SERVICE), ("system", SERVICE), ("system", ADMIN), ("system", LOCAL), ("service", ADMIN)],
    )
    def test_and_for_no_other(self, role, credential):
        error = fault(event(actorrole=role), RoleDenied, credential)
        assert error.path == "$.actorrole"
        assert role in error.detail

    def test_a_role_that_does_not_exist_is_invalid(self):
        assert fault(event(actorrole="owner")).path == "$.actorrole"

    def test_a_credential_whose_own_role_it_may_not_assert_has_to_name_one(self):
        odd = Credential(id="odd", role="service", actor="odd", actor_role="admin")
        fault(event(), RoleDenied, odd)
        prepare(event(actorrole="staff"), odd)

    def test_only_an_admin_forces(self):
        assert prepare(event(forced="import"), ADMIN).forced == "import"
        assert prepare(event(forced="import", actorrole="admin"), LOCAL).forced == "import"
        assert fault(event(forced="import"), RoleDenied, SERVICE).path == "$.forced"
        assert fault(event(forced="import", actorrole="staff"), RoleDenied, ADMIN).path == "$.forced"

    @pytest.mark.parametrize("name", [name for name in catalog.names() if catalog.get(name).issued_by_ledger])
    def test_nobody_posts_what_the_ledger_itself_writes(self, name):
        data = EXAMPLES[name][0]
        raw = {"type": name, "subject": stream_of(name), "data": data}
        for credential in (LOCAL, ADMIN, SERVICE):
            assert fault(event(**raw), RoleDenied, credential).path == "$.type"
        assert body(event(**raw), SYSTEM)["actor"] == {"id": "ledger", "role": "system"}

    def test_there_are_such_types(self):
        assert {"ledger.created", "ledger.key_rotated", "member.erased", "record.purged"} <= {
            name for name in catalog.names() if catalog.get(name).issued_by_ledger
        }


class TestSize:
    def test_a_disclosure_has_at_most_65_535_bytes(self):
        longest = "x" * (49_151 - len('["","notes",""]') - 22)
        (disclosure,) = prepare(event(data={**DATA, "notes": longest}), LOCAL).disclosures
        assert len(disclosure) == 65_535
        assert fault(event(data={**DATA, "notes": longest + "x"}), OversizedEvent).path == "$.data.notes"

    def test_bytes_count_and_not_characters(self):
        fault(event(data={**DATA, "notes": "é" * 25_000}), OversizedEvent)

    def test_a_body_that_can_never_be_an_entry_is_refused(self, monkeypatch):
        size = len(prepare(event(), LOCAL).body)
        monkeypatch.setattr(ledger.event, "MAX_ENTRY", size)
        prepare(event(), LOCAL)
        monkeypatch.setattr(ledger.event, "MAX_ENTRY", size - 1)
        assert fault(event(), OversizedEvent).path == "$"

    def test_the_fullest_record_is_no_entry_too_large(self):
        fields = {f"{n:03}".rjust(64, "x"): n for n in range(512)}
        raw = event(
            **RECORD,
            id='"' * 256,
            source="s" * 512,
            correlationid="\\" * 256,
            tags=" ".join(f"{n:02}" * 32 for n in range(32)),
            data={"collection": "c" * 64, "fields": fields},
        )
        assert len(stored(raw)) <= entry.MAX_ENTRY

    def test_what_is_too_long_for_any_event_is_not_even_read(self):
        spaces = b" " * (ledger.event.MAX_EVENT_BODY - len(event()))
        prepare(event() + spaces, LOCAL)
        assert fault(event() + spaces + b" ", OversizedEvent).path == "$"
        fault(b"\xff" * (ledger.event.MAX_EVENT_BODY + 1), OversizedEvent)


class TestAnything:
    @given(st.binary(max_size=100))
    def test_arbitrary_bytes_are_refused_as_events(self, raw):
        with pytest.raises(EventError):
            prepare(raw, LOCAL)

    @given(st.sampled_from([*BASE, "member", "actor", "tags", "forced", "correlationid", "datacontenttype"]), JSON)
    def test_any_json_in_any_attribute_is_taken_or_refused(self, name, value):
        try:
            prepared = prepare(event(**{name: value}), LOCAL)
        except EventError:
            return
        assert prepared.body == rfc8785.dumps(json.loads(prepared.body))

    @given(st.integers(0, len(event()) - 1), st.integers(0, 255))
    def test_one_changed_byte_is_taken_or_refused(self, at, byte):
        raw = bytearray(event())
        raw[at] = byte
        try:
            prepared = prepare(bytes(raw), LOCAL)
        except EventError:
            return
        assert prepared.body == rfc8785.dumps(json.loads(prepared.body))


GOOD = ["x", "a.b", "UNSET", "reservation:R-1", "x" * 128]
BAD = ["", " ", "a b", "x ", " x", "x\n", "é", "a\x00", "x" * 513, "Reservation:x", 'q"', "\\", "\ud83d\ude00", 1, None]
PATTERNED = ("id", "source", "subject", "member", "actor")


class TestEnvelopeAtOnce:
    """The patterns of five attributes are matched as one; nobody may notice."""

    @given(
        st.dictionaries(st.sampled_from(PATTERNED), st.sampled_from(GOOD + BAD)),
        st.dictionaries(st.sampled_from(["tags", "time", "specversion", "unknown"]), st.sampled_from(GOOD + BAD)),
        st.randoms(use_true_random=False),
    )
    def test_it_is_read_and_refused_as_each_attribute_declares(self, patterned, others, chance):
        attributes = list({**BASE, **patterned, **others}.items())
        chance.shuffle(attributes)
        raw = json.dumps(dict(attributes)).encode()
        try:
            declared = msgspec.json.decode(raw, type=CloudEvent)
        except msgspec.ValidationError as error:
            expected = ledger.event.fault(error)
            refused = fault(raw)
            assert (refused.path, refused.detail) == (expected.path, expected.detail)
        else:
            assert msgspec.structs.asdict(ledger.event._read(raw)) == msgspec.structs.asdict(declared)

    @given(st.integers(0, len(event(member="M-1", actor="x")) - 1), st.integers(0, 255))
    def test_so_it_is_with_one_changed_byte(self, at, byte):
        raw = bytearray(event(member="M-1", actor="x"))
        raw[at] = byte
        try:
            msgspec.json.decode(bytes(raw), type=CloudEvent)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            expected = ledger.event.fault(error)
            refused = fault(bytes(raw), type(expected))
            assert (refused.path, refused.detail) == (expected.path, expected.detail)
        else:
            ledger.event._read(bytes(raw))

    def test_a_number_among_the_attributes_hides_no_key_given_twice(self):
        twice = event(expectedversion=1)[:-1] + b',"id":"e-1"}'
        assert fault(twice, MalformedEvent).path == "$.id"
        assert prepare(event(expectedversion=1), LOCAL).expected_version == 1
