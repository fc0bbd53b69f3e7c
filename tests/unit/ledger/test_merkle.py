import json
from base64 import b64decode
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger.errors import ProofError
from ledger.merkle import (
    EMPTY_ROOT,
    complete_subtrees,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(b"%d" % number) for number in range(400)]
SIZES = st.integers(1, len(LEAVES))


def root_by_definition(leaves):
    """MTH of RFC 6962 section 2.1, as the recursion stands there."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = root_by_definition(leaves[:split]), root_by_definition(leaves[split:])
    return sha256(b"\x01" + left + right).digest()


def hashes_of(ranges):
    return [root_by_definition(LEAVES[low:high]) for low, high in ranges]


def flip(data, bit):
    at = bit % (8 * len(data))
    return data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]


def mutations(proof, bit):
    """Proofs that differ from a good one by one change each."""
    if proof:
        chosen = bit % len(proof)
        yield [flip(each, bit) if at == chosen else each for at, each in enumerate(proof)]
        yield [each[:-1] if at == chosen else each for at, each in enumerate(proof)]
        yield proof[:chosen] + proof[chosen + 1 :]
        yield [*proof[:chosen], proof[chosen], *proof[chosen:]]
    yield [*proof, LEAVES[bit % len(LEAVES)]]
    for at in range(len(proof) - 1):
        yield [*proof[:at], proof[at + 1], proof[at], *proof[at + 2 :]]


def test_leaves_and_nodes_of_the_same_bytes_hash_differently():
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) == sha256(b"\x00" + left + right).digest()
    assert node_hash(left, right) == sha256(b"\x01" + left + right).digest()


def test_the_root_of_no_leaves_is_the_hash_of_nothing():
    assert root_of([]) == EMPTY_ROOT == sha256(b"").digest()


@given(st.integers(0, len(LEAVES)))
def test_the_root_is_the_one_that_rfc_6962_defines(size):
    assert root_of(LEAVES[:size]) == root_by_definition(LEAVES[:size])


@given(SIZES, st.data())
def test_an_inclusion_proof_verifies_and_no_change_to_it_does(size, data):
    index = data.draw(st.integers(0, size - 1))
    bit = data.draw(st.integers(0, 10_000))
    root, proof = root_of(LEAVES[:size]), hashes_of(inclusion_ranges(index, size))
    verify_inclusion(index, size, LEAVES[index], proof, root)
    for mutated in mutations(proof, bit):
        with pytest.raises(ProofError):
            verify_inclusion(index, size, LEAVES[index], mutated, root)
    with pytest.raises(ProofError, match="expected"):
        verify_inclusion(index, size, flip(LEAVES[index], bit), proof, root)
    with pytest.raises(ProofError, match="expected"):
        verify_inclusion(index, size, LEAVES[index], proof, flip(root, bit))


@given(SIZES, st.data())
def test_an_inclusion_proof_holds_for_no_other_index(size, data):
    index, other = data.draw(st.tuples(st.integers(0, size - 1), st.integers(-2, size + 2)))
    assume(other != index)
    proof = hashes_of(inclusion_ranges(index, size))
    with pytest.raises(ProofError):
        verify_inclusion(other, size, LEAVES[index], proof, root_of(LEAVES[:size]))


@given(SIZES, st.data())
def test_a_consistency_proof_verifies_and_no_change_to_it_does(new, data):
    old = data.draw(st.integers(1, new))
    bit = data.draw(st.integers(0, 10_000))
    old_root, new_root = root_of(LEAVES[:old]), root_of(LEAVES[:new])
    proof = hashes_of(consistency_ranges(old, new))
    verify_consistency(old, new, old_root, new_root, proof)
    for mutated in mutations(proof, bit):
        with pytest.raises(ProofError):
            verify_consistency(old, new, old_root, new_root, mutated)
    with pytest.raises(ProofError):
        verify_consistency(old, new, flip(old_root, bit), new_root, proof)
    with pytest.raises(ProofError):
        verify_consistency(old, new, old_root, flip(new_root, bit), proof)


def test_every_inclusion_and_consistency_proof_of_small_trees_verifies():
    for size in range(1, 35):
        root = root_of(LEAVES[:size])
        for index in range(size):
            verify_inclusion(index, size, LEAVES[index], hashes_of(inclusion_ranges(index, size)), root)
            proof = hashes_of(consistency_ranges(index + 1, size))
            verify_consistency(index + 1, size, root_of(LEAVES[: index + 1]), root, proof)


def test_a_rewritten_history_has_no_consistency_proof():
    forged = [leaf_hash(b"forged"), *LEAVES[1:5]]
    proof = hashes_of(consistency_ranges(5, 9))
    with pytest.raises(ProofError, match="the older tree of 5"):
        verify_consistency(5, 9, root_of(forged), root_of(LEAVES[:9]), proof)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3), (2**64 - 1, 3)])
def test_a_leaf_outside_the_tree_is_refused(index, size):
    with pytest.raises(ProofError, match="there is no leaf"):
        inclusion_ranges(index, size)
    with pytest.raises(ProofError, match="there is no leaf"):
        verify_inclusion(index, size, LEAVES[0], [], LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 3), (4, 3), (-1, 3)])
def test_consistency_from_nothing_or_from_a_larger_tree_is_refused(old, new):
    with pytest.raises(ProofError, match="no consistency proof"):
        consistency_ranges(old, new)
    with pytest.raises(ProofError, match="no consistency proof"):
        verify_consistency(old, new, EMPTY_ROOT, EMPTY_ROOT, [])


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_hash_of_another_length_is_refused_even_where_it_would_compare_equal(length):
    odd = b"\x07" * length
    with pytest.raises(ProofError, match=f"{length} bytes, expected 32"):
        verify_inclusion(0, 1, odd, [], odd)
    with pytest.raises(ProofError, match=f"{length} bytes, expected 32"):
        verify_consistency(1, 1, odd, odd, [])


@given(st.integers(0, 1 << 40), st.integers(0, 5))
def test_complete_subtrees_fill_the_range_from_the_largest_down(count, blocks):
    low = blocks << 41
    parts = complete_subtrees(low, low + count)
    widths = [high - start for start, high in parts]
    assert sum(widths) == count
    assert widths == sorted(set(widths), reverse=True)
    assert all(width & (width - 1) == 0 and start % width == 0 for (start, _), width in zip(parts, widths, strict=True))


def test_the_published_hash_constants_come_out(shared):
    vectors = json.loads((shared / "vectors/rfc6962.json").read_bytes())
    for case in vectors["hasher"]:
        fields = {name: bytes.fromhex(case[name]) for name in ("data", "left", "right") if name in case}
        computed = {
            "empty": lambda given: root_of([]),
            "leaf": lambda given: leaf_hash(given["data"]),
            "node": lambda given: node_hash(given["left"], given["right"]),
        }[case["op"]](fields)
        assert computed.hex() == case["want"], case["desc"]


def test_the_published_tree_comes_out(shared):
    tree = json.loads((shared / "vectors/rfc6962.json").read_bytes())["tree"]
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in tree["leaves"]]
    assert [root_of(leaves[:size]).hex() for size in range(9)] == tree["roots"]
    for level, nodes in enumerate(tree["nodes"]):
        width = 1 << level
        assert [root_of(leaves[at : at + width]).hex() for at in range(0, 8, width)] == nodes


def test_every_published_inclusion_case_gets_its_verdict(shared):
    cases = json.loads((shared / "vectors/inclusion.json").read_bytes())
    verdicts = {}
    for case in cases:
        proof = [b64decode(each) for each in case["proof"] or []]
        leaf, root = b64decode(case["leafHash"] or ""), b64decode(case["root"] or "")
        try:
            verify_inclusion(case["leafIdx"], case["treeSize"], leaf, proof, root)
            verdicts[case["name"]] = True
        except ProofError:
            verdicts[case["name"]] = False
    assert verdicts == {case["name"]: not case["wantErr"] for case in cases}
    assert sum(verdicts.values()) == 6


# Its two equal roots have 12 bytes. A verifier that insists on SHA-256 refuses them.
NO_SHA256 = "additional/sizes-are-equal-one-and-proof-is-empty"


def test_every_published_consistency_case_gets_its_verdict_but_one_that_is_no_sha256(shared):
    cases = json.loads((shared / "vectors/consistency.json").read_bytes())
    verdicts = {}
    for case in cases:
        proof = [b64decode(each) for each in case["proof"] or []]
        roots = (b64decode(case["root1"] or ""), b64decode(case["root2"] or ""))
        try:
            verify_consistency(case["size1"], case["size2"], *roots, proof)
            verdicts[case["name"]] = True
        except ProofError:
            verdicts[case["name"]] = False
    expected = {case["name"]: not case["wantErr"] for case in cases}
    assert expected[NO_SHA256]
    assert verdicts == expected | {NO_SHA256: False}
    assert sum(verdicts.values()) == 5
