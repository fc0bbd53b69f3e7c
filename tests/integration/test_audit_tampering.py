"""A real ledger, tampered with by somebody who has the file: the audit names position and kind, and never fails.

The ledger has 1,501 entries, five full tiles and a partial one, and stored checkpoints of four sizes.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit import Fault, Report, audit
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import StoreError
from ledger.log import Log
from ledger.note import Ed25519Signer, VerifierKey
from ledger.store.sqlite import SQLiteStore
from tests.support.events import ORIGIN, estimate_changed, new_log, plain, requested
from tests.support.forgery import leaf, refit, reseal, stored_entries, unlocked

SIZE = 1_501
SIGNED = (1, 501, 1_001, SIZE)
ZEROED = "substr(hashes, 1, 64) || zeroblob(32) || substr(hashes, 97)"


class Ledger(NamedTuple):
    """A ledger that nobody touches: tests work on copies of its file."""

    path: Path
    keys: tuple[VerifierKey, ...]
    notes: dict[int, bytes]
    entries: list[bytes]


class Copy(NamedTuple):
    """A copy of the file to tamper with."""

    path: Path
    keys: tuple[VerifierKey, ...]

    def audit(self, **options: Any) -> Report:
        store = SQLiteStore(self.path)
        try:
            return audit(store, self.keys, **options)
        finally:
            store.close()

    def fault(self, **options: Any) -> tuple[int, str]:
        fault = self.audit(**options).first_fault
        assert isinstance(fault, Fault)
        assert fault.detail
        return fault.position, fault.kind

    def do(self, *statements: str, values: tuple[Any, ...] = ()) -> None:
        with closing(unlocked(self.path)) as connection:
            for statement in statements:
                connection.execute(statement, values)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    folder = tmp_path_factory.mktemp("ledger")
    notes = {}
    with new_log(folder) as log:
        keys = log.verifier_keys
        notes[1] = log.checkpoint()[1]
        for part in range(3):
            events = []
            for number in range(part * 125, part * 125 + 125):
                named = {"reservation": f"R-{number}", "member": None if number % 10 == 0 else f"M-{number % 40}"}
                events += [requested(**named), plain("confirmed", **named), estimate_changed(**named)]
                events.append(estimate_changed(**named, tags="kiln large"))
            log.append(events)
            notes[log.head().size] = log.checkpoint()[1]
    path = folder / "studio" / "ledger.db"
    assert not path.with_name("ledger.db-wal").exists()
    with closing(sqlite3.connect(path)) as connection:
        entries = stored_entries(connection)
        sizes = [size for (size,) in connection.execute("SELECT size FROM checkpoints ORDER BY size")]
    assert (len(entries), tuple(notes), set(SIGNED) <= set(sizes)) == (SIZE, SIGNED, True)
    return Ledger(path, keys, notes, entries)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies")


def copy_of(ledger: Ledger, folder: Path) -> Copy:
    path = folder / "copy.db"
    for suffix in ("-wal", "-shm"):
        path.with_name(f"copy.db{suffix}").unlink(missing_ok=True)
    shutil.copy(ledger.path, path)
    return Copy(path, ledger.keys)


@pytest.fixture
def copy(ledger: Ledger, tmp_path: Path) -> Iterator[Copy]:
    return copy_of(ledger, tmp_path)


positions = st.integers(0, SIZE - 1)


def test_an_untouched_ledger_is_good_and_extends_every_checkpoint_it_gave_out(ledger: Ledger, copy: Copy) -> None:
    told: list[tuple[int, int]] = []
    report = copy.audit(since=list(ledger.notes.values()), progress=lambda done, total: told.append((done, total)))
    assert (report.ok, report.size, report.checked, report.first_fault) == (True, SIZE, SIZE, None)
    assert report.seconds > 0
    assert told[-1] == (SIZE, SIZE)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


# --- Entries ---------------------------------------------------------------------------------------------------------


@given(position=positions, at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_flipped_byte_of_any_entry_in_the_file_is_found_at_its_position(
    ledger: Ledger, scratch: Path, position: int, at: float, flip: int
) -> None:
    copy = copy_of(ledger, scratch)
    content = bytearray(copy.path.read_bytes())
    entry = ledger.entries[position]
    start = content.find(entry)
    assert start > 0
    content[start + int(at * len(entry))] ^= flip
    copy.path.write_bytes(content)
    assert copy.fault() == (position, "entry")


@given(position=positions)
def test_any_deleted_row_is_missing_at_its_position(ledger: Ledger, scratch: Path, position: int) -> None:
    copy = copy_of(ledger, scratch)
    copy.do("DELETE FROM entries WHERE rowid = ?", values=(position + 1,))
    assert copy.fault() == (position, "missing")


@given(pair=st.tuples(positions, positions).filter(lambda pair: pair[0] < pair[1]), whole=st.booleans())
def test_two_swapped_entries_are_found_at_the_first(
    ledger: Ledger, scratch: Path, pair: tuple[int, int], whole: bool
) -> None:
    copy, (first, second) = copy_of(ledger, scratch), pair
    with closing(unlocked(copy.path)) as connection:
        if whole:
            connection.execute("UPDATE entries SET rowid = -1 WHERE rowid = ?", (first + 1,))
            connection.execute("UPDATE entries SET rowid = ? WHERE rowid = ?", (first + 1, second + 1))
            connection.execute("UPDATE entries SET rowid = ? WHERE rowid = -1", (second + 1,))
        else:
            for position, other in (pair, pair[::-1]):
                sql = "UPDATE entries SET entry = ? WHERE rowid = ?"
                connection.execute(sql, (ledger.entries[other], position + 1))
    assert copy.fault() == (first, "entry")


@given(position=positions)
def test_an_inserted_row_is_found_where_it_was_put(ledger: Ledger, scratch: Path, position: int) -> None:
    copy = copy_of(ledger, scratch)
    with closing(unlocked(copy.path)) as connection:
        connection.execute("UPDATE entries SET rowid = -rowid WHERE rowid > ?", (position,))
        connection.execute("UPDATE entries SET rowid = 1 - rowid WHERE rowid < 0")
        forged = ledger.entries[position].replace(b'"time":"2026', b'"time":"2016')
        connection.execute("INSERT INTO entries VALUES (?, ?)", (position + 1, forged))
    assert copy.fault() == (position, "entry")


def test_a_row_put_behind_the_last_is_found_there(ledger: Ledger, copy: Copy) -> None:
    sql = "INSERT INTO entries VALUES (?, ?)"
    copy.do(sql, values=(SIZE + 1, ledger.entries[-1]))
    assert copy.fault() == (SIZE, "entry")


@pytest.mark.parametrize("position", [0, 255, 256, 700, SIZE - 1])
@pytest.mark.parametrize("content", [5, "text", b"", b"\x00" * 300_000, b'{"event":{', 1.5])
def test_whatever_stands_in_place_of_an_entry_is_found_there(copy: Copy, position: int, content: object) -> None:
    copy.do("UPDATE entries SET entry = ? WHERE rowid = ?", values=(content, position + 1))
    assert copy.fault() == (position, "entry" if isinstance(content, bytes) else "unreadable")


def test_a_null_in_place_of_an_entry_is_unreadable(copy: Copy) -> None:
    schema = "UPDATE sqlite_master SET sql = replace(sql, 'entry BLOB NOT NULL', 'entry BLOB') WHERE name = 'entries'"
    copy.do("PRAGMA writable_schema = ON", schema)
    copy.do("UPDATE entries SET entry = NULL WHERE rowid = 801")
    assert copy.fault() == (800, "unreadable")


# --- The end ---------------------------------------------------------------------------------------------------------


@given(size=st.integers(0, SIZE - 1))
def test_a_cut_tail_is_missing_from_its_first_position(ledger: Ledger, scratch: Path, size: int) -> None:
    copy = copy_of(ledger, scratch)
    copy.do("DELETE FROM entries WHERE rowid > ?", values=(size,))
    assert copy.fault() == (size, "missing")


@given(size=st.integers(1, SIZE - 1), kept=st.sampled_from(SIGNED))
def test_a_tail_cut_with_tiles_and_head_is_missing_by_the_checkpoints(
    ledger: Ledger, scratch: Path, size: int, kept: int
) -> None:
    copy = copy_of(ledger, scratch)
    with closing(unlocked(copy.path)) as connection:
        refit(connection, ledger.entries[:size])
    assert copy.fault() == (size, "missing")
    copy.do("DELETE FROM checkpoints WHERE size > ?", values=(size,))
    assert copy.audit().ok, "what is left agrees with itself: nothing in the file can tell"
    note = ledger.notes[kept]
    assert copy.fault(since=note) == (size, "missing") if kept > size else copy.audit(since=note).ok


@pytest.mark.parametrize("size", [1, 255, 256, 512, 1_000, SIZE - 1])
def test_a_head_moved_back_is_found_where_it_says_the_log_ends(ledger: Ledger, copy: Copy, size: int) -> None:
    copy.do("UPDATE head SET size = ?, leaf = ?", values=(size, leaf(ledger.entries[size - 1])))
    assert copy.fault() == (size, "head")


def test_a_head_moved_on_is_missing_what_it_counts(copy: Copy) -> None:
    copy.do("UPDATE head SET size = 9000000000000000000")
    assert copy.fault() == (SIZE, "missing")


@pytest.mark.parametrize(
    "change",
    [
        "size = -1",
        "size = 'x'",
        "size = x'00'",
        "leaf = zeroblob(31)",
        "leaf = 7",
        "recorded = x'00'",
        "recorded = 'x'",
    ],
)
def test_a_head_that_is_none_is_found_after_all_entries(copy: Copy, change: str) -> None:
    copy.do(f"UPDATE head SET {change}")
    assert copy.fault() == (SIZE, "head")
    assert copy.audit().checked == SIZE


def test_a_head_of_another_leaf_or_time_or_none_at_all_is_found_after_all_entries(copy: Copy) -> None:
    copy.do("UPDATE head SET recorded = '2026-01-01T00:00:00.000000Z'")
    assert copy.fault() == (SIZE, "head")
    copy.do("UPDATE head SET leaf = zeroblob(32)")
    assert copy.fault() == (SIZE, "head")
    copy.do("DELETE FROM head")
    assert copy.fault() == (SIZE, "head")


def test_a_file_rolled_back_as_a_whole_is_missing_what_was_signed_since(tmp_path: Path) -> None:
    path = tmp_path / "studio" / "ledger.db"
    with new_log(tmp_path) as log:
        keys = log.verifier_keys
        log.append([requested(f"R-{number}") for number in range(300)])
    shutil.copy(path, tmp_path / "earlier.db")
    with Log.open(tmp_path, "studio") as log:
        log.append([requested(f"S-{number}") for number in range(20)])
        _, note = log.checkpoint()
    shutil.copy(tmp_path / "earlier.db", path)
    rolled_back = Copy(path, keys)
    assert rolled_back.audit().ok
    assert rolled_back.fault(since=note) == (301, "missing")


# --- Tree and checkpoints --------------------------------------------------------------------------------------------


@given(position=positions, byte=st.integers(0, 31))
def test_an_altered_leaf_is_told_from_an_altered_entry(ledger: Ledger, scratch: Path, position: int, byte: int) -> None:
    copy = copy_of(ledger, scratch)
    with closing(unlocked(copy.path)) as connection:
        index, at = divmod(position, 256)
        sql = "SELECT hashes FROM tiles WHERE level = 0 AND number = ?"
        hashes = bytearray(connection.execute(sql, (index,)).fetchone()[0])
        hashes[at * 32 + byte] ^= 1
        connection.execute("UPDATE tiles SET hashes = ? WHERE level = 0 AND number = ?", (bytes(hashes), index))
    assert copy.fault() == (position, "tile")


@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 0 AND number = 2", 512),
        ("UPDATE tiles SET hashes = 'text' WHERE level = 0 AND number = 2", 512),
        ("UPDATE tiles SET hashes = 9000000000000000000 WHERE level = 0 AND number = 2", 512),
        ("DELETE FROM tiles WHERE level = 0 AND number = 5", 1280),
        ("UPDATE tiles SET hashes = CAST(hashes || x'00' AS BLOB) WHERE level = 0 AND number = 2", 767),
        ("UPDATE tiles SET hashes = CAST(hashes || x'00' AS BLOB) WHERE level = 0 AND number = 5", SIZE),
        (f"UPDATE tiles SET hashes = CAST({ZEROED} AS BLOB) WHERE level = 1", 512),
        ("UPDATE tiles SET hashes = CAST(hashes || zeroblob(32) AS BLOB) WHERE level = 1", 1280),
        ("UPDATE tiles SET hashes = 3 WHERE level = 1", 0),
        ("DELETE FROM tiles WHERE level = 1", 0),
        ("INSERT INTO tiles VALUES (2, 0, zeroblob(32))", 0),
    ],
)
def test_a_tile_that_is_not_of_this_tree_is_found_at_the_first_leaf_below(
    copy: Copy, change: str, position: int
) -> None:
    copy.do(change)
    assert copy.fault() == (position, "tile")


@pytest.mark.parametrize("first", [1, 255, 500, 501, 700, 1_001, SIZE - 1])
def test_a_history_rewritten_without_the_key_is_found_after_the_last_good_checkpoint(
    ledger: Ledger, copy: Copy, first: int
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["event"]["time"] = "2020-01-01T00:00:00Z"

    with closing(unlocked(copy.path)) as connection:
        refit(connection, reseal(ledger.entries, first, change))
    bound = max(size for size in SIGNED if size <= first)
    assert copy.fault() == (bound, "checkpoint")
    copy.do("DELETE FROM checkpoints")
    assert copy.fault(since=list(ledger.notes.values())) == (bound, "checkpoint")
    assert copy.fault(since=ledger.notes[SIZE]) == (0, "checkpoint")
    assert copy.audit().ok, "without a checkpoint from before, nothing can tell"


def test_a_checkpoint_of_another_key_or_size_or_of_nothing_is_found_after_the_last_good_one(
    ledger: Ledger, copy: Copy
) -> None:
    forged = sign_checkpoint(Checkpoint(ORIGIN, 1_001, b"\x01" * 32), [Ed25519Signer(ORIGIN, b"\x07" * 32)])
    put = "UPDATE checkpoints SET note = ? WHERE size = 1001"
    for note, kind in (
        (forged, "signature"),
        (b"noise", "signature"),
        (ledger.notes[1_001].replace(b"1001", b"1002"), "signature"),
        (ledger.notes[501], "checkpoint"),
        (5, "signature"),
        ("text", "checkpoint"),
    ):
        copy.do(put, values=(note,))
        assert copy.fault() == (501, kind)


# --- Damage ----------------------------------------------------------------------------------------------------------


@given(data=st.data())
def test_a_page_overwritten_anywhere_never_ends_in_anything_but_a_report_or_a_store_error(
    ledger: Ledger, scratch: Path, data: st.DataObject
) -> None:
    copy = copy_of(ledger, scratch)
    content = bytearray(copy.path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    page = data.draw(st.integers(0, len(content) // size - 1), label="page")
    noise = data.draw(st.sampled_from([b"\x00", b"\xff", b"\x0d\x0a\x05", b"SQLite"]), label="noise")
    content[page * size : (page + 1) * size] = (noise * size)[:size]
    copy.path.write_bytes(content)
    try:
        report = copy.audit()
    except StoreError:
        return
    if report.ok:  # a page of something that the audit does not read, such as disclosures
        with closing(sqlite3.connect(copy.path)) as connection:
            assert stored_entries(connection) == ledger.entries
    else:
        assert isinstance(report.first_fault, Fault)
        assert 0 <= report.first_fault.position <= SIZE


@given(data=st.data())
def test_a_file_cut_anywhere_never_ends_in_anything_but_a_report_or_a_store_error(
    ledger: Ledger, scratch: Path, data: st.DataObject
) -> None:
    copy = copy_of(ledger, scratch)
    content = copy.path.read_bytes()
    copy.path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    try:
        report = copy.audit()
    except StoreError:
        return
    assert isinstance(report, Report)
    if report.ok:
        with closing(sqlite3.connect(copy.path)) as connection:
            assert stored_entries(connection) == ledger.entries
