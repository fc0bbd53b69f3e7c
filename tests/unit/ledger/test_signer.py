import threading
from hashlib import sha256

import pytest

from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import ForkError, KeyFileError, SignatureError
from ledger.keys import Keys
from ledger.merkle import leaf_hash
from ledger.note import Ed25519Signer
from ledger.signer import Signer, check_consistent
from ledger.tiles import Edge, consistency_proof
from tests.support.events import ORIGIN


class Tree:
    """A tree in memory whose leaf N is the hash of ``salt`` and N, at any size."""

    def __init__(self, salt=b""):
        self.edge, self.tiles = Edge(), {}
        for number in range(600):
            self.edge.extend([leaf_hash(salt + b"%d" % number)])
            self.tiles.update({(tile.level, tile.index): tile.hashes for tile in self.edge.take_dirty()})

    def read(self, level, index):
        return self.tiles[level, index]

    def at(self, size):
        return Checkpoint(ORIGIN, size, Edge.load(self.read, size).root())

    def prove(self, old, new):
        return consistency_proof(self.read, old, new)


TREE, OTHER = Tree(), Tree(b"other")


@pytest.fixture
def keys(tmp_path):
    return Keys.create(tmp_path / "keys", ORIGIN)


@pytest.fixture
def signer(keys):
    return Signer(keys)


def sign(signer, size, tree=TREE):
    return signer.sign(lambda: tree.at(size), tree.prove)


def test_it_signs_with_all_keys_and_remembers(signer, keys):
    assert signer.remembered() is None
    checkpoint, note = sign(signer, 3)
    assert checkpoint == TREE.at(3)
    for key in keys.verifier_keys:
        assert open_checkpoint(note, [key]) == checkpoint
    assert signer.remembered() == (checkpoint, note)
    assert (keys.folder / "last-checkpoint").stat().st_mode & 0o777 == 0o600


def test_the_same_tree_gives_the_same_note_again(signer):
    assert sign(signer, 3) == sign(signer, 3)


def test_it_signs_as_the_tree_grows_also_after_a_restart(signer, keys):
    for size in (1, 2, 255, 256, 257):
        assert sign(signer, size)[0].size == size
    assert sign(Signer(keys), 600)[0] == TREE.at(600)


@pytest.mark.parametrize("size", [1, 299])
def test_a_smaller_tree_is_refused_and_changes_nothing(signer, size):
    kept = sign(signer, 300)
    with pytest.raises(ForkError, match="300") as caught:
        sign(signer, size)
    assert "rolled back" in caught.value.advice
    assert signer.remembered() == kept


@pytest.mark.parametrize("size", [300, 301, 600])
def test_another_history_is_refused_and_changes_nothing(signer, size):
    kept = sign(signer, 300)
    with pytest.raises(ForkError, match="300"):
        sign(signer, size, OTHER)
    assert signer.remembered() == kept


@pytest.mark.parametrize("proof", [[], [bytes(32)] * 3, [b"short"]])
def test_a_proof_that_proves_nothing_is_no_excuse(signer, proof):
    sign(signer, 300)
    with pytest.raises(ForkError):
        signer.sign(lambda: TREE.at(301), lambda old, new: proof)


def test_a_memory_that_was_altered_is_refused(signer, keys):
    _, note = sign(signer, 300)
    memory = keys.folder / "last-checkpoint"
    for altered in (
        note.replace(b"\n300\n", b"\n200\n"),
        note[:-10],
        b"",
        note.replace(b"ledger.example", b"ledgers.example"),
    ):
        memory.write_bytes(altered)
        with pytest.raises(SignatureError):
            sign(signer, 301)
    memory.write_bytes(note)
    memory.chmod(0o644)
    with pytest.raises(KeyFileError):
        sign(signer, 301)


def test_a_memory_signed_by_somebody_else_is_refused(signer, keys):
    stranger = Ed25519Signer(ORIGIN, sha256(b"a stranger's test key").digest())
    (keys.folder / "last-checkpoint").write_bytes(sign_checkpoint(TREE.at(2), [stranger]))
    (keys.folder / "last-checkpoint").chmod(0o600)
    with pytest.raises(SignatureError):
        sign(signer, 3)


def test_nothing_is_given_out_before_it_is_remembered(signer, monkeypatch):
    kept = sign(signer, 3)

    def fail(path, content):
        raise OSError("disk full")

    monkeypatch.setattr("ledger.signer.write_private", fail)
    with pytest.raises(OSError, match="disk full"):
        sign(signer, 4)
    assert signer.remembered() == kept


def test_the_tree_is_read_under_the_lock_so_that_two_signers_never_go_back(keys):
    sizes, lock = iter(range(1, 101)), threading.Lock()
    signed = []

    def grow():
        with lock:
            return TREE.at(next(sizes))

    def work():
        mine = Signer(keys)
        signed.extend([mine.sign(grow, TREE.prove)[0].size for _ in range(10)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(signed) == list(range(1, 41))


def test_consistency_is_checked_without_signing():
    check_consistent(TREE.at(3), TREE.at(3), TREE.prove)
    check_consistent(TREE.at(3), TREE.at(300), TREE.prove)
    for current, tree in ((TREE.at(2), TREE), (OTHER.at(3), OTHER), (OTHER.at(300), OTHER)):
        with pytest.raises(ForkError):
            check_consistent(TREE.at(3), current, tree.prove)
