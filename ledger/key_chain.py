"""The rotations of a ledger's keys in one file: from keys that are trusted to those that hold now, offline.

Owns the file's form (docs/format.md, "Chain of rotations") and its verification. Public: it holds entries and proofs,
and nothing secret. Never reads a store or a key file.

Invariants: parsing and formatting are inverse to each other, byte for byte; a rotation counts only once all its
signatures were verified and its entry is proven by a checkpoint that the old or the new keys have signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger import strict
from ledger.entry import MAX_ENTRY
from ledger.errors import MalformedRotation, ProofError
from ledger.key_history import KeyHistory
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.note import VerifierKey
from ledger.proof import parse_proof
from ledger.rotation import Rotation

MAX_CHAIN = 16 * 1024 * 1024
"""Bytes of a file that are read: room for more than 500 rotations."""
_HEADER = "continuity-rotations/v1"


class Link(NamedTuple):
    """One rotation: the entry that states it, and the proof file of that entry."""

    entry: bytes
    proof: bytes


def format_chain(links: Sequence[Link]) -> bytes:
    """Write the rotations of a ledger, in their order; there may be none."""
    parts = [b"%d\n%b\n" % (len(part), part) for link in links for part in link]
    return f"{_HEADER}\n{len(links)}\n".encode() + b"".join(parts)


def parse_chain(data: bytes) -> list[Link]:
    """Read such a file; the inverse of ``format_chain``. Verifies nothing. Raises ``MalformedRotation``."""
    if len(data) > MAX_CHAIN:
        raise MalformedRotation(f"the rotations take {len(data):,} bytes, at most {MAX_CHAIN:,} are read")
    try:
        reader = _Reader(data)
        if reader.line() != _HEADER:
            raise ValueError(f"the first line is not {_HEADER}")
        links = [Link(reader.part(MAX_ENTRY), reader.part(MAX_CHAIN)) for _ in range(reader.number(MAX_CHAIN))]
        if reader.rest:
            raise ValueError("something follows the last of them")
    except ValueError as fault:  # UnicodeDecodeError is one
        raise MalformedRotation(f"not the rotations of a ledger's keys: {fault}") from None
    return links


def follow_chain(links: Sequence[Link], trusted: Sequence[VerifierKey]) -> KeyHistory:
    """The history of a ledger's keys from the ``trusted`` ones on, each step verified.

    Without a rotation it is that of the trusted keys alone. Raises ``SignatureError`` (a child of it), ``ProofError``.
    """
    if not links:
        return KeyHistory.trusting(trusted)
    rotations = [Rotation.of_entry(link.entry) for link in links]
    history = KeyHistory.following(trusted, rotations)
    followed = {generation.keys for generation in history.generations[1:]}
    for rotation, link in zip(rotations, links, strict=True):
        if rotation.keys in followed:
            _check_proof(rotation, link, history)
    return history


def _check_proof(rotation: Rotation, link: Link, history: KeyHistory) -> None:
    """See that the entry is in its place in a tree that was signed. Raises ``ProofError``, ``SignatureError``."""
    proof = parse_proof(link.proof)
    checkpoint = history.open(proof.checkpoint)
    if proof.index != rotation.size or checkpoint.origin != rotation.origin:
        raise ProofError(f"the proof beside the rotation at position {rotation.size:,} is one of another entry")
    try:
        verify_inclusion(proof.index, checkpoint.size, leaf_hash(link.entry), proof.hashes, checkpoint.root)
    except ProofError as fault:
        raise ProofError(
            f"the rotation at position {rotation.size:,} is not proven to be in the log: {fault}"
        ) from None


class _Reader:
    """Reads lines, and parts that stand after their length."""

    def __init__(self, data: bytes) -> None:
        self.rest = memoryview(data)

    def line(self) -> str:
        line, newline, _ = bytes(self.rest[:64]).partition(b"\n")
        if not newline:
            raise ValueError("it ends within a line, or has too long a line")
        self.rest = self.rest[len(line) + 1 :]
        return line.decode("ascii")

    def number(self, most: int) -> int:
        number = strict.read_decimal(self.line())
        if number > most:
            raise ValueError(f"{number:,} is more than there can be")
        return number

    def part(self, most: int) -> bytes:
        length = self.number(most)
        part, newline = bytes(self.rest[:length]), bytes(self.rest[length : length + 1])
        if len(part) != length or newline != b"\n":
            raise ValueError("it is cut short, or a length in it is wrong")
        self.rest = self.rest[length + 1 :]
        return part
