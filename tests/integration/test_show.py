"""What is shown of a stream: what its source says, what the projections say, at any moment, of any kind."""

import datetime as dt
import sqlite3
from decimal import Decimal

import pytest

from ledger.errors import NotFound
from ledger.log import Log
from ledger.redaction import POLICIES
from ledger.store.protocol import Selection
from projections.queries import questions as queries
from projections.runner import Runner
from projections.show import show
from projections.store.sqlite import SQLiteProjections
from tests.support.events import ORIGIN, cloud, estimate_changed, requested
from tests.support.hotel import BOOKINGS, bookings, hotel_ledger


@pytest.fixture(scope="module")
def hotel_log(shared, tmp_path_factory):
    """A ledger of real bookings."""
    with Log.open(hotel_ledger(shared, tmp_path_factory.mktemp("hotel")), "hotel") as log:
        yield log


@pytest.fixture
def log(tmp_path):
    with Log.create(tmp_path / "data", "studio", ORIGIN).log as log:
        yield log


def reservations_in(log):
    return sorted(
        {event.stream for row in log.scan() if (event := row.content().event).type.startswith("reservation.")}
    )


def test_show_and_the_reservations_projection_say_the_same_of_every_reservation(hotel_log, tmp_path):
    told = (
        "version",
        "position",
        "status",
        "stage",
        "load",
        "member",
        "reason",
        "rate",
        "station",
        "channel",
        "arrival",
    )
    with Runner(hotel_log, SQLiteProjections(tmp_path / "p.db"), batch=700) as runner:
        runner.catch_up()
        streams = reservations_in(hotel_log)
        assert len(streams) == BOOKINGS
        with runner.store.reading() as reads:
            for stream in streams:
                shown = show(hotel_log, stream, policy=POLICIES["auditor"])
                row = queries.reservation(reads, stream.partition(":")[2])
                assert [row.get(name) for name in told] == [shown.get(name) for name in told]
                assert row["window_earliest"] == shown["window"]["earliest"]


def people(text):
    return int(float(text)) if text not in ("", "NULL", "NA") else 0


def test_every_reservation_shows_what_its_booking_says(shared, hotel_log):
    for index, row in bookings(shared):
        name = f"H0-{index:06d}"
        shown = show(hotel_log, f"reservation:{name}")
        day = f"{row['arrival_date_day_of_month']} {row['arrival_date_month']} {row['arrival_date_year']}"
        arrival = dt.datetime.strptime(day, "%d %B %Y").date()
        nights = int(row["stays_in_weekend_nights"]) + int(row["stays_in_week_nights"])
        stayed = row["reservation_status"] == "Check-Out"
        assert Decimal(shown["rate"]) == Decimal(row["adr"]), name
        assert shown["half_shelves"] == max(1, people(row["adults"]) + people(row["children"])), name
        assert shown["window"] == {
            "earliest": arrival.isoformat(),
            "latest": (arrival + dt.timedelta(days=nights)).isoformat(),
        }, name
        assert shown["channel"] == (row["distribution_channel"].lower().replace("/", "-") or "undefined"), name
        assert shown["notes"].endswith(f", guest {index}"), name
        assert "withheld" not in shown, name
        assert (shown["status"], shown["stage"]) == (
            ("completed", "picked_up") if stayed else ("cancelled", "cancelled")
        ), name
        reason = {"Check-Out": "checked-out", "Canceled": "by-client", "No-Show": "no-show"}[row["reservation_status"]]
        assert (shown["reason"], shown["load"]) == (reason, "queued"), name
        if stayed:
            assert (shown["station"], shown["arrival"], shown["via"]) == (row["assigned_room_type"], "arrived", "desk")
        else:
            assert shown.get("station", row["reserved_room_type"]) == row["reserved_room_type"], name
            assert "arrival" not in shown, name


def test_an_earlier_moment_shows_the_earlier_state(hotel_log):
    rows = list(hotel_log.scan(Selection(stream="reservation:H0-000002")))
    seen = [show(hotel_log, "reservation:H0-000002", at=row.position) for row in rows]
    assert [one["version"] for one in seen] == [1, 2, 3, 4, 5]
    assert [one["position"] for one in seen] == [row.position for row in rows]
    assert [one["status"] for one in seen] == ["requested", "confirmed", "confirmed", "confirmed", "completed"]
    assert [one["stage"] for one in seen] == ["intake", "intake", "intake", "stored", "picked_up"]
    between = show(hotel_log, "reservation:H0-000002", at=rows[1].position - 1)
    assert between == seen[0]
    assert show(hotel_log, "reservation:H0-000002", at=10**9) == seen[-1]


def test_the_history_of_a_reservation_is_its_transitions(hotel_log, tmp_path):
    with Runner(hotel_log, SQLiteProjections(tmp_path / "p.db")) as runner:
        runner.catch_up()
        with runner.store.reading() as reads:
            found = queries.history(reads, "H0-000002")
    assert [(row["version"], row["to_status"], row["to_stage"]) for row in found] == [
        (1, "requested", "intake"),
        (2, "confirmed", "intake"),
        (4, "confirmed", "stored"),
        (5, "completed", "picked_up"),
    ]
    assert found[-1]["reason"] == "checked-out"


def test_before_its_first_entry_a_stream_is_not_found_and_the_advice_says_when_it_begins(log):
    log.append([requested("R-1"), requested("R-2")])
    with pytest.raises(NotFound, match="R-2 has no entry up to position 1") as missing:
        show(log, "reservation:R-2", at=1)
    assert missing.value.advice.startswith("its first entry is at position 2, recorded 20")
    with pytest.raises(NotFound, match="R-2 has no entry recorded by then"):
        show(log, "reservation:R-2", at=-1)


@pytest.mark.parametrize("asked", ["R-1", "reservations:R-1", "reservation:r-1", "Reservation:R-1"])
def test_a_stream_there_isnt_is_not_found_and_the_advice_names_a_near_one(log, asked):
    log.append([requested("R-1")])
    with pytest.raises(NotFound) as missing:
        show(log, asked)
    assert missing.value.advice == "did you mean reservation:R-1?"


def test_a_private_value_that_is_gone_is_withheld_by_name(log, tmp_path):
    log.append(
        [requested("R-1"), cloud("member.registered", "member:M-1", {"email": "a@example.org", "kind": "studio"})]
    )
    assert show(log, "reservation:R-1")["notes"] == "the blue one, please"
    assert show(log, "member:M-1")["email"] == "a@example.org"
    with sqlite3.connect(tmp_path / "data" / "studio" / "ledger.db") as other:
        other.execute("DELETE FROM disclosures")
    other.close()
    for stream, name in (("reservation:R-1", "notes"), ("member:M-1", "email")):
        shown = show(log, stream)
        assert name not in shown
        assert shown["withheld"] == [name]
    assert show(log, "member:M-1")["membership"] == "studio"


def test_a_stream_of_more_entries_than_a_page_is_folded_whole(log):
    log.append([requested("R-1")])
    slas = ("on_track", "delayed")
    log.append([estimate_changed(data={"sla": slas[turn % 2], "notes": f"{turn}"}) for turn in range(2100)])
    shown = show(log, "reservation:R-1")
    assert (shown["version"], shown["notes"], shown["estimate"]["sla"]) == (2101, "2099", "delayed")
    assert show(log, "reservation:R-1", at=1000)["notes"] == "998"


def test_every_kind_of_stream_is_shown(log):
    log.append(
        [
            cloud(
                "record.created", "record:I-1", {"collection": "invoices", "fields": {"total": "9.50", "status": "due"}}
            ),
            cloud("member.registered", "member:M-9", {"name": "Ada"}),
        ]
    )
    assert show(log, "ledger:main")["origin"] == ORIGIN
    record = show(log, "record:I-1")
    assert (record["collection"], record["total"], record["status"]) == ("invoices", "9.50", "active")
    assert record["fields"] == {"status": "due"}
    assert show(log, "record:I-1", policy=POLICIES["auditor"])["withheld"] == ["status", "total"]
    assert show(log, "member:M-9")["name"] == "Ada"
