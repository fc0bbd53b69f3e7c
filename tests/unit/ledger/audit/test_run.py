"""The audit on a source in memory, made by somebody who can seal as they like: every kind of fault, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from ledger.audit import Fault, Report, audit
from ledger.audit.faults import FaultFound
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.entry import MAX_ENTRY
from ledger.errors import LedgerError, SignatureError, StoreDamaged, StoreError, StoreLocked, StoreUnreachable
from ledger.merkle import EMPTY_ROOT, root_of
from ledger.note import Ed25519Signer
from ledger.store.protocol import Head, Row, Selection
from tests.support.forgery import canonical, leaf, tree
from tests.support.memory import KEYS, ORIGIN, SIGNERS, SIZE, Change, Memory

DAMAGED = StoreDamaged("database disk image is malformed")


def found(source: Memory, **options: Any) -> tuple[int, str]:
    report = audit(source, KEYS, **options)
    assert not report.ok
    assert isinstance(report.first_fault, Fault)
    assert report.checked <= source.ends.size
    return report.first_fault.position, report.first_fault.kind


# --- Sound -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 513])
def test_a_sound_log_of_any_size_is_ok_and_its_root_is_that_of_its_entries(size: int) -> None:
    source = Memory(size)
    report = audit(source, KEYS)
    assert report == Report(True, size, root_of(source.leaves), size, report.seconds, None)


def test_one_of_the_ledgers_keys_is_enough_and_others_do_no_harm() -> None:
    witness = Ed25519Signer("witness.example", b"\x05" * 32).key
    source = Memory(20)
    assert audit(source, KEYS[:1]).ok
    assert audit(source, (*KEYS[1:], witness)).ok


def test_what_needs_care_in_its_bytes_is_ok() -> None:
    def deep(made: dict[str, Any]) -> None:
        made["event"]["data"] = {"a": [[[[{"b": [1, None, True]}]]]]}

    def text(made: dict[str, Any]) -> None:
        made["event"]["data"] = {"name": 'Zoë "Z" \\ \u0001\n', "n": 2**53 - 1}

    def rest(made: dict[str, Any]) -> None:
        made["event"] |= {"tags": ["a", "b"], "private": {"a": "x", "b": "y"}, "correlation": "c", "forced": "import"}

    assert audit(Memory(300, {100: deep, 270: text, 280: rest, 290: rest}), KEYS).ok


# --- At a position ---------------------------------------------------------------------------------------------------


def seal(**fields: Any) -> Change:
    return lambda made: made["seal"].update(fields)


def event(**fields: Any) -> Change:
    return lambda made: made["event"].update(fields)


@pytest.mark.parametrize("position", [11, 255, 256, 300, SIZE - 1])
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (seal(position=7_000), "position"),
        (seal(prev="f" * 64), "prev"),
        (seal(prev=""), "prev"),
        (seal(recorded="2026-03-01T09:29:59.999999Z"), "recorded"),
        (seal(recorded="2026-03-01T09:30:00Z"), "recorded"),
        (seal(recorded="2026-13-01T09:30:00.000000Z"), "recorded"),
        (seal(version=0), "version"),
        (seal(version=500), "version"),
        (event(stream="reservation:new"), "version"),
        (event(member="new"), "member_version"),
        (seal(member_version=0), "member_version"),
        (seal(member_version=500), "member_version"),
        (seal(member_version="1"), "format"),
        (seal(more=1), "format"),
        (lambda made: made["seal"].pop("by"), "format"),
        (lambda made: made.update(more=1), "format"),
        (event(v="1"), "format"),
        (event(v=1.5), "format"),
        (event(member=None), "format"),
        (event(more=1), "format"),
        (event(data=[]), "format"),
        (event(data={"n": 1.5}), "format"),
        (event(data={"n": 2**53}), "format"),
        (event(data={"ä": 1}), "format"),
        (event(data={"text": "x" * MAX_ENTRY}), "format"),
        (event(tags=["b", "a"]), "format"),
        (event(tags=["a", "a"]), "format"),
        (event(tags=[]), "format"),
        (event(private={}), "format"),
    ],
)
def test_what_is_sealed_wrongly_is_found_there(position: int, change: Change, kind: str) -> None:
    assert found(Memory(changes={position: change})) == (position, kind)


@pytest.mark.parametrize("position", [0, 1, 299, SIZE - 1])
@pytest.mark.parametrize(
    "respell",
    [
        lambda entry: entry.replace(b'"v":1', b'"v": 1'),
        lambda entry: entry.replace(b'"v":1', b'"v":\n1'),
        lambda entry: entry + b"\n",
        lambda entry: entry.replace(b'"v":1', b'"v":1,"v":1'),
        lambda entry: entry.replace(b'"id":"kim","role":"staff"', b'"role":"staff","id":"kim"'),
        lambda entry: entry.replace(b"kim", b"\\u006bim"),
        lambda entry: entry.replace(b"kim", b"k\xffm"),
        lambda entry: entry.replace(b"kim", b"\\ud800"),
        lambda entry: entry.replace(b'"v":1', b'"v":1.0'),
        lambda entry: entry.replace(b'"v":1', b'"v":1e0'),
        lambda entry: entry[:-1],
        lambda entry: entry + b"}",
        lambda entry: entry + b"\n" + entry,
        lambda entry: b"[" * 2_000 + entry,
    ],
)
def test_other_bytes_of_the_same_content_are_no_entry_though_they_are_in_the_tree(
    position: int, respell: Callable[[bytes], bytes]
) -> None:
    source = Memory()
    row = source.entries[position]
    source.entries[position] = row._replace(entry=respell(row.entry))
    assert source.entries[position] != row
    source.leaves[position] = leaf(source.entries[position].entry)
    source.hashes = {(t.level, t.index): t.hashes for t in tree([row.entry for row in source.entries])}
    assert found(source) == (position, "format")


def test_entries_that_read_well_only_together_are_none() -> None:
    source = Memory(300)
    one, two = source.entries[100].entry, source.entries[101].entry
    joined = one + b"\n" + two
    source.entries[100] = source.entries[100]._replace(entry=joined[:50])
    source.entries[101] = source.entries[101]._replace(entry=joined[50:])
    source.hashes = {(t.level, t.index): t.hashes for t in tree([row.entry for row in source.entries])}
    assert found(source) == (100, "format")


@pytest.mark.parametrize(
    "change",
    [
        event(type="ledger.thawed"),
        event(stream="ledger:other"),
        event(data={}),
        event(data={"format": 2, "origin": ORIGIN, "verifier_keys": [str(key) for key in KEYS]}),
        event(data={"format": 1, "origin": "other.example", "verifier_keys": [str(key) for key in KEYS]}),
        event(data={"format": 1, "origin": ORIGIN, "verifier_keys": [str(KEYS[0])]}),
        event(data={"format": 1, "origin": ORIGIN, "verifier_keys": 5}),
    ],
)
@pytest.mark.parametrize("size", [1, 300])
def test_a_log_that_begins_otherwise_is_not_this_ledger(change: Change, size: int) -> None:
    assert found(Memory(size, {0: change})) == (0, "created")


def test_a_log_under_another_name_or_with_unknown_keys_is_not_this_ledger() -> None:
    source = Memory(20)
    source.origin = "other.example"
    assert found(source) == (0, "created")
    stranger = Ed25519Signer(ORIGIN, b"\x09" * 32).key
    assert audit(Memory(20), [stranger]).first_fault == Fault(
        0, "created", "it does not name the verifier keys that this audit was given"
    )
    assert not audit(Memory(20), []).ok


def test_the_last_entry_is_told_from_its_leaf_by_a_checkpoint_or_by_the_head() -> None:
    changed = seal(by="other")
    for notes in (True, False):
        source = Memory(300)
        if not notes:
            source.notes = []
        row = source.entries[299]
        source.hashes[0, 1] = source.hashes[0, 1][:-32] + bytes(32)
        assert found(source) == (299, "tile")
        made = orjson.loads(row.entry)
        changed(made)
        source.entries[299] = row._replace(entry=canonical(made))
        assert found(source) == (299, "entry")


def test_an_entry_before_one_that_is_missing_too_is_at_fault_itself() -> None:
    source = Memory(300)
    source.entries[200] = source.entries[200]._replace(entry=b"x")
    del source.entries[201]
    assert found(source) == (200, "entry")


def test_rows_out_of_order_or_twice_are_missing_where_they_should_be() -> None:
    source = Memory(300)
    source.entries[100], source.entries[101] = source.entries[101], source.entries[100]
    assert found(source) == (100, "missing")
    source = Memory(300)
    source.entries.insert(100, source.entries[100])
    assert found(source) == (101, "missing")


class Failing(Memory):
    """Fails to read some things."""

    def __init__(self, rows: set[int], what: str = "rows", error: LedgerError = DAMAGED) -> None:
        super().__init__()
        self.bad, self.what, self.error = rows, what, error

    def rows(self, selection: Selection, limit: int = 1000) -> list[Row]:
        found = super().rows(selection, limit)
        if self.bad & {row.position for row in found}:
            raise self.error
        return found

    def head(self) -> Head:
        if self.what == "head":
            raise self.error
        return super().head()

    def checkpoints(self, after: int, limit: int = 1000) -> list[tuple[int, bytes]]:
        found = super().checkpoints(after, limit)
        if self.what in {f"checkpoint {size}" for size, _ in found}:
            raise self.error
        return found

    def tile(self, level: int, index: int) -> bytes:
        if self.what == f"tile {level}":
            raise self.error
        return super().tile(level, index)


def test_what_the_database_fails_to_read_is_a_fault_with_its_position() -> None:
    assert found(Failing({0})) == (0, "unreadable")
    assert found(Failing({300, 400})) == (300, "unreadable")
    assert found(Failing({SIZE - 1})) == (SIZE - 1, "unreadable")
    assert found(Failing(set(), "head")) == (SIZE, "head")
    assert found(Failing(set(), f"checkpoint {SIZE}")) == (0, "checkpoint")
    assert found(Failing(set(), "tile 0")) == (0, "tile")
    assert found(Failing(set(), "tile 1")) == (0, "tile")


def test_a_checkpoint_that_fails_to_be_read_is_a_fault_after_the_last_that_was_good() -> None:
    source = Failing(set(), "checkpoint 450")
    source.notes = [(size, source.sign(size)) for size in (1, 256, 449, 450, 451, SIZE)]
    assert found(source) == (449, "checkpoint")


@pytest.mark.parametrize(
    "error",
    [
        StoreUnreachable("the server is gone"),
        StoreLocked("another program holds the database"),
        StoreError("the ledger is closed"),
    ],
)
@pytest.mark.parametrize("what", ["rows", "head", f"checkpoint {SIZE}", "tile 0", "tile 1"])
def test_a_store_that_is_away_is_an_error_and_no_fault(what: str, error: StoreError) -> None:
    with pytest.raises(StoreError) as raised:
        audit(Failing({300} if what == "rows" else set(), what, error), KEYS)
    assert raised.value is error


def test_an_entry_beside_a_tile_that_fails_is_still_told_by_the_next_one() -> None:
    source = Failing(set(), "tile 0")
    source.entries[0] = source.entries[0]._replace(entry=b"x")
    assert found(source) == (0, "entry")


# --- Beyond positions ------------------------------------------------------------------------------------------------


def test_a_log_without_any_entry_misses_its_beginning() -> None:
    assert found(Memory(0)) == (0, "missing")
    assert audit(Memory(0), KEYS).root == EMPTY_ROOT


def test_a_full_tile_of_a_higher_level_is_checked_when_it_fills(monkeypatch: pytest.MonkeyPatch) -> None:
    from ledger.audit.tree import Tree

    class Reader:
        def tile(self, level: int, index: int) -> bytes:
            return {(1, 0): full[:-32] + bytes(32)}[level, index]

    leaves = [leaf(b"%d" % number) for number in range(65_536)]
    full = b"".join(root_of(leaves[at : at + 256]) for at in range(0, 65_536, 256))
    grown = Tree(Reader())
    grown.extend(leaves[:65_535])
    with pytest.raises(FaultFound) as raised:
        grown.extend(leaves[65_535:])
    assert raised.value.fault[:2] == (255 * 256, "tile")


def test_many_stored_checkpoints_are_all_checked_at_their_sizes() -> None:
    source = Memory()
    source.notes = [(size, source.sign(size)) for size in range(1, SIZE + 1)]
    assert audit(source, KEYS).ok
    source.notes[450] = (451, source.notes[450][1].replace(b"\n451\n", b"\n452\n"))
    assert found(source) == (450, "signature")
    root = Checkpoint(ORIGIN, 452, b"\x01" * 32)
    source.notes[450] = (452, sign_checkpoint(root, SIGNERS))
    source.notes[451:] = []
    assert found(source) == (450, "checkpoint")


def test_a_checkpoint_of_another_ledger_among_the_stored_is_a_fault() -> None:
    source = Memory()
    other = Ed25519Signer("other.example", b"\x08" * 32)
    source.notes = [(300, sign_checkpoint(Checkpoint("other.example", 300, root_of(source.leaves[:300])), [other]))]
    assert found(source) == (0, "signature")
    report = audit(source, [*KEYS, other.key])
    assert report.first_fault is not None
    assert report.first_fault[:2] == (0, "checkpoint")


def test_since_takes_notes_and_contents_of_any_size_up_to_the_logs() -> None:
    source = Memory()
    for size in (1, 255, 256, 300, SIZE):
        note = source.sign(size)
        assert audit(source, KEYS, since=note).ok
        assert audit(source, KEYS, since=Checkpoint(ORIGIN, size, root_of(source.leaves[:size]))).ok
        assert found(source, since=[note, Checkpoint(ORIGIN, size, b"\x01" * 32)]) == (0, "checkpoint")
    assert audit(source, KEYS, since=Checkpoint(ORIGIN, 0, EMPTY_ROOT)).ok
    assert found(source, since=Checkpoint(ORIGIN, SIZE + 1, b"\x01" * 32)) == (SIZE, "missing")


def test_since_of_unknown_signers_or_other_ledgers_is_refused() -> None:
    source = Memory(20)
    stranger = Ed25519Signer(ORIGIN, b"\x09" * 32)
    for since in (
        sign_checkpoint(Checkpoint(ORIGIN, 20, root_of(source.leaves)), [stranger]),
        b"noise",
        Checkpoint("other.example", 20, root_of(source.leaves)),
    ):
        with pytest.raises(SignatureError):
            audit(source, KEYS, since=since)


def test_what_is_appended_during_an_audit_is_left_for_the_next() -> None:
    source, longer = Memory(300), Memory(400)

    def append(done: int, total: int) -> None:
        source.entries, source.hashes, source.ends = longer.entries, longer.hashes, longer.ends
        source.notes = longer.notes

    report = audit(source, KEYS, progress=append)
    assert (report.ok, report.size) == (True, 300)
    assert audit(source, KEYS).size == 400
