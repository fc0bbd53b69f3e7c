import json
from base64 import b64decode
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import BadSignature, ProofError, UnknownKey, VerificationError
from ledger.merkle import leaf_hash
from ledger.note import Ed25519Signer, MLDSA44Signer, VerifierKey
from ledger.proof import MAX_HASHES, Proof, format_proof, parse_proof, verify_entry
from ledger.tiles import Edge, inclusion_proof

ORIGIN = "ledger.example/log"
SIGNERS = [Ed25519Signer(ORIGIN, sha256(b"test log").digest()), MLDSA44Signer(ORIGIN, sha256(b"test log pq").digest())]
KEYS = [signer.key for signer in SIGNERS]
ENTRIES = [b"entry %d" % number for number in range(600)]
HASHES = st.binary(min_size=32, max_size=32)


def tree_of(size):
    edge = Edge()
    edge.extend([leaf_hash(entry) for entry in ENTRIES[:size]])
    tiles = {(tile.level, tile.index): tile.hashes for tile in edge.take_dirty()}
    note = sign_checkpoint(Checkpoint(ORIGIN, size, edge.root()), SIGNERS, 1_700_000_000)
    return note, lambda level, index: tiles[level, index]


NOTE, READ = tree_of(600)


def proof_of(index):
    return Proof(index, tuple(inclusion_proof(READ, index, 600)), NOTE)


PROOFS = st.builds(
    Proof,
    st.integers(0, (1 << 63) - 1),
    st.lists(HASHES, max_size=MAX_HASHES).map(tuple),
    st.just(NOTE),
    st.none() | st.binary(min_size=1, max_size=50),
)


@given(PROOFS)
def test_proof_files_read_back_as_what_was_written(proof):
    assert parse_proof(format_proof(proof)) == proof


@given(st.data())
def test_a_proof_file_with_any_byte_changed_is_refused_or_proves_what_it_did(data):
    index = data.draw(st.integers(0, 599))
    whole = format_proof(proof_of(index))
    at, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    changed = whole[:at] + bytes([byte]) + whole[at + 1 :]
    try:
        proof = parse_proof(changed)
        assert format_proof(proof) == changed
        checkpoint = verify_entry(proof, ENTRIES[index], KEYS)
    except VerificationError:
        return
    # All that may change is which key a signature names: an unknown one is ignored while another still vouches.
    assert (proof.index, proof.hashes) == (index, proof_of(index).hashes)
    assert checkpoint.size == 600


@given(st.integers(0, 599))
def test_an_entry_is_proven_and_no_other_in_its_place(index):
    proof = parse_proof(format_proof(proof_of(index)))
    assert verify_entry(proof, ENTRIES[index], KEYS).size == 600
    for key in KEYS:
        assert verify_entry(proof, ENTRIES[index], [key]).origin == ORIGIN
    with pytest.raises(ProofError):
        verify_entry(proof, ENTRIES[index] + b" ", KEYS)
    with pytest.raises(ProofError):
        verify_entry(replace(proof, index=(index + 1) % 600), ENTRIES[index], KEYS)


def test_a_proof_is_worth_nothing_without_a_trusted_signature():
    proof = proof_of(5)
    stranger = Ed25519Signer(ORIGIN, sha256(b"stranger").digest())
    with pytest.raises(UnknownKey):
        verify_entry(proof, ENTRIES[5], [stranger.key])
    with pytest.raises(BadSignature):
        verify_entry(replace(proof, checkpoint=NOTE.replace(b"\n600\n", b"\n601\n")), ENTRIES[5], KEYS)


def test_extra_data_travels_along_unauthenticated():
    proof = replace(proof_of(5), extra=b"anything")
    assert b"\nextra YW55dGhpbmc=\nindex 5\n" in format_proof(proof)
    assert verify_entry(parse_proof(format_proof(proof)), ENTRIES[5], KEYS).size == 600


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("index", -1),
        ("index", 1 << 63),
        ("hashes", (b"x" * 31,)),
        ("hashes", (b"x" * 32,) * 64),
        ("extra", b""),
        ("checkpoint", b""),
        ("checkpoint", b"no note"),
        ("checkpoint", NOTE.replace(b"\n600\n", b"\n0600\n")),
    ],
)
def test_an_impossible_proof_is_not_made(field, value):
    with pytest.raises(ProofError, match="proof file: "):
        replace(proof_of(5), **{field: value})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"@v1\n", b"@v1\nextra \n"),
        (b"@v1\n", b"@v1\nextra YQ==\nextra YQ==\n"),
        (b"index 5\n", b"index 5\nindex 5\n"),
        (b"index 5\n", b"index  5\n"),
        (b"index 5\n", b"index\n"),
        (b"index 5\n", b"index 5\n\n"),
        (b"index 5\n", b"index 5\nAAAA\n"),
        (b"index 5\n", b"index 5\r\n"),
        (b"index 5\n", "index ٥\n".encode()),
        (b"c2sp.org", b"\nc2sp.org"),
        (b"c2sp.org", b"\xff"),
    ],
)
def test_a_proof_file_out_of_form_is_refused(old, new):
    whole = format_proof(proof_of(5))
    with pytest.raises(ProofError, match="proof file: "):
        parse_proof(whole.replace(old, new, 1))


def test_every_public_proof_gets_its_verdict(shared):
    vectors = json.loads((shared / "vectors/tlog-proofs.json").read_bytes())
    keys = [VerifierKey.parse(vectors["log_vkey"])]
    assert sum(case["ok"] for case in vectors["proofs"]) == 24
    for case in vectors["proofs"]:
        text = case["proof"].encode()
        entry = bytes.fromhex(case["entry_hex"]) if "entry_hex" in case else case.get("entry", "").encode()
        if case.get("fails") == "parse":
            with pytest.raises(ProofError):
                parse_proof(text)
            continue
        proof = parse_proof(text)
        assert format_proof(proof) == text
        if not case["ok"]:
            with pytest.raises(VerificationError):
                verify_entry(proof, entry, keys)
            continue
        assert proof.index == case["index"]
        assert proof.extra == (b64decode(case["extra"]) if "extra" in case else None)
        verify_entry(proof, entry, keys)
