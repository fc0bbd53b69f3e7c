import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import moment

NAIVE = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29))
EPOCH = dt.datetime(1970, 1, 1)
LAST = (dt.datetime(9999, 12, 31, 23, 59, 59, 999_999) - EPOCH) // dt.timedelta(microseconds=1)
FIRST = (dt.datetime(1, 1, 1) - EPOCH) // dt.timedelta(microseconds=1)
OFFSETS = st.tuples(st.sampled_from("+-"), st.integers(0, 23), st.integers(0, 59))


def expected(naive, sign, hours, minutes):
    shift = dt.timedelta(hours=hours, minutes=minutes)
    return naive - shift if sign == "+" else naive + shift


class TestNormal:
    @pytest.mark.parametrize(
        ("text", "normal"),
        [
            ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z"),
            ("2026-03-01t09:30:00Z", "2026-03-01T09:30:00Z"),
            ("2026-03-01T09:30:00z", "2026-03-01T09:30:00Z"),
            ("2026-03-01T09:30:00+00:00", "2026-03-01T09:30:00Z"),
            ("2026-03-01T09:30:00-00:00", "2026-03-01T09:30:00Z"),
            ("2026-03-01T01:30:00+05:45", "2026-02-28T19:45:00Z"),
            ("2024-02-28T23:30:00-01:00", "2024-02-29T00:30:00Z"),
            ("2026-03-01T09:30:00.100Z", "2026-03-01T09:30:00.1Z"),
            ("2026-03-01T09:30:00.000000000Z", "2026-03-01T09:30:00Z"),
            ("2026-03-01T09:30:00.000000001Z", "2026-03-01T09:30:00.000000001Z"),
            ("2026-03-01T09:30:00.123456789+01:00", "2026-03-01T08:30:00.123456789Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
            ("0001-01-01T00:00:00-23:59", "0001-01-01T23:59:00Z"),
            ("9999-12-31T23:59:59+23:59", "9999-12-31T00:00:59Z"),
        ],
    )
    def test_is_the_same_instant_in_utc(self, text, normal):
        assert moment.normal(text) == normal

    @pytest.mark.parametrize(
        "text",
        [
            "2026-03-01T09:30:00",  # no offset
            "2026-03-01",
            "2026-03-01 09:30:00Z",  # a space for T
            "2026-03-01T09:30Z",
            "2026-03-01T09:30:00.Z",
            "2026-03-01T09:30:00,5Z",
            "2026-03-01T09:30:00.1234567890Z",  # ten digits
            "2026-03-01T09:30:00+0100",
            "2026-03-01T09:30:00+01",
            "2026-03-01T09:30:00+1:00",
            "2026-03-01T09:30:00+24:00",
            "2026-03-01T09:30:00+01:60",
            "2026-03-01T09:30:00Z+01:00",
            "2026-03-01T09:30:00Z\n",
            " 2026-03-01T09:30:00Z",
            "2026-03-01T09:30:00+01:00\n",
            "2026-02-29T09:30:00Z",
            "2026-02-30T09:30:00Z",
            "2026-00-01T09:30:00Z",
            "2026-13-01T09:30:00Z",
            "2026-03-00T09:30:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T24:00:00+01:00",
            "2026-03-01T09:60:00Z",
            "2026-03-01T23:59:60Z",  # a leap second, and one that was real:
            "2016-12-31T23:59:60Z",
            "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "２０２６-03-01T09:30:00Z",
            "٢٠٢٦-03-01T09:30:00Z",
            "2026-03-01T09:30:00.１Z",
            "2026-W09-7T09:30:00Z",
            "20260301T093000Z",
            "",
        ],
    )
    def test_refuses_any_other_form_and_what_never_was(self, text):
        with pytest.raises(ValueError, match=r"."):
            moment.normal(text)

    @given(NAIVE, st.sampled_from(["", *(f".{'0' * n}1" for n in range(9))]), OFFSETS)
    def test_agrees_with_the_calendar_and_is_its_own_normal_form(self, naive, fraction, offset):
        naive = naive.replace(microsecond=0)
        sign, hours, minutes = offset
        normal = moment.normal(f"{naive.isoformat()}{fraction}{sign}{hours:02}:{minutes:02}")
        assert normal == f"{expected(naive, *offset).isoformat()}{fraction}Z"
        assert moment.normal(normal) == normal

    @given(st.text(max_size=40) | st.from_regex(r"[0-9T:Z+.-]{10,32}", fullmatch=True))
    def test_gives_a_normal_time_or_refuses(self, text):
        try:
            normal = moment.normal(text)
        except ValueError:
            return
        assert moment.normal(normal) == normal


class TestRecorded:
    @given(st.integers(FIRST, LAST))
    def test_keeps_each_microsecond(self, value):
        text = moment.recorded(value)
        assert len(text) == 27
        assert moment.microseconds(text) == value

    @given(st.integers(FIRST, LAST), st.integers(FIRST, LAST))
    def test_texts_sort_as_the_instants_do(self, one, other):
        assert (moment.recorded(one) < moment.recorded(other)) == (one < other)

    def test_the_epoch_is_zero(self):
        assert moment.recorded(0) == "1970-01-01T00:00:00.000000Z"
        assert moment.microseconds("1970-01-01T01:00:00+01:00") == 0
        assert moment.microseconds("1969-12-31T23:59:59.999999Z") == -1

    def test_finer_digits_are_cut(self):
        assert moment.microseconds("1970-01-01T00:00:00.000001999Z") == 1
        assert moment.microseconds("1970-01-01T00:00:00.1Z") == 100_000


class TestBound:
    def test_a_date_means_its_first_or_its_last_microsecond(self):
        assert moment.bound("2026-03-01", end=False) == "2026-03-01T00:00:00.000000Z"
        assert moment.bound("2026-03-01", end=True) == "2026-03-01T23:59:59.999999Z"

    def test_a_time_is_itself_at_both_ends(self):
        for end in (False, True):
            assert moment.bound("2026-03-01T10:30:00+01:00", end=end) == "2026-03-01T09:30:00.000000Z"
            assert moment.bound("2026-03-01T09:30:00.123456000Z", end=end) == "2026-03-01T09:30:00.123456Z"

    def test_finer_digits_never_take_in_what_lies_outside(self):
        finer = "2026-03-01T09:30:00.000000001Z"
        assert moment.bound(finer, end=True) == "2026-03-01T09:30:00.000000Z"
        assert moment.bound(finer, end=False) == "2026-03-01T09:30:00.000001Z"
        assert moment.bound("2026-12-31T23:59:59.9999999Z", end=False) == "2027-01-01T00:00:00.000000Z"

    @pytest.mark.parametrize(
        "text",
        ["2026-02-30", "2026-3-1", "0000-01-01", "2026-03-01\n", "2026-03", "yesterday", "", "2026-03-01T09:30:00"],
    )
    def test_anything_else_is_refused(self, text):
        with pytest.raises(ValueError, match=r"."):
            moment.bound(text, end=True)

    def test_a_start_after_the_last_microsecond_of_all_is_refused(self):
        with pytest.raises(ValueError, match="9999"):
            moment.bound("9999-12-31T23:59:59.9999999Z", end=False)
        assert moment.bound("9999-12-31T23:59:59.9999999Z", end=True) == "9999-12-31T23:59:59.999999Z"


class TestIsBefore:
    @pytest.mark.parametrize(
        ("end", "start"),
        [
            ("2026-03-01", "2026-03-02"),
            ("2026-03-01T09:29:59.999999Z", "2026-03-01T10:30:00+01:00"),
            ("2026-03-01T23:59:59Z", "2026-03-02"),
            ("2026-03-01", "2026-03-02T00:00:00Z"),
        ],
    )
    def test_an_end_before_its_start_is(self, end, start):
        assert moment.is_before(end, start)
        assert not moment.is_before(start, end)

    @pytest.mark.parametrize(
        ("end", "start"),
        [
            ("2026-03-01", "2026-03-01"),
            ("2026-03-01", "2026-03-01T23:59:59.9999999Z"),
            ("2026-03-01T00:00:00Z", "2026-03-01"),
            ("2026-03-01T09:30:00.0000008Z", "2026-03-01T09:30:00.0000001Z"),
            ("9999-12-31", "9999-12-31T23:59:59.9999999Z"),
        ],
    )
    def test_a_range_of_no_more_than_a_moment_is_not(self, end, start):
        assert not moment.is_before(end, start)
