"""Our own golden vectors: the formats of this project as JSON, for whoever writes another verifier.

They are made by ``build`` from nothing but published phrases, so a test can make them again and compare. A change that
alters them alters the format. README.md beside this file describes them and says how to write them anew.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import BadSignature, ProofError
from ledger.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from ledger.note import (
    Ed25519Cosigner,
    Ed25519Signer,
    MLDSA44Signer,
    Note,
    VerifierKey,
    format_note,
    open_note,
    parse_note,
)
from ledger.proof import Proof, format_proof, parse_proof, verify_entry
from ledger.tiles import Edge, consistency_proof, format_bundle, inclusion_proof, parse_bundle, tile_path, tiles_at

FOLDER = Path(__file__).parent
PHRASE = "continuity ledger golden vector key "
ORIGIN = "ledger.example/studio"
TIME = 1_767_225_600
LEAF_COUNT = 66_049  # 256 x 256 + 2 x 256 + 1: a tile of level 2, and a partial one on each level


def seed(name):
    """Test seeds are SHA-256 of a published phrase: they protect nothing."""
    return sha256((PHRASE + name).encode()).digest()


ED25519 = Ed25519Signer(ORIGIN, seed("log"))
ML_DSA = MLDSA44Signer(ORIGIN, seed("log ml-dsa"))
WITNESS = Ed25519Cosigner("witness.example/w", seed("witness"))


def entry(position):
    return b"entry %d" % position


def grown():
    """The edge and all tiles of a log whose entry N is the text ``entry N``."""
    edge = Edge()
    edge.extend([leaf_hash(entry(position)) for position in range(LEAF_COUNT)])
    tiles = {(tile.level, tile.index): tile.hashes for tile in edge.take_dirty()}
    return tiles, lambda level, index: tiles[level, index]


def build_tree():
    tiles, read = grown()
    sizes = [0, 1, 2, 3, 7, 8, 255, 256, 257, 65_535, 65_536, 65_537, LEAF_COUNT]
    roots = {str(size): Edge.load(read, size).root().hex() for size in sizes}
    inclusion = [(0, 1), (0, 2), (4, 7), (255, 256), (256, 257), (300, 65_537), (65_536, 65_537), (12_345, LEAF_COUNT)]
    consistency = [(1, 2), (3, 7), (7, 8), (8, 8), (255, 257), (256, 65_536), (65_537, LEAF_COUNT)]
    return {
        "entry": "entry N, in ASCII, for position N from 0",
        "roots": roots,
        "tiles": {
            tile_path(*ref): sha256(tiles[ref.level, ref.index]).hexdigest()
            for ref in tiles_at(LEAF_COUNT)
            if ref.level or ref.index in {0, 255, 258}
        },
        "inclusion": [
            {"index": index, "size": size, "proof": [each.hex() for each in inclusion_proof(read, index, size)]}
            for index, size in inclusion
        ],
        "consistency": [
            {"old": old, "new": new, "proof": [each.hex() for each in consistency_proof(read, old, new)]}
            for old, new in consistency
        ],
        "bundle": {
            "entries": ["", "entry 1", "é"],
            "base64": b64encode(format_bundle([b"", b"entry 1", "é".encode()])).decode(),
        },
    }


def build_notes():
    _, read = grown()
    checkpoint = Checkpoint(ORIGIN, LEAF_COUNT, Edge.load(read, LEAF_COUNT).root())
    text = checkpoint.body()
    log, witness = ED25519.sign(text), WITNESS.sign(text, TIME)
    proof = Proof(12_345, tuple(inclusion_proof(read, 12_345, LEAF_COUNT)), sign_checkpoint(checkpoint, [ED25519]))
    return {
        "phrase": PHRASE,
        "time": TIME,
        "keys": {
            "log": str(ED25519.key),
            "log ml-dsa": str(ML_DSA.key),
            "witness": str(WITNESS.key),
        },
        "checkpoint": text,
        "signed": format_note(Note(text, (log,))).decode(),
        "signed_and_witnessed": format_note(Note(text, (log, witness))).decode(),
        "signed_twice": sign_checkpoint(checkpoint, [ED25519, ML_DSA], TIME).decode(),
        "proof": format_proof(proof).decode(),
        "proof_with_extra": format_proof(replace(proof, extra=b"not authenticated")).decode(),
    }


# What is signed with ML-DSA-44 is randomised: to be verified, not to be made again.
RANDOMISED = {"signed_twice"}


def build():
    return {"tree.json": build_tree(), "notes.json": build_notes()}


def write():
    """Write the vectors anew, after a deliberate change of format."""
    for name, content in build().items():
        (FOLDER / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def notes():
    return json.loads((FOLDER / "notes.json").read_bytes())


@pytest.fixture(scope="module")
def tree():
    return json.loads((FOLDER / "tree.json").read_bytes())


def test_the_golden_vectors_come_out_as_they_were_written():
    for name, built in build().items():
        stored = json.loads((FOLDER / name).read_bytes())
        assert stored.keys() == built.keys()
        for field in stored.keys() - RANDOMISED:
            assert stored[field] == built[field], f"{name}: {field}"


def test_the_golden_roots_and_proofs_hold_for_leaves_hashed_here(tree):
    leaves = [leaf_hash(entry(position)) for position in range(LEAF_COUNT)]
    roots = {int(size): bytes.fromhex(root) for size, root in tree["roots"].items()}
    assert roots == {size: root_of(leaves[:size]) for size in roots}
    for case in tree["inclusion"]:
        proof = [bytes.fromhex(each) for each in case["proof"]]
        verify_inclusion(case["index"], case["size"], leaves[case["index"]], proof, roots[case["size"]])
    for case in tree["consistency"]:
        proof = [bytes.fromhex(each) for each in case["proof"]]
        verify_consistency(case["old"], case["new"], roots[case["old"]], roots[case["new"]], proof)


def test_the_golden_bundle_holds_its_entries(tree):
    entries = parse_bundle(b64decode(tree["bundle"]["base64"]))
    assert [each.decode() for each in entries] == tree["bundle"]["entries"]


@pytest.mark.parametrize("field", ["signed", "signed_and_witnessed", "signed_twice"])
def test_the_golden_notes_open_with_the_golden_keys(notes, field):
    keys = {name: VerifierKey.parse(text) for name, text in notes["keys"].items()}
    data = notes[field].encode()
    opened = open_note(data, list(keys.values()))
    expected = {
        "signed": (keys["log"],),
        "signed_and_witnessed": (keys["log"], keys["witness"]),
        "signed_twice": (keys["log"], keys["log ml-dsa"]),
    }
    assert opened.verified == expected[field]
    assert opened.times == (None, TIME)[: len(opened.verified)]
    assert open_checkpoint(data, opened.verified) == Checkpoint.parse(notes["checkpoint"])
    assert format_note(parse_note(data)) == data
    with pytest.raises(BadSignature):
        open_note(data.replace(b"66049", b"66048"), opened.verified)


@pytest.mark.parametrize("field", ["proof", "proof_with_extra"])
def test_the_golden_proofs_prove_their_entry_alone(notes, field):
    key = VerifierKey.parse(notes["keys"]["log"])
    proof = parse_proof(notes[field].encode())
    assert verify_entry(proof, entry(12_345), [key]).size == LEAF_COUNT
    with pytest.raises(ProofError):
        verify_entry(proof, entry(12_346), [key])
