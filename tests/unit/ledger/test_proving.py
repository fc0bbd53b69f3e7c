"""Proofs of a log at rest: made under the checkpoint signed last, and never given out unless they verify."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from ledger.errors import ForkError, LedgerError, NotFound
from ledger.log import Log
from ledger.proof import parse_proof, verify_entry
from ledger.signer import Signer
from tests.support.events import new_log, requested
from tests.support.forgery import unlocked


@pytest.fixture
def log(tmp_path: Path) -> Log:
    with new_log(tmp_path) as log:
        log.append([requested(f"R-{number}") for number in range(600)])
        yield log


def size_proven(log: Log, position: int) -> int:
    """The size of the tree in which the entry is proven to be."""
    proof = parse_proof(log.prove(position))
    return verify_entry(proof, log.row(position).entry, log.verifier_keys).size


def test_while_the_log_rests_nothing_is_signed_or_compared_anew(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.checkpoint()
    monkeypatch.setattr(Signer, "sign", None)
    assert {size_proven(log, position) for position in (0, 255, 256, 511, 512, 600)} == {601}


def test_after_an_append_by_anyone_a_proof_is_under_a_checkpoint_of_all(log: Log, tmp_path: Path) -> None:
    assert size_proven(log, 5) == 601
    with Log.open(tmp_path, "studio") as other:
        other.append([requested("S-1")])
    assert size_proven(log, 5) == size_proven(log, 601) == 602


def test_there_is_no_proof_outside_the_log(log: Log) -> None:
    for _ in range(2):
        for position in (-1, 601, 10**30):
            with pytest.raises(NotFound):
                log.prove(position)


def test_what_a_tampered_tree_gives_is_no_proof(log: Log, tmp_path: Path) -> None:
    log.checkpoint()
    with closing(unlocked(tmp_path / "studio" / "ledger.db")) as connection:
        connection.execute("UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 0 AND number = 0")
    with pytest.raises(LedgerError):
        log.prove(5)
    assert size_proven(log, 600) == 601, "of what can be proven there is a proof still"


def test_a_tampered_right_edge_is_a_fork(log: Log, tmp_path: Path) -> None:
    log.checkpoint()
    with closing(unlocked(tmp_path / "studio" / "ledger.db")) as connection:
        connection.execute("UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE level = 0 AND number = 2")
    with pytest.raises(ForkError):
        log.prove(600)
