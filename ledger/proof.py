"""Proof files: one text that proves, offline and with a key alone, that an entry stands in a log.

Owns the form ``c2sp.org/tlog-proof@v1`` and its verification. Never fetches anything, never trusts ``extra``.

Invariants: parsing and formatting are inverse to each other, byte for byte; an entry counts as proven only against a
checkpoint whose signature was verified first.

Source: https://c2sp.org/tlog-proof.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger import strict
from ledger.cosignature import Checkpoint
from ledger.errors import ProofError, SignatureError
from ledger.key_history import Trust, open_by
from ledger.merkle import HASH_SIZE, leaf_hash, verify_inclusion
from ledger.note import parse_note

MAX_HASHES = 63
"""Hashes in a proof: a tree of up to 2^63 - 1 leaves is no higher."""

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Proof:
    """That the entry at ``index`` is in the tree of ``checkpoint``, a signed note as it was published.

    ``hashes`` lead from the leaf to the root; ``extra`` is data that nothing authenticates, None if there is none.
    Raises ``ProofError`` for an impossible value, also where the checkpoint is not one by its form.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index <= strict.MAX_INTEGER:
            raise ProofError(f"proof file: there is no index {self.index}")
        if len(self.hashes) > MAX_HASHES:
            raise ProofError(f"proof file: {len(self.hashes)} hashes, no tree needs more than {MAX_HASHES}")
        for each in self.hashes:
            if len(each) != HASH_SIZE:
                raise ProofError(f"proof file: a hash has {len(each)} bytes, expected {HASH_SIZE}")
        if self.extra == b"":
            raise ProofError("proof file: extra data is left out rather than empty")
        try:
            Checkpoint.parse(parse_note(self.checkpoint).text)
        except SignatureError as fault:
            raise ProofError(f"proof file: {fault}") from None


def format_proof(proof: Proof) -> bytes:
    """Write a proof file."""
    lines = [_HEADER]
    if proof.extra is not None:
        lines.append(f"extra {strict.write_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines += map(strict.write_base64, proof.hashes)
    return "".join(f"{line}\n" for line in (*lines, "")).encode() + proof.checkpoint


def parse_proof(data: bytes) -> Proof:
    """Read a proof file; the inverse of ``format_proof``. Verifies nothing. Raises ``ProofError``."""
    head, divider, checkpoint = data.partition(b"\n\n")
    try:
        if not head.isascii():
            raise ValueError("it is not ASCII before the checkpoint")
        if not divider:
            raise ValueError("there is no empty line before the checkpoint")
        lines = head.decode("ascii").split("\n")
        if lines.pop(0) != _HEADER:
            raise ValueError(f"the first line is not {_HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = strict.read_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise ValueError("there is no index line where it belongs")
        index = strict.read_decimal(lines.pop(0).removeprefix("index "))
        hashes = tuple(map(strict.read_base64, lines))
    except ValueError as fault:
        raise ProofError(f"proof file: {fault}") from None
    return Proof(index, hashes, checkpoint, extra)


def verify_entry(proof: Proof, entry: bytes, keys: Trust) -> Checkpoint:
    """Check that the entry, byte for byte, is in the log that ``keys`` belong to; return the checkpoint that says so.

    Raises ``SignatureError`` (a child of it) if the checkpoint isn't to be believed, ``ProofError`` if the entry is not
    proven by it.
    """
    checkpoint = open_by(keys, proof.checkpoint)
    try:
        verify_inclusion(proof.index, checkpoint.size, leaf_hash(entry), proof.hashes, checkpoint.root)
    except ProofError as error:
        raise ProofError(
            f"not proven: these bytes are not shown to stand at position {proof.index} of {checkpoint.origin}: {error}",
            advice="entry or proof was changed, or they don't belong together",
        ) from error
    return checkpoint
