import json

import pytest

from ledger.errors import MalformedEvent
from ledger.event import LOCAL, prepare
from tests.unit.ledger.events import BASE, DATA, RECORD, event, fault, record


class TestMalformed:
    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"{",
            b"nonsense",
            event() + b"x",
            event() + event(),
            b"\xef\xbb\xbf" + event(),
            event().decode().encode("utf-16"),
            event().replace(b'"e-1"', b'"e-1\n"'),
            event().replace(b'"e-1"', b"'e-1'"),
            event().replace(b'"e-1"', b"NaN"),
            event().replace(b'"e-1"', b'"e-\xff"'),
            event().replace(b'"e-1"', b'"\xed\xa0\x80"'),
            event().replace(b'"e-1"', b'"\\ud800"'),
            event().replace(b'"e-1"', b'"\\udc00\\ud800"'),
            event().replace(b'"id"', b'"i\xff"'),
        ],
    )
    def test_what_is_not_one_json_text_in_utf8(self, raw):
        assert fault(raw, MalformedEvent).path == "$"

    @pytest.mark.parametrize("text", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\xaf"', b'{"\xff":1}'])
    def test_bad_utf8_in_data(self, text):
        error = fault(record(text), MalformedEvent)
        assert error.path == "$.data"
        assert "UTF-8" in error.detail

    @pytest.mark.parametrize("text", [b'"\\ud800"', b'"x\\udfff"', b'"\\udc00\\ud800"', b'["\\ud83d","\\ude00"]'])
    def test_lone_surrogates_in_data(self, text):
        fault(record(text), MalformedEvent)

    @pytest.mark.parametrize(
        "text", [b"NaN", b"Infinity", b"-Infinity", b"01", b"+1", b"1_0", b"tru", b'"\t"', b"[1,]"]
    )
    def test_bad_syntax_in_data(self, text):
        fault(record(text), MalformedEvent)

    @pytest.mark.parametrize(
        ("raw", "path"),
        [
            (b'{"id":"e-1",' + event()[1:], "$.id"),
            (b'{"\\u0069d":"e-1",' + event()[1:], "$.id"),
            (b'{"data":{},' + event()[1:], "$.data"),
            (event()[:-1] + b',"data":%b}' % json.dumps(DATA).encode(), "$.data"),
            (event().replace(b'"half_shelves"', b'"firing_type":"bisque","half_shelves"'), "$.data.firing_type"),
            (event().replace(b'"half_shelves"', b'"firing\\u005ftype":"glaze","half_shelves"'), "$.data.firing_type"),
            (event().replace(b'"latest"', b'"earliest":"2026-03-02","latest"'), "$.data.window.earliest"),
            (record(b'{"k":1,"k":2}'), "$.data.fields.a.k"),
            (record(b'[{"k":"\\"","\\u006b":2}]'), "$.data.fields.a[0].k"),
            (record(b'1,"a":1'), "$.data.fields.a"),
            (record(b'{"":{"":1,"":1}}'), "$.data.fields.a.."),
        ],
    )
    def test_a_key_twice_in_one_object(self, raw, path):
        error = fault(raw, MalformedEvent)
        assert error.path == path
        assert "twice" in error.detail


class TestEnvelope:
    @pytest.mark.parametrize("raw", [b"[]", b"1", b'"x"', b"null", b"true"])
    def test_is_an_object(self, raw):
        assert fault(raw).path == "$"

    @pytest.mark.parametrize("name", list(BASE))
    def test_has_every_required_attribute(self, name):
        error = fault(event(**{name: ...}))
        assert error.path == f"$.{name}"
        assert "required" in error.detail

    @pytest.mark.parametrize(
        "name", ["Id", "ID", "stream", "position", "seal", "data_base64", "x", "", "actor_role", "recorded", "é", "a.b"]
    )
    def test_has_no_unknown_attribute(self, name):
        assert fault(event(**{name: "x"})).path == f"$.{name}"

    @pytest.mark.parametrize("value", [None, 1, 1.5, True, [], {}])
    @pytest.mark.parametrize(
        "name",
        [
            *(name for name in BASE if name != "data"),
            "member",
            "actor",
            "actorrole",
            "correlationid",
            "tags",
            "forced",
            "datacontenttype",
            "dataschema",
            "traceparent",
            "tracestate",
        ],
    )
    def test_holds_text_where_it_should(self, name, value):
        assert fault(event(**{name: value})).path == f"$.{name}"

    @pytest.mark.parametrize("value", [None, "1", 1.0, 1.5, True, -1, 2**53, 2**64, [], {}])
    def test_holds_a_version_that_is_a_small_natural_number(self, value):
        assert fault(event(expectedversion=value)).path == "$.expectedversion"

    @pytest.mark.parametrize("value", [0, 1, 2**53 - 1])
    def test_holds_any_version_below_2_to_the_53(self, value):
        assert prepare(event(expectedversion=value), LOCAL).expected_version == value

    @pytest.mark.parametrize("value", ["0.3", "1", "1.0 ", "1.0\n", "2.0"])
    def test_has_specversion_1_0(self, value):
        assert fault(event(specversion=value)).path == "$.specversion"

    @pytest.mark.parametrize(
        ("name", "longest", "bad"),
        [
            ("id", "i" * 256, ["", "a b", "é", "a\t", "\x7f", "i" * 257]),
            ("source", "s" * 512, ["", "a b", "é", '"', "<x>", "{}", "\\", "^", "`", "|", "s" * 513]),
            ("correlationid", "~!" * 128, ["", "a b", "é", "c" * 257]),
            ("member", "m" * 128, ["", ":m", "a b", "é", "a/b", "m" * 129]),
            ("actor", "a" * 128, ["", ":a", "a b", "é", "a" * 129]),
            (
                "tags",
                " ".join(["t" * 64] * 32),
                ["", " ", " a", "a ", "a  b", "a\tb", "a,b", "t" * 65, " ".join(["t"] * 33)],
            ),
            ("forced", "f" * 64, ["", "A", "_a", "-a", "a b", "é", "f" * 65]),
            (
                "subject",
                "reservation:" + "r" * 128,
                [
                    "",
                    "reservation",
                    "reservation:",
                    "reservation::r",
                    ":r",
                    "reservation: r",
                    "reservation:r/s",
                    "reservation:é",
                    "Reservation:r",
                    "reservation:" + "r" * 129,
                ],
            ),
        ],
    )
    def test_keeps_each_attribute_to_its_alphabet_and_length(self, name, longest, bad):
        prepare(event(**{name: longest}), LOCAL)
        for value in bad:
            assert fault(event(**{name: value})).path == f"$.{name}"

    @pytest.mark.parametrize(
        "name",
        [
            "id",
            "source",
            "subject",
            "member",
            "actor",
            "correlationid",
            "tags",
            "forced",
            "time",
            "type",
            "specversion",
        ],
    )
    @pytest.mark.parametrize("ending", ["\n", "\r", "\r\n", "\u2028", "\x00", " "])
    def test_refuses_a_line_end_after_a_good_value(self, name, ending):
        good = {"member": "m", "actor": "a", "correlationid": "c", "tags": "t", "forced": "f", **BASE}
        prepare(event(**{name: good[name]}), LOCAL)
        assert fault(event(**{name: good[name] + ending})).path == f"$.{name}"

    @pytest.mark.parametrize("name", ["dataschema", "traceparent", "tracestate"])
    def test_limits_even_what_it_does_not_keep(self, name):
        prepare(event(**{name: "x" * 4096}), LOCAL)
        assert fault(event(**{name: "x" * 4097})).path == f"$.{name}"

    @pytest.mark.parametrize(
        "media_type",
        [
            "",
            "text/plain",
            "application/xml",
            "+json",
            "/json",
            "json",
            "application/",
            "application/jsonx",
            "a b/c+json",
            "application/json\n",
            "application/json" + " " * 256,
        ],
    )
    def test_refuses_data_that_is_not_json_by_its_media_type(self, media_type):
        assert fault(event(datacontenttype=media_type)).path == "$.datacontenttype"

    @pytest.mark.parametrize(
        "time",
        [
            "2026-03-01T09:30:00",
            "2026-02-29T09:30:00Z",
            "2026-03-01T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2026-03-01",
            "",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "2026-03-01T09:30:00+24:00",
            "1767225600",
            "now",
        ],
    )
    def test_refuses_naive_and_impossible_times(self, time):
        assert fault(event(time=time)).path == "$.time"

    def test_names_near_types_for_an_unknown_one(self):
        error = fault(event(type="reservation.request"))
        assert error.path == "$.type"
        assert "reservation.requested" in error.advice

    @pytest.mark.parametrize("name", ["", "reservation", "reservation.", "RESERVATION.REQUESTED", "x" * 100_000])
    def test_refuses_unknown_types_in_few_words(self, name):
        error = fault(event(type=name))
        assert error.path == "$.type"
        assert len(str(error)) < 300

    def test_refuses_a_stream_of_another_kind(self):
        for subject in ("member:R-1", "reservations:R-1", "record:reservation:R-1"):
            assert fault(event(subject=subject)).path == "$.subject"

    def test_refuses_another_member_than_the_stream_names(self):
        error = fault(event(type="member.registered", subject="member:M-1", member="M-2", data={}))
        assert error.path == "$.member"


class TestData:
    @pytest.mark.parametrize("value", [None, 1, "{}", [], True, 1.5])
    def test_is_an_object(self, value):
        assert fault(event(data=value)).path == "$.data"

    @pytest.mark.parametrize(
        ("changed", "path"),
        [
            ({"half_shelves": 2.0}, "$.data.half_shelves"),
            ({"half_shelves": 1.5}, "$.data.half_shelves"),
            ({"half_shelves": "2"}, "$.data.half_shelves"),
            ({"half_shelves": True}, "$.data.half_shelves"),
            ({"half_shelves": None}, "$.data.half_shelves"),
            ({"half_shelves": 0}, "$.data.half_shelves"),
            ({"half_shelves": 2**53}, "$.data.half_shelves"),
            ({"half_shelves": 10**30}, "$.data.half_shelves"),
            ({"firing_type": "raku"}, "$.data.firing_type"),
            ({"notes": None}, "$.data.notes"),
            ({"notes": 1}, "$.data.notes"),
            ({"nutes": "x"}, "$.data.nutes"),
            ({"add_ons": ["wax", "Wax"]}, "$.data.add_ons[1]"),
            ({"add_ons": ["wax\n"]}, "$.data.add_ons[0]"),
            ({"window": {"earliest": "2026-03-02"}}, "$.data.window.latest"),
            ({"window": {"earliest": "2026-03-02", "latest": "2026-03-03", "x": 1}}, "$.data.window.x"),
            ({"window": {"earliest": "2026-02-30", "latest": "2026-03-03"}}, "$.data.window.earliest"),
            ({"window": {"earliest": "2026-03-04", "latest": "2026-03-03"}}, "$.data.window"),
            ({"resources": {"special_handling": ["a", 1]}}, "$.data.resources.special_handling[1]"),
        ],
    )
    def test_is_held_to_its_type_with_the_path_of_the_fault(self, changed, path):
        assert fault(event(data={**DATA, **changed})).path == path

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            (b"1.0", "$.data.fields.a"),
            (b"-0.0", "$.data.fields.a"),
            (b"1e2", "$.data.fields.a"),
            (b'{"b":[0,{"c":0.5}]}', "$.data.fields.a.b[1].c"),
            (b"9007199254740992", "$.data.fields.a"),
            (b"-9007199254740992", "$.data.fields.a"),
            (b"[18446744073709551616]", "$.data.fields.a[0]"),
            (b'{"\xc3\xa9":1}', "$.data.fields.a"),
        ],
    )
    def test_of_a_record_is_restricted_json(self, text, path):
        assert fault(record(text)).path == path

    @pytest.mark.parametrize("text", [b"1e400", b"1" * 400, b"1" * 5000, b'["\\n",%b]' % (b"1" * 5000)])
    def test_with_numbers_beyond_all_bounds_is_refused(self, text):
        assert fault(record(text)).path.startswith("$.data.fields")

    @pytest.mark.parametrize("depth", [33, 300, 3000, 300_000])
    @pytest.mark.parametrize("leaf", [b"", b'"\\n"', b'{"a":1,"a":2}'])
    def test_nested_too_deeply_is_refused(self, depth, leaf):
        fault(record(b"[" * depth + leaf + b"]" * depth))

    def test_as_deep_as_allowed_comes_through(self):
        deep = b"[" * 32 + b"]" * 32
        assert prepare(record(deep), LOCAL).private["a"] == json.loads(deep)

    @pytest.mark.parametrize("name", ["", "a b", "é", "1a", "a\n", "x" * 65])
    def test_of_a_record_has_decent_field_names(self, name):
        error = fault(event(**RECORD, data={"collection": "clients", "fields": {name: 1}}))
        assert error.path == "$.data.fields"
