"""A request is prepared some events at a time, each of them once, and its faults are kept for whoever asks for it."""

import pytest

from ledger import request as ledger_request
from ledger.errors import EventError, InvalidEvent
from ledger.event import LOCAL
from ledger.request import PIECE, Posted
from tests.support.events import cloud, requested

FAULTY = cloud("reservation.confirmed", "reservation:R-2", {"x": 1})


def test_events_are_prepared_in_pieces_each_once_and_in_order(monkeypatch):
    seen = []
    prepare = ledger_request.prepare
    monkeypatch.setattr(ledger_request, "prepare", lambda raw, *rest: (seen.append(raw), prepare(raw, *rest))[1])
    events = [requested(f"R-{number}") for number in range(2 * PIECE + 1)]
    posted = Posted(events, LOCAL, atomic=True)
    for done in (PIECE, 2 * PIECE, len(events)):
        assert not posted.ready
        posted.prepare_some()
        assert seen == events[:done]
    assert posted.ready
    posted.prepare_some()
    assert [event.stream for event in posted.request().events] == [f"reservation:R-{n}" for n in range(len(events))]
    assert seen == events
    assert len(posted) == len(events)


def test_a_request_of_no_events_is_ready():
    posted = Posted([], LOCAL, atomic=True)
    assert posted.ready
    assert posted.request().events == []


def test_an_atomic_request_raises_its_first_fault_with_its_index_and_prepares_no_more():
    posted = Posted([requested(), FAULTY, FAULTY], LOCAL, atomic=True)
    for _ in range(2):
        with pytest.raises(InvalidEvent) as caught:
            posted.request()
        assert (caught.value.index, caught.value.path) == (1, "$.data.x")


def test_any_other_request_holds_a_fault_in_its_event_s_place():
    events = [*(requested(f"R-{number}") for number in range(PIECE)), FAULTY, requested()]
    found = Posted(events, LOCAL, atomic=False).request().events
    assert [at for at, event in enumerate(found) if isinstance(event, EventError)] == [PIECE]
    assert found[PIECE].index == PIECE


def test_what_should_never_happen_is_kept_for_whoever_asks(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(ledger_request, "prepare", fail)
    posted = Posted([requested()], LOCAL, atomic=False)
    posted.prepare_some()
    assert posted.ready
    with pytest.raises(ZeroDivisionError):
        posted.request()
