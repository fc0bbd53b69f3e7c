"""Which keys hold when: rotations that follow, and those that don't; checkpoints by the keys of their size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import BadSignature, MalformedRotation, RetiredKey, UnknownKey
from ledger.key_history import Generation, KeyHistory, open_by
from ledger.note import Ed25519Cosigner
from tests.support.events import ORIGIN
from tests.support.rotations import created, entry_of, keys, rotation, signers

ONE, TWO, THREE = keys("one"), keys("two"), keys("three")
FIRST, SECOND = rotation("one", "two", 10), rotation("two", "three", 20)
HISTORY = KeyHistory.following(ONE, [FIRST, SECOND])


def note(size, *names, root=b"\x07" * 32):
    return sign_checkpoint(Checkpoint(ORIGIN, size, root), [signer for name in names for signer in signers(name)])


def test_generations_follow_each_other_and_share_the_tree_that_ends_in_the_rotation():
    assert HISTORY.generations == (Generation(ONE, 0, 11), Generation(TWO, 11, 21), Generation(THREE, 21))
    assert HISTORY.current.keys == THREE
    assert HISTORY.keys == {*ONE, *TWO, *THREE}
    told = KeyHistory.of_entries([created("one"), entry_of(FIRST), created("one"), entry_of(SECOND)])
    assert told.generations == HISTORY.generations


@pytest.mark.parametrize(
    ("size", "names"),
    [(1, ["one"]), (10, ["one"]), (11, ["one"]), (11, ["two"]), (11, ["one", "two"]), (12, ["two"]), (21, ["two"]),
     (21, ["three"]), (22, ["three"]), (10**9, ["three"])],
)  # fmt: skip
def test_a_checkpoint_is_believed_by_the_keys_that_held_at_its_size(size, names):
    assert HISTORY.open(note(size, *names)).size == size
    assert open_by(HISTORY, note(size, *names)).size == size


@pytest.mark.parametrize(
    ("size", "names", "fault"),
    [
        (12, ["one"], "retired by the entry at position 10 and signs no tree above 11"),
        (1_200, ["two"], "retired by the entry at position 20 and signs no tree above 21"),
        (12, ["one", "two"], "retired by the entry at position 10"),
        (21, ["one", "two", "three"], "retired by the entry at position 10"),
        (10, ["two"], "holds only from the entry at position 10 on"),
        (20, ["three"], "holds only from the entry at position 20 on"),
    ],
)
def test_a_signature_by_a_key_that_did_not_hold_sinks_it_whoever_else_has_signed(size, names, fault):
    with pytest.raises(RetiredKey, match=fault) as caught:
        HISTORY.open(note(size, *names))
    assert f"a tree of {size:,} entries is signed by {ORIGIN}+" in str(caught.value)


def test_other_keys_are_no_ones():
    with pytest.raises(UnknownKey):
        HISTORY.open(note(12, "evil"))
    broken = note(11, "one", "two").replace(b"\n11\n", b"\n12\n")
    with pytest.raises(RetiredKey):
        HISTORY.open(broken)
    with pytest.raises(BadSignature):
        HISTORY.open(note(13, "two").replace(b"\n13\n", b"\n14\n"))


@given(st.lists(st.integers(1, 50), min_size=0, max_size=4), st.integers(0, 220))
def test_at_each_size_the_keys_that_hold_are_of_one_generation_or_of_both_beside_a_bridge(gaps, size):
    history, at = KeyHistory.trusting(keys("g0")), 0
    for number, gap in enumerate(gaps):
        at += gap
        history = history.follow(rotation(f"g{number}", f"g{number + 1}", at))
    holding = [one for one in history.generations if one.holds_at(size)]
    bridges = [one.first for one in history.generations[1:]]
    assert len(holding) == 1 + bridges.count(size)
    assert holding == [one for one in history.generations if one in holding], "in their order"


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (rotation("one", "three", 30), "retires other keys than those that hold"),
        (rotation("evil", "two", 30), "retires other keys"),
        (FIRST, "retires other keys"),
        (rotation("three", "one", 30), "brings back a key that was retired"),
        (rotation("three", "four", 20), "stands before the one it follows"),
        (rotation("three", "four", 30, origin="ledger.example/other"), "retires other keys"),
    ],
)
def test_a_rotation_that_does_not_follow_is_refused(made, fault):
    with pytest.raises(MalformedRotation, match=fault):
        HISTORY.follow(made)


def test_rotations_in_another_order_or_with_one_left_out_are_refused():
    for rotations in ([SECOND, FIRST], [FIRST, rotation("three", "four", 30)], [FIRST, FIRST]):
        with pytest.raises(MalformedRotation):
            KeyHistory.of_entries([created("one"), *map(entry_of, rotations)])


def test_whoever_trusts_a_later_generation_follows_from_there():
    later = KeyHistory.following(TWO, [FIRST, SECOND])
    assert later.generations == (Generation(TWO, 0, 21), Generation(THREE, 21))
    last = KeyHistory.following(THREE, [FIRST, SECOND])
    assert last.generations == (Generation(THREE, 21),)
    both = KeyHistory.following((*ONE, *TWO), [FIRST, SECOND])
    assert both.current.keys == THREE


def test_keys_that_no_rotation_speaks_of_are_told():
    for trusted in (keys("evil"), (*ONE, *keys("evil")), keys("one", "ledger.example/other")):
        with pytest.raises(RetiredKey, match="don't say what became of the keys"):
            KeyHistory.following(trusted, [FIRST, SECOND])
    with pytest.raises(RetiredKey):
        KeyHistory.following(ONE, [])


def test_of_a_generation_with_trusted_keys_the_others_count_for_nothing():
    history = KeyHistory.following(ONE[:1], [FIRST])
    assert history.open(note(5, "one")).size == 5
    only_other = sign_checkpoint(Checkpoint(ORIGIN, 5, b"\x07" * 32), signers("one")[1:])
    with pytest.raises(UnknownKey):
        history.open(only_other)
    assert history.open(note(12, "two")).size == 12


def test_witnesses_among_the_trusted_keys_are_verified_too():
    witness = Ed25519Cosigner("witness.example/w", b"\x09" * 32)
    history = KeyHistory.following((*ONE, witness.key), [FIRST])
    signed = sign_checkpoint(Checkpoint(ORIGIN, 12, b"\x07" * 32), signers("two"))
    assert witness.key in history.keys_for(signed)


def test_a_log_without_a_first_entry_that_names_keys_has_no_history():
    for entries in ([], [entry_of(FIRST)], [b"noise"], [created("one").replace(b"verifier_keys", b"verifier_kees")]):
        with pytest.raises(MalformedRotation):
            KeyHistory.of_entries(entries)
