"""The events that are appended, and the clients that append them."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from ledger.log import Log
from tools.bench.clients import drive
from tools.bench.peers.cell import Cell
from tools.bench.session import fill
from tools.bench.work.growth import sizes_up_to
from tools.bench.workload import batches, events, shares, stream


def test_the_events_are_the_same_in_every_run() -> None:
    assert events(500) == events(500) == list(islice(stream(), 500))


def test_a_ledger_takes_all_of_them(tmp_path: Path) -> None:
    with Log.create(tmp_path, "studio", "localhost/studio").log as log:
        fill(log, islice(stream(lead=50), 2_000))
        assert log.head().size == 2_001


def test_clients_that_are_not_in_step_break_no_lifecycle(tmp_path: Path) -> None:
    first, second = shares(list(islice(stream(lead=50), 2_000)), 2)
    with Log.create(tmp_path, "studio", "localhost/studio").log as log:
        fill(log, second)
        fill(log, first)
        assert log.head().size == 2_001


def test_the_mix_is_steady_however_many_follow() -> None:
    made = [msgspec.json.decode(event.body)["type"] for event in islice(stream(lead=500), 12_000)]
    early, late = Counter(made[4_000:8_000]), Counter(made[8_000:])
    assert all(abs(early[kind] - late[kind]) < 100 for kind in early | late)


def test_ordered_ids_ascend_and_others_fall_anywhere() -> None:
    ordered = [event.id for event in islice(stream(ordered_ids=True), 1_000)]
    anywhere = [event.id for event in islice(stream(), 1_000)]
    assert ordered == sorted(set(ordered))
    assert anywhere != sorted(anywhere)
    assert len(set(anywhere)) == 1_000


def test_all_events_of_a_reservation_are_one_clients() -> None:
    posted = events(1_000)
    shared = shares(posted, 8)
    assert sorted(event.id for share in shared for event in share) == sorted(event.id for event in posted)
    owners = [{event.reservation for event in share} for share in shared]
    assert sum(map(len, owners)) == len(set.union(*owners))


def test_requests_are_full() -> None:
    assert [len(request) for request in batches(events(1_050), 100)] == [100] * 10


def test_peers_read_the_same_requests_from_a_file(tmp_path: Path) -> None:
    cell = Cell(events(100), 10, 2, tmp_path)
    read = msgspec.json.decode(cell.file.read_bytes(), type=list[list[list[msgspec.Raw]]])
    assert [[[bytes(event) for event in request] for request in one] for one in read] == [
        [[event.body for event in request] for request in one] for one in cell.requests
    ]


def test_each_client_sends_its_own_in_order_and_all_are_counted() -> None:
    sent: dict[int, list[str]] = {0: [], 1: []}

    def send(client: int, request: str) -> int:
        sent[client].append(request)
        return 1

    assert drive([["a", "b"], ["c"]], send, 60) > 0
    assert sent == {0: ["a", "b"], 1: ["c"]}


def test_clients_stop_when_the_time_is_over() -> None:
    sent: list[int] = []

    def send(client: int, request: int) -> int:
        sent.append(request)
        return 1

    drive([range(1_000)], send, 0)
    assert sent == [0]


@pytest.mark.parametrize("clients", [1, 3])
def test_a_fault_of_one_client_is_raised(clients: int) -> None:
    def send(client: int, request: int) -> int:
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        drive([[1]] * clients, send, 60)


def test_growth_is_measured_from_a_hundred_thousand_to_the_size_that_is_asked_for() -> None:
    assert sizes_up_to(10_000_000) == [100_000, 300_000, 1_000_000, 3_000_000, 10_000_000]
    assert sizes_up_to(500_000) == [100_000, 300_000, 500_000]
