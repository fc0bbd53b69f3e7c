"""What every store promises of a change: whole or not at all, one writer at a time, and nothing taken back."""

import threading
import time

import pytest

from ledger.errors import StoreError
from ledger.store.protocol import Batch, Selection, WrappedKey
from ledger.tiles import Tile
from tests.contract.stores import head, leaf, new_row, stored, write


class Fault(Exception):
    """What a failing writer raises."""


def contents(store):
    """All that readers can see."""
    with store.reading() as reads:
        return (
            reads.head(),
            reads.rows(Selection()),
            reads.tile(0, 0),
            reads.disclosures(range(10)),
            reads.data_keys([("M-1", "s:1"), ("M-2", "s:2")]),
            reads.checkpoints(0),
        )


@pytest.fixture
def filled(store):
    """Two rows with everything beside them."""
    write(
        store,
        [new_row(0, "s:1", 1, "t.a", ("M-1", 1)), new_row(1, "s:1", 2, "t.a", ("M-1", 2))],
        tiles=[Tile(0, 0, leaf(0) + leaf(1))],
        disclosures=[(0, b"sealed")],
        keys=[WrappedKey(0, "M-1", "s:1", 1, b"wrapped")],
    )
    store.add_checkpoint(2, b"note")
    return store


def next_batch(**changes):
    """A batch of one row that fits after those of ``filled``."""
    parts = {
        "rows": [new_row(2, "s:2", 1, "t.b", ("M-2", 1))],
        "disclosures": [(2, b"sealed too")],
        "keys": [WrappedKey(2, "M-2", "s:2", 1, b"wrapped too")],
        "tiles": [Tile(0, 0, leaf(0) + leaf(1) + leaf(2))],
        "head": head(3),
    }
    return Batch(**{**parts, **changes})


def fail(store):
    """Write a batch, and then end its transaction with an error."""
    with store.writing() as writes:
        writes.write(next_batch())
        raise Fault


def test_a_transaction_that_ends_in_an_error_leaves_no_trace(filled):
    before = contents(filled)
    with pytest.raises(Fault):
        fail(filled)
    assert contents(filled) == before
    with filled.writing() as writes:
        assert writes.find_ids([("urn:test", "id-2")]) == {}
        assert writes.streams(["s:2"]) == {}
        assert writes.member_versions(["M-2"]) == {}


def test_after_a_failed_transaction_the_same_batch_is_written_whole(filled):
    for _ in range(2):
        with pytest.raises(Fault):
            fail(filled)
    with filled.writing() as writes:
        writes.write(next_batch())
    with filled.reading() as reads:
        assert [one.content().event.stream for one in reads.rows(Selection())] == ["s:1", "s:1", "s:2"]
        assert reads.data_keys([("M-2", "s:2")]) == {("M-2", "s:2"): WrappedKey(2, "M-2", "s:2", 1, b"wrapped too")}
        assert reads.rows(Selection(member="M-2", type="t.b")) == stored([new_row(2, "s:2", 1, "t.b", ("M-2", 1))])


def test_names_first_met_in_a_failed_transaction_are_not_mistaken_later(kind, filled):
    """What a failed transaction numbered, or cached, another writer may use for something else."""
    with pytest.raises(Fault):
        fail(filled)
    other = kind.open()
    try:
        theirs = new_row(2, "s:other", 1, "t.other", ("M-other", 1), source="urn:x", event_id="x")
        write(other, [theirs])
    finally:
        other.close()
    ours = new_row(3, "s:2", 1, "t.b", ("M-2", 1), source="urn:other", event_id="id-2")
    write(filled, [ours])
    with filled.reading() as reads:
        assert reads.rows(Selection(2)) == stored([theirs, ours])
    with filled.writing() as writes:
        assert writes.find_ids([("urn:other", "id-2"), ("urn:x", "x")]) == {("urn:other", "id-2"): 3, ("urn:x", "x"): 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": [new_row(1, "s:2", 1)]},
        {"rows": [new_row(2, "s:1", 2)]},
        {"rows": [new_row(2, "s:2", 1, "t.b", ("M-1", 2))]},
        {"rows": [new_row(2, "s:2", 1), new_row(2, "s:2", 2)]},
        {"rows": [new_row(2, "s:2", 1, event_id="id-0")]},
        {"rows": [new_row(2, "s:2", 1), new_row(3, "s:2", 2, event_id="id-2")], "head": head(4)},
        {"disclosures": [(0, b"another")]},
        {"rows": [new_row(2, "s:1", 3, "t.b", ("M-1", 3))], "keys": [WrappedKey(0, "M-1", "s:1", 1, b"another")]},
        {"tiles": [Tile(0, 0, leaf(0))]},
        {"tiles": [Tile(0, 0, leaf(0) + leaf(9) + leaf(2))]},
        {"head": head(1)},
    ],
    ids=[
        "position taken",
        "version taken",
        "member version taken",
        "position twice",
        "id taken",
        "id twice",
        "disclosure changed",
        "data key changed",
        "tile shrinks",
        "tile changes",
        "head back",
    ],
)
def test_a_batch_that_contradicts_the_store_is_refused_whole(filled, changes):
    before = contents(filled)
    with pytest.raises(StoreError), filled.writing() as writes:
        writes.write(next_batch(**changes))
    assert contents(filled) == before
    with filled.writing() as writes:
        writes.write(next_batch())
    assert contents(filled)[0] == head(3)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entries SET entry = {zero}",
        "UPDATE entries SET {key} = {key} + 100",
        "DELETE FROM entries",
        "DELETE FROM entries WHERE {key} = 1",
        "UPDATE checkpoints SET note = {zero}",
        "UPDATE checkpoints SET size = size + 1",
        "DELETE FROM checkpoints",
        "UPDATE tiles SET hashes = substr(hashes, 1, 32)",
        "UPDATE tiles SET hashes = {zeros}",
        "UPDATE tiles SET number = 7",
        "DELETE FROM tiles",
        "UPDATE head SET size = size - 1",
        "DELETE FROM head",
        "UPDATE disclosures SET sealed = {zero}",
        "UPDATE disclosures SET {key} = {key} + 1",
    ],
)
def test_what_is_written_is_not_changed_even_behind_the_store_s_back(kind, filled, sql):
    before = contents(filled)
    with pytest.raises(kind.refusal):
        kind.execute(sql.format(**kind.words))
    assert contents(filled) == before


def test_a_disclosure_can_be_deleted_since_erasure_needs_it(kind, filled):
    kind.execute("DELETE FROM disclosures")
    with filled.reading() as reads:
        assert reads.disclosures([0]) == {}


@pytest.mark.parametrize("same_handle", [True, False])
def test_two_writers_exclude_each_other(kind, filled, same_handle):
    other = filled if same_handle else kind.open()
    order, began = [], threading.Event()

    def second():
        began.set()
        with other.writing() as writes:
            order.append(("second sees", writes.head().size))

    thread = threading.Thread(target=second)
    try:
        with filled.writing() as writes:
            thread.start()
            began.wait()
            time.sleep(0.1)
            writes.write(next_batch())
            order.append(("first wrote", 3))
        thread.join(30)
        assert order == [("first wrote", 3), ("second sees", 3)]
    finally:
        other.close()


def test_a_writer_does_not_hold_back_readers_who_see_nothing_of_it_before_its_commit(filled):
    before = contents(filled)
    with filled.writing() as writes:
        writes.write(next_batch())
        assert contents(filled) == before
    assert contents(filled) != before


def test_a_reader_keeps_one_view_while_others_write(kind, filled):
    other = kind.open()
    try:
        with filled.reading() as reads:
            assert reads.head() == head(2)
            with other.writing() as writes:
                writes.write(next_batch())
            assert reads.head() == head(2)
            assert len(reads.rows(Selection())) == 2
            assert reads.tile(0, 0) == leaf(0) + leaf(1)
            assert reads.disclosures([0, 2]) == {0: b"sealed"}
        assert contents(filled)[0] == head(3)
    finally:
        other.close()


def test_every_view_is_consistent_however_fast_others_write(kind, store):
    total, torn, views = 400, [], []
    done = threading.Event()

    def read(reader):
        while not done.is_set():
            with reader.reading() as reads:
                size = reads.head().size
                rows = reads.rows(Selection())
                tile = reads.tile(0, 0)
            views.append(size)
            if len(rows) != size or len(tile) != min(size, 256) * 32:
                torn.append((size, len(rows), len(tile)))

    other = kind.open()
    threads = [threading.Thread(target=read, args=(reader,)) for reader in (store, other)]
    try:
        for thread in threads:
            thread.start()
        for position in range(total):
            width = min(position + 1, 256)
            tile = Tile(0, 0, b"".join(map(leaf, range(width))))
            write((store, other)[position % 2], [new_row(position, "s:1", position + 1)], tiles=[tile])
    finally:
        done.set()
        for thread in threads:
            thread.join()
        other.close()
    assert torn == []
    assert len(set(views)) > 5
