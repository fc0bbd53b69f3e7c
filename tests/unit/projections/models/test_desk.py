"""What the desk asks: how work stands, what was sent, who is a member, and how busy the studio is."""

import pytest

from tests.support.events import cloud
from tests.support.folding import rows_of

WINDOW = {"earliest": "2026-03-01", "latest": "2026-03-04"}


def reservation(verb, time="2026-03-02T09:00:00Z", stream="R-1", **data):
    more = {name: data.pop(name) for name in ("forced", "actorrole") if name in data}
    return cloud(f"reservation.{verb}", f"reservation:{stream}", data, member="M-1", time=time, **more)


def requested(**data):
    return reservation("requested", firing_type="glaze", half_shelves=2, window=WINDOW, **data)


def row_of(*events):
    (row,) = rows_of(*events).named("reservations")
    return row


def test_a_reservation_shows_what_was_asked_for():
    row = row_of(
        requested(
            add_ons=["rush"], resources={"rack_count": 1, "kiln_profile": "slow"}, notes="blue", preferred_station="K1"
        )
    )
    assert (row["status"], row["stage"], row["load"]) == ("requested", "intake", "queued")
    assert (row["window_earliest"], row["window_latest"]) == ("2026-03-01", "2026-03-04")
    assert row["add_ons"] == ["rush"]
    assert row["resources"] == {"kiln_profile": "slow", "rack_count": 1}
    assert row["private"]["notes"][0] == 1


def test_since_when_work_is_delayed_is_kept_while_other_estimates_follow():
    late = [
        reservation("estimate_changed", f"2026-03-0{day}T09:00:00Z", sla=sla, confidence="low")
        for day, sla in ((3, "on_track"), (4, "delayed"), (5, "delayed"))
    ]
    row = row_of(requested(), *late)
    assert (row["sla"], row["sla_since"]) == ("delayed", "2026-03-04T09:00:00Z")


def test_points_add_up_and_each_penalty_and_override_leaves_its_evidence():
    events = (
        requested(),
        reservation("fairness_recorded", kind="no_show", points=2, reason="absent", evidence="E-1"),
        reservation("fairness_recorded", kind="late_arrival", points=1, reason="late", decided_by="S-9"),
        reservation("fairness_recorded", kind="override", boost=3, expires="2026-04-01T00:00:00Z", reason="goodwill"),
    )
    rows = rows_of(*events)
    (row,) = rows.named("reservations")
    assert (row["penalty_points"], row["boost"], row["boost_expires"]) == (3, 3, "2026-04-01T00:00:00Z")
    kinds = [(one["kind"], one.get("points"), one.get("evidence")) for one in rows.named("fairness_evidence")]
    assert kinds == [("no_show", 2, "E-1"), ("late_arrival", 1, None), ("override", None, None)]
    assert rows.named("fairness_evidence")[1]["decided_by"] == "S-9"


def test_history_tells_where_each_transition_came_from():
    rows = rows_of(
        requested(),
        reservation("confirmed", station="K2"),
        reservation("arrived"),
        reservation("stage_changed", to="picked_up", reason="done"),
    )
    steps = [
        (row["version"], row.get("from_status"), row["to_status"], row["to_stage"])
        for row in rows.named("stage_history")
    ]
    assert steps == [
        (1, None, "requested", "intake"),
        (2, "requested", "confirmed", "intake"),
        (4, "confirmed", "completed", "picked_up"),
    ]


def test_a_forced_event_on_a_stream_that_has_not_begun_makes_a_row():
    row = row_of(reservation("stage_changed", to="stored", forced="import", actorrole="admin"))
    assert (row["status"], row["stage"], row["version"]) == ("confirmed", "stored", 1)
    assert "firing_type" not in row


def message(verb, time="2026-03-02T09:00:00Z", **data):
    if verb == "queued":
        data = {"channel": "email", "notice": "delayed", "recipient": "a@example.org"} | data
    return cloud(f"notification.{verb}", "notification:N-1", data, member="M-1", time=time)


def test_a_message_is_retried_until_it_is_given_up_and_figures_tell_so():
    rows = rows_of(
        message("queued"),
        message("sent", attempt=1),
        message("failed", attempt=1, dead_letter=False, reason="bounced", retry_after="2026-03-02T10:00:00Z"),
        message("sent", attempt=2),
        message("failed", attempt=2, dead_letter=True, reason="unknown-address"),
    )
    (row,) = rows.named("notifications")
    assert (row["status"], row["attempts"], row["failures"], row["retries"]) == ("dead_lettered", 2, 2, 1)
    assert (row["failure"], "retry_after" in row) == ("unknown-address", False)
    outcomes = [one["outcome"] for one in rows.named("notification_attempts")]
    assert outcomes == ["sent", "failed", "sent", "dead_lettered"]
    (figures,) = rows.named("notification_figures")
    assert (figures["sent"], figures["failed"], figures["retried"], figures["dead_lettered"]) == (2, 2, 1, 1)


def test_a_message_that_arrived_and_was_read_says_when_by_the_carriers_clock():
    rows = rows_of(
        message("queued"),
        message("sent", attempt=1, provider="post", provider_message="m-1"),
        message("delivered", delivered_at="2026-03-02T10:00:00+01:00"),
        message("read", "2026-03-02T11:00:00Z"),
    )
    (row,) = rows.named("notifications")
    assert (row["status"], row["delivered"], row["read"]) == (
        "read",
        "2026-03-02T10:00:00+01:00",
        "2026-03-02T11:00:00Z",
    )


def member(verb, **data):
    role = {"actorrole": "system"} if verb == "erased" else {}
    return cloud(f"member.{verb}", "member:M-1", data, time="2026-03-02T09:00:00Z", **role)


def test_an_erased_member_keeps_the_commitments_and_the_kind_of_membership():
    rows = rows_of(
        member("registered", name="Zoë O'Hara", email="zoe@example.org", kind="studio"),
        member("contact_updated", email="zoe@example.net"),
        member("erased", reason="asked"),
    )
    (row,) = rows.named("members")
    assert (row["status"], row["membership"], row["erased"]) == ("erased", "studio", "2026-03-02T09:00:00Z")
    assert {name: position for name, (position, _) in row["private"].items()} == {"email": 2, "name": 1}
    assert {one["field"]: one["members"] for one in rows.named("member_fields")} == {"email": 1, "name": 1}


def test_an_account_that_is_taken_over_says_by_whom():
    taken = member("account_changed", change="merged", counterpart="M-2", reason="double", side="given")
    (row,) = rows_of(member("registered"), taken).named("members")
    assert (row["status"], row["change"], row["counterpart"], row["side"]) == ("merged", "merged", "M-2", "given")


def test_a_piece_goes_on_step_by_step_and_counts_its_notes():
    def piece(verb, **data):
        return cloud(f"piece.{verb}", "piece:P-1", data, time="2026-03-02T09:00:00Z")

    rows = rows_of(
        piece("registered", code="MF-RES-H3T5XX-01A91F", count=4, label="mugs", reservation="R-1"),
        piece("status_changed", to="loaded", station="K2", reason="kiln-free"),
        piece("note_added", notes="one has a hairline crack"),
        piece("note_added", notes="two do"),
    )
    (row,) = rows.named("pieces")
    assert (row["code"], row["count"], row["status"], row["reason"]) == (
        "MF-RES-H3T5XX-01A91F",
        4,
        "loaded",
        "kiln-free",
    )
    assert (row["station"], row["notes_added"]) == ("K2", 2)
    assert {name: position for name, (position, _) in row["private"].items()} == {"label": 1, "notes": 4}


@pytest.mark.parametrize(
    ("time", "day", "weekday", "hour"),
    [
        ("2026-03-01T23:30:00Z", "2026-03-01", 7, 23),
        ("2026-03-02T00:30:00+01:00", "2026-03-01", 7, 23),
        ("2026-03-02T09:00:00.25Z", "2026-03-02", 1, 9),
    ],
)
def test_events_are_counted_by_day_and_hour_of_their_own_time_in_utc(time, day, weekday, hour):
    rows = rows_of(reservation("confirmed", time, forced="import", actorrole="admin"))
    assert {"day": day, "weekday": weekday, "events": 1} in rows.named("statistics_by_day")
    assert {"weekday": weekday, "hour": hour, "events": 1} in rows.named("statistics_by_hour")
    (of_type,) = (row for row in rows.named("statistics_by_type") if row["type"] == "reservation.confirmed")
    assert (of_type["events"], of_type["forced"], of_type["first_position"]) == (1, 1, 1)
    assert {"kind": "reservation", "month": day[:7], "streams": 1} in rows.named("statistics_growth")
