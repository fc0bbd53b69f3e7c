"""The public keys of a ledger, as its log announces them: for whoever verifies it.

Owns which entries and proofs go into the chain of rotations. Reads a store and nothing else: no key folder is opened.
"""

from __future__ import annotations

from ledger import proving
from ledger.errors import NotFound
from ledger.key_chain import Link
from ledger.key_history import KeyHistory
from ledger.proof import Proof, format_proof
from ledger.store.protocol import Reads, Store
from ledger.succession import history_of, rotations


def read(store: Store, *, proofs: bool) -> tuple[KeyHistory, list[Link]]:
    """The history of the keys from the first on, and if wanted each rotation with its proof.

    A rotation is proven by the *bridge*, the tree that ends in it, which old and new keys have signed. Raises
    ``SignatureError`` when the entries don't follow, ``NotFound`` when nothing has been signed since the last of them.
    """
    with store.reading() as reads:
        links = [Link(row.entry, _proof(reads, row.position)) for row in rotations(reads)] if proofs else []
        return history_of(reads), links


def _proof(reads: Reads, position: int) -> bytes:
    found = reads.checkpoints(position, 1)
    if not found:
        raise NotFound(
            f"nothing was signed yet since the rotation at position {position:,}, so there is no proof of it",
            advice="end the rotation where the keys are: continuity checkpoint",
        )
    ((size, note),) = found
    return format_proof(Proof(position, tuple(proving.path(reads, position, size)), note))
