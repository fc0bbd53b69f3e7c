import json
import string

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger import canonical
from ledger.errors import EventError, InvalidEvent, MalformedEvent

ASCII = st.characters(max_codepoint=127)
INTEGERS = st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(ASCII, max_size=6), inner, max_size=5),
    max_leaves=20,
)


def nested(depth):
    return b"[" * depth + b"]" * depth


def refused(raw, error=EventError):
    with pytest.raises(error) as caught:
        canonical.loads(raw)
    return caught.value


class TestPublicVectors:
    @pytest.mark.parametrize("name", ["arrays", "unicode"])
    def test_what_the_restriction_allows_comes_out_as_published(self, shared, name):
        value = canonical.loads((shared / f"vectors/jcs/input/{name}.json").read_bytes())
        assert canonical.dumps(value) == (shared / f"vectors/jcs/output/{name}.json").read_bytes()

    @pytest.mark.parametrize(
        ("name", "fault"),
        [("french", "ASCII"), ("weird", "ASCII"), ("structures", "no float"), ("values", "no float")],
    )
    def test_what_the_restriction_excludes_is_refused(self, shared, name, fault):
        raw = (shared / f"vectors/jcs/input/{name}.json").read_bytes()
        assert fault in refused(raw, InvalidEvent).detail
        with pytest.raises(InvalidEvent, match=fault):
            canonical.dumps(json.loads(raw))

    def test_each_published_output_that_is_allowed_reads_and_writes_as_itself(self, shared):
        for name in ("arrays", "unicode"):
            raw = (shared / f"vectors/jcs/output/{name}.json").read_bytes()
            assert canonical.dumps(canonical.loads(raw)) == raw

    def test_the_published_numbers_are_kept_where_they_are_small_integers_and_else_refused(self, shared):
        kept = 0
        for case in json.loads((shared / "vectors/jcs/numbers.json").read_bytes()):
            text = case["expected"]
            if text is None:
                continue
            value = json.loads(text)
            if isinstance(value, int) and abs(value) <= canonical.MAX_INTEGER:
                assert canonical.dumps(canonical.loads(text.encode())) == text.encode()
                kept += 1
            else:
                refused(text.encode(), InvalidEvent)
        assert kept == 2  # zero and negative zero; the others are fractions or too large


class TestAgainstTheOracle:
    @given(VALUES)
    def test_the_bytes_are_those_of_rfc8785(self, value):
        assert canonical.dumps(value) == rfc8785.dumps(value)

    @given(VALUES)
    def test_reading_takes_back_what_was_written(self, value):
        raw = canonical.dumps(value)
        assert canonical.loads(raw) == value
        assert canonical.dumps(canonical.loads(raw)) == raw

    @given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
    def test_spacing_escapes_and_order_do_not_matter_to_the_reader(self, value, indent, ascii_only):
        raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
        assert canonical.dumps(canonical.loads(raw)) == rfc8785.dumps(value)

    def test_every_ascii_character_is_escaped_as_rfc8785_says(self):
        for code in range(128):
            assert canonical.dumps({chr(code): chr(code)}) == rfc8785.dumps({chr(code): chr(code)})

    def test_keys_are_sorted_at_every_level(self):
        value = {"b": [{"z": 1, "A": 2, "_": 3, "a": 4}], "a": 1, "B": 2, "": 3, "a-": 4, "aa": 5}
        assert canonical.dumps(value) == rfc8785.dumps(value)
        assert canonical.dumps(value).startswith(b'{"":3,"B":2,"a":1,"a-":4,"aa":5,')


class TestNumbers:
    @pytest.mark.parametrize("value", [2**53 - 1, -(2**53) + 1, 0, -1])
    def test_integers_below_2_to_the_53_are_kept(self, value):
        assert canonical.loads(canonical.dumps({"n": value})) == {"n": value}

    @pytest.mark.parametrize("value", [2**53, -(2**53), 2**63, 2**64, -(2**64), 10**400])
    def test_greater_ones_are_refused_with_their_path(self, value):
        with pytest.raises(InvalidEvent) as caught:
            canonical.dumps([{"n": value}])
        assert caught.value.path == "$[0].n"
        refused(json.dumps([{"n": value}]).encode())

    @pytest.mark.parametrize("text", ["1.0", "-0.0", "1e2", "1E2", "1e-7", "56.0", "18446744073709551616"])
    def test_floats_are_refused_however_they_are_spelt(self, text):
        assert refused(f'{{"a":[0,{text}]}}'.encode(), InvalidEvent).path == "$.a[1]"

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.0, -0.0])
    def test_floats_given_as_values_are_refused(self, value):
        with pytest.raises(InvalidEvent, match="no float"):
            canonical.dumps({"a": value})

    def test_a_negative_zero_has_one_spelling(self):
        assert canonical.dumps(canonical.loads(b"-0")) == b"0"

    @pytest.mark.parametrize(
        "text", ["NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "0x1", "1_000", "٧", "- 1"]
    )
    def test_what_is_no_json_number_is_no_json(self, text):
        refused(text.encode(), MalformedEvent)

    def test_a_boolean_is_no_integer(self):
        assert canonical.dumps([True, 1, False, 0]) == b"[true,1,false,0]"


class TestDuplicateKeys:
    @pytest.mark.parametrize(
        ("raw", "path"),
        [
            (b'{"a":1,"a":2}', "$.a"),
            (b'{"a":1,"a":1}', "$.a"),
            (b'{"a":"x","b":0,"a":"y"}', "$.a"),
            (b'{"a":1,"\\u0061":2}', "$.a"),
            (b'{"\\u0061":1,"a":"\\""}', "$.a"),
            (b'{"a":[{"b":{"c":1,"c":2}}]}', "$.a[0].b.c"),
            (b'[0,[{"":1,"":2}]]', "$[1][0]."),
            (b'{\n\t"a" : 1 ,\r\n "a" : 2 }', "$.a"),
            (b'{"x":"\\"a\\":1","a":1,"a":2}', "$.a"),
            (b'{"a":{"a":1},"b":{"a":1,"b":2,"b":3}}', "$.b.b"),
        ],
    )
    def test_are_refused_at_their_path(self, raw, path):
        assert refused(raw, MalformedEvent).path == path

    @pytest.mark.parametrize(
        "raw", [b'{"a":{"a":{"a":1}}}', b'[{"a":1},{"a":1}]', b'{"a":"a\\"a\\":1,\\"a"}', b'{"a":1,"A":2}']
    )
    def test_are_not_seen_where_there_are_none(self, raw):
        assert canonical.loads(raw) == json.loads(raw)

    @given(st.data())
    def test_are_found_wherever_they_are_put(self, data):
        value = data.draw(st.dictionaries(st.text(ASCII, min_size=1, max_size=4), VALUES, min_size=1, max_size=4))
        key = data.draw(st.sampled_from(sorted(value)))
        spelt = json.dumps(key) if data.draw(st.booleans()) else '"' + "".join(f"\\u{ord(c):04x}" for c in key) + '"'
        again = json.dumps(data.draw(VALUES), ensure_ascii=data.draw(st.booleans()))
        raw = json.dumps(value)[:-1] + f", {spelt}: {again}}}"
        wrapped = raw
        for _ in range(data.draw(st.integers(0, 3))):
            wrapped = data.draw(st.sampled_from(['{{"w": {}}}', "[1, {}]"])).format(wrapped)
        refused(wrapped.encode(), MalformedEvent)


class TestText:
    @pytest.mark.parametrize("raw", [b'"\\ud800"', b'"\\udc00"', b'"\\udc00\\ud800"', b'"\\ud83dx"', b'"\xed\xa0\x80"'])
    def test_lone_surrogates_are_refused(self, raw):
        refused(b'{"a":%b}' % raw, MalformedEvent)

    def test_lone_surrogates_given_as_values_are_refused_with_their_path(self):
        with pytest.raises(InvalidEvent, match="surrogate") as caught:
            canonical.dumps({"a": ["fine", "\ud800"]})
        assert caught.value.path == "$.a[1]"
        with pytest.raises(InvalidEvent):
            canonical.dumps({"\ud800": 1})

    @pytest.mark.parametrize(
        "raw", [b'"\xff"', b'"\xc0\xaf"', b'"\xf5\x80\x80\x80"', b'"\xe2\x82"', b'"\x01"', b'"\n"']
    )
    def test_bad_utf8_and_raw_control_characters_are_refused(self, raw):
        refused(raw, MalformedEvent)

    def test_a_surrogate_pair_is_one_character(self):
        assert canonical.dumps(canonical.loads(b'"\\ud83d\\ude00"')) == '"\U0001f600"'.encode()

    def test_text_is_not_normalised(self):
        assert canonical.dumps("A\u030a") != canonical.dumps("\u00c5")

    @pytest.mark.parametrize("key", ["é", "\x80", "\U0001f600"])
    def test_keys_beyond_ascii_are_refused_at_their_object(self, key):
        with pytest.raises(InvalidEvent, match="ASCII keys") as caught:
            canonical.dumps({"a": {key: 1}})
        assert caught.value.path == "$.a"
        assert refused(json.dumps({"a": {key: 1}}).encode(), InvalidEvent).path == "$.a"


class TestShape:
    def test_as_many_levels_as_allowed_are_kept_and_one_more_is_refused(self):
        deepest = nested(canonical.MAX_DEPTH)
        assert canonical.dumps(canonical.loads(deepest)) == deepest
        assert "levels" in refused(nested(canonical.MAX_DEPTH + 1), InvalidEvent).detail

    @pytest.mark.parametrize("depth", [254, 255, 256, 1000, 1024, 1025, 100_000])
    @pytest.mark.parametrize("leaf", [b"", b'"\\n"', b'{"a":1,"a":2}'])
    def test_any_depth_is_refused_and_never_a_crash(self, depth, leaf):
        refused(b"[" * depth + leaf + b"]" * depth)

    @pytest.mark.parametrize(
        "raw", [b"", b" ", b"1 2", b"{}x", b"[1,]", b'{"a":1,}', b"{a:1}", b"'a'", b"\xef\xbb\xbf1", b"//\n1"]
    )
    def test_what_is_not_one_json_text_is_malformed(self, raw):
        assert refused(raw, MalformedEvent).path == "$"

    @pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), {1: 2}, [{"a": b""}]])
    def test_values_beyond_json_are_refused(self, value):
        with pytest.raises(InvalidEvent):
            canonical.dumps(value)

    def test_a_check_counts_the_levels_above(self):
        canonical.check([], "$", canonical.MAX_DEPTH - 1)
        with pytest.raises(InvalidEvent):
            canonical.check([], "$", canonical.MAX_DEPTH)

    @given(st.binary(max_size=60) | st.text(string.printable, max_size=60).map(str.encode))
    def test_arbitrary_bytes_either_read_or_are_refused(self, raw):
        try:
            value = canonical.loads(raw)
        except EventError:
            return
        assert canonical.loads(canonical.dumps(value)) == value
