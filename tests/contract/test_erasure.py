"""What every store promises of deleting and rewrapping: exactly what is named goes, and entries stay as they are."""

import pytest

from ledger.errors import StoreError
from ledger.store.protocol import Selection, WrappedKey
from tests.contract.stores import new_row, write

KEYS = [WrappedKey(at, f"M-{at % 3}" if at % 3 else "", f"s:{at}", 1, b"wrapped %d" % at) for at in range(12)]
PAIRS = [(key.member, key.stream) for key in KEYS]


@pytest.fixture
def filled(store):
    """Twelve rows of as many streams, each with a disclosure and a key; every third is about nobody."""
    rows = [
        new_row(key.position, key.stream, 1, member=(key.member, key.position // 3 + 1) if key.member else None)
        for key in KEYS
    ]
    write(store, rows, disclosures=[(at, b"sealed") for at in range(12)], keys=KEYS)
    return store


def kept(store):
    with store.reading() as reads:
        return sorted(reads.disclosures(range(12))), reads.data_keys(PAIRS), reads.rows(Selection())


def test_what_is_named_is_deleted_and_nothing_else(filled):
    _, keys, rows = kept(filled)
    with filled.writing() as writes:
        writes.erase([1, 4], [("M-1", "s:1"), ("M-1", "s:4"), ("M-2", "s:1"), ("", "s:4")])
        assert writes.disclosures([1, 2, 4]) == {2: b"sealed"}
    sealed, left, same = kept(filled)
    assert sealed == [0, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert keys.keys() - left.keys() == {("M-1", "s:1"), ("M-1", "s:4")}
    assert same == rows


def test_deleting_again_what_is_gone_or_never_was_changes_nothing(filled):
    for _ in range(2):
        with filled.writing() as writes:
            writes.erase([1, 99], [("M-1", "s:1"), ("M-9", "s:99")])
    assert len(kept(filled)[0]) == len(kept(filled)[1]) == 11
    with filled.writing() as writes:
        writes.erase([], [])
    assert len(kept(filled)[0]) == 11


def test_a_pair_whose_key_was_deleted_can_have_another(filled):
    with filled.writing() as writes:
        writes.erase([1], [("M-1", "s:1")])
    another = WrappedKey(12, "M-1", "s:1", 1, b"another")
    write(filled, [new_row(12, "s:1", 2, member=("M-1", 5))], disclosures=[(12, b"new")], keys=[another])
    with filled.reading() as reads:
        assert reads.data_keys([("M-1", "s:1")]) == {("M-1", "s:1"): another}
        assert reads.disclosures([1, 12]) == {12: b"new"}


def test_keys_of_older_epochs_are_paged_through_and_rewrapped_under_the_feet_of_it(filled):
    with filled.writing() as writes:
        writes.turn(2)
        assert writes.head().epoch == 2
    seen, after = [], None
    while True:
        with filled.writing() as writes:
            page = writes.keys_before(2, after, limit=5)
            writes.rewrap([key._replace(epoch=2, wrapped=b"again " + key.wrapped) for key in page])
            assert writes.keys_before(2, after, limit=5) == writes.keys_before(2, page[-1] if page else after, limit=5)
        if not page:
            break
        seen, after = seen + page, page[-1]
    assert sorted(seen) == KEYS
    _, keys, _ = kept(filled)
    assert keys == {(key.member, key.stream): key._replace(epoch=2, wrapped=b"again " + key.wrapped) for key in KEYS}
    with filled.reading() as reads:
        assert reads.key_counts() == {2: 12}
        assert reads.keys_before(2) == []
        assert reads.keys_before(3, limit=100) == reads.keys_before(3)


def test_keys_are_counted_by_epoch(filled):
    with filled.writing() as writes:
        writes.turn(4)
        writes.rewrap([key._replace(epoch=4) for key in KEYS[:5]])
    with filled.reading() as reads:
        assert reads.key_counts() == {1: 7, 4: 5}
        assert len(reads.keys_before(4)) == 7


def test_the_epoch_turns_without_an_entry_and_never_goes_back(filled):
    with filled.writing() as writes:
        before = writes.head()
        writes.turn(2)
    with filled.reading() as reads:
        assert reads.head() == before._replace(epoch=2)
    with pytest.raises(StoreError), filled.writing() as writes:
        writes.turn(1)
    with filled.reading() as reads:
        assert reads.head().epoch == 2


def fail(store):
    with store.writing() as writes:
        writes.erase([1], [("M-1", "s:1")])
        writes.rewrap([KEYS[2]._replace(epoch=2)])
        writes.turn(2)
        raise KeyError


def test_a_deletion_in_a_transaction_that_fails_leaves_all_in_place(filled):
    before = kept(filled)
    with pytest.raises(KeyError):
        fail(filled)
    assert kept(filled) == before


def test_a_store_that_nobody_reads_can_be_scrubbed_again_and_again(filled):
    with filled.writing() as writes:
        writes.erase(range(12), PAIRS)
    assert filled.scrub()
    assert filled.scrub()
    assert kept(filled)[:2] == ([], {})
