"""Rows of the read models as they stood at a past moment, over HTTP, whatever store holds the ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import past
from ledger.entry import decode
from projections import snapshots
from projections.models import MODELS
from projections.snapshots import FOLDER
from tests.support import http
from tests.support.events import cloud, plain, requested
from tests.support.http import BATCH, Service, batch, slug

STORES = ("sqlite", "postgresql")


@pytest.fixture(params=STORES)
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """Four reservations are requested at positions 1 to 4; one is cancelled at 5, one confirmed at 6."""
    url = request.getfixturevalue("database") if request.param == "postgresql" else None
    with http.service(tmp_path / "data", store=url) as service:
        service.post(batch(*(requested(f"R-{number}") for number in range(4))), BATCH)
        service.post(plain("cancelled", "R-1"))
        service.post(plain("confirmed", "R-2", data={"station": "K1"}))
        yield service


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Service]:
    """The same in short, on SQLite, for what has nothing to do with the store; no request waits."""
    with http.service(tmp_path / "data", wait_seconds=0.0) as service:
        service.post(batch(*(requested(f"R-{number}") for number in range(4))), BATCH)
        yield service


def statuses(service: Service, at: object, more: str = "") -> dict[str, str]:
    answer = service.get(f"/read-models/reservations?at={at}{more}")
    assert answer.status_code == 200, answer.text
    return {row["stream"].partition(":")[2]: row["status"] for row in answer.json()["rows"]}


def recorded(service: Service, position: int) -> str:
    return decode(service.log.row(position).entry).seal.recorded


def test_rows_stand_as_after_an_entry_or_at_the_time_it_was_recorded(filled: Service) -> None:
    states = {
        0: {},
        2: {"R-0": "requested", "R-1": "requested"},
        4: dict.fromkeys(("R-0", "R-1", "R-2", "R-3"), "requested"),
        5: {"R-0": "requested", "R-1": "cancelled", "R-2": "requested", "R-3": "requested"},
        6: {"R-0": "requested", "R-1": "cancelled", "R-2": "confirmed", "R-3": "requested"},
    }
    for position in (5, 0, 6, 2, 4):
        assert statuses(filled, position) == states[position]
    for position in (4, 5, 6):  # 1 to 4 were recorded together
        assert statuses(filled, recorded(filled, position)) == states[position]
    assert statuses(filled, "2999-01-01") == states[6]
    before = filled.get("/read-models/reservations?at=1999-12-31").json()
    assert (before["position"], before["rows"]) == (-1, [])
    assert statuses(filled, 6, "&status=confirmed&station=K1") == {"R-2": "confirmed"}
    assert statuses(filled, 4, "&status=confirmed") == {}


def test_pages_stay_at_their_moment_while_the_log_goes_on(filled: Service) -> None:
    path = "/read-models/reservations?at=2999-01-01&limit=1"
    first = filled.get(path).json()
    filled.post(plain("cancelled", "R-2"))
    filled.post(requested("R-9"))
    pages = [first]
    while pages[-1]["next"] is not None:
        pages.append(filled.get(f"{path}&after={pages[-1]['next']}").json())

    assert {page["position"] for page in pages} == {6}
    shown = [row["status"] for page in pages for row in page["rows"]]
    assert shown == ["requested", "cancelled", "confirmed", "requested"]
    assert statuses(filled, "2999-01-01")["R-2"] == "cancelled"


def test_a_cursor_of_another_moment_or_of_now_is_refused(filled: Service) -> None:
    past_one = filled.get("/read-models/reservations?at=4&limit=1").json()["next"]
    now = filled.get("/read-models/reservations?limit=1&min_position=6").json()["next"]
    for query in (f"at=5&after={past_one}", f"after={past_one}", f"at=4&after={now}"):
        answer = filled.get(f"/read-models/reservations?limit=1&{query}")
        assert (answer.status_code, slug(answer), answer.json()["parameter"]) == (400, "bad-parameter", "after")


def test_beyond_the_end_there_is_no_moment_but_one_may_wait_for_it(filled: Service) -> None:
    answer = filled.get("/read-models/reservations?at=7")
    assert (answer.status_code, slug(answer)) == (404, "not-found")
    assert "the log holds 7" in answer.json()["detail"]
    posting = threading.Timer(0.2, filled.post, [requested("R-7")])
    posting.start()
    assert "R-7" in statuses(filled, 7, "&min_position=7")
    posting.join()


def test_what_was_erased_since_is_shown_at_no_moment(filled: Service) -> None:
    path = "/read-models/reservations?at=4&disclose=true"
    rows = filled.get(path).json()["rows"]
    assert {row["disclosed"]["notes"] for row in rows} == {"the blue one, please"}
    erased = rows[0]["member"]
    url = f"{http.BASE}/members/{erased}/erasure"
    assert filled.client.post(url, json={"reason": "requested"}, headers=filled.as_role("owner")).status_code == 200

    again = filled.get(path).json()["rows"]
    assert [row["private"] for row in again] == [row["private"] for row in rows]
    gone = [row for row in again if row["member"] == erased]
    assert gone
    assert all(row["withheld"].keys() == {"notes"} for row in gone)
    assert not any("disclosed" in row for row in gone)


def test_an_arrival_token_is_disclosed_at_no_moment(filled: Service) -> None:
    token = {"token": "s3cret", "version": 1}
    filled.post(cloud("reservation.arrival_token_issued", "reservation:R-2", token, member="M-1"))
    text = filled.get("/read-models/reservations?at=7&disclose=true&stream=reservation:R-2").text
    assert '"withheld":{"token":"secret"}' in text
    assert "s3cret" not in text


def test_rows_that_end_before_their_moment_are_not_passed_off_as_it(
    one: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no good")

    monkeypatch.setitem(MODELS["reservations"].handlers, "reservation.cancelled", fails)
    one.post(plain("cancelled", "R-2"))
    until = time.monotonic() + 20
    while slug(answer := one.get("/read-models/stage_history?at=5")) == "being-replayed":
        assert time.monotonic() < until
    assert (answer.status_code, slug(answer)) == (503, "projection-unready")
    assert "the entry at position 5" in answer.json()["detail"]
    assert one.get("/read-models/statistics_by_type?at=5").json()["position"] == 5


# --- Replays that take their time -------------------------------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Replays wait for this, and then are made; before, they tell once that a batch is folded."""
    go_on, really = threading.Event(), snapshots.replay

    def waiting(*arguments: Any, progress: Any = None, **more: Any) -> Any:
        progress(1, 5)
        while not go_on.wait(0.01):
            progress(2, 5)
        return really(*arguments, progress=progress, **more)

    monkeypatch.setattr(snapshots, "replay", waiting)
    yield go_on
    go_on.set()


def test_who_waited_long_enough_is_told_to_come_again_and_then_gets_it(one: Service, slow: threading.Event) -> None:
    answer = one.get("/read-models/reservations?at=2")
    assert (answer.status_code, slug(answer)) == (503, "being-replayed")
    assert int(answer.headers["retry-after"]) == answer.json()["retry_after"] >= 1
    slow.set()
    until = time.monotonic() + 20
    while (answer := one.get("/read-models/reservations?at=2")).status_code == 503:
        assert time.monotonic() < until
    assert [row["stream"] for row in answer.json()["rows"]] == ["reservation:R-0", "reservation:R-1"]


def test_too_many_moments_at_once_are_refused_as_busy(one: Service, slow: threading.Event) -> None:
    for position in range(past.PENDING):
        assert slug(one.get(f"/read-models/reservations?at={position}")) == "being-replayed"
    answer = one.get(f"/read-models/reservations?at={past.PENDING}")
    assert (answer.status_code, slug(answer)) == (503, "busy")
    assert answer.headers["retry-after"]
    assert slug(one.get("/read-models/pieces?at=0")) == "being-replayed"  # the same replay as that of another table
    assert one.get("/read-models/reservations?min_position=4").status_code in (200, 504)  # what is live is as it was


def test_a_service_that_ends_leaves_no_half_made_replay(tmp_path: Path, slow: threading.Event) -> None:
    with http.service(tmp_path / "data", wait_seconds=0.0) as service:
        service.post(requested("R-0"))
        for position in (0, 1):
            assert slug(service.get(f"/read-models/reservations?at={position}")) == "being-replayed"
    assert list((tmp_path / "data" / "studio" / FOLDER).iterdir()) == []


def test_a_replay_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    with http.service(tmp_path / "data") as service:
        service.post(requested("R-0"))
        folder = tmp_path / "data" / "studio" / FOLDER
        folder.write_text("a file is in the way of the folder")
        answer = service.get("/read-models/reservations?at=1")
        assert (answer.status_code, slug(answer)) == (503, "store-failed")
        folder.unlink()
        assert statuses(service, 1) == {"R-0": "requested"}
