"""What every store of projections does: rows by key and in order, generations, switches, and all or nothing."""

import threading

import pytest

from projections.projection import Projection
from projections.store.protocol import Fault, RowsRefused, Unready
from projections.work import Changes
from tests.contract.projections.keys import KEYS, OLDER, SPARSE, WIDER
from tests.support.projecting import SEEN, STEPS, VISITS, all_rows, projection

TALLY = projection()
ROWS = [(f"reservation:R-{at:02d}", at % 3, "t", None if at % 2 else f"K{at % 4}") for at in range(30)]


def created(store, model=TALLY, **rows):
    """A new generation with rows in its table ``seen``, as it stands in the catalogue."""
    with store.writing() as writes:
        generation = writes.create(model)
        writes.put(SEEN, generation.number, Changes(new=rows.get("seen", ROWS)))
        return generation


def live(store, model=TALLY, **rows):
    """As ``created``, and made live."""
    generation = created(store, model, **rows)
    with store.writing() as writes:
        writes.switch(model, generation)
    return generation._replace(state="live")


# --- Rows -------------------------------------------------------------------------------------------------------------


def test_rows_come_back_by_key_and_in_the_order_of_keys(store):
    live(store)
    with store.reading() as reads:
        assert reads.row(SEEN, "reservation:R-07") == ROWS[7]
        assert reads.row(SEEN, "reservation:R-99") is None
        assert all_rows(reads, SEEN, page=7) == ROWS
        assert reads.rows(SEEN, after="reservation:R-07", limit=2) == ROWS[8:10]
        assert reads.rows(SEEN, limit=0) == []


def test_many_rows_are_found_by_their_keys_and_those_that_are_not_there_left_out(store):
    many = [(f"reservation:{number:04d}", 1, "t", None) for number in range(1_203)]
    live(store, seen=many)
    with store.reading() as reads:
        wanted = [row[0] for row in many[::2]] + ["reservation:none"]
        assert reads.rows_of(SEEN, wanted) == {row[0]: row for row in many[::2]}
        assert reads.rows_of(SEEN, []) == {}


def test_rows_are_chosen_by_the_values_of_columns(store):
    live(store)
    with store.reading() as reads:
        assert reads.rows(SEEN, where={"count": 1}) == [row for row in ROWS if row[1] == 1]
        assert reads.rows(SEEN, where={"station": None}) == [row for row in ROWS if row[3] is None]
        assert reads.rows(SEEN, where={"station": "K2", "count": 2}, after="reservation:R-05") == [
            row for row in ROWS[6:] if row[1] == 2 and row[3] == "K2"
        ]
        with pytest.raises(KeyError):
            reads.rows(SEEN, where={"colour": 1})


def test_text_is_ordered_by_the_bytes_of_its_utf_8_and_numbers_by_their_size(store):
    members = sorted(["a", "B", "Z", "ä", "z", "\U0001f600", "ﬀ", "a b", "a-b", "", "10", "9"], key=str.encode)
    visits = [(member, f"s{number}", number) for member in members for number in (1, 2)]
    steps = [(number, "t") for number in (-5, 0, 2, 10, 1_000, 2**53 - 1)]
    generation = created(store)
    with store.writing() as writes:
        writes.put(VISITS, generation.number, Changes(new=visits[::-1]))
        writes.put(STEPS, generation.number, Changes(new=steps[::-1]))
        writes.switch(TALLY, generation)
    with store.reading() as reads:
        assert all_rows(reads, VISITS, page=5) == visits
        assert all_rows(reads, STEPS, page=4) == steps
        assert reads.rows(VISITS, after=("a", "s1"), limit=1) == [("a", "s2", 2)]
        assert reads.row(VISITS, ("ä", "s2"))[2] == 2
        assert reads.row(STEPS, 2**53 - 1) == (2**53 - 1, "t")


def test_changed_rows_replace_those_with_their_key_and_removed_ones_are_gone(store):
    generation = live(store)
    changed = [(ROWS[3][0], 9, "u", "K9"), ("reservation:R-30", 7, "new after all", None)]
    with store.writing() as writes:
        removed = [ROWS[0][0], "reservation:R-77"]
        new = [("reservation:R-31", 8, "t", None)]
        writes.put(SEEN, generation.number, Changes(new=new, changed=changed, removed=removed))
        writes.put(VISITS, generation.number, Changes(new=[("M", "s", 1), ("M", "t", 2)]))
    with store.writing() as writes:
        writes.put(VISITS, generation.number, Changes(changed=[("M", "s", 3)], removed=[("M", "t")]))
    with store.reading() as reads:
        assert all_rows(reads, SEEN) == [*ROWS[1:3], changed[0], *ROWS[4:], changed[1], *new]
        assert all_rows(reads, VISITS) == [("M", "s", 3)]


def test_a_table_that_is_all_key_takes_its_rows_again(store):
    model = Projection("keys", version=1, tables=(KEYS,))
    with store.writing() as writes:
        generation = writes.create(model)
        writes.put(KEYS, 1, Changes(changed=[("a", 1)]))
        writes.put(KEYS, 1, Changes(changed=[("a", 1), ("a", 2)]))
        writes.switch(model, generation)
    with store.reading() as reads:
        assert all_rows(reads, KEYS) == [("a", 1), ("a", 2)]


def test_rows_of_which_most_columns_are_empty_are_written_whole(store):
    model = Projection("sparse", version=1, tables=(SPARSE,))
    values = [(f"n{at:03d}", *(f"v{at}" if at % 9 == column else None for column in range(8))) for at in range(200)]
    with store.writing() as writes:
        generation = writes.create(model)
        writes.put(SPARSE, 1, Changes(new=values[:150]))
        writes.put(SPARSE, 1, Changes(changed=values[100:]))
        writes.switch(model, generation)
    with store.reading() as reads:
        assert all_rows(reads, SPARSE) == values


def test_thousands_of_rows_are_written_at_once(store):
    many = [(f"reservation:{number:05d}", number, "t", "K" if number % 2 else None) for number in range(5_000)]
    generation = created(store, seen=many)
    again = [(key, count + 1, "u", None) for key, count, _, _ in many[:3_000]]
    with store.writing() as writes:
        writes.put(SEEN, generation.number, Changes(changed=again, removed=[row[0] for row in many[4_000:]]))
        writes.switch(TALLY, generation)
    with store.reading() as reads:
        assert all_rows(reads, SEEN, page=999) == again + many[3_000:4_000]


# --- What the database refuses ----------------------------------------------------------------------------------------

REFUSED = {
    "a key that is there": Changes(new=[ROWS[0]]),
    "a key twice": Changes(new=[("reservation:X", 1, "t", None)] * 2),
    "nothing where something must be": Changes(new=[("reservation:X", None, "t", None)]),
    "nothing in a changed row": Changes(changed=[(ROWS[0][0], 1, None, None)]),
    "a text for a number": Changes(new=[("reservation:X", "one", "t", None)]),
    "a number too large": Changes(new=[("reservation:X", 2**64, "t", None)]),
    "a text that is no Unicode": Changes(new=[("reservation:X", 1, "\ud800", None)]),
    "a thing that is no value": Changes(new=[("reservation:X", 1, {"t": 1}, None)]),
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
def test_rows_that_do_not_fit_are_refused_and_the_rest_of_the_transaction_stands(store, changes):
    generation = live(store)
    with store.writing() as writes:
        writes.put(SEEN, generation.number, Changes(removed=[ROWS[1][0]]))
        with pytest.raises(RowsRefused), writes.attempt():  # noqa: PT012 - the attempt is what is taken back
            writes.put(SEEN, generation.number, Changes(removed=[ROWS[2][0]]))
            writes.put(SEEN, generation.number, changes)
        writes.mark([generation._replace(position=5, leaf=b"5")])
    with store.reading() as reads:
        assert all_rows(reads, SEEN) == [ROWS[0], *ROWS[2:]]
        assert reads.generations()[0].position == 5


def test_a_transaction_that_ends_with_an_error_leaves_no_trace(store):
    generation = live(store)
    with pytest.raises(ZeroDivisionError), store.writing() as writes:  # noqa: PT012
        writes.put(SEEN, generation.number, Changes(removed=[ROWS[2][0]]))
        writes.mark([generation._replace(position=5)])
        writes.switch(TALLY, writes.create(TALLY))
        raise ZeroDivisionError
    with store.reading() as reads:
        assert all_rows(reads, SEEN) == ROWS
        assert reads.generations() == [generation]


# --- Generations ------------------------------------------------------------------------------------------------------


def test_an_empty_store_has_no_generations_and_says_how_to_build_one(store):
    with store.reading() as reads:
        assert reads.generations() == []
        for ask in (lambda: reads.row(SEEN, "a"), lambda: reads.rows(SEEN), lambda: reads.rows_of(SEEN, ["a"])):
            with pytest.raises(Unready) as refused:
                ask()
            assert refused.value.advice == "build it: continuity rebuild"


def test_a_new_generation_is_filling_and_read_by_its_number_alone(store):
    generation = created(store)
    assert generation[:3] == ("tally", 1, 1)
    assert generation.fingerprint == TALLY.fingerprint()
    assert (generation.tables, generation.state) == (("seen", "visits", "steps"), "filling")
    assert (generation.position, generation.leaf, generation.fault) == (-1, b"", None)
    with store.reading() as reads:
        assert reads.generations() == [generation]
        assert all_rows(reads, SEEN, 1) == ROWS
        with pytest.raises(Unready):
            reads.row(SEEN, ROWS[0][0])


def test_a_mark_says_how_far_a_generation_is_and_where_it_stopped(store):
    generation = created(store)
    for marked in (
        generation._replace(position=8, leaf=bytes(range(32)), fault=Fault(9, "ValueError: ü")),
        generation._replace(position=2**53 - 1, leaf=b"x"),
    ):
        with store.writing() as writes:
            writes.mark([marked])
        with store.reading() as reads:
            assert reads.generations() == [marked]


def test_the_catalogue_is_in_the_order_of_projections_and_numbers(store):
    other = Projection("another", version=1, tables=(KEYS,))
    for model in (TALLY, other, TALLY):
        with store.writing() as writes:
            writes.create(model)
    with store.reading() as reads:
        assert [one[:2] for one in reads.generations()] == [("another", 1), ("tally", 1), ("tally", 2)]


def test_a_switch_puts_all_tables_of_a_generation_in_the_place_of_the_live_ones(store):
    first = live(store)
    second = created(store, seen=ROWS[:3])
    with store.reading() as reads:
        assert all_rows(reads, SEEN) == ROWS
    with store.writing() as writes:
        writes.put(STEPS, second.number, Changes(new=[(1, "t")]))
        writes.switch(TALLY, second)
        assert all_rows(writes, SEEN) == ROWS[:3]
    with store.reading() as reads:
        assert (all_rows(reads, SEEN), all_rows(reads, STEPS)) == (ROWS[:3], [(1, "t")])
        assert reads.generations() == [first._replace(state="previous"), second._replace(state="live")]
        assert all_rows(reads, SEEN, first.number) == ROWS
    with store.writing() as writes:
        writes.switch(None, first, replaced="withdrawn")
    with store.reading() as reads:
        assert all_rows(reads, SEEN) == ROWS
        assert [one.state for one in reads.generations()] == ["live", "withdrawn"]


def test_a_reader_sees_one_moment_through_a_switch(places):
    store, other = places.open("store"), places.open("store")
    live(store)
    with store.reading() as reads:
        assert all_rows(reads, SEEN) == ROWS
        second = created(other, seen=ROWS[:3])
        with other.reading() as later:
            assert len(later.generations()) == 2
        assert [one.number for one in reads.generations()] == [1]
        assert all_rows(reads, SEEN, second.number - 1) == ROWS


def test_the_tables_of_another_release_come_and_go_with_their_generation(store, places):
    live(store)
    narrow = projection(version=2, tables=(SEEN,))
    live(store, narrow, seen=ROWS[:2])
    with store.reading() as reads:
        assert all_rows(reads, SEEN) == ROWS[:2]
        with pytest.raises(Unready):
            reads.rows(STEPS)
        first, second = reads.generations()
    with store.writing() as writes:
        writes.switch(None, first)
        writes.drop(second)
    with store.reading() as reads:
        assert (all_rows(reads, SEEN), all_rows(reads, STEPS)) == (ROWS, [])
    assert not [name for name in places.tables("store") if "__g2" in name]


def test_a_live_generation_of_other_columns_is_read_where_they_fit(store):
    model = Projection("tally", version=1, tables=(OLDER,))
    with store.writing() as writes:
        generation = writes.create(model)
        writes.put(OLDER, 1, Changes(new=[("a", 1, "t", None, "x")]))
        writes.switch(model, generation)
    with store.reading() as reads:
        assert reads.rows(SEEN) == [("a", 1, "t", None)]
    for ask in (lambda reads: reads.rows(WIDER), lambda reads: reads.row(WIDER, "a")):
        with store.reading() as reads, pytest.raises(Unready):
            ask(reads)


def test_a_dropped_generation_leaves_nothing_behind_and_its_number_is_not_used_again(store, places):
    first, second = live(store), created(store)
    with store.writing() as writes:
        writes.drop(second)
        writes.drop(first)
    assert places.tables("store") == []
    with store.writing() as writes:
        assert writes.create(TALLY).number == 3
    with store.reading() as reads, pytest.raises(Unready):
        reads.rows(SEEN)


def test_indexes_of_a_live_generation_are_there_and_told_apart_from_those_of_others(store, places):
    live(store)
    live(store, seen=[])
    indexes = [name for name in places.tables("store") if "__i" in name]
    assert indexes == [
        *("seen__g1__i1", "seen__g1__i2", "seen__g2__i1", "seen__g2__i2"),
        *("visits__g1__i1", "visits__g2__i1"),
    ]


def test_two_that_write_take_turns(places):
    one, two = places.open("store"), places.open("store")
    generation = live(one)
    began, seen = threading.Event(), []

    def second():
        began.set()
        with two.writing() as writes:
            seen.append(writes.generations()[0].position)
            writes.mark([generation._replace(position=2)])

    with one.writing() as writes:
        thread = threading.Thread(target=second)
        thread.start()
        began.wait()
        writes.mark([generation._replace(position=1)])
    thread.join()
    assert seen == [1]
