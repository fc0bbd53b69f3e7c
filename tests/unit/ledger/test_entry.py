import json
from hashlib import sha256

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from ledger import catalog, entry
from ledger.entry import Actor, EventBody
from ledger.errors import OversizedEvent, StoreError
from ledger.event import LOCAL, SYSTEM, prepare
from ledger.merkle import leaf_hash
from tests.support.events import requested
from tests.unit.ledger.catalog.examples import EXAMPLES, stream_of

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | PRINTABLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
BY = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-"), min_size=1, max_size=64)
RECORDED = "2026-03-01T09:30:00.000001Z"


def some(strategy):
    return st.just(UNSET) | strategy


@st.composite
def bodies(draw):
    private = draw(some(st.dictionaries(PRINTABLE, PRINTABLE, min_size=1, max_size=4)))
    return EventBody(
        actor=Actor(draw(PRINTABLE), draw(PRINTABLE)),
        correlation=draw(some(PRINTABLE)),
        data=Raw(rfc8785.dumps(draw(st.dictionaries(KEYS, JSON, max_size=4)))),
        forced=draw(some(PRINTABLE)),
        id=draw(PRINTABLE),
        member=draw(some(PRINTABLE)),
        private=UNSET if private is UNSET else dict(sorted(private.items())),
        source=draw(PRINTABLE),
        stream=draw(PRINTABLE),
        tags=draw(some(st.lists(PRINTABLE, max_size=3).map(sorted))),
        time=draw(PRINTABLE),
        type=draw(PRINTABLE),
        v=draw(st.integers(1, 9)),
    )


seals = st.builds(
    dict,
    by=BY,
    member_version=st.none() | st.integers(1, 2**53 - 1),
    position=st.integers(0, 2**53 - 1),
    prev=HEX,
    recorded=st.just(RECORDED),
    version=st.integers(1, 2**53 - 1),
)


def sealed(body=b'{"v":1}', **changed):
    seal = {"by": "local", "member_version": None, "position": 0, "prev": entry.NO_PREVIOUS, "recorded": RECORDED}
    return entry.build(body, **{**seal, "version": 1, **changed})


@given(bodies(), seals)
def test_event_and_entry_are_canonical_json_by_rfc8785(body, seal):
    encoded = entry.encode_body(body)
    assert encoded == rfc8785.dumps(json.loads(encoded))
    built = entry.build(encoded, **seal)
    assert built == rfc8785.dumps(json.loads(built))


@given(bodies(), seals)
def test_splitting_gives_back_what_was_built(body, seal):
    encoded = entry.encode_body(body)
    event, tail = entry.split(entry.build(encoded, **seal))
    assert event == encoded
    assert json.loads(tail) == {name: value for name, value in seal.items() if value is not None}


@given(bodies(), seals)
def test_decoding_gives_back_what_was_built(body, seal):
    decoded = entry.decode(entry.build(entry.encode_body(body), **seal))
    assert entry.encode_body(decoded.event) == entry.encode_body(body)
    for name, value in seal.items():
        assert getattr(decoded.seal, name) == (UNSET if value is None else value)
    assert decoded.event.public() == json.loads(bytes(body.data))
    assert decoded.event.commitments() == ({} if body.private is UNSET else body.private)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("which", [0, 1])
def test_each_type_of_the_catalogue_makes_a_canonical_event(name, which):
    cloud = {
        "specversion": "1.0",
        "id": 'a"\\/<>&z',
        "source": "https://example.org/~a?b=c&d=(e)#f",
        "type": name,
        "subject": stream_of(name),
        "time": "2026-03-01T10:30:00.50+01:00",
        "correlationid": '"\\',
        "tags": "z a:b a",
        "data": EXAMPLES[name][which],
    }
    prepared = prepare(json.dumps(cloud).encode(), SYSTEM if catalog.get(name).issued_by_ledger else LOCAL)
    assert prepared.body == rfc8785.dumps(json.loads(prepared.body))
    built = sealed(prepared.body, member_version=3)
    assert built == rfc8785.dumps(json.loads(built))
    assert entry.split(built)[0] == prepared.body


def test_the_seal_stands_last_so_that_it_can_be_compared_as_bytes():
    built = sealed(b'{"v":1}', member_version=2, position=7, version=3)
    seal = f'"by":"local","member_version":2,"position":7,"prev":"{"0" * 64}","recorded":"{RECORDED}","version":3'
    assert built == b'{"event":{"v":1},"seal":{%b}}' % seal.encode()


def test_a_body_that_spells_a_seal_is_not_taken_for_one():
    trap = '},"seal":{"by":"me","position":0}}'
    body = entry.encode_body(
        EventBody(
            actor=Actor(trap, "client"),
            data=Raw(rfc8785.dumps({"seal": {"seal": trap}, trap: {"seal": {}}})),
            id=trap,
            source=trap,
            stream=trap,
            time=trap,
            type=trap,
            v=1,
        )
    )
    assert entry.split(sealed(body))[0] == body


def test_an_entry_of_65_535_bytes_is_the_longest():
    room = entry.MAX_ENTRY - len(sealed(b'{"x":""}'))
    assert len(sealed(b'{"x":"%b"}' % (b"a" * room))) == entry.MAX_ENTRY == 65_535
    with pytest.raises(OversizedEvent, match="65,536 bytes, of at most 65,535"):
        sealed(b'{"x":"%b"}' % (b"a" * (room + 1)))


def test_the_limit_counts_the_seal_as_it_is():
    room = entry.MAX_ENTRY - len(sealed(b'{"x":""}', position=9))
    body = b'{"x":"%b"}' % (b"a" * room)
    sealed(body, position=9)
    with pytest.raises(OversizedEvent):
        sealed(body, position=10)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"null",
        b'{"event":{},"seal":{}',
        b'{"event":{}}',
        b'{"seal":{},"event":{}}',
        b' {"event":{},"seal":{}}',
        b'{"event":{},"seal":{}} ',
        b'{"event":[],"seal":{}}',
    ],
)
def test_what_has_another_layout_is_not_split(raw):
    with pytest.raises(StoreError):
        entry.split(raw)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"v":1', b'"v":"1"'),
        (b'"v":1', b'"v":1,"w":2'),
        (b'"v":1', b'"x":1'),
        (b'"version":1', b'"version":1.5'),
        (b'"version":1', b'"version":1,"x":1'),
        (b'"role":', b'"roll":'),
        (b'"seal":', b'"seel":'),
        (b'"source":"urn:test"', b'"source":"\xff"'),
        (b'"data":{', b'"data":{{'),
        (b'"private":{', b'"private":{"a":1,'),
    ],
)
def test_damaged_entries_do_not_read(old, new):
    good = sealed(prepare(requested(), LOCAL).body)
    entry.decode(good)
    assert old in good
    with pytest.raises(StoreError, match="does not read"):
        entry.decode(good.replace(old, new))


def test_nesting_without_end_does_not_read_and_is_no_crash():
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(StoreError):
        entry.decode(sealed(b'{"actor":{"id":"a","role":"b"},"data":%b}' % deep[:40_000]))


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_refused_in_words(raw):
    for read in (entry.decode, entry.split):
        with pytest.raises(StoreError):
            read(raw)


def test_the_leaf_hash_is_over_the_exact_bytes():
    built = sealed()
    assert leaf_hash(built) == sha256(b"\x00" + built).digest()


def test_public_data_is_fresh_each_time():
    body = entry.decode(sealed(prepare(requested(), LOCAL).body)).event
    body.public()["half_shelves"] = 99
    assert body.public()["half_shelves"] == 2
