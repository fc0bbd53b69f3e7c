"""A store that was rolled back as a whole, two signers at once, a crash between signing and keeping, and bad key files.

And the other memory of a ledger, its clock: ``recorded`` never runs back.
"""

import contextlib
import itertools
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger import log as log_module
from ledger.checkpoint import open_checkpoint
from ledger.errors import ForkError, KeyFileError, LedgerError, ReadOnly, SignatureError, StoreError
from ledger.log import Log, system_clock
from ledger.merkle import verify_consistency
from ledger.store.sqlite import SQLiteStore
from tests.integration.children import checkpoint_again, start
from tests.support.events import Place, new_log, requested
from tests.support.whole import check_receipts, check_whole

FILES = ("ledger.db", "ledger.db-wal", "ledger.db-shm")


@pytest.fixture
def folder(tmp_path):
    """The folder of a closed ledger that holds four entries, all signed."""
    with new_log(tmp_path) as log:
        log.append([requested(f"R-{number}") for number in range(3)])
    return tmp_path / "studio"


def save(folder, into):
    into.mkdir()
    for name in FILES:
        if (folder / name).exists():
            shutil.copy2(folder / name, into / name)


def restore(saved, folder):
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
        if (saved / name).exists():
            shutil.copy2(saved / name, folder / name)


def open_log(folder, **options):
    return Log.open(folder.parent, folder.name, **options)


# --- A store that was rolled back ------------------------------------------------------------------------------------


@pytest.fixture
def rolled_back(folder, tmp_path):
    """The folder with its database as it was two entries ago, and its keys as they are."""
    save(folder, tmp_path / "saved")
    with open_log(folder) as log:
        log.append([requested("R-lost-1"), requested("R-lost-2")])
    restore(tmp_path / "saved", folder)
    return folder


def test_a_store_rolled_back_as_a_whole_takes_no_append_and_signs_nothing(rolled_back):
    memory = (rolled_back / "keys" / "last-checkpoint").read_bytes()
    with open_log(rolled_back) as log:
        for _ in range(3):
            with pytest.raises(ForkError, match="6"):
                log.append([requested("R-new")])
            with pytest.raises(ForkError):
                log.checkpoint()
            with pytest.raises(ForkError):
                log.prove(0)
        assert log.head().size == 4
        assert [row.position for row in log.scan()] == [0, 1, 2, 3]  # it can still be read, and audited
    assert (rolled_back / "keys" / "last-checkpoint").read_bytes() == memory


def test_a_store_rolled_back_and_grown_past_the_signed_size_is_a_fork_still(rolled_back, tmp_path):
    """Another machine appended to the old copy, with keys but without this signer's memory."""
    memory = rolled_back / "keys" / "last-checkpoint"
    kept = memory.read_bytes()
    memory.unlink()
    with open_log(rolled_back) as log:
        log.append([requested(f"R-other-{number}") for number in range(9)])
    memory.write_bytes(kept)
    memory.chmod(0o600)
    with open_log(rolled_back) as log:
        with pytest.raises(ForkError, match="does not extend"):
            log.append([requested("R-new")])
        with pytest.raises(ForkError):
            log.checkpoint()


def roll_back_in_place(saved, folder):
    """Write the old content through SQLite itself, so that open connections see it."""
    old, new = sqlite3.connect(saved / "ledger.db"), sqlite3.connect(folder / "ledger.db")
    old.backup(new)
    old.close()
    new.close()


def test_a_store_rolled_back_under_an_open_log_takes_no_append_ever_after(folder, tmp_path):
    save(folder, tmp_path / "saved")
    with open_log(folder) as log:
        log.append([requested("R-lost-1"), requested("R-lost-2")])
        log.checkpoint()
        roll_back_in_place(tmp_path / "saved", folder)
        assert log.head().size == 4
        for attempt in range(3):
            with pytest.raises((ForkError, ReadOnly)):
                log.append([requested(f"R-new-{attempt}")])
        with pytest.raises(ForkError):
            log.checkpoint()
        assert log.head().size == 4


def test_a_refused_signature_stops_appends_even_when_nothing_waits_for_it(folder, tmp_path, monkeypatch):
    """The timer that signs has no caller to tell: the next append must hear of the fork."""
    monkeypatch.setattr(log_module, "SIGN_SECONDS", 0.02)
    save(folder, tmp_path / "saved")
    with open_log(folder) as other:
        other.append([requested("R-lost-1"), requested("R-lost-2")])
    with open_log(folder) as log:
        log._check_memory()  # all was well at the first append
        roll_back_in_place(tmp_path / "saved", folder)
        with pytest.raises((ForkError, ReadOnly)):
            append_until_refused(log, 20)


def append_until_refused(log, attempts):
    """Append, and give each time the timer that signs its chance."""
    for attempt in range(attempts):
        log.append([requested(f"R-new-{attempt}")])
        if (timer := log._timer._timer) is not None:
            timer.join(5)


# --- Signers ---------------------------------------------------------------------------------------------------------


def assert_one_history(log, notes):
    """Every two checkpoints are of one tree."""
    checkpoints = sorted({open_checkpoint(note, log.verifier_keys) for note in notes}, key=lambda one: one.size)
    assert len({one.size for one in checkpoints}) == len(checkpoints)
    for old, new in itertools.pairwise(checkpoints):
        verify_consistency(old.size, new.size, old.root, new.root, log.consistency(old.size, new.size))
    return [one.size for one in checkpoints]


def test_two_processes_that_sign_at_once_sign_one_tree(folder):
    children = [start(checkpoint_again, Place(folder.parent), f"p{one}", 60) for one in range(2)]
    for _, pipe in children:
        assert pipe.recv() == "ready"
    for _, pipe in children:
        pipe.send("go")
    given = []
    for process, pipe in children:
        assert pipe.poll(60)
        given.append(pipe.recv())
        process.join(30)
    with open_log(folder) as log:
        check_whole(log)
        assert_one_history(log, given[0] + given[1])
        for notes in given:
            sizes = [open_checkpoint(note, log.verifier_keys).size for note in notes]
            assert sizes == sorted(sizes)
        with log.store.reading() as reads:
            kept = reads.checkpoints(0)
        assert_one_history(log, [note for _, note in kept])


def test_every_note_given_out_by_threads_is_kept_in_the_store(folder):
    with open_log(folder) as log:

        def work(one):
            notes = []
            for number in range(25):
                log.append([requested(f"R-{one}-{number}")])
                notes.append(log.checkpoint()[1])
            return notes

        with ThreadPoolExecutor(4) as pool:
            given = [note for notes in pool.map(work, range(4)) for note in notes]
        with log.store.reading() as reads:
            kept = dict(reads.checkpoints(0))
        assert_one_history(log, given)
        lost = [note for note in set(given) if note not in kept.values()]
        assert lost == []


def test_the_same_tree_gets_the_same_note_in_every_handle(folder):
    with open_log(folder) as one, open_log(folder) as other:
        assert one.checkpoint() == other.checkpoint() == one.checkpoint()


def test_a_crash_between_the_memory_and_the_store_loses_nothing(folder, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    log = open_log(folder)
    receipts = log.append([requested("R-5")])
    with monkeypatch.context() as patch:
        patch.setattr(SQLiteStore, "add_checkpoint", crash)
        with pytest.raises(KeyboardInterrupt):
            log.checkpoint()
    with log.store.reading() as reads:
        assert [size for size, _ in reads.checkpoints(4)] == []
    with open_log(folder) as fresh:  # the crashed one is not closed: that would be tidying up
        current, note = fresh.checkpoint()
        with fresh.store.reading() as reads:
            assert reads.latest_checkpoint() == note
        assert current.size == 5
        check_receipts(check_whole(fresh), receipts)
    log.close()


def test_a_checkpoint_that_could_not_be_kept_is_kept_with_the_next_call(folder, monkeypatch):
    def fail(*_):
        raise StoreError("the disk is full")

    with open_log(folder) as log:
        log.append([requested("R-5")])
        with monkeypatch.context() as patch:
            patch.setattr(SQLiteStore, "add_checkpoint", fail)
            with pytest.raises(StoreError):
                log.checkpoint()
        _, note = log.checkpoint()
        with log.store.reading() as reads:
            assert reads.latest_checkpoint() == note


def test_closing_while_the_timer_signs_waits_for_it_and_leaves_nothing_open(folder, monkeypatch):
    monkeypatch.setattr(log_module, "SIGN_SECONDS", 0.0)
    entered, leave = threading.Event(), threading.Event()
    keep = SQLiteStore.add_checkpoint

    def slow(store, size, note):
        entered.set()
        leave.wait(5)
        keep(store, size, note)

    monkeypatch.setattr(SQLiteStore, "add_checkpoint", slow)
    log = open_log(folder)
    log.append([requested("R-5")])
    assert entered.wait(5)
    closing = threading.Thread(target=log.close)
    closing.start()
    closing.join(0.2)
    leave.set()
    closing.join(10)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(5)
    assert log.store._writer is None


# --- Key files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [(b"\n4\n", b"\n3\n"), (b"ledger.example/studio", b"ledger.example/studi0")])
def test_a_memory_that_was_altered_is_a_bad_signature_and_nothing_is_signed_or_appended(folder, change):
    memory = folder / "keys" / "last-checkpoint"
    assert change[0] in memory.read_bytes()
    memory.write_bytes(memory.read_bytes().replace(*change))
    with open_log(folder) as log:
        for ask in (log.checkpoint, lambda: log.append([requested("R-new")]), lambda: log.prove(0)):
            with pytest.raises(SignatureError):
                ask()
        assert log.head().size == 4


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"no note at all\n"])
def test_a_memory_that_is_no_note_is_refused(folder, content):
    (folder / "keys" / "last-checkpoint").write_bytes(content)
    with open_log(folder) as log, pytest.raises(SignatureError):
        log.append([requested("R-new")])


@pytest.mark.parametrize("name", ["ed25519.seed", "ml-dsa-44.seed", "epoch-000001.key", "last-checkpoint"])
@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_key_file_that_others_may_read_or_write_is_refused_with_what_to_do(folder, name, mode):
    path = folder / "keys" / name
    path.chmod(mode)
    try:
        with pytest.raises(KeyFileError, match=name) as caught, open_log(folder) as log:
            log.append([requested("R-new")])
        assert caught.value.advice == f"chmod 600 {path}"
    finally:
        path.chmod(0o600)
    with open_log(folder) as log:
        assert log.append([requested("R-new")])[0].position == 4


@pytest.mark.parametrize("name", ["ed25519.seed", "ml-dsa-44.seed", "epoch-000001.key"])
@pytest.mark.parametrize("content", [None, b"", b"ab" * 31, b"zz" * 32, b"\xff" * 64])
def test_a_key_file_that_is_missing_or_damaged_is_refused_and_nothing_is_written(folder, name, content):
    path = folder / "keys" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(KeyFileError, match=name), open_log(folder) as log:
        log.append([requested("R-new", data={"notes": "private"})])
    with contextlib.closing(SQLiteStore(folder / "ledger.db")) as store, store.reading() as reads:
        assert reads.head().size == 4


def test_a_key_folder_that_others_may_enter_is_refused(folder):
    (folder / "keys").chmod(0o755)
    with pytest.raises(KeyFileError, match="keys"):
        open_log(folder)


def test_keys_of_another_ledger_sign_nothing_for_this_one(folder, tmp_path):
    """The memory in that folder is of the other ledger's tree, so it does not fit this one."""
    with Log.create(tmp_path, "other", "ledger.example/other").log as other:
        other.append([requested()])
    shutil.rmtree(folder / "keys")
    shutil.copytree(tmp_path / "other" / "keys", folder / "keys")
    with open_log(folder) as log, pytest.raises(LedgerError):
        log.append([requested("R-new")])


# --- The clock -------------------------------------------------------------------------------------------------------


class FakeClock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = system_clock()

    def __call__(self):
        return self.now

    def move(self, seconds):
        self.now += int(seconds * 1_000_000)


@pytest.fixture
def clock():
    return FakeClock()


def times(log):
    return [entry["recorded"] for entry in check_whole(log)]


def test_recorded_never_runs_back_when_the_clock_is_set_back(tmp_path, clock):
    alarms = []
    new_log(tmp_path, clock=clock).close()
    with Log.open(tmp_path, "studio", clock=clock, alarm=alarms.append) as log:
        clock.move(1)
        before = log.append([requested("R-1")])[0].recorded
        clock.move(-3)
        assert log.append([requested("R-2")])[0].recorded == before
        assert alarms == []
        clock.move(-7)
        assert log.append([requested("R-3")])[0].recorded == before
        assert len(alarms) == 1
        assert "10.0 s" in alarms[0]
        clock.move(10.000001)
        after = log.append([requested("R-4")])[0].recorded
        assert after > before
        assert len(alarms) == 1
        assert times(log) == sorted(times(log))


def test_a_clock_ten_minutes_back_makes_the_ledger_read_only_until_an_owner_accepts(tmp_path, clock):
    alarms = []
    with new_log(tmp_path, clock=clock) as log:
        before = log.append([requested("R-1")])[0].recorded
        clock.move(-600)
        for _ in range(2):
            with pytest.raises(ReadOnly, match="600 s") as caught:
                log.append([requested("R-2")])
        assert "accept" in caught.value.advice
        assert log.head().size == 2
    with Log.open(tmp_path, "studio", clock=clock) as log, pytest.raises(ReadOnly):
        log.append([requested("R-2")])
    with Log.open(tmp_path, "studio", clock=clock, accept_clock=True, alarm=alarms.append) as log:
        assert log.append([requested("R-2")])[0].recorded == before
        assert alarms
        assert times(log) == sorted(times(log))
    clock.move(601)
    with Log.open(tmp_path, "studio", clock=clock) as log:
        assert log.append([requested("R-3")])[0].recorded > before


def test_an_append_goes_on_by_itself_once_the_clock_is_right_again(tmp_path, clock):
    with new_log(tmp_path, clock=clock) as log:
        log.append([requested("R-1")])
        clock.move(-600)
        with pytest.raises(ReadOnly):
            log.append([requested("R-2", id="a")])
        clock.move(600)
        assert log.append([requested("R-2", id="a")])[0].position == 2
        check_whole(log)


def test_the_bounds_of_the_clock_rule_are_five_seconds_and_five_minutes(tmp_path, clock):
    alarms = []
    new_log(tmp_path, clock=clock).close()
    with Log.open(tmp_path, "studio", clock=clock, alarm=alarms.append) as log:
        log.append([requested("R-1")])
        clock.move(-5)
        log.append([requested("R-2")])
        assert alarms == []
        clock.move(-0.000001)
        log.append([requested("R-3")])
        assert len(alarms) == 1
        clock.move(-294.999999)
        log.append([requested("R-4")])
        clock.move(-0.000001)
        with pytest.raises(ReadOnly):
            log.append([requested("R-5")])


def test_of_two_processes_the_one_with_the_slower_clock_follows_the_other(tmp_path, clock):
    slow = FakeClock()
    slow.move(-4)
    with new_log(tmp_path, clock=clock) as log, Log.open(tmp_path, "studio", clock=slow) as other:
        for number in range(5):
            clock.move(0.1)
            ahead = log.append([requested(f"R-{number}")])[0].recorded
            slow.move(0.1)
            assert other.append([requested(f"S-{number}")])[0].recorded == ahead
        assert times(log) == sorted(times(log))
