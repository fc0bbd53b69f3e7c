"""What every store finds again: rows by position, stream, member and type, and all that stands beside them."""

import random

import pytest

from ledger.errors import Conflict, NotFound
from ledger.store.protocol import Batch, Selection, WrappedKey
from ledger.tiles import Tile
from tests.contract.stores import ORIGIN, head, leaf, new_row, stored, write

MANY = 1_203  # more than one list of bound values takes, and than one page


@pytest.fixture
def filled(store):
    """300 rows over a few streams, members and types, in several transactions; and the rows."""
    generator = random.Random(7)
    streams, members, rows = {}, {}, []
    for position in range(300):
        stream = f"reservation:R-{generator.randrange(12)}"
        streams[stream] = streams.get(stream, 0) + 1
        name = generator.choice(["M-1", "M-2", "M-3", None])
        if name is not None:
            members[name] = members.get(name, 0) + 1
        member = None if name is None else (name, members[name])
        rows.append(new_row(position, stream, streams[stream], generator.choice(["t.a", "t.b", "t.c"]), member))
    for start in range(0, 300, 70):
        write(store, rows[start : start + 70])
    return store, rows


def wanted(rows, selection, limit):
    """The definition: filter, then cut."""
    last = len(rows) if selection.last is None else selection.last
    return [
        one
        for one in rows
        if selection.first <= one.position <= last
        and selection.stream in (None, one.stream)
        and selection.member in (None, one.member)
        and selection.type in (None, one.type)
    ][:limit]


def test_an_empty_store_holds_nothing_but_its_head_and_origin(store):
    assert store.origin == ORIGIN
    with store.reading() as reads:
        assert reads.head() == (0, bytes(32), "", 1)
        assert reads.rows(Selection()) == []
        assert reads.tile(0, 0) == b""
        assert reads.disclosures([0, 1]) == {}
        assert reads.data_keys([("M-1", "reservation:R-1")]) == {}
        assert reads.checkpoints(0) == []
        assert reads.latest_checkpoint() is None


def test_rows_come_back_as_they_were_written_in_order_of_position(filled):
    store, rows = filled
    with store.reading() as reads:
        assert reads.rows(Selection()) == stored(rows)
        assert reads.head() == head(300)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(first=299),
        Selection(first=300),
        Selection(last=0),
        Selection(first=10, last=10),
        Selection(first=11, last=10),
        Selection(stream="reservation:R-3"),
        Selection(stream="reservation:R-99"),
        Selection(stream="M-1"),
        Selection(member="M-2"),
        Selection(member="reservation:R-3"),
        Selection(member="urn:test"),
        Selection(type="t.b"),
        Selection(type="t.z"),
        Selection(stream="reservation:R-3", member="M-1", type="t.c"),
    ],
)
def test_a_selection_is_its_inclusive_range_and_its_equalities(filled, selection):
    store, rows = filled
    with store.reading() as reads:
        assert reads.rows(selection) == stored(wanted(rows, selection, 1_000))


def test_any_selection_with_any_limit_equals_its_definition(filled):
    store, rows = filled
    generator = random.Random(11)
    with store.reading() as reads:
        for _ in range(400):
            selection = Selection(
                generator.randrange(310),
                generator.choice([None, generator.randrange(310)]),
                generator.choice([None, f"reservation:R-{generator.randrange(13)}"]),
                generator.choice([None, "M-1", "M-2", "M-4"]),
                generator.choice([None, "t.a", "t.c", "t.d"]),
            )
            limit = generator.choice([1, 2, 7, 1_000])
            assert reads.rows(selection, limit) == stored(wanted(rows, selection, limit)), (selection, limit)


def test_known_ids_are_found_by_source_and_id_together_however_many(store):
    ids = [(f"urn:{position % 2}", f"id-{position // 2}", position) for position in range(MANY)]
    write(store, [new_row(at, "reservation:R-1", at + 1, source=source, event_id=name) for source, name, at in ids])
    with store.writing() as writes:
        assert writes.find_ids([]) == {}
        assert writes.find_ids([("urn:0", "id-5"), ("urn:1", "id-5"), ("urn:2", "id-5"), ("urn:0", "id-x")]) == {
            ("urn:0", "id-5"): 10,
            ("urn:1", "id-5"): 11,
        }
        assert writes.find_ids([one[:2] for one in ids]) == {one[:2]: one[2] for one in ids}


def test_streams_give_their_entries_by_version_and_leave_out_those_that_never_began(filled):
    store, rows = filled
    names = sorted({one.stream for one in rows})
    with store.writing() as writes:
        found = writes.streams([*names, "reservation:R-99"])
        assert found == {name: [one.entry for one in rows if one.stream == name] for name in names}


@pytest.mark.parametrize("name", ["M-1", "t.a", "urn:test"])
def test_a_name_of_another_kind_is_neither_a_stream_nor_a_member(filled, name):
    store, _ = filled
    with store.writing() as writes:
        assert writes.streams([name]) == {}
        assert writes.member_versions(["reservation:R-1", "t.a", "urn:test"]) == {}


def test_a_stream_a_member_and_a_source_of_one_name_are_kept_apart(store):
    member = ("member:M-1", 1)
    write(store, [new_row(0, "member:M-1", 1, "t.a", member, source="member:M-1", event_id="member:M-1")])
    write(store, [new_row(1, "member:M-2", 1, "member:M-1", ("member:M-1", 2))])
    with store.writing() as writes:
        assert list(writes.streams(["member:M-1"])) == ["member:M-1"]
        assert len(writes.streams(["member:M-1"])["member:M-1"]) == 1
        assert writes.member_versions(["member:M-1", "member:M-2"]) == {"member:M-1": 2}
        assert writes.find_ids([("member:M-1", "member:M-1")]) == {("member:M-1", "member:M-1"): 0}
        assert [one.position for one in writes.rows(Selection(type="member:M-1"))] == [1]


def test_many_streams_and_members_are_found_at_once(store):
    rows = [new_row(position, f"reservation:R-{position}", 1, "t.a", (f"M-{position}", 1)) for position in range(MANY)]
    write(store, rows)
    with store.writing() as writes:
        assert writes.streams([one.stream for one in rows]) == {one.stream: [one.entry] for one in rows}
        assert writes.member_versions([one.member for one in rows]) == {one.member: 1 for one in rows}


def test_member_versions_are_the_highest_and_leave_out_the_unknown(filled):
    store, rows = filled
    with store.writing() as writes:
        assert writes.member_versions(["M-1", "M-3", "M-9"]) == {
            name: max(one.member_version for one in rows if one.member == name) for name in ("M-1", "M-3")
        }


def test_a_transaction_finds_what_it_has_written_itself(store):
    with store.writing() as writes:
        writes.write(Batch([new_row(0, "reservation:R-1", 1, "t.a", ("M-1", 1))], head=head(1)))
        assert writes.head() == head(1)
        assert writes.find_ids([("urn:test", "id-0")]) == {("urn:test", "id-0"): 0}
        assert list(writes.streams(["reservation:R-1"])) == ["reservation:R-1"]
        assert writes.member_versions(["M-1"]) == {"M-1": 1}
        assert len(writes.rows(Selection(stream="reservation:R-1"))) == 1


def test_disclosures_are_found_by_position_however_many_are_asked_for(store):
    rows = [new_row(position, "reservation:R-1", position + 1) for position in range(MANY)]
    sealed = [(position, b"sealed %d" % position) for position in range(0, MANY, 2)]
    write(store, rows, disclosures=sealed)
    with store.reading() as reads:
        assert reads.disclosures([0, 1, 4, MANY + 7]) == {0: b"sealed 0", 4: b"sealed 4"}
        assert reads.disclosures(range(MANY)) == dict(sealed)
        assert reads.disclosures([]) == {}


def test_data_keys_are_kept_by_member_and_stream_and_nobody_is_a_member_too(store):
    keys = [
        WrappedKey(0, "M-1", "reservation:R-1", 1, b"one"),
        WrappedKey(1, "", "reservation:R-1", 1, b"two"),
        WrappedKey(2, "M-1", "reservation:R-2", 2, b"three"),
        WrappedKey(3, "M-unseen", "reservation:R-unseen", 2, b"four"),
    ]
    first = [
        new_row(0, "reservation:R-1", 1, "t.a", ("M-1", 1)),
        new_row(1, "reservation:R-1", 2),
        new_row(2, "reservation:R-2", 1),
    ]
    write(store, first, keys=keys[:3])
    write(store, [new_row(3, "reservation:R-unseen", 1, "t.a", ("M-unseen", 1))], keys=keys[3:])
    pairs = [(key.member, key.stream) for key in keys]
    with store.reading() as reads:
        assert reads.data_keys(pairs) == dict(zip(pairs, keys, strict=True))
        assert reads.data_keys([("", "reservation:R-2"), ("M-2", "reservation:R-1"), ("M-1", "")]) == {}


def test_a_tile_is_what_was_last_written_of_it(store):
    write(store, [new_row(0, "s:1", 1)], tiles=[Tile(0, 0, leaf(0))])
    write(store, [new_row(1, "s:1", 2)], tiles=[Tile(0, 0, leaf(0) + leaf(1)), Tile(1, 0, leaf(9))])
    with store.reading() as reads:
        assert reads.tile(0, 0) == leaf(0) + leaf(1)
        assert reads.tile(1, 0) == leaf(9)
        assert reads.tile(0, 1) == reads.tile(2, 0) == b""


def test_checkpoints_come_ascending_after_a_size_and_the_largest_is_the_latest(store):
    for size in (7, 3, 300, 20):
        store.add_checkpoint(size, b"note %d" % size)
    with store.reading() as reads:
        assert reads.checkpoints(0) == [(size, b"note %d" % size) for size in (3, 7, 20, 300)]
        assert reads.checkpoints(3, limit=2) == [(7, b"note 7"), (20, b"note 20")]
        assert reads.checkpoints(300) == []
        assert reads.latest_checkpoint() == b"note 300"


def test_a_checkpoint_that_is_kept_stays_as_it_is(store):
    store.add_checkpoint(5, b"first")
    store.add_checkpoint(5, b"second")
    with store.reading() as reads:
        assert reads.checkpoints(0) == [(5, b"first")]


def test_checkpoints_are_let_go_of_but_for_the_last_of_a_block(store):
    for size in (1, 4000, 4096, 4097, 5000, 8200):
        store.add_checkpoint(size, b"note %d" % size)
    store.drop_checkpoints([1, 4000, 4097])
    store.drop_checkpoints([4097, 5000])  # the last of its block is there: all stay
    store.drop_checkpoints([8200])
    with store.reading() as reads:
        assert reads.checkpoints(0) == [(size, b"note %d" % size) for size in (4096, 5000, 8200)]


@pytest.mark.parametrize("which", ["size = 4096", "size >= 1", "size IN (4097, 8200)", "size = 8200"])
def test_the_last_checkpoint_of_a_block_stays_even_behind_the_store_s_back(kind, store, which):
    for size in (4000, 4096, 4097, 8200):
        store.add_checkpoint(size, b"note %d" % size)
    with store.reading() as reads:
        before = reads.checkpoints(0)
    with pytest.raises(kind.refusal):
        kind.execute(f"DELETE FROM checkpoints WHERE {which}")
    with store.reading() as reads:
        assert reads.checkpoints(0) == before


def test_a_second_handle_reads_what_the_first_wrote_and_keeps_the_origin(kind, filled):
    _, rows = filled
    other = kind.open()
    try:
        assert other.origin == ORIGIN
        with other.reading() as reads:
            assert reads.rows(Selection()) == stored(rows)
    finally:
        other.close()


def test_closing_twice_is_closing_once(store):
    store.close()
    store.close()


def test_creating_over_a_store_is_refused_and_changes_nothing(kind, filled):
    store, rows = filled
    with pytest.raises(Conflict):
        kind.create()
    with store.reading() as reads:
        assert reads.rows(Selection()) == stored(rows)


def test_opening_what_was_never_made_is_refused(kind):
    with pytest.raises(NotFound):
        kind.open()


def test_a_subscription_is_woken_by_this_handle_and_by_another(kind, store):
    other = kind.open()
    try:
        write(store, [new_row(0, "s:1", 1), new_row(1, "s:1", 2)])
        with store.subscribe(gt=1) as subscription:
            assert next(subscription).id == 2
            write(store, [new_row(2, "s:1", 3)])
            assert next(subscription).id == 3
            write(other, [new_row(3, "s:1", 4, "t.b")])
            found = next(subscription)
            assert (found.id, found.originator_id, found.originator_version, found.topic) == (4, "s:1", 4, "t.b")
        with store.subscribe(topics=["t.b"]) as subscription:
            assert next(subscription).id == 4
    finally:
        other.close()
