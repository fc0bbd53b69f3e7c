"""A transfer or a merge is recorded from both sides or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import EventError, InvalidEvent, LifecycleRefused
from ledger.event import Credential
from ledger.log import Log
from tests.support.events import account_changed, cloud, new_log

ADMIN = Credential(id="adm", role="admin", actor="adm", actor_role="admin", actor_roles=frozenset({"admin"}))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with new_log(tmp_path) as opened:
        opened.append([cloud("member.registered", f"member:{name}", {"name": name}) for name in ("A", "B", "C")])
        yield opened


def refused(log: Log, *events: bytes, **options: Any) -> EventError:
    before = log.head()
    with pytest.raises(EventError) as caught:
        log.append(list(events), **options)
    assert log.head() == before
    return caught.value


@pytest.mark.parametrize("change", ["transferred", "merged"])
@pytest.mark.parametrize("turned", [False, True])
def test_both_sides_in_one_request_are_taken_in_either_order(log: Log, change: str, turned: bool) -> None:
    events = account_changed(change, "A", "B")[:: -1 if turned else 1]
    receipts = log.append(events)
    assert [one.position for one in receipts] == [4, 5]
    assert [one.duplicate for one in log.append(events)] == [True, True]
    (again,) = log.append(events[:1])  # a retry of one of them repeats what is recorded
    assert (again.position, again.duplicate) == (4, True)


@pytest.mark.parametrize("side", [0, 1])
def test_one_side_alone_is_refused_whoever_else_is_in_the_request(log: Log, side: int) -> None:
    alone = account_changed("merged", "A", "B")[side]
    for events in ([alone], [cloud("member.contact_updated", "member:C", {"name": "x"}), alone]):
        fault = refused(log, *events)
        assert isinstance(fault, InvalidEvent)
        assert (fault.path, fault.index) == ("$.data.counterpart", len(events) - 1)
        assert "from both sides" in fault.detail
        assert ("member:B that receives", "member:A that gives")[side] in fault.detail


def test_events_that_stand_each_for_itself_are_never_two_sides(log: Log) -> None:
    outcomes = log.append(account_changed("merged", "A", "B"), atomic=False)
    assert [type(one) for one in outcomes] == [InvalidEvent, InvalidEvent]
    assert [one.index for one in outcomes if isinstance(one, EventError)] == [0, 1]


@pytest.mark.parametrize(
    ("events", "path"),
    [
        (account_changed("merged", "A", "B", None), "$.correlationid"),
        (
            [account_changed("merged", "A", "B", "x")[0], account_changed("merged", "A", "B", "y")[1]],
            "$.data.counterpart",
        ),
        ([account_changed("merged", "A", "B")[0], account_changed("transferred", "A", "B")[1]], "$.data.counterpart"),
        ([account_changed("merged", "A", "B")[0], account_changed("merged", "A", "C")[1]], "$.data.counterpart"),
        ([account_changed("merged", "A", "B")[0], account_changed("merged", "C", "B")[1]], "$.data.counterpart"),
        ([*account_changed("merged", "A", "B"), account_changed("merged", "A", "B")[1]], "$.data.counterpart"),
        (account_changed("merged", "A", "A"), "$.data.counterpart"),
    ],
    ids=[
        "no correlation",
        "two correlations",
        "two changes",
        "another receiver",
        "another giver",
        "twice",
        "to itself",
    ],
)
def test_sides_that_do_not_fit_are_refused(log: Log, events: list[bytes], path: str) -> None:
    assert refused(log, *events).path == path


def test_two_merges_in_one_request_are_told_apart(log: Log) -> None:
    (a, to_a), (c, to_c) = account_changed("merged", "A", "B", "x"), account_changed("merged", "C", "B", "y")
    assert len(log.append([a, c, to_c, to_a])) == 4


def test_an_admin_may_force_one_side_and_a_closure_has_one(log: Log) -> None:
    forced = account_changed("merged", "A", "B", None, forced="import", actorrole="admin")[0]
    assert len(log.append([forced], ADMIN)) == 1
    assert len(log.append([cloud("member.account_changed", "member:C", {"change": "closed", "reason": "asked"})])) == 1


def test_an_account_that_ended_takes_nothing_more_of_its_own_and_gives_to_nobody(log: Log) -> None:
    log.append(account_changed("merged", "A", "B"))
    update = cloud("member.contact_updated", "member:A", {"name": "again"})
    assert isinstance(refused(log, update), LifecycleRefused)
    assert "merged" in refused(log, *account_changed("merged", "A", "C", "c-2")).detail
    assert "merged" in refused(log, *account_changed("merged", "C", "A", "c-3")).detail
    # What still happens with its things is a fact, whoever's they are now.
    late = cloud("record.created", "record:X", {"collection": "clients", "fields": {"a": 1}}, member="A")
    assert len(log.append([late])) == 1


def test_nobody_receives_who_never_was_registered(log: Log) -> None:
    assert "not begun" in refused(log, *account_changed("merged", "A", "stranger")).detail
