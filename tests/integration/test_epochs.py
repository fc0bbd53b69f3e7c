"""The epoch turns on both stores, under appends of other threads and processes, and whatever step a process dies at."""

import os
import signal
import threading
import time

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger import epochs, privacy
from ledger.audit import audit
from ledger.epoch_keys import EpochKeys
from ledger.erasure import Target, erase
from ledger.errors import StoreError
from ledger.private_files import destroy
from tests.integration.children import append_for_ever, start
from tests.support.events import ORIGIN, Place, estimate_changed, requested
from tests.support.whole import check_whole

STEPS = ("make", "turned", "rewrap", "destroy", "overwritten", "scrub")


def fill(log, count=40):
    log.append(
        [requested(f"R-{number}", f"M-{number % 7}", data={"notes": f"note {number}"}) for number in range(count)]
    )


def keys_of(log):
    with log.store.reading() as reads:
        return reads.keys_before(2**40)


def test_after_a_turn_all_is_wrapped_anew_and_the_old_key_is_gone(place):
    with place.create() as log:
        fill(log)
        before, old = keys_of(log), (place.data / "studio" / "keys" / "epoch-000001.key").read_text()
        assert log.epochs.turn() == 2
        standing = log.epochs.standing()
        assert (standing.epoch, standing.wrapped, standing.present, standing.settled) == (2, {1: 40}, [1, 2], False)
        settled = log.epochs.settle()
        assert (settled.epoch, settled.rewrapped, settled.destroyed, settled.awaited) == (2, 40, [1], [])
        assert settled.effective
        assert settled.lost == {}
        standing = log.epochs.standing()
        assert (standing.wrapped, standing.present, standing.settled) == ({2: 40}, [2], True)
        assert {key.epoch for key in keys_of(log)} == {2}
        fill_more = [estimate_changed(f"R-{number}", f"M-{number % 7}", data={"notes": "later"}) for number in range(9)]
        log.append(fill_more)
        check_whole(log)
        assert audit(log.store, log.verifier_keys).ok
        first = before[0]
        binding = privacy.key_binding(ORIGIN, first.member, first.stream, 1)
        assert privacy.unwrap(AESGCM(bytes.fromhex(old.strip())), first.wrapped, binding), "it opened before"
        with pytest.raises(StoreError, match="does not open"):
            privacy.unwrap(EpochKeys(place.data / "studio" / "keys").key(2), first.wrapped, binding)
    with place.open() as again:
        check_whole(again)
        assert again.epochs.settle().rewrapped == 0


def test_the_epoch_turns_again_and_again_under_appends_of_threads_and_processes(place, monkeypatch):
    monkeypatch.setattr(epochs, "REWRAPPED", 7)
    with place.create() as log:
        fill(log)
        process, pipe = start(append_for_ever, place, "other")
        pipe.recv()
        done, faults = threading.Event(), []

        def append_and_read():
            number = 0
            while not done.is_set():
                try:
                    log.append([estimate_changed(f"R-{number % 40}", "M-1", data={"notes": f"more {number}"})])
                    rows = list(log.scan())[-30:]
                    for row, values in zip(rows, log.disclose(rows), strict=True):
                        assert set(values) == set(row.content().event.commitments())
                except BaseException as error:  # noqa: BLE001 - told below
                    faults.append(error)
                    return
                number += 1

        threads = [threading.Thread(target=append_and_read) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(4):
                log.epochs.turn()
                assert log.epochs.settle().effective
                time.sleep(0.05)
        finally:
            done.set()
            for thread in threads:
                thread.join()
            process.kill()
            process.join(30)
            pipe.close()
        assert faults == []
        assert log.epochs.standing().epoch == 5
        assert list(log.epochs.standing().wrapped) == [5]
        check_whole(log)


def test_two_who_turn_at_once_leave_one_epoch_and_nothing_under_another(place):
    with place.create() as log, place.open() as other:
        fill(log, 300)
        threads = [
            threading.Thread(target=lambda one=one: (one.epochs.turn(), one.epochs.settle()))
            for one in (log, other) * 2
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        standing = log.epochs.standing()
        assert (standing.epoch, standing.wrapped, standing.present) == (5, {5: 300}, [5])
        check_whole(log)
        check_whole(other)


def die_at(pipe, place, step):
    """Turn the epoch, and die at a step of it as by kill -9."""

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def after(owner, name, skipped=0):
        run, calls = getattr(owner, name), []

        def stamped(*arguments):
            result = run(*arguments)
            calls.append(None)
            if len(calls) > skipped:
                die()
            return result

        setattr(owner, name, stamped)

    log = place.open()
    epochs.REWRAPPED = 10
    match step:
        case "make":
            after(EpochKeys, "make")
        case "turned":
            epochs.Epochs.settle = die
        case "rewrap":
            after(epochs.Epochs, "_rewrapped", skipped=25)
        case "destroy":
            EpochKeys.destroy = die
        case "overwritten":

            def overwrite(self, epoch):
                self._file(epoch).write_bytes(bytes(65))
                die()

            EpochKeys.destroy = overwrite
        case "scrub":
            type(log.store).scrub = die
    pipe.send("ready")
    log.epochs.turn()
    log.epochs.settle()


@pytest.mark.parametrize("step", STEPS)
def test_a_turn_that_was_killed_is_finished_by_whoever_comes_next(place, step):
    with place.create() as log:
        fill(log)
        process, pipe = start(die_at, place, step)
        process.join(60)
        pipe.close()
        assert process.exitcode == -signal.SIGKILL
        fill_later = [requested(f"S-{number}", "M-1") for number in range(5)]
        log.append(fill_later)
        if step not in ("overwritten", "scrub"):
            check_whole(log)
    with place.open() as log:
        turned = log.epochs.standing().epoch
        assert turned == (1 if step == "make" else 2)
        if step == "make":
            log.epochs.turn()
        settled = log.epochs.settle()
        assert settled.effective
        assert log.epochs.standing().wrapped == {2: 45}
        assert log.epochs.standing().present == [2]
        check_whole(log)


def test_a_key_whose_epoch_key_was_lost_is_told_of_and_left_as_it_is(place):
    with place.create() as log:
        fill(log, 3)
        log.epochs.turn()
        destroy(place.data / "studio" / "keys" / "epoch-000001.key")
    with place.open() as log:
        settled = log.epochs.settle()
        assert settled.lost == {1: 3}
        assert settled.rewrapped == 0
        assert log.disclose(list(log.scan()))[1:] == [{}] * 3


def damage(log, *, stream=None):
    """Flip a bit of the wrapped data keys, or of the one of a stream."""
    with log.store.writing() as writes:
        hit = [key for key in writes.keys_before(2**40) if stream in (None, key.stream)]
        writes.rewrap([key._replace(wrapped=key.wrapped[:-1] + bytes([key.wrapped[-1] ^ 1])) for key in hit])


def test_a_damaged_data_key_is_told_of_and_stops_no_other(place):
    with place.create() as log:
        fill(log, 5)
    with place.open() as log:
        damage(log, stream="reservation:R-3")
        log.epochs.turn()
        for rewrapped in (4, 0):  # once more, with nothing left but the damaged
            settled = log.epochs.settle()
            assert (settled.rewrapped, settled.destroyed, settled.effective) == (rewrapped, [], False)
            assert [(one.epoch, one.member, one.stream) for one in settled.damaged] == [(1, "M-3", "reservation:R-3")]
            assert settled.lost == {}
        assert log.epochs.standing().wrapped == {1: 1, 2: 4}
        assert log.epochs.standing().present == [1, 2]
        settled = log.epochs.settle(give_up_damaged=True)
        assert (settled.destroyed, settled.effective, settled.lost, settled.damaged) == ([1], True, {1: 1}, [])
        others = [row for row in log.scan() if row.content().event.stream != "reservation:R-3"][1:]
        assert all(log.disclose(others))


def test_an_erasure_is_recorded_beside_a_damaged_data_key_and_says_why_it_is_not_effective(place):
    with place.create() as log:
        fill(log, 5)
    with place.open() as log:
        damage(log, stream="reservation:R-3")
        receipt = erase(log, Target(member="M-1"), "requested")
        assert not receipt.effective
        assert [str(one) for one in receipt.damaged] == ["the data key of M-3 in reservation:R-3, epoch 1"]
        log.epochs.settle(give_up_damaged=True)
        assert erase(log, Target(member="M-1"), "requested").effective


def test_where_too_many_data_keys_are_damaged_the_epoch_key_is_suspected_and_kept(place, monkeypatch):
    monkeypatch.setattr(epochs, "MAX_DAMAGED", 3)
    with place.create() as log:
        fill(log, 5)
    with place.open() as log:
        damage(log)
        log.epochs.turn()
        with pytest.raises(StoreError, match="more than 3 data keys don't open"):
            log.epochs.settle(give_up_damaged=True)
        assert log.epochs.standing().present == [1, 2]


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(epochs, "SCRUBS", 2)
    monkeypatch.setattr(epochs, "SCRUB_PAUSE", 0.01)
    monkeypatch.setattr(epochs, "SCRUB_AGAIN_SECONDS", 0.05)


def held_by_a_reader(log):
    """Erase while a view of before is open; the receipt, and what is left in the log of writes."""
    with log.store.reading() as reads:
        assert reads.head().size
        receipt = erase(log, Target(member="M-1"), "requested")
        left = log.store.path.with_name("ledger.db-wal").stat().st_size
        assert not log.epochs.standing().settled
        assert log.epochs.standing().present == [2]
    return receipt, left


@pytest.mark.usefixtures("hasty")
def test_a_reader_that_keeps_bytes_in_the_files_is_told_of_and_they_go_when_it_is_done(tmp_path):
    with Place(tmp_path).create() as log:
        fill(log, 5)
        receipt, left = held_by_a_reader(log)
        assert (receipt.effective, receipt.unscrubbed, left > 0) == (True, True, True)
        until = time.monotonic() + 30
        while not log.epochs.standing().scrubbed:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert log.store.path.with_name("ledger.db-wal").stat().st_size == 0
        assert not erase(log, Target(member="M-1"), "requested").unscrubbed


def test_appends_wait_a_moment_only_for_a_scrub_that_a_reader_holds_up(tmp_path, monkeypatch):
    monkeypatch.setattr(epochs, "SCRUBS", 1)
    with Place(tmp_path).create() as log:
        fill(log, 5)
        started = time.monotonic()
        held_by_a_reader(log)
        assert time.monotonic() - started < 10, "the lock's own timeout is 30 s"


def die_before_the_scrub(pipe, place):
    log = place.open()
    type(log.store).scrub = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    pipe.send("ready")
    erase(log, Target(member="M-1"), "requested")


def test_a_scrub_that_a_kill_left_undone_is_known_to_whoever_comes_next(place):
    with place.create() as log:
        fill(log, 5)
    process, pipe = start(die_before_the_scrub, place)
    process.join(60)
    pipe.close()
    assert process.exitcode == -signal.SIGKILL
    with place.open() as log:
        assert (log.epochs.standing().present, log.epochs.standing().scrubbed) == ([2], False)
    with place.open() as log:
        assert log.epochs.standing().settled, "the one before scrubbed as it closed"
