"""Slices: entries that prove themselves, in one file that is read offline with the ledger's verifier keys alone.

Owns the file's form (docs/format.md, "Slices") and its verification: consecutive entries, a signed checkpoint, and the
hashes of the subtrees to their left and right that make them a part of its tree; where a redaction policy kept
disclosures, these beside each entry. Reads and writes streams, one entry at a time, so that memory stays flat at any
size. Never reads a store or a key file.

Invariants: nothing of a slice is handed out as proven before all of it was read, its entries chained and its root
compared with a checkpoint whose signature was verified; a file has one spelling, so the same slice is the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from ledger import handout, strict
from ledger.annex import Redaction
from ledger.cosignature import Checkpoint
from ledger.entry import NO_PREVIOUS, Entry
from ledger.errors import ProofError, SignatureError, VerificationError
from ledger.handout import Record, Tally, read_line, read_number
from ledger.key_history import Trust, open_by
from ledger.merkle import HASH_SIZE, Frontier, aligned_subtrees, leaf_hash
from ledger.note import parse_note

_HEADER = "continuity-slice/v1"
_CHUNK = 1024


class Header(NamedTuple):
    """What stands before the entries: which they are, and what proves them.

    ``left`` and ``right`` are the hashes of the subtrees that cover all leaves before ``first`` and all from ``end``
    on, in the tree of ``checkpoint``, a signed note. With a ``redaction`` each entry has an annex. Nothing of it is
    verified yet.
    """

    first: int
    end: int
    left: tuple[bytes, ...]
    right: tuple[bytes, ...]
    checkpoint: bytes
    redaction: Redaction | None = None


class Proven(NamedTuple):
    """That the entries of a slice stand at positions ``first`` to ``end`` - 1 of the log with this ``checkpoint``.

    ``redaction`` and ``tally`` say by which policy private values go with them, and how many; None for none at all.
    """

    first: int
    end: int
    checkpoint: Checkpoint
    redaction: Redaction | None
    tally: Tally


def write_slice(file: BinaryIO, header: Header, records: Iterable[Record]) -> None:
    """Write a slice. Raises ``ValueError`` unless there are as many records as the header says."""
    lines = [_HEADER, f"first {header.first}", f"end {header.end}"]
    for hashes in (header.left, header.right):
        lines += [str(len(hashes)), *map(strict.write_base64, hashes)]
    file.write("".join(f"{line}\n" for line in lines).encode("ascii"))
    handout.write_grounds(file, header.redaction, header.checkpoint)
    count = 0
    for record in records:
        file.write(handout.framed(record, header.redaction))
        count += 1
    if count != header.end - header.first:
        raise ValueError(f"a slice from {header.first} to {header.end} has {header.end - header.first}, not {count}")


def read_header(file: BinaryIO) -> Header:
    """The header of the slice that ``file`` is at the start of; the entries follow. Raises ``VerificationError``."""
    try:
        if read_line(file) != _HEADER:
            raise ValueError(f"the first line is not {_HEADER}")
        first, end = read_number(file, "first "), read_number(file, "end ")
        left, right = _hashes(file), _hashes(file)
        redaction, checkpoint = handout.read_grounds(file)
        size = Checkpoint.parse(parse_note(checkpoint).text).size
        if not 0 <= first <= end <= size:
            raise ValueError(f"entries from {first} to {end} are not a part of a tree of {size}")
        if len(left) != len(aligned_subtrees(0, first)) or len(right) != len(aligned_subtrees(end, size)):
            raise ValueError("it has not as many hashes as its place in the tree takes")
    except (ValueError, SignatureError) as fault:
        raise VerificationError(f"not a slice: {fault}", advice="make it anew with: continuity slice") from None
    return Header(first, end, left, right, checkpoint, redaction)


def read_records(file: BinaryIO, header: Header) -> Iterator[tuple[Record, Entry]]:
    """The records after the header, each with its entry read; not proven yet. Raises ``VerificationError``."""
    for position in range(header.first, header.end):
        yield handout.read_record(file, header.redaction, f"at position {position}")
    if file.read(1):
        raise VerificationError(f"the slice goes on after its last entry, at position {header.end - 1}")


def verify_slice(file: BinaryIO, keys: Trust) -> Proven:
    """Read a whole slice and check it: signature, root, the chain from entry to entry, and every disclosure.

    Raises ``SignatureError`` (a child of it) if its checkpoint isn't to be believed, ``VerificationError`` for a
    damaged file or an entry out of place, ``ProofError`` when the entries are not those of the checkpoint's tree.
    """
    header = read_header(file)
    checkpoint = open_by(keys, header.checkpoint)
    tree = Frontier()
    for subtree, (low, high) in zip(header.left, aligned_subtrees(0, header.first), strict=True):
        tree.add(subtree, high - low)
    previous = None if header.first else NO_PREVIOUS
    leaves: list[bytes] = []
    tally = Tally()
    for position, (record, content) in enumerate(read_records(file, header), header.first):
        _check_seal(content, position, previous)
        tally.add(handout.opened(record, content, header.redaction, f"at position {position}"))
        leaf = leaf_hash(record.entry)
        previous = leaf.hex()
        leaves.append(leaf)
        if len(leaves) == _CHUNK:
            tree.extend(leaves)
            leaves.clear()
    tree.extend(leaves)
    for subtree, (low, high) in zip(header.right, aligned_subtrees(header.end, checkpoint.size), strict=True):
        tree.add(subtree, high - low)
    if tree.root() != checkpoint.root:
        raise ProofError(
            f"not proven: the entries from {header.first} to {header.end} are not those of {checkpoint.origin} "
            f"at size {checkpoint.size}",
            advice="entries, hashes or checkpoint were changed, or don't belong together",
        )
    return Proven(header.first, header.end, checkpoint, header.redaction, tally)


def _check_seal(content: Entry, position: int, previous: str | None) -> None:
    seal = content.seal
    if seal.position != position:
        raise VerificationError(f"an entry sealed for position {seal.position} stands at {position}")
    if previous is not None and seal.prev != previous:
        raise VerificationError(f"the entry at position {position} does not follow the one before it")


def _hashes(file: BinaryIO) -> tuple[bytes, ...]:
    count = read_number(file)
    if count > 64:
        raise ValueError(f"{count} subtrees: no tree has that many on one side")
    hashes = tuple(strict.read_base64(read_line(file)) for _ in range(count))
    if any(len(each) != HASH_SIZE for each in hashes):
        raise ValueError(f"a hash has not {HASH_SIZE} bytes")
    return hashes
