"""Checkpoints, tiles and proofs over HTTP verify with the pure core alone, and nothing unsigned is served."""

import pytest

from ledger import merkle, tiles
from ledger.checkpoint import open_checkpoint
from ledger.proof import parse_proof, verify_entry
from tests.support.events import cloud
from tests.support.http import BATCH, Service, batch, slug


@pytest.fixture
def filled(service: Service) -> Service:
    """A ledger of 301 entries, signed at that size, whose timer does not sign again during the test."""
    many = [cloud("member.registered", f"member:M-{number}", {"name": "x"}) for number in range(300)]
    assert service.post(batch(*many), BATCH).status_code == 201
    assert service.get("/checkpoint").status_code == 200
    return service


def test_the_checkpoint_is_a_note_signed_by_the_ledgers_keys(filled: Service):
    answer = filled.get("/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    checkpoint = open_checkpoint(answer.content, filled.log.verifier_keys)
    assert checkpoint.size == 301
    assert checkpoint.root == filled.log.root(301)


def test_the_tree_can_be_built_again_from_tiles_alone(filled: Service):
    checkpoint = open_checkpoint(filled.get("/checkpoint").content, filled.log.verifier_keys)
    found: dict[tuple[int, int], bytes] = {}
    for level, index, width in tiles.tiles_at(checkpoint.size):
        answer = filled.get("/" + tiles.tile_path(level, index, width), "auditor")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]
        found[level, index] = answer.content
    assert tiles.root_at(lambda level, index: found.get((level, index), b""), checkpoint.size) == checkpoint.root


def test_entry_bundles_hold_the_leaves_of_the_tree(filled: Service):
    entries = tiles.parse_bundle(filled.get("/tile/entries/000").content)
    entries += tiles.parse_bundle(filled.get("/tile/entries/001.p/45").content)
    assert merkle.root_of([merkle.leaf_hash(entry) for entry in entries]) == filled.log.root(301)


@pytest.mark.parametrize("path", ["0/000.p/45", "0/000", "0/001.p/45", "1/000.p/1", "entries/001.p/1"])
def test_tiles_within_the_signed_tree_are_there(filled: Service, path):
    assert filled.get(f"/tile/{path}").status_code == 200


@pytest.mark.parametrize(
    "path", ["0/001", "0/001.p/46", "0/002.p/1", "1/000", "1/000.p/2", "2/000.p/1", "entries/001", "63/000"]
)
def test_tiles_beyond_the_tree_are_not(filled: Service, path):
    answer = filled.get(f"/tile/{path}")
    assert (answer.status_code, slug(answer)) == (404, "not-found")


ANOTHER_SPELLING = (
    "", "0", "0/0", "0/0000", "0/x000/001", "0/000.p/0", "0/000.p/256", "64/000", "-1/000", "entries/", "entries",
    "0/000/", "..%2f..%2fkeys%2fcredentials.json", "%2e%2e/ledger.db", "0/000%00", "0/000%0a", "x" * 3000,
    "0/" + "x999/" * 40 + "999",
)  # fmt: skip


@pytest.mark.parametrize("path", ANOTHER_SPELLING)
def test_a_path_of_another_spelling_is_refused(filled: Service, path):
    answer = filled.get(f"/tile/{path}")
    assert answer.status_code in (400, 404)
    assert slug(answer) in ("invalid-path", "not-found")


def test_entries_past_the_signed_tree_are_in_no_tile(filled: Service, monkeypatch):
    monkeypatch.setattr(filled.log._writer, "_committed", lambda head: None)  # no signing by timer
    filled.post(cloud("member.registered", "member:M-new", {"name": "x"}))
    assert filled.log.head().size == 302
    assert filled.get("/tile/entries/001.p/46").status_code == 404
    filled.get("/checkpoint")
    assert filled.get("/tile/entries/001.p/46").status_code == 200


@pytest.mark.parametrize("position", [0, 1, 255, 256, 300])
def test_a_proof_verifies_with_the_entry_and_the_keys_alone(filled: Service, position):
    answer = filled.get(f"/proofs/{position}")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    entry = filled.get(f"/events/{position}", headers={"Accept": "application/octet-stream"}).content
    assert verify_entry(parse_proof(answer.content), entry, filled.log.verifier_keys).size == 301


def test_there_is_no_proof_of_what_is_not_there(filled: Service):
    answer = filled.get("/proofs/301")
    assert (answer.status_code, slug(answer)) == (404, "not-found")


@pytest.mark.parametrize(("query", "old", "new"), [("old=1", 1, 301), ("old=7&new=256", 7, 256), ("old=301", 301, 301)])
def test_consistency_verifies_between_any_two_sizes(filled: Service, query, old, new):
    answer = filled.get(f"/consistency?{query}").json()
    assert (answer["old"]["size"], answer["new"]["size"]) == (old, new)
    roots = [bytes.fromhex(answer[side]["root"]) for side in ("old", "new")]
    merkle.verify_consistency(old, new, *roots, [bytes.fromhex(one) for one in answer["proof"]])


@pytest.mark.parametrize(
    ("query", "status", "name"),
    [
        ("", 400, "old"),
        ("old=0", 400, "old"),
        ("old=5&new=4", 400, "old"),
        ("old=302", 400, "old"),
        ("old=1&new=302", 404, None),
        ("old=1&new=x", 400, "new"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(filled: Service, query, status, name):
    answer = filled.get(f"/consistency?{query}")
    assert answer.status_code == status
    assert answer.json().get("parameter") == name


def test_a_store_that_was_rolled_back_gets_no_signature(filled: Service, monkeypatch):
    from ledger.checkpoint import Checkpoint

    monkeypatch.setattr(filled.log._tree, "current", lambda: Checkpoint(filled.log.origin, 5, filled.log.root(5)))
    answer = filled.get("/checkpoint")
    assert (answer.status_code, slug(answer)) == (503, "fork")
    assert "301" in answer.json()["detail"]
