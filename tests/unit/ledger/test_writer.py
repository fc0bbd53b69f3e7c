import threading
from contextlib import contextmanager

import pytest

from ledger import writer as ledger_writer
from ledger.datakeys import DataKeys
from ledger.entry import decode
from ledger.errors import Busy, InvalidEvent, ReadOnly, StoreError
from ledger.event import LOCAL
from ledger.keys import Keys
from ledger.log import Log
from ledger.request import Posted
from ledger.store.protocol import Head, Selection, nothing
from ledger.store.sqlite import SQLiteStore
from ledger.writer import Writer
from tests.support.events import ORIGIN, estimate_changed, new_log, plain, requested

START = 1_772_357_400_000_000  # 2026-03-01T09:30:00Z
SECOND = 1_000_000


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


class Gate:
    """A store whose transactions wait at a gate, and fail where a test says so."""

    def __init__(self, store):
        self._store = store
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.flushes = 0
        self.fail_before = self.fail_after = None
        self.local = store.local
        self.busy = False
        self.did_meanwhile = []

    def __getattr__(self, name):
        return getattr(self._store, name)

    @contextmanager
    def writing(self, meanwhile=nothing):
        self.entered.set()
        assert self.open.wait(20)
        self.flushes += 1
        while self.busy:
            self.did_meanwhile.append(meanwhile())
            self.busy = self.did_meanwhile[-1]
        if self.fail_before:
            raise self.fail_before
        with self._store.writing(meanwhile) as writes:
            yield writes
            if self.fail_after:
                raise self.fail_after


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gate(tmp_path):
    store = SQLiteStore.create(tmp_path / "ledger.db", ORIGIN, Head(0, bytes(32), "", 1))
    yield Gate(store)
    store.close()


@pytest.fixture
def keys(tmp_path):
    return DataKeys(Keys.create(tmp_path / "keys", ORIGIN), ORIGIN)


@pytest.fixture
def writer(gate, keys, clock):
    made = Writer(gate, keys, clock)
    yield made
    gate.open.set()
    made.close()


def posted(*events):
    made = Posted(events, LOCAL, atomic=True)
    made.request()
    return made


def sized(count, *events):
    made = posted(*events)
    made.size = count
    return made


def size(gate):
    with gate.reading() as reads:
        return reads.head().size


class TestPreparing:
    def many(self, name="R", count=100, *, faulty=None):
        events = [requested(f"{name}-{number}") for number in range(count)]
        if faulty is not None:
            events[faulty] = b"{}"
        return Posted(events, LOCAL, atomic=True)

    def test_a_large_request_is_prepared_by_the_writer_and_its_fault_reaches_its_caller_alone(self, writer):
        answers = [writer.submit(self.many(faulty=77)), writer.submit(posted(requested("S-1")))]
        with pytest.raises(InvalidEvent) as caught:
            answers[0].result(20)
        assert caught.value.index == 77
        assert [receipt.position for receipt in answers[1].result(20)] == [0]

    def test_what_waits_is_prepared_while_a_store_waits_for_its_database(self, writer, gate):
        gate.open.clear()
        first = writer.submit(posted(requested("S-1")))
        assert gate.entered.wait(20)
        waiting = [self.many(), self.many("T", faulty=3), posted(requested("S-2"))]
        answers = [writer.submit(one) for one in waiting]
        gate.busy = True
        gate.open.set()
        assert first.result(20)
        assert [len(answers[at].result(20)) for at in (0, 2)] == [100, 1]
        assert gate.did_meanwhile == [True] * 5 + [False]  # 100 events in pieces of 32, and those up to the fault

    @pytest.mark.parametrize(("local", "flushes"), [(True, 2), (False, 3)])
    def test_only_where_a_store_leaves_time_for_it_a_flush_goes_ahead_of_what_is_unprepared(
        self, writer, gate, local, flushes
    ):
        gate.open.clear()
        answers = [writer.submit(posted(requested("S-1")))]
        assert gate.entered.wait(20)
        gate.local = local
        answers += [writer.submit(posted(requested("S-2"))), writer.submit(self.many())]
        gate.open.set()
        for answer in answers:
            answer.result(20)
        assert gate.flushes == flushes


class TestGroups:
    def test_what_waits_is_committed_together(self, writer, gate):
        gate.open.clear()
        first = writer.submit(posted(requested("R-0")))
        assert gate.entered.wait(20)
        waiting = [writer.submit(posted(requested(f"R-{n}"))) for n in range(1, 101)]
        gate.open.set()
        assert [answer.result(20)[0].position for answer in [first, *waiting]] == list(range(101))
        assert gate.flushes == 2

    def test_a_flush_takes_no_more_than_its_measure(self, writer, gate, monkeypatch):
        monkeypatch.setattr(ledger_writer, "FLUSH_EVENTS", 10)
        gate.open.clear()
        writer.submit(posted(requested("R-0")))
        assert gate.entered.wait(20)
        answers = [writer.submit(posted(*(requested(f"R-{n}-{m}") for m in range(4)))) for n in range(5)]
        answers.append(writer.submit(posted(*(requested(f"S-{m}") for m in range(25)))))  # larger than any flush
        gate.open.set()
        for answer in answers:
            answer.result(20)
        assert gate.flushes == 1 + 3 + 1  # 8, 8, 4, and the large one by itself
        assert size(gate) == 46

    def test_the_queue_is_bounded_and_takes_again_when_it_is_drained(self, writer, gate, monkeypatch):
        monkeypatch.setattr(ledger_writer, "MAX_QUEUED", 5)
        gate.open.clear()
        answers = [writer.submit(posted(requested("R-0")))]
        assert gate.entered.wait(20)
        answers += [writer.submit(posted(requested(f"R-{n}"))) for n in range(1, 6)]
        with pytest.raises(Busy, match="5 events wait") as caught:
            writer.submit(posted(requested("R-6")))
        assert caught.value.retry_after > 0
        gate.open.set()
        for answer in answers:
            answer.result(20)
        writer.submit(posted(requested("R-6"))).result(20)
        assert size(gate) == 7

    def test_the_queue_is_bounded_in_bytes_as_well(self, writer, gate, monkeypatch):
        monkeypatch.setattr(ledger_writer, "MAX_QUEUED_BYTES", 1000)
        gate.open.clear()
        answers = [writer.submit(sized(5000, requested("R-0")))]  # however large, when nothing waits
        assert gate.entered.wait(20)
        answers += [writer.submit(sized(500, requested(f"R-{n}"))) for n in range(1, 3)]
        with pytest.raises(Busy, match="2 events wait"):
            writer.submit(sized(1, requested("R-3")))
        gate.open.set()
        for answer in answers:
            answer.result(20)
        writer.submit(sized(1000, requested("R-3"))).result(20)
        assert size(gate) == 4

    def test_one_request_larger_than_the_queue_is_taken_when_nothing_waits(self, writer, gate, monkeypatch):
        monkeypatch.setattr(ledger_writer, "MAX_QUEUED", 2)
        assert len(writer.submit(posted(*(requested(f"R-{n}") for n in range(5)))).result(20)) == 5

    def test_a_cancelled_request_is_left_out_and_leaves_room(self, writer, gate):
        gate.open.clear()
        first = writer.submit(posted(requested("R-0")))
        assert gate.entered.wait(20)
        cancelled = [writer.submit(posted(requested(f"C-{n}"))) for n in range(10)]
        kept = writer.submit(posted(requested("R-1")))
        assert all(answer.cancel() for answer in cancelled)
        assert not first.cancel()  # it is being written
        gate.open.set()
        assert [first.result(20)[0].position, kept.result(20)[0].position] == [0, 1]
        assert size(gate) == 2

    def test_a_closed_writer_takes_nothing_and_has_committed_what_waited(self, writer, gate):
        gate.open.clear()
        answers = [writer.submit(posted(requested(f"R-{n}"))) for n in range(5)]
        closing = threading.Thread(target=writer.close)
        closing.start()
        gate.open.set()
        closing.join(20)
        assert [answer.result(0)[0].position for answer in answers] == list(range(5))
        with pytest.raises(ReadOnly):
            writer.submit(posted(requested("R-9")))
        writer.close()


class TestFailure:
    @pytest.mark.parametrize("when", ["fail_before", "fail_after"])
    @pytest.mark.parametrize(
        "failure", [StoreError("the disk is full"), OSError("no"), KeyboardInterrupt(), MemoryError()]
    )
    def test_reaches_every_caller_and_leaves_nothing(self, writer, gate, when, failure):
        writer.submit(posted(requested("R-1"))).result(20)
        setattr(gate, when, failure)
        gate.open.clear()
        gate.entered.clear()
        answers = [writer.submit(posted(plain("confirmed", "R-1"))), writer.submit(posted(requested("R-2")))]
        gate.open.set()
        for answer in answers:
            with pytest.raises(StoreError):
                answer.result(20)
        assert size(gate) == 1

    def test_is_followed_by_the_same_as_if_it_had_not_been(self, writer, gate, keys):
        event = requested("R-1")
        gate.fail_after = StoreError("lost")
        with pytest.raises(StoreError):
            writer.submit(posted(event, plain("confirmed", "R-1"))).result(20)
        gate.fail_after = None
        receipts = writer.submit(posted(event, plain("confirmed", "R-1"))).result(20)
        assert [(receipt.position, receipt.version, receipt.duplicate) for receipt in receipts] == [
            (0, 1, False),
            (1, 2, False),
        ]
        with gate.reading() as reads:
            rows = reads.rows(Selection())
            assert reads.tile(0, 0) == b"".join(bytes.fromhex(receipt.leaf_hash) for receipt in receipts)
            assert keys.disclose(reads, rows)[0] == {"notes": "the blue one, please"}
            # a key of the lost transaction must not have sealed what is stored
            assert DataKeys(keys._keys, ORIGIN).disclose(reads, rows)[0] == {"notes": "the blue one, please"}


class TestClock:
    def recorded(self, log, position=-1):
        row = log.row(log.head().size + position if position < 0 else position)
        return decode(row.entry).seal.recorded

    @pytest.fixture
    def alarms(self):
        return []

    @pytest.fixture
    def log(self, tmp_path, clock, alarms):
        new_log(tmp_path, clock=clock).close()
        with Log.open(tmp_path, "studio", clock=clock, alarm=alarms.append) as opened:
            yield opened

    def test_recorded_is_the_clock_s_time_one_for_each_flush(self, log, clock):
        clock.now += 1
        log.append([requested("R-1"), requested("R-2")])
        assert self.recorded(log) == self.recorded(log, 1) == "2026-03-01T09:30:00.000001Z"

    def test_it_never_goes_back_and_a_small_step_back_goes_unremarked(self, log, clock, alarms):
        clock.now -= 5 * SECOND
        log.append([requested()])
        assert self.recorded(log) == "2026-03-01T09:30:00.000000Z"
        assert not alarms

    def test_more_than_5_seconds_back_raises_an_alarm(self, log, clock, alarms):
        clock.now -= 5 * SECOND + 1
        log.append([requested()])
        assert len(alarms) == 1
        assert "5.0 s" in alarms[0]
        clock.now = START + 1
        log.append([plain("confirmed")])
        assert len(alarms) == 1
        assert self.recorded(log) == "2026-03-01T09:30:00.000001Z"

    def test_just_5_minutes_back_is_still_written(self, log, clock, alarms):
        clock.now -= 300 * SECOND
        log.append([requested()])
        assert alarms

    def test_more_than_5_minutes_back_is_read_only_until_the_clock_is_right(self, log, clock):
        clock.now -= 300 * SECOND + 1
        for _ in range(2):
            with pytest.raises(ReadOnly, match="300 s ahead") as caught:
                log.append([requested()])
        assert "--accept-clock" in caught.value.advice
        assert log.head().size == 1
        clock.now = START
        log.append([requested()])

    def test_or_until_an_owner_accepts(self, tmp_path, clock, alarms):
        new_log(tmp_path, clock=clock).close()
        clock.now -= 86_400 * SECOND
        with Log.open(tmp_path, "studio", clock=clock, accept_clock=True, alarm=alarms.append) as log:
            log.append([requested()])
            assert self.recorded(log) == "2026-03-01T09:30:00.000000Z"
            assert len(alarms) == 1


class TestTwoWriters:
    def test_on_one_ledger_take_turns_and_see_each_other(self, tmp_path):
        with new_log(tmp_path) as one, Log.open(tmp_path, "studio") as two:
            one.append([requested("R-1")])
            two.append([plain("confirmed", "R-1", expectedversion=1)])
            for n in range(20):
                (one, two)[n % 2].append([estimate_changed("R-1", expectedversion=n + 2, data={"notes": f"{n}"})])
            seals = [decode(row.entry).seal for row in one.scan()]
            assert [seal.position for seal in seals] == list(range(23))
            assert [seal.member_version for seal in seals[1:]] == list(range(1, 23))
            values = one.disclose(list(one.scan()))
            assert values == two.disclose(list(two.scan()))
            assert values[3:] == [{"notes": f"{n}"} for n in range(20)]
            assert one.checkpoint()[0] == two.checkpoint()[0]

    def test_racing_for_one_id_both_get_the_same_receipt(self, tmp_path):
        with new_log(tmp_path) as one, Log.open(tmp_path, "studio") as two:
            for n in range(10):
                event = requested(f"R-{n}")
                answers = [log.submit([event]) for log in (one, two, one, two)]
                receipts = [answer.result(20)[0] for answer in answers]
                assert len({(receipt.position, receipt.leaf_hash) for receipt in receipts}) == 1
                assert [receipt.duplicate for receipt in receipts].count(False) == 1
