"""Another process prepares large requests: with the same result as here, and whatever becomes of it."""

import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Pipe
from pathlib import Path
from types import SimpleNamespace

import pytest

from ledger import beside, preparer, request
from ledger.errors import InvalidEvent, LifecycleRefused, MalformedEvent
from ledger.event import LOCAL
from ledger.flush import Receipt
from ledger.preparer import Preparer
from ledger.request import Posted
from tests.support.events import account_changed, cloud, estimate_changed, new_log, plain, requested
from tests.support.preparing import SECONDS, started_preparer, until_ready

FAULTY = cloud("reservation.confirmed", "reservation:R-2", {"x": 1})


def many(count=300, name="R"):
    return [requested(f"{name}-{number}") for number in range(count)]


@pytest.fixture(scope="module")
def started():
    """A process that is ready; one for all tests here, but those that lose it."""
    with started_preparer() as made:
        yield made


@pytest.fixture
def helped(started, monkeypatch):
    monkeypatch.setattr(request, "PREPARER", started)
    return started


def ahead(events, *, atomic=True, first=False):
    posted = Posted(events, LOCAL, atomic=atomic)
    posted.prepare_ahead(first=first)
    assert posted.ahead
    return posted


@pytest.mark.parametrize("first", [True, False])
def test_events_come_back_as_they_are_prepared_here(helped, first):
    events = [*many(), *(estimate_changed(f"R-{number}") for number in range(100)), plain("confirmed")]
    theirs = ahead(events, first=first).request().events
    ours = Posted(events, LOCAL, atomic=True).request().events
    assert [(one.stream, one.private, one.lifecycle_data, one.by) for one in theirs] == [
        (one.stream, one.private, one.lifecycle_data, one.by) for one in ours
    ]
    unsalted = [each for each in zip(theirs, ours, strict=True) if not each[0].names]
    assert unsalted
    assert all(one == other for one, other in unsalted)


def test_the_rest_of_a_request_arrives_in_pieces_in_order(helped):
    events = many(1000)
    begun = ahead(events, first=True).begun(foresee=False)
    pieces = [begun.events, *begun.rest]
    assert len(pieces) > 2
    assert [one.stream for piece in pieces for one in piece] == [f"reservation:R-{n}" for n in range(1000)]


def test_what_the_rest_will_need_is_foreseen(helped):
    strange = requested("R-1\0")
    begun = ahead([*many(300), strange, b"{", plain("confirmed")], atomic=False).begun(foresee=True)
    events = [one for piece in begun.rest for one in piece if not isinstance(one, InvalidEvent | MalformedEvent)]
    assert begun.foreseen == [(one.source, one.id, one.stream, one.member) for one in events]
    assert len(events) == 301


def test_a_fault_is_met_with_its_index_and_path(helped):
    events = [*many(250), FAULTY, *many(50, "S")]
    with pytest.raises(InvalidEvent) as caught:
        ahead(events).request()
    assert (caught.value.index, caught.value.path) == (250, "$.data.x")
    found = ahead(events, atomic=False).request().events
    assert [at for at, one in enumerate(found) if isinstance(one, InvalidEvent)] == [250]


def test_small_requests_and_those_beyond_its_bound_are_left_to_us(helped, monkeypatch):
    assert helped.ask(many(preparer.WORTH - 1), LOCAL) is None
    monkeypatch.setattr(preparer, "MOST", 299)
    assert helped.ask(many(300), LOCAL) is None


def test_it_is_not_started_before_large_requests_have_come_for_a_while(monkeypatch):
    monkeypatch.setattr(preparer, "START_AFTER", 601)
    monkeypatch.setattr(preparer, "Process", lambda: pytest.fail("started"))
    made = Preparer()
    for _ in range(2):
        assert made.ask(many(300), LOCAL) is None


def test_where_there_is_no_room_for_a_process_all_is_prepared_here(monkeypatch):
    def full():
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(preparer, "START_AFTER", 1)
    monkeypatch.setattr(preparer, "Process", full)
    assert Preparer().ask(many(), LOCAL) is None


@pytest.mark.parametrize("unknown", [None, ""])
def test_an_interpreter_that_does_not_know_its_program_prepares_all_here(monkeypatch, unknown):
    monkeypatch.setattr(preparer, "START_AFTER", 1)
    monkeypatch.setattr(sys, "executable", unknown)
    made = Preparer()
    assert made.ask(many(), LOCAL) is None
    assert made._process is None


class TestLost:
    @pytest.fixture
    def own(self, monkeypatch):
        monkeypatch.setattr(preparer, "START_AFTER", 1)
        made = Preparer()
        made.ask(many(), LOCAL)
        until_ready(made)
        monkeypatch.setattr(request, "PREPARER", made)
        yield made
        made.close()

    def test_what_a_killed_process_owes_is_prepared_here_and_another_is_started(self, own):
        os.kill(own._process._process.pid, signal.SIGSTOP)
        posted = ahead(many())
        os.kill(own._process._process.pid, signal.SIGKILL)
        assert len(posted.request().events) == 300
        own._process._process.wait(SECONDS)
        assert own.ask(many(), LOCAL) is None  # it is no more
        until_ready(own)
        assert len(ahead(many()).request().events) == 300

    def test_one_that_does_not_answer_is_given_up(self, own, monkeypatch):
        monkeypatch.setattr(preparer, "PATIENCE", 0.05)
        os.kill(own._process._process.pid, signal.SIGSTOP)
        assert len(ahead(many()).request().events) == 300
        assert own._process._process.wait(SECONDS) == -signal.SIGKILL

    def test_one_that_answers_ever_more_slowly_is_waited_for_once_and_not_for_each_piece(self, monkeypatch):
        monkeypatch.setattr(preparer, "PATIENCE", 0.3)
        given_up = []
        ahead = preparer.Ahead(9, SimpleNamespace(give_up=lambda: given_up.append(True)))
        timers = [threading.Timer(0.2 * number, ahead.arrive, (b"\x90",)) for number in (1, 2, 3)]
        for timer in timers:
            timer.start()
        assert [ahead.piece(wait=True), ahead.piece(wait=True)] == [[], None]
        assert given_up
        for timer in timers:
            timer.join()

    def test_a_stranger_who_holds_its_end_of_the_line_holds_up_nobody(self, monkeypatch):
        held = []

        def shared():
            ours, theirs = Pipe()
            held.append(os.dup(theirs.fileno()))
            return ours, theirs

        monkeypatch.setattr(preparer, "START_AFTER", 1)
        monkeypatch.setattr(beside, "Pipe", shared)
        monkeypatch.setattr(beside, "END_SECONDS", 0.2)
        made = Preparer()
        made.ask(many(), LOCAL)
        until_ready(made)
        os.kill(made._process._process.pid, signal.SIGKILL)
        closing = threading.Thread(target=made.close, daemon=True)
        closing.start()
        closing.join(SECONDS)
        os.close(held[0])  # now its receiver ends, too
        assert not closing.is_alive()

    def test_it_ends_with_a_parent_that_is_killed(self):
        program = (
            "import time; from ledger import preparer; from ledger.event import LOCAL; preparer.START_AFTER = 1\n"
            "made = preparer.PREPARER; made.ask([b'{}'] * 300, LOCAL); print(made._process._process.pid, flush=True)\n"
            "time.sleep(60)"
        )
        parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        child = int(parent.stdout.readline())
        parent.kill()
        parent.communicate(timeout=SECONDS)  # the child has the same output: its end is the end of that
        for _ in range(SECONDS * 100):
            if not running(child):
                return
            threading.Event().wait(0.01)
        raise AssertionError("it lives on")


def running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"  # dead, if nobody asked yet


class TestAppending:
    def test_appended_as_by_one_process(self, helped, tmp_path):
        events = many(1000)
        with new_log(tmp_path) as log:
            receipts = log.append(events)
            assert [one.position for one in receipts] == list(range(1, 1001))
            assert all(one.duplicate for one in log.append(events))
            assert log.disclose([log.row(700)]) == log.disclose([log.row(1)])
            assert log.row(700).content().event.private != log.row(1).content().event.private

    def test_a_late_refusal_takes_back_what_the_store_had_and_costs_others_nothing(self, helped, tmp_path):
        others = many(900, "S")
        refused = [*others, plain("confirmed", "none"), *many(90, "T")]
        with new_log(tmp_path) as log:
            answers = [log.submit(events) for events in (many(400), refused, many(400, "U"))]
            with pytest.raises(LifecycleRefused) as caught:
                answers[1].result(SECONDS)
            assert caught.value.index == 900
            assert [len(answers[at].result(SECONDS)) for at in (0, 2)] == [400, 400]
            assert log.head().size == 801
            assert all(isinstance(one, Receipt) for one in log.append(others))

    def test_a_late_fault_refuses_the_whole_request(self, helped, tmp_path):
        with new_log(tmp_path) as log:
            with pytest.raises(InvalidEvent) as caught:
                log.append([*many(990), FAULTY])
            assert caught.value.index == 990
            assert log.head().size == 1

    @pytest.mark.parametrize("at", [0, 500])
    def test_an_account_change_told_from_one_side_twice_is_refused(self, helped, tmp_path, at):
        alone = account_changed("merged", "A", "B")[0]
        events = [*many(at, "S"), alone, *many(990, "T"), alone]
        with new_log(tmp_path) as log:
            log.append([cloud("member.registered", f"member:{name}", {"name": name}) for name in ("A", "B")])
            with pytest.raises(InvalidEvent) as caught:
                log.append(events)
            assert (caught.value.index, log.head().size) == (at, 3)
