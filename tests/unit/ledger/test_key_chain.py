"""The rotations of a ledger in one file: its form, and what it takes to follow it from a key that is trusted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import MalformedRotation, ProofError, RetiredKey, SignatureError, UnknownKey
from ledger.key_chain import MAX_CHAIN, Link, follow_chain, format_chain, parse_chain
from ledger.merkle import leaf_hash
from ledger.proof import Proof, format_proof
from ledger.tiles import Edge, inclusion_proof
from tests.support.events import ORIGIN
from tests.support.rotations import entry_of, keys, rotation, signers


def linked(old, new, size, *, by=None, more=0):
    """A rotation in a log of its own, proven by the bridge, or by a tree that has so many entries more."""
    before = Edge()
    before.extend([leaf_hash(b"%d" % number) for number in range(size)])
    entry = entry_of(rotation(old, new, size, before.root()))
    before.extend([leaf_hash(entry), *(leaf_hash(b"more %d" % number) for number in range(more))])
    tiles = {(tile.level, tile.index): tile.hashes for tile in before.take_dirty()}
    signing = [signer for name in by or (old, new) for signer in signers(name)]
    note = sign_checkpoint(Checkpoint(ORIGIN, size + 1 + more, before.root()), signing)
    hashes = inclusion_proof(lambda level, index: tiles[level, index], size, size + 1 + more)
    return Link(entry, format_proof(Proof(size, tuple(hashes), note)))


CHAIN = [linked("one", "two", 10), linked("two", "three", 300)]


@given(st.lists(st.builds(Link, st.binary(min_size=0, max_size=90), st.binary(max_size=90)), max_size=5))
def test_a_file_and_its_rotations_are_inverse_to_each_other(links):
    assert parse_chain(format_chain(links)) == links


@given(st.data())
def test_a_file_that_is_cut_or_goes_on_is_none(data):
    text = format_chain(CHAIN)
    cut = data.draw(st.integers(0, len(text) - 1))
    for other in (text[:cut], text + b"x"):
        with pytest.raises(MalformedRotation):
            parse_chain(other)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"continuity-rotations/v2\n0\n",
        b"continuity-rotations/v1\n1\n",
        b"continuity-rotations/v1\n-1\n",
        b"continuity-rotations/v1\n99999999999999\n",
        b"continuity-rotations/v1\n1\n3\nabc2\nde\n",
        b"continuity-rotations/v1\n1\n65536\n" + b"x" * 65_536 + b"\n0\n\n",
        b"continuity-rotations/v1\n\xff\n",
        b"x" * (MAX_CHAIN + 1),
    ],
)
def test_what_is_no_such_file_is_refused(text):
    with pytest.raises(MalformedRotation):
        parse_chain(text)


def test_it_leads_from_the_first_keys_to_those_that_hold():
    history = follow_chain(CHAIN, keys("one"))
    assert history.current.keys == keys("three")
    assert [one.last for one in history.generations] == [11, 301, None]
    assert follow_chain(CHAIN, keys("two")).current.keys == keys("three")
    assert follow_chain(CHAIN, keys("three")).current.keys == keys("three")
    assert follow_chain([], keys("one")).current.keys == keys("one")


def test_a_later_tree_proves_a_rotation_too():
    assert follow_chain([linked("one", "two", 10, by=["two"], more=90)], keys("one")).current.keys == keys("two")


@pytest.mark.parametrize(
    ("link", "kind", "fault"),
    [
        (Link(CHAIN[0].entry, linked("one", "four", 10, by=["one"]).proof), ProofError, "is not proven"),
        (Link(CHAIN[0].entry, linked("one", "two", 9, by=["one"]).proof), ProofError, "one of another entry"),
        (linked("one", "two", 10, by=["evil"]), UnknownKey, "no trusted key"),
        (linked("one", "two", 10, by=["one"], more=1), RetiredKey, "was retired by the entry at position 10"),
        (Link(CHAIN[0].entry, b"noise"), ProofError, "proof file"),
    ],
)
def test_a_proof_of_another_entry_or_by_other_keys_proves_nothing(link, kind, fault):
    with pytest.raises(kind, match=fault):
        follow_chain([link], keys("one"))


def test_a_rotation_of_another_ledger_or_out_of_order_is_not_followed():
    for links in (CHAIN[::-1], [CHAIN[0], CHAIN[0]], [linked("evil", "two", 10)], [Link(b"noise", b"noise")]):
        with pytest.raises(SignatureError):
            follow_chain(links, keys("one"))
