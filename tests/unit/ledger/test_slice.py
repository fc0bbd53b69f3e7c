"""Slices prove themselves, or say what is wrong with them."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import slice as slices
from ledger.checkpoint import sign_checkpoint
from ledger.cosignature import Checkpoint
from ledger.entry import NO_PREVIOUS
from ledger.errors import LedgerError, ProofError, UnknownKey, VerificationError
from ledger.handout import Record
from ledger.merkle import Frontier, aligned_subtrees, leaf_hash, root_of
from ledger.note import Ed25519Signer

ORIGIN = "ledger.example/slices"
SIGNER = Ed25519Signer(ORIGIN, bytes(range(32)))
EVENT = (
    '{"actor":{"id":"a","role":"staff"},"data":{},"id":"%d","source":"s","stream":"piece:P","time":"2026-01-01T00:00:00Z"'
    ',"type":"piece.x","v":1}'
)
SEAL = '{"by":"local","position":%d,"prev":"%s","recorded":"2026-01-01T00:00:00.000000Z","version":%d}'


def chained(count: int) -> list[bytes]:
    entries, prev = [], NO_PREVIOUS
    for position in range(count):
        entry = f'{{"event":{EVENT % position},"seal":{SEAL % (position, prev, position + 1)}}}'.encode()
        entries.append(entry)
        prev = leaf_hash(entry).hex()
    return entries


ENTRIES = chained(40)
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def made(first: int, end: int, size: int, entries: list[bytes] | None = None) -> bytes:
    def hashes(low: int, high: int) -> tuple[bytes, ...]:
        return tuple(root_of(LEAVES[start:stop]) for start, stop in aligned_subtrees(low, high))

    note = sign_checkpoint(Checkpoint(ORIGIN, size, root_of(LEAVES[:size])), [SIGNER])
    file = io.BytesIO()
    slices.write_slice(
        file,
        slices.Header(first, end, hashes(0, first), hashes(end, size), note),
        map(Record, ENTRIES[first:end] if entries is None else entries),
    )
    return file.getvalue()


def places() -> st.SearchStrategy[tuple[int, int, int]]:
    return st.tuples(*[st.integers(0, len(ENTRIES))] * 3).map(sorted).filter(lambda of: of[2] > 0).map(tuple)


@given(places())
def test_any_slice_of_a_log_is_proven_and_gives_its_entries_back(place: tuple[int, int, int]) -> None:
    data = made(*place)

    proven = slices.verify_slice(io.BytesIO(data), [SIGNER.key])

    assert (proven.first, proven.end, proven.checkpoint.size) == place
    file = io.BytesIO(data)
    header = slices.read_header(file)
    records = [record for record, _ in slices.read_records(file, header)]
    assert [record.entry for record in records] == ENTRIES[place[0] : place[1]]
    again = io.BytesIO()
    slices.write_slice(again, header, records)
    assert again.getvalue() == data


@given(places().filter(lambda of: of[0] < of[1]), st.data())
def test_no_changed_byte_goes_unnoticed(place: tuple[int, int, int], data: st.DataObject) -> None:
    good = made(*place)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]

    with pytest.raises(LedgerError):
        slices.verify_slice(io.BytesIO(bad), [SIGNER.key])


@given(places().filter(lambda of: of[0] < of[1]), st.data())
def test_no_cut_goes_unnoticed(place: tuple[int, int, int], data: st.DataObject) -> None:
    good = made(*place)

    with pytest.raises(LedgerError):
        slices.verify_slice(io.BytesIO(good[: data.draw(st.integers(0, len(good) - 1))]), [SIGNER.key])


def test_what_follows_the_last_entry_is_refused() -> None:
    with pytest.raises(VerificationError, match="goes on after its last entry, at position 9"):
        slices.verify_slice(io.BytesIO(made(3, 10, 20) + b"\0"), [SIGNER.key])


def test_entries_of_another_log_are_not_proven() -> None:
    with pytest.raises(VerificationError):
        slices.verify_slice(
            io.BytesIO(made(0, 3, 20, [*ENTRIES[:2], ENTRIES[2].replace(b"piece.x", b"piece.y")])), [SIGNER.key]
        )


def test_an_entry_changed_at_the_end_is_caught_by_the_root() -> None:
    changed = ENTRIES[9].replace(b"piece.x", b"piece.y")

    with pytest.raises(
        ProofError, match="from 3 to 10 are not those of ledger.example/slices at size 20".replace(".", r"\.")
    ):
        slices.verify_slice(io.BytesIO(made(3, 10, 20, [*ENTRIES[3:9], changed])), [SIGNER.key])


def test_a_swapped_entry_is_named_by_its_position() -> None:
    with pytest.raises(VerificationError, match="sealed for position 5 stands at 4"):
        slices.verify_slice(io.BytesIO(made(3, 7, 20, [ENTRIES[3], ENTRIES[5], ENTRIES[4], ENTRIES[6]])), [SIGNER.key])


def test_a_slice_signed_by_somebody_else_is_refused() -> None:
    with pytest.raises(UnknownKey):
        slices.verify_slice(io.BytesIO(made(3, 10, 20)), [Ed25519Signer(ORIGIN, bytes(32)).key])


def test_too_few_entries_are_not_written() -> None:
    with pytest.raises(ValueError, match="has 7, not 6"):
        made(3, 10, 20, ENTRIES[3:9])


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_frontier_grown_by_subtrees_and_leaves_has_the_root_of_the_tree(first: int, count: int) -> None:
    leaves = [leaf_hash(bytes([number & 255, number >> 8])) for number in range(first + count)]
    tree = Frontier()
    for low, high in aligned_subtrees(0, first):
        tree.add(root_of(leaves[low:high]), high - low)
    tree.extend(leaves[first:])

    assert (tree.root(), tree.size) == (root_of(leaves), first + count)


def test_a_subtree_that_does_not_fit_is_refused() -> None:
    tree = Frontier()
    tree.extend([bytes(32)] * 2)

    with pytest.raises(ValueError, match="no complete subtree of 4 leaves stands at leaf 2"):
        tree.add(bytes(32), 4)
