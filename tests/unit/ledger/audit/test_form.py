"""Reading entries many at a time says what reading them one by one says."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit.entries import is_recorded
from ledger.audit.form import KNOWN_TEXTS, NOTHING, Form, Stated, fault_of_form, read_one
from ledger.canonical import MAX_DEPTH
from tests.support.forgery import canonical
from tests.support.memory import Memory

ENTRIES = [row.entry for row in Memory(40).entries]

texts = st.text(st.sampled_from([*"azAZ09:._- !~#[]{},'\"\\/\n\t\x00\x1f\x7fé€😀"]), max_size=6)
scalars = texts | st.integers(-(2**53), 2**53) | st.sampled_from([None, True, False, 0, -1, 1.5, 2**53 - 1, 10**15])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
data = st.dictionaries(texts, values, max_size=4)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """What an entry may hold, and some that it may not."""
    event = {
        "actor": {"id": draw(texts), "role": "staff"},
        "data": draw(data),
        "id": draw(texts),
        "source": draw(texts),
        "stream": draw(texts),
        "time": draw(texts),
        "type": draw(texts),
        "v": draw(st.integers(-1, 3) | st.just(10**15) | st.just(2**53 - 1)),
    }
    seal = {
        "by": draw(texts),
        "position": draw(st.integers(-1, 2**53 - 1)),
        "prev": "0" * 64,
        "recorded": "2026-03-01T09:30:00.000000Z",
        "version": draw(st.integers(-1, 2**53 - 1)),
    }
    for name in draw(st.sets(st.sampled_from(["correlation", "forced", "member"]))):
        event[name] = draw(texts)
    if draw(st.booleans()):
        event["private"] = draw(st.dictionaries(texts, texts, max_size=3))
    if draw(st.booleans()):
        event["tags"] = draw(st.lists(texts, max_size=3).map(sorted))
    if draw(st.booleans()):
        seal["member_version"] = draw(st.integers(-1, 12))
    return {"event": event, "seal": seal}


PUT = b' |0|-0|.0|1e0|"|\\|\\u0061|}|{|]|[|,|:|\n|\r|\t|\x00|\x7f|\xff|\xc3\xa4|\xed\xa0\x80|null|"a":1,'.split(b"|")
PUT += [b"", b'},"id":"', b'"},"id":"x","source":"', b',"seal":{', b"}}\n"]


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """The bytes of an entry with some put in or taken out."""
    entry = draw(contents().map(canonical) | st.sampled_from(ENTRIES))
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(entry)))
        put = draw(st.sampled_from(PUT))
        entry = entry[:start] + put + entry[start + draw(st.integers(0, 3)) :]
    return entry


def bounded(stated: Stated) -> bool:
    """Whether previous hash and time are what they have to be in form; those are left to whoever compares them."""
    return all(re.fullmatch(rb"[0-9a-f]{64}", prev) for prev in stated.prevs) and all(map(is_recorded, stated.recorded))


def columns(stated: Stated) -> list[list[Any]]:
    return [list(column) for column in stated._columns()]


@given(entry=altered(), places=st.booleans())
def test_what_many_at_a_time_accept_one_by_one_accepts_too_and_reads_the_same_from_it(
    entry: bytes, places: bool
) -> None:
    many = Form(places=places)._read_many([entry])
    if many is not None and bounded(many):
        one, fault = read_one(entry, places=places)
        assert fault is None
        assert columns(many) == columns(one)


@given(entries=st.lists(st.sampled_from(ENTRIES) | altered(), max_size=9), form=st.just(Form()))
def test_any_sequence_is_read_up_to_the_first_that_is_no_entry(entries: list[bytes], form: Form) -> None:
    wanted, fault = NOTHING, None
    for entry in entries:
        one, fault = read_one(entry)
        if fault is not None:
            break
        wanted = wanted.and_then(one)
    stated, found = form.read(entries)
    if bounded(stated):
        assert (columns(stated), found) == (columns(wanted), fault)
    else:  # whoever compares them stops at that one, and asks
        loose = next(at for at, prev in enumerate(zip(stated.prevs, stated.recorded, strict=True)) if not tight(*prev))
        assert [column[:loose] for column in columns(stated)] == [column[:loose] for column in columns(wanted)]
        assert fault_of_form(entries[loose]) is not None or loose < len(wanted.prevs)


def tight(prev: bytes, recorded: bytes) -> bool:
    return re.fullmatch(rb"[0-9a-f]{64}", prev) is not None and is_recorded(recorded)


@given(entry=contents().map(orjson.dumps))
def test_an_entry_is_good_in_form_if_and_only_if_it_is_canonical_and_typed(entry: bytes) -> None:
    stated, fault = read_one(entry)
    assert (fault is None) == (stated is not NOTHING)
    if fault is None:
        assert canonical(orjson.loads(entry)) == entry


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data": {}},
        {"data": {"a": [1, "x", None, True, [2], {"b": 3}], "n": -5, "o": {"p": {"q": "r"}}}},
        {"data": {"text": "curly } and { and ] too", "more": "},"}},
        {"data": {"name": "Zoë"}},
        {"member": ""},
        {"private": {"a": "x"}},
        {"private": {"a": "x", "b": "y"}},
        {"tags": ["a", "b"], "correlation": "c", "forced": "import"},
    ],
)
def test_what_entries_usually_hold_is_read_many_at_a_time(changes: dict[str, Any]) -> None:
    entry = Memory(2, {1: lambda made: made["event"].update(changes)}).entries[1].entry
    assert Form()._read_many([*ENTRIES, entry]) is not None


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({"data": {"name": 'an "escaped" \\ text \n'}}, True),
        ({"data": {"d": [[[[[[1]]]]]]}}, True),
        ({"id": "Zoë"}, True),
        ({"v": 2**53 - 1}, True),
        ({"data": {"ä": 1}}, False),
        ({"data": {"n": 0.5}}, False),
        ({"data": {"n": 2**53}}, False),
        ({"private": {"ä": "x", "b": "y"}}, False),
        ({"tags": ["a", "a"]}, False),
    ],
)
def test_what_is_rare_is_read_one_by_one_among_many(changes: dict[str, Any], good: bool) -> None:
    entry = Memory(2, {1: lambda made: made["event"].update(changes)}).entries[1].entry
    assert Form()._read_many([entry]) is None
    stated, fault = Form().read([*ENTRIES[:20], entry, *ENTRIES[20:]])
    assert (len(stated.prevs), fault is None) == ((41, True) if good else (20, False))


def test_what_was_found_canonical_for_one_field_is_not_taken_for_another() -> None:
    data = {"a": 1, "b": 2}
    first = Memory(2, {1: lambda made: made["event"].update(data=data)}).entries[1].entry
    second = Memory(2, {1: lambda made: made["event"].update(private=data)}).entries[1].entry
    form = Form()
    assert form.read([first])[1] is None
    assert form.read([second])[1] is not None


def test_more_different_data_than_are_remembered_do_no_harm() -> None:
    form = Form()
    entries = [
        entry.replace(b'"high"', b'"%d"' % number) for number in range(KNOWN_TEXTS + 100) for entry in ENTRIES[1:2]
    ]
    for start in range(0, len(entries), 256):
        assert form.read(entries[start : start + 256])[1] is None
    assert len(form._data._known) <= KNOWN_TEXTS + 1
    assert form.read([entries[0].replace(b'"confidence":"0"', b'"z":0,"confidence":"0"')])[1] is not None


def test_data_as_deep_as_an_event_may_be_are_good_and_deeper_ones_are_not() -> None:
    def nested(levels: int) -> bytes:
        deep: Any = 1
        for _ in range(levels - 1):
            deep = [deep]
        return Memory(2, {1: lambda made: made["event"].update(data={"d": deep})}).entries[1].entry

    assert fault_of_form(nested(MAX_DEPTH)) is None
    assert fault_of_form(nested(MAX_DEPTH + 1)) is not None
