import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.strict import MAX_INTEGER, check_no_control, read_base64, read_decimal, read_lines, write_base64


@given(st.integers(0, MAX_INTEGER))
def test_numbers_read_back_as_what_was_written(number):
    assert read_decimal(str(number)) == number


@pytest.mark.parametrize(
    "text", ["", "+7", "-7", "-0", "07", "00", " 7", "7 ", "7\n", "1_000", "٧", "７", "7²", "7.0", "7e3", "0x7", "²"]
)
def test_a_number_in_any_other_spelling_is_refused(text):
    with pytest.raises(ValueError, match="is not a decimal number"):
        read_decimal(text)


@pytest.mark.parametrize("text", [str(MAX_INTEGER + 1), "1" + "0" * 19, "1" * 5000])
def test_a_number_beyond_63_bits_is_refused_however_long(text):
    with pytest.raises(ValueError, match="is not a decimal number"):
        read_decimal(text)


@given(st.binary(max_size=100))
def test_bytes_read_back_as_what_was_written_in_base64(data):
    assert read_base64(write_base64(data)) == data


@pytest.mark.parametrize(
    "text", ["AAAA=", "AAA", "AA==AAAA", "AA", "A", "AB==", "AAB=", "AA\n==", "AA ==", "-_8=", "é", "A!=="]
)
def test_base64_in_any_other_spelling_is_refused(text):
    with pytest.raises(ValueError, match="base64"):
        read_base64(text)


@given(st.text(alphabet="AB+/=-_ \n", max_size=12))
def test_base64_is_refused_or_written_the_same_way(text):
    try:
        data = read_base64(text)
    except ValueError:
        return
    assert write_base64(data) == text


def test_lines_end_in_a_newline_and_in_nothing_else():
    assert read_lines("one\x85still\u2028one\x0b\r\ntwo\n\nfour\n") == [
        "one\x85still\u2028one\x0b\r",
        "two",
        "",
        "four",
    ]
    with pytest.raises(ValueError, match="does not end"):
        read_lines("one")


@pytest.mark.parametrize("character", [chr(code) for code in range(32) if code != 10] + ["\ud800", "\udfff"])
def test_control_characters_and_lone_surrogates_are_found(character):
    with pytest.raises(ValueError, match=f"U\\+{ord(character):04X}"):
        check_no_control(f"a{character}b")


def test_other_characters_are_no_control_characters():
    check_no_control("a\nb\x7f\x85\u2028\ufeff\U0001f3fa")
