"""Single events gathered for the writer: in groups, each for itself, and never lost."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from api.gather import GROUP, Gathering
from api.problems import Unrecorded
from ledger.errors import Busy, LifecycleRefused
from ledger.event import LOCAL, Credential
from ledger.log import Log
from tests.support.events import new_log, plain, requested

OTHER = Credential(id="other", role="service", actor="other", actor_role="service")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with new_log(tmp_path) as opened:
        yield opened


@pytest.fixture
def submitted(log: Log, monkeypatch) -> list[int]:
    """The sizes of the groups that were handed to the log."""
    sizes: list[int] = []
    submit = log.submit

    def counted(events, credential, *, atomic):
        sizes.append(len(events))
        return submit(events, credential, atomic=atomic)

    monkeypatch.setattr(log, "submit", counted)
    return sizes


def test_events_of_the_same_turn_go_together(log: Log, submitted):
    async def run():
        gathering = Gathering(log)
        return await asyncio.gather(*(gathering.append(requested(f"R-{number}"), LOCAL, 60) for number in range(50)))

    receipts = asyncio.run(run())
    assert [one.position for one in receipts] == list(range(1, 51))
    assert submitted == [50]


def test_what_comes_while_a_group_is_committed_goes_as_the_next(log: Log, submitted):
    async def run():
        gathering = Gathering(log)
        first = asyncio.ensure_future(gathering.append(requested("R-first"), LOCAL, 60))
        while not submitted:  # noqa: ASYNC110 - the moment right after the first was handed over
            await asyncio.sleep(0)
        later = [asyncio.ensure_future(gathering.append(requested(f"R-{number}"), LOCAL, 60)) for number in range(20)]
        return await asyncio.gather(first, *later)

    assert len(asyncio.run(run())) == 21
    assert submitted == [1, 20]


def test_a_group_has_a_bound(log: Log, submitted):
    async def run():
        gathering = Gathering(log)
        await asyncio.gather(
            *(gathering.append(requested(f"R-{number}"), LOCAL, 60) for number in range(GROUP * 2 + 3))
        )

    asyncio.run(run())
    assert submitted == [GROUP, GROUP, 3]


def test_a_refused_event_takes_no_other_with_it_and_has_index_0(log: Log):
    async def run():
        gathering = Gathering(log)
        events = [requested("R-1"), plain("confirmed", "R-9"), b"{", requested("R-2")]
        return await asyncio.gather(*(gathering.append(one, LOCAL, 60) for one in events), return_exceptions=True)

    first, refused, malformed, last = asyncio.run(run())
    assert (first.position, last.position) == (1, 2)
    assert isinstance(refused, LifecycleRefused)
    assert (refused.index, malformed.index) == (0, 0)


def test_each_event_is_sealed_with_the_credential_that_posted_it(log: Log, submitted):
    async def run():
        gathering = Gathering(log)
        await asyncio.gather(
            *(gathering.append(requested(f"R-{number}"), (LOCAL, OTHER)[number % 2], 60) for number in range(6))
        )

    asyncio.run(run())
    assert submitted == [3, 3]
    found = {row.content().event.stream: b'"by":"other"' in row.entry for row in log.scan()}
    assert {stream for stream, by_other in found.items() if by_other} == {
        f"reservation:R-{number}" for number in (1, 3, 5)
    }


def test_a_cancelled_waiter_leaves_its_event_and_the_others_alone(log: Log):
    async def run():
        gathering = Gathering(log)
        gone = asyncio.ensure_future(gathering.append(requested("R-gone"), LOCAL, 60))
        stays = asyncio.ensure_future(gathering.append(requested("R-stays"), LOCAL, 60))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(run()).stream == "reservation:R-stays"
    assert {row.content().event.stream for row in log.scan()} >= {"reservation:R-gone", "reservation:R-stays"}


def test_a_full_queue_refuses_the_group_and_the_next_is_taken(log: Log, monkeypatch):
    async def run():
        gathering = Gathering(log)
        monkeypatch.setattr("ledger.writer.MAX_QUEUED", 0)
        log._writer._queued = 1
        with pytest.raises(Busy):
            await gathering.append(requested("R-1"), LOCAL, 60)
        log._writer._queued = 0
        return await gathering.append(requested("R-1"), LOCAL, 60)

    assert asyncio.run(run()).position == 1


def test_more_than_may_wait_for_a_group_are_refused_at_once(log: Log, monkeypatch):
    monkeypatch.setattr("api.gather.MAX_WAITING", 3)

    async def run():
        gathering = Gathering(log)
        waiting = [asyncio.ensure_future(gathering.append(requested(f"R-{number}"), LOCAL, 60)) for number in range(5)]
        return await asyncio.gather(*waiting, return_exceptions=True)

    outcomes = asyncio.run(run())
    assert [type(one) for one in outcomes[3:]] == [Busy, Busy]
    assert [one.position for one in outcomes[:3]] == [1, 2, 3]


def test_a_fault_that_nobody_foresaw_reaches_its_callers(log: Log, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(log, "submit", fail)

    async def run():
        async with asyncio.timeout(10):
            await Gathering(log).append(requested("R-1"), LOCAL, 60)

    with pytest.raises(RuntimeError, match="unforeseen"):
        asyncio.run(run())


def test_who_has_waited_for_too_long_hears_that_it_may_yet_be_recorded_and_it_is(log: Log, monkeypatch):
    taken = []
    submit = log.submit
    monkeypatch.setattr(log, "submit", lambda *given, **named: taken.append(submit(*given, **named)) or Future())

    async def run():
        gathering = Gathering(log)
        with pytest.raises(Unrecorded, match=r"within 0\.05 s") as caught:
            await gathering.append(requested("R-1"), LOCAL, 0.05)
        return caught.value.retry_after

    assert asyncio.run(run()) == 5
    assert [one.position for one in taken[0].result()] == [1]
