"""The audit with help: members of a team, run in threads of this process, find what the audit alone finds."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import orjson
import pytest

from ledger import beside
from ledger.audit import Report, audit, run, team
from ledger.audit.part import Examiner, Part, Range
from ledger.audit.team import Member, Task, Team
from ledger.checkpoint import Checkpoint
from ledger.errors import StoreDamaged, StoreUnreachable
from ledger.key_history import KeyHistory
from ledger.merkle import root_of
from ledger.store.protocol import Row, Selection
from tests.support.forgery import leaf, tree
from tests.support.memory import KEYS, ORIGIN, Change, Memory

TILES = 6
SIZE = TILES * 256 + 40
"""By turns a tile is checked here and one by the member: 0, 2 and 4 here, 1, 3 and 5 there, and the rest here."""


class ServedInThread:
    """In place of the process that a member starts: its program, in a thread."""

    def __init__(self, command: list[str], **_: object) -> None:
        line = os.dup(int(command[3]))
        self._thread = threading.Thread(target=team.serve, args=(line,), daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> None:
        self._thread.join(timeout or 20)
        assert not self._thread.is_alive(), "it did not end when its line was closed"

    def kill(self) -> None:
        """It ends by itself."""


class Prompt(Team):
    """A team that is waited for, so that there is help from the first range on."""

    def __enter__(self) -> Self:
        for member in self._members:
            member.receive()
        return super().__enter__()


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Helps in threads; has the first positions of the ranges that were joined and not looked at again."""
    firsts: list[int] = []
    join = run._Audit._join

    def noted(self: Any, part: Part, span: Range) -> bool:
        fits = join(self, part, span)
        firsts.extend([span.first] if fits else [])
        return fits

    monkeypatch.setattr(beside.subprocess, "Popen", ServedInThread)
    monkeypatch.setattr(run, "Team", Prompt)
    monkeypatch.setattr(run._Audit, "_join", noted)
    return firsts


def same(source: Memory, **options: Any) -> Report:
    """The report, which does not depend on who helped."""
    alone = audit(source, KEYS, **options)
    for jobs in (2, 3):
        helped = audit(source, KEYS, jobs=jobs, **options)
        assert helped._replace(seconds=0) == alone._replace(seconds=0)
    return alone


def sealed(source: Memory) -> Memory:
    """The source with a tree over its entries, whatever they hold; nothing was signed."""
    source.leaves = [leaf(row.entry) for row in source.entries]
    source.hashes = {(t.level, t.index): t.hashes for t in tree([row.entry for row in source.entries])}
    return source


# --- Sound -----------------------------------------------------------------------------------------------------------


def test_all_that_members_find_good_is_joined_and_the_rest_is_checked_here(joined: list[int]) -> None:
    source = Memory(SIZE)
    source.notes = [(size, source.sign(size)) for size in (1, 256, 257, 300, 512, 1023, SIZE)]
    alone = audit(source, KEYS)
    told: list[tuple[int, int]] = []
    helped = audit(source, KEYS, jobs=2, progress=lambda done, total: told.append((done, total)))
    assert helped == Report(True, SIZE, root_of(source.leaves), SIZE, helped.seconds, None)
    assert helped.root == alone.root
    assert joined == [256, 768, 1280]
    assert told == sorted(told)
    assert told[-1] == (SIZE, SIZE)
    kept = [Checkpoint(ORIGIN, size, root_of(source.leaves[:size])) for size in (256, 300, 1024)]
    assert same(source, since=kept).ok


# --- With faults -----------------------------------------------------------------------------------------------------


def seal(**fields: Any) -> Change:
    return lambda made: made["seal"].update(fields)


def event(**fields: Any) -> Change:
    return lambda made: made["event"].update(fields)


@pytest.mark.parametrize("position", [256, 300, 511, 512, 1281, SIZE - 1])
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (seal(position=7_000), "position"),
        (seal(prev="f" * 64), "prev"),
        (seal(recorded="2026-03-01T09:29:59.999999Z"), "recorded"),
        (seal(recorded="2026-13-01T09:30:00.000000Z"), "recorded"),
        (seal(version=500), "version"),
        (event(member="new"), "member_version"),
        (seal(member_version=500), "member_version"),
        (event(tags=["b", "a"]), "format"),
        (event(more=1), "format"),
    ],
)
def test_a_fault_is_found_at_its_position_whoever_looks_at_it(
    joined: list[int], position: int, change: Change, kind: str
) -> None:
    fault = same(Memory(SIZE, {position: change})).first_fault
    assert fault is not None
    assert fault[:2] == (position, kind)
    assert all(first + 256 <= position for first in joined), "nothing that holds the fault was taken as good"


def test_of_several_faults_the_first_is_told(joined: list[int]) -> None:
    fault = same(Memory(SIZE, {at: seal(version=500) for at in (1400, 800, 790, 1100)})).first_fault
    assert fault is not None
    assert fault[:2] == (790, "version")


@pytest.mark.parametrize("first", [256, 512, 768])
def test_a_stream_whose_versions_go_on_wrongly_from_one_range_to_the_next_is_found(
    joined: list[int], first: int
) -> None:
    """Each range is good by itself: only what it takes for granted is wrong."""

    def shifted(counter: str, name: str) -> Change:
        def change(made: dict[str, Any]) -> None:
            if name in (made["event"]["stream"], made["event"].get("member")):
                made["seal"][counter] += 1

        return change

    for counter, name, kind in (
        ("version", "reservation:R-7", "version"),
        ("member_version", "M-3", "member_version"),
    ):
        source = Memory(SIZE, {at: shifted(counter, name) for at in range(first, SIZE)})
        fault = same(source).first_fault
        assert fault is not None
        assert fault.kind == kind
        assert first <= fault.position < first + 10


@pytest.mark.parametrize("position", [256, 400, 511, 768])
def test_altered_and_missing_entries_and_tiles_are_found_alike(joined: list[int], position: int) -> None:
    altered = Memory(SIZE)
    row = altered.entries[position]
    altered.entries[position] = row._replace(entry=row.entry.replace(b"kim", b"tim"))
    missing = Memory(SIZE)
    del missing.entries[position]
    index, at = divmod(position, 256)
    tile = Memory(SIZE)
    hashes = tile.hashes[0, index]
    tile.hashes[0, index] = hashes[: at * 32] + bytes(32) + hashes[at * 32 + 32 :]
    cut = Memory(SIZE)
    cut.hashes[0, index] = hashes[: at * 32]
    text = Memory(SIZE)
    text.entries[position] = row._replace(entry="text")
    for source, kind in (
        (altered, "entry"),
        (missing, "missing"),
        (tile, "tile"),
        (cut, "tile"),
        (text, "unreadable"),
    ):
        fault = same(source).first_fault
        assert fault is not None
        assert fault[:2] == (position, kind)


def test_a_checkpoint_that_is_not_of_these_entries_or_keys_is_found_alike(joined: list[int]) -> None:
    source, other = Memory(SIZE), Memory(SIZE, {310: event(source="urn:other")})
    for size in (300, 512, 600):
        source.notes = [(256, source.sign(256)), (size, other.sign(size)), (SIZE, source.sign(SIZE))]
        fault = same(source).first_fault
        assert (fault is None) == (size == 300)
        assert fault is None or fault[:2] == (256, "checkpoint")
        source.notes[1] = (size, source.sign(size).replace(b"\n\xe2\x80\x94", b"x\n\xe2\x80\x94", 1))
        fault = same(source).first_fault
        assert fault is not None
        assert fault.kind == "signature"
    fault = same(Memory(SIZE), since=Checkpoint(ORIGIN, 300, b"\x01" * 32)).first_fault
    assert fault is not None
    assert fault[:2] == (0, "checkpoint")


def test_other_spellings_in_the_tree_are_no_entries_alike(joined: list[int]) -> None:
    for respell in (lambda entry: entry + b"\n", lambda entry: entry.replace(b"kim", b"\\u006bim")):
        source = Memory(SIZE)
        source.entries[300] = source.entries[300]._replace(entry=respell(source.entries[300].entry))
        fault = same(sealed(source)).first_fault
        assert fault is not None
        assert fault[:2] == (300, "format")


# --- Members that fail -----------------------------------------------------------------------------------------------


class Failing(Memory):
    """Reads all here, and from a certain range on nothing where a member opened it."""

    opened = False

    def __init__(self, error: Exception, first: int) -> None:
        super().__init__(SIZE)
        self.error, self.first = error, first

    def columns(self, first: int, count: int) -> Any:
        if self.opened and first >= self.first:
            raise self.error
        return super().columns(first, count)

    def opener(self) -> Callable[[], Memory]:
        return partial(_opened, self)


def _opened(source: Failing) -> Failing:
    if source.first < 0:
        raise source.error
    source.opened = True  # a copy of its own, since what passes to a member is pickled
    return source


@pytest.mark.parametrize("error", [StoreUnreachable("the server is gone"), StoreDamaged("malformed"), ValueError("x")])
def test_what_a_member_can_not_read_is_read_here(
    joined: list[int], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.audit.source.TILES_A_READ", 1)
    assert audit(Failing(error, 512), KEYS, jobs=2).ok
    assert joined == [256]


def test_members_that_can_not_open_the_source_are_done_without(joined: list[int]) -> None:
    assert audit(Failing(StoreUnreachable("the server is gone"), -1), KEYS, jobs=3).ok
    assert joined == []


def test_without_room_for_another_process_the_audit_goes_on_alone(
    joined: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(beside.subprocess, "Popen", refuse)
    assert audit(Memory(SIZE), KEYS, jobs=2).ok
    assert joined == []


def test_a_process_that_is_killed_costs_its_answers_and_nothing_else() -> None:
    source = Memory(300)
    task = pickle.dumps(Task(source.opener(), KeyHistory.trusting(KEYS), ()))
    member = Member(task)
    try:
        member.receive()
        assert member.ready
        member.ask(Range(0, 256))
        part = member.answer()
        assert part is not None
        assert part.leaf == source.leaves[255]
        os.kill(member._process.pid, signal.SIGKILL)
        member._process.wait()
        member.ask(Range(0, 256))
        assert member.answer() is None
        assert not member.ready
    finally:
        member.line.close()
        member.end()


# --- A range by itself -----------------------------------------------------------------------------------------------


def test_a_range_states_what_it_takes_for_granted_and_what_it_comes_to() -> None:
    source = Memory(SIZE)
    source.notes = [(size, source.sign(size)) for size in (256, 300, 512, 600)]
    part = Examiner(source, KeyHistory.trusting(KEYS), (400,)).examine(Range(256, 768))
    assert part is not None
    assert (part.prev, part.leaf) == (source.leaves[255], source.leaves[767])
    assert part.since == orjson.loads(source.entries[256].entry)["seal"]["recorded"].encode()
    assert part.roots == [root_of(source.leaves[at : at + 256]) for at in (256, 512)]
    assert [checkpoint.size for checkpoint in part.checkpoints] == [300, 512, 600]
    assert part.leaves == {0: b"".join(source.leaves[256:512]), 1: b"".join(source.leaves[512:768])}
    assert set(part.streams.names) == {b"reservation:R-%d" % number for number in range(10)}
    assert all(last - first >= 50 for first, last in zip(part.streams.firsts, part.streams.lasts, strict=True))


def test_a_range_that_is_not_there_comes_to_nothing() -> None:
    class Empty(Memory):
        def rows(self, selection: Selection, limit: int = 1000) -> list[Row]:
            return []

    for source in (Memory(300), Empty(600)):
        assert Examiner(source, KeyHistory.trusting(KEYS), ()).examine(Range(256, 512)) is None
