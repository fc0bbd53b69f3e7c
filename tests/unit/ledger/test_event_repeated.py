import datetime as dt
import json

import msgspec
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent as SDKEvent

from ledger import catalog, entry
from ledger.event import LOCAL, SYSTEM, difference, prepare, to_cloudevent
from tests.unit.ledger.catalog.examples import EXAMPLES, stream_of
from tests.unit.ledger.events import DATA, RECORD, SERVICE, body, compare, event, record, stored

FULL = {"member": "M-1", "actor": "staff-7", "actorrole": "staff", "correlationid": "c", "tags": "a b"}


class TestDifference:
    def test_a_retry_has_none(self):
        assert compare(event(**FULL), event(**FULL)) is None

    def test_another_spelling_of_the_same_is_a_retry(self):
        again = event(**{**FULL, "tags": "b a b"}, time="2026-03-01T10:30:00.000+01:00", dataschema="urn:x")
        assert compare(event(**FULL), again) is None

    @pytest.mark.parametrize(
        ("changed", "named"),
        [
            ({"type": "reservation.confirmed", "data": {"notes": "for Zoë"}}, "type"),
            ({"subject": "reservation:R-2"}, "stream"),
            ({"member": "M-2"}, "member"),
            ({"member": ...}, "member"),
            ({"time": "2026-03-01T09:30:00.000000001Z"}, "time"),
            ({"correlationid": "d"}, "correlation"),
            ({"correlationid": ...}, "correlation"),
            ({"tags": "a"}, "tags"),
            ({"tags": ...}, "tags"),
            ({"forced": "fix", "actorrole": "admin"}, "forced"),
            ({"actor": "staff-8"}, "actor"),
            ({"actorrole": "client"}, "actorrole"),
            ({"data": {**DATA, "half_shelves": 2}}, "data"),
            ({"data": {**DATA, "channel": "desk"}}, "data"),
            ({"data": {**DATA, "notes": "for Zoe"}}, "value of data.notes"),
            ({"data": {name: DATA[name] for name in DATA if name != "notes"}}, "set of private fields"),
        ],
    )
    def test_each_attribute_that_differs_is_named(self, changed, named):
        assert compare(event(**FULL), event(**{**FULL, **changed})) == named

    def test_an_actor_left_to_the_credential_is_not_compared(self):
        silent = event(**{**FULL, "actor": ..., "actorrole": ...})
        assert compare(event(**FULL), silent) is None
        assert compare(event(), event(), second_by=SERVICE) is None

    def test_public_values_that_only_python_holds_equal_differ(self):
        def visited(value):
            data = {"collection": "clients", "fields": {"name": "Ada"}, "public": {"visits": value}}
            return event(**RECORD, data=data)

        assert compare(visited(1), visited(True)) == "data"
        assert compare(visited(1), visited(1)) is None

    def test_erased_values_compare_as_equal_and_the_others_still_count(self):
        kind = {"type": "member.registered", "subject": "member:M-1"}
        first = event(**kind, data={"name": "Zoë", "email": "z@example.org"})
        second = event(**kind, data={"name": "Ada", "email": "z@example.org"})
        assert compare(first, second) == "value of data.name"
        assert compare(first, second, disclosed={}) is None
        assert compare(first, second, disclosed={"email": "z@example.org"}) is None
        assert compare(first, second, disclosed={"name": "Zoë"}) == "value of data.name"

    @pytest.mark.parametrize(
        ("one", "other"),
        [(b"1", b"true"), (b"0", b"false"), (b"[1]", b"[true]"), (b"null", b'""'), (b"1", b'"1"'), (b"[]", b"{}")],
    )
    def test_values_that_only_python_holds_equal_differ(self, one, other):
        assert compare(record(one), record(other)) == "value of data.a"
        assert compare(record(one), record(one)) is None

    def test_the_order_of_keys_in_a_private_value_does_not_matter(self):
        assert compare(record(b'{"a":1,"b":2}'), record(b'{"b":2,"a":1}')) is None

    def test_fields_of_a_record_that_come_or_go_differ(self):
        other = event(**RECORD, data={"collection": "clients", "fields": {"b": 1}})
        assert compare(record(b"1"), other) == "set of private fields"


class TestOut:
    def test_an_entry_goes_out_as_it_came_in_with_its_seal(self):
        raw = event(**FULL, forced=...)
        out = to_cloudevent(stored(raw), {"notes": "for Zoë"})
        assert out == {
            **json.loads(raw),
            "datacontenttype": "application/json",
            "ledgerposition": 7,
            "ledgerversion": 2,
            "ledgerrecorded": "2026-03-01T09:30:01.000000Z",
        }

    def test_private_values_stay_out_unless_given(self):
        out = to_cloudevent(stored(event()))
        assert "notes" not in out["data"]
        assert "member" not in out

    @pytest.mark.parametrize("name", sorted(EXAMPLES))
    @pytest.mark.parametrize("which", [0, 1])
    def test_what_goes_out_can_come_in_again_without_a_difference(self, name, which):
        credential = SYSTEM if catalog.get(name).issued_by_ledger else LOCAL
        raw = event(type=name, subject=stream_of(name), data=EXAMPLES[name][which], tags="b a", correlationid="c")
        prepared = prepare(raw, credential)
        out = to_cloudevent(stored(raw, credential), prepared.private)
        assert out["data"] == json.loads(raw)["data"]
        again = {attribute: value for attribute, value in out.items() if not attribute.startswith("ledger")}
        second = prepare(json.dumps(again).encode(), credential)
        assert difference(second, msgspec.json.decode(prepared.body, type=entry.EventBody), prepared.private) is None

    def test_the_public_sdk_reads_what_goes_out(self):
        out = to_cloudevent(stored(event()), {})
        headers = {"content-type": "application/cloudevents+json"}
        read = from_structured_event(HTTPMessage(headers=headers, body=json.dumps(out).encode()))
        assert read.get_subject() == "reservation:R-1"
        assert read.get_extension("ledgerposition") == 7
        assert read.get_data()["half_shelves"] == 1


class TestPublicSDK:
    def attributes(self, **more):
        return {
            "id": "e-1",
            "source": "urn:test",
            "type": "reservation.requested",
            "subject": "reservation:R-1",
            "specversion": "1.0",
            "time": dt.datetime(2026, 3, 1, 9, 30, 0, 250_000, dt.UTC),
            **more,
        }

    def test_its_structured_json_is_accepted_as_is(self):
        sent = to_structured_event(SDKEvent(self.attributes(), DATA))
        assert body(sent.body)["time"] == "2026-03-01T09:30:00.25Z"
        assert compare(event(time="2026-03-01T09:30:00.25Z"), sent.body) is None

    def test_with_all_extensions_too(self):
        extensions = {
            "member": "M-1",
            "actor": "staff-7",
            "actorrole": "staff",
            "expectedversion": 3,
            "correlationid": "c-1",
            "tags": "a b",
            "datacontenttype": "application/json",
            "dataschema": "https://example.org/schema",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "tracestate": "rojo=00f067aa0ba902b7",
        }
        sent = to_structured_event(SDKEvent(self.attributes(**extensions), DATA))
        prepared = prepare(sent.body, LOCAL)
        assert prepared.expected_version == 3
        assert json.loads(prepared.body)["actor"] == {"id": "staff-7", "role": "staff"}

    def test_forced_by_an_admin_too(self):
        sent = to_structured_event(SDKEvent(self.attributes(forced="import", actorrole="admin"), DATA))
        assert prepare(sent.body, LOCAL).forced == "import"
