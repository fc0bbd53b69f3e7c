"""Slices: entries that prove themselves, in one file that is read offline with the ledger's verifier keys alone.

Owns the file's form (docs/format.md, "Slice") and its verification: consecutive entries, a signed checkpoint, and the
hashes of the subtrees to their left and right that make them a part of its tree. Reads and writes streams, one entry
at a time, so that memory stays flat at any size. Never reads a store or a key file, and holds no private values.

Invariants: nothing of a slice is handed out as proven before all of it was read, its entries chained and its root
compared with a checkpoint whose signature was verified; a file has one spelling, so the same slice is the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from ledger import strict
from ledger.checkpoint import open_checkpoint
from ledger.cosignature import Checkpoint
from ledger.entry import MAX_ENTRY, NO_PREVIOUS, decode
from ledger.errors import ProofError, SignatureError, StoreError, VerificationError
from ledger.merkle import HASH_SIZE, Frontier, aligned_subtrees, leaf_hash
from ledger.note import MAX_NOTE_BYTES, VerifierKey, parse_note

_HEADER = "continuity-slice/v1"
_MAX_LINE = 128
_CHUNK = 1024
_LENGTH = 2  # bytes that state an entry's length, as in an entry bundle of C2SP tlog-tiles


class Header(NamedTuple):
    """What stands before the entries: which they are, and what proves them.

    ``left`` and ``right`` are the hashes of the subtrees that cover all leaves before ``first`` and all from ``end``
    on, in the tree of ``checkpoint``, a signed note. Nothing of it is verified yet.
    """

    first: int
    end: int
    left: tuple[bytes, ...]
    right: tuple[bytes, ...]
    checkpoint: bytes


class Proven(NamedTuple):
    """That the entries of a slice stand at positions ``first`` to ``end`` - 1 of the log with this ``checkpoint``."""

    first: int
    end: int
    checkpoint: Checkpoint


def write_slice(file: BinaryIO, header: Header, entries: Iterable[bytes]) -> None:
    """Write a slice. Raises ``ValueError`` unless there are as many entries as the header says."""
    lines = [_HEADER, f"first {header.first}", f"end {header.end}"]
    for hashes in (header.left, header.right):
        lines += [str(len(hashes)), *map(strict.write_base64, hashes)]
    lines.append(str(len(header.checkpoint)))
    file.write("".join(f"{line}\n" for line in lines).encode("ascii") + header.checkpoint)
    count = 0
    for entry in entries:
        file.write(len(entry).to_bytes(_LENGTH, "big") + entry)
        count += 1
    if count != header.end - header.first:
        raise ValueError(f"a slice from {header.first} to {header.end} has {header.end - header.first}, not {count}")


def read_header(file: BinaryIO) -> Header:
    """The header of the slice that ``file`` is at the start of; the entries follow. Raises ``VerificationError``."""
    try:
        if _line(file) != _HEADER:
            raise ValueError(f"the first line is not {_HEADER}")
        first, end = _number(file, "first "), _number(file, "end ")
        left, right = _hashes(file), _hashes(file)
        length = _number(file)
        checkpoint = file.read(min(length, MAX_NOTE_BYTES + 1))
        size = Checkpoint.parse(parse_note(checkpoint).text).size
        if not 0 <= first <= end <= size or len(checkpoint) != length:
            raise ValueError(f"entries from {first} to {end} are not a part of a tree of {size}")
        if len(left) != len(aligned_subtrees(0, first)) or len(right) != len(aligned_subtrees(end, size)):
            raise ValueError("it has not as many hashes as its place in the tree takes")
    except (ValueError, SignatureError) as fault:
        raise VerificationError(f"not a slice: {fault}", advice="make it anew with: continuity slice") from None
    return Header(first, end, left, right, checkpoint)


def read_entries(file: BinaryIO, header: Header) -> Iterator[bytes]:
    """The entries after the header, as bytes, not proven yet. Raises ``VerificationError`` if one is cut short."""
    for position in range(header.first, header.end):
        length = int.from_bytes(file.read(_LENGTH), "big")
        entry = file.read(length)
        if not 0 < len(entry) == length <= MAX_ENTRY:
            raise VerificationError(f"the slice ends within the entry at position {position}")
        yield entry
    if file.read(1):
        raise VerificationError(f"the slice goes on after its last entry, at position {header.end - 1}")


def verify_slice(file: BinaryIO, keys: Sequence[VerifierKey]) -> Proven:
    """Read a whole slice and check it: signature, root, and the chain from entry to entry.

    Raises ``SignatureError`` (a child of it) if its checkpoint isn't to be believed, ``VerificationError`` for a
    damaged file or an entry out of place, ``ProofError`` when the entries are not those of the checkpoint's tree.
    """
    header = read_header(file)
    checkpoint = open_checkpoint(header.checkpoint, keys)
    tree = Frontier()
    for subtree, (low, high) in zip(header.left, aligned_subtrees(0, header.first), strict=True):
        tree.add(subtree, high - low)
    previous = None if header.first else NO_PREVIOUS
    leaves: list[bytes] = []
    for position, entry in enumerate(read_entries(file, header), header.first):
        _check_seal(entry, position, previous)
        leaf = leaf_hash(entry)
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
    return Proven(header.first, header.end, checkpoint)


def _check_seal(entry: bytes, position: int, previous: str | None) -> None:
    try:
        seal = decode(entry).seal
    except StoreError as error:
        raise VerificationError(f"the entry at position {position} does not read: {error}") from None
    if seal.position != position:
        raise VerificationError(f"an entry sealed for position {seal.position} stands at {position}")
    if previous is not None and seal.prev != previous:
        raise VerificationError(f"the entry at position {position} does not follow the one before it")


def _line(file: BinaryIO) -> str:
    line = file.readline(_MAX_LINE)
    if not line.endswith(b"\n"):
        raise ValueError("its header is cut short or has too long a line")
    return line[:-1].decode("ascii")


def _number(file: BinaryIO, name: str = "") -> int:
    line = _line(file)
    if not line.startswith(name):
        raise ValueError(f"there is no line {name.strip()!r} where it belongs")
    return strict.read_decimal(line.removeprefix(name))


def _hashes(file: BinaryIO) -> tuple[bytes, ...]:
    count = _number(file)
    if count > 64:
        raise ValueError(f"{count} subtrees: no tree has that many on one side")
    hashes = tuple(strict.read_base64(_line(file)) for _ in range(count))
    if any(len(each) != HASH_SIZE for each in hashes):
        raise ValueError(f"a hash has not {HASH_SIZE} bytes")
    return hashes
