"""Old checkpoints go, but for the last of each block of sizes and those where other keys begin to sign."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import thinning
from ledger.audit import audit
from ledger.note import Ed25519Signer, Note, format_note
from ledger.thinning import superfluous
from tests.support.events import new_log, requested

OLD, NEW = (Ed25519Signer("ledger.example/studio", bytes([seed]) * 32) for seed in (1, 2))
SIGNED = {
    keys: format_note(Note("text\n", tuple(key.sign("text\n") for key in keys)))
    for keys in ((OLD,), (OLD, NEW), (NEW,))
}


@given(st.lists(st.sampled_from([*SIGNED]), max_size=12))
def test_what_is_kept_shows_every_change_of_signers_and_the_last(signers: list[tuple[Ed25519Signer, ...]]) -> None:
    notes = [(size, SIGNED[keys]) for size, keys in enumerate(signers, 1)]
    kept = [size for size, _ in notes if size not in superfluous(notes)]
    assert kept[-1:] == [size for size, _ in notes][-1:]
    for before, after in pairwise([0, *kept]):
        assert len({signers[size - 1] for size in range(before + 1, after + 1)}) == 1


def test_a_growing_log_keeps_one_of_each_block_that_it_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinning, "BLOCK", 8)
    with new_log(tmp_path) as log:
        for number in range(20):
            log.append([requested(f"R-{number}")])
            log.checkpoint()
        with log.store.reading() as reads:
            sizes = [size for size, _ in reads.checkpoints(0)]
        assert sizes == [8, 16, 17, 18, 19, 20, 21]
        assert audit(log.store, log.verifier_keys).ok
