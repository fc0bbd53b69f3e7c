"""Shelf storage by the studio's own figures: grace of 462 hours, reminders, prepaid weeks, bills, reclaim."""

from decimal import Decimal

import pytest

from tests.support.events import cloud
from tests.support.folding import rows_of

READY = "2026-03-01T10:00:00Z"
TERMS = {
    "billing_days": 28,
    "currency": "EUR",
    "grace_hours": 462,
    "half_shelf_day": "1.50",
    "prepaid": "15.00",
    "prepaid_hours": 672,
    "prepaid_reminder_hours": [336, 546, 648],
    "reminder_hours": [336, 420, 462],
}


def policy(version=1, effective_from="2026-01-01", **terms):
    data = {"version": version, "effective_from": effective_from, "storage": {**TERMS, **terms}}
    return cloud("policy.set", "policy:storage", data, time="2026-01-01T00:00:00Z", actorrole="admin")


def storage(verb, time=READY, **data):
    return cloud(f"storage.{verb}", "storage:S-1", {"reservation": "R-1", **data}, member="M-1", time=time)


def ready(**data):
    return storage(
        "ready_for_pickup", **{"ready_at": READY, "grace_ends": "2026-03-20T16:00:00Z", "half_shelves": 2, **data}
    )


def standing(*events):
    (row,) = rows_of(*events).named("storage")
    return row


def test_fresh_work_has_its_first_reminder_after_fourteen_days_and_its_hold_after_grace():
    row = standing(policy(), ready())
    assert row["status"] == "active"
    assert (row["next_reminder"], row["next_reminder_due"]) == (1, "2026-03-15T10:00:00.000000Z")
    assert row["hold_due"] == "2026-03-20T16:00:00.000000Z"  # 19.25 days
    assert row["next_bill_due"] == "2026-03-21T16:00:00.000000Z"  # a full day later
    assert row["reclaim_due"] == "2026-04-17T16:00:00.000000Z"  # after 28 billed days
    assert row["day_price"] == "3.00"


def test_each_reminder_makes_the_next_one_due():
    row = standing(policy(), ready(), storage("reminder_sent", "2026-03-15T10:00:00Z", reminder=1))
    assert (row["status"], row["reminders"]) == ("reminder_pending", 1)
    assert (row["next_reminder"], row["next_reminder_due"]) == (2, "2026-03-18T22:00:00.000000Z")
    sent = [storage("reminder_sent", f"2026-03-{15 + at}T10:00:00Z", reminder=at) for at in (1, 2, 3)]
    assert "next_reminder_due" not in standing(policy(), ready(), *sent)


def test_prepaid_storage_covers_four_weeks_and_shifts_the_later_reminders():
    paid = storage(
        "prepaid", "2026-03-02T09:00:00Z", amount="15.00", currency="EUR", covered_until="2026-03-29T10:00:00Z"
    )
    row = standing(policy(), ready(), storage("reminder_sent", "2026-03-15T10:00:00Z", reminder=1), paid)
    assert (row["prepaid"], row["currency"]) == ("15.00", "EUR")
    assert row["hold_due"] == "2026-03-29T10:00:00.000000Z"
    assert row["next_reminder_due"] == "2026-03-24T04:00:00.000000Z"  # 546 hours instead of 420
    assert row["reclaim_due"] == "2026-04-26T10:00:00.000000Z"


def hold():
    return storage("hold_started", "2026-03-20T16:00:00Z", billing_from="2026-03-20T16:00:00Z")


def bill(day, days, so_far, amount="3.00"):
    return storage(
        "billed",
        f"2026-{day}T17:00:00Z",
        amount=amount,
        currency="EUR",
        days=days,
        days_billed=so_far,
        first_day=f"2026-{day}",
        last_day=f"2026-{day}",
        half_shelves=2,
    )


def test_bills_add_up_and_make_the_next_full_day_due():
    row = standing(policy(), ready(), hold(), bill("03-21", 1, 1), bill("03-22", 1, 2))
    assert (row["status"], row["days_billed"], row["billed"]) == ("stored_by_policy", 2, "6.00")
    assert Decimal(row["billed"]) == row["days_billed"] * Decimal(row["day_price"])
    assert row["next_bill_due"] == "2026-03-23T16:00:00.000000Z"
    assert "hold_due" not in row
    assert "next_reminder_due" not in row


def test_no_more_than_the_policys_days_are_billed():
    row = standing(policy(billing_days=2), ready(), hold(), bill("03-21", 1, 1), bill("03-22", 1, 2))
    assert "next_bill_due" not in row
    assert row["reclaim_due"] == "2026-03-22T16:00:00.000000Z"


def test_a_bill_in_another_currency_stands_in_the_actions_only():
    other = storage(
        "billed",
        "2026-03-22T17:00:00Z",
        amount="9.99",
        currency="USD",
        days=1,
        days_billed=2,
        half_shelves=2,
        first_day="2026-03-22",
        last_day="2026-03-22",
    )
    rows = rows_of(policy(), ready(), hold(), bill("03-21", 1, 1), other)
    (row,) = rows.named("storage")
    assert (row["billed"], row["days_billed"]) == ("3.00", 2)
    assert [action["amount"] for action in rows.named("storage_actions") if "amount" in action] == ["3.00", "9.99"]


@pytest.mark.parametrize("verb", ["picked_up", "reclaimed"])
def test_what_is_ended_has_nothing_due(verb):
    end = {"picked_up": {}, "reclaimed": {"reason": "abandoned", "disposition": "archived"}}[verb]
    row = standing(policy(), ready(), hold(), storage(verb, "2026-04-30T10:00:00Z", **end))
    assert (row["status"], row["ended"]) == (verb, "2026-04-30T10:00:00Z")
    assert not [name for name in row if name.endswith("_due")]


def test_a_missed_pickup_window_moves_no_clock():
    before = standing(policy(), ready())
    after = standing(policy(), ready(), storage("pickup_missed", "2026-03-05T10:00:00Z", misses=1))
    assert after["misses"] == 1
    assert {name: after[name] for name in before if name.endswith("_due")} == {
        name: before[name] for name in before if name.endswith("_due")
    }


def test_failed_reminders_are_counted_and_leave_the_reminder_due():
    failed = [
        storage("reminder_failed", f"2026-03-15T1{at}:00:00Z", reminder=1, attempt=at, reason="bounced")
        for at in (1, 2)
    ]
    rows = rows_of(policy(), ready(), *failed)
    (row,) = rows.named("storage")
    assert (row["reminder_failures"], row["reminder_failed"]) == (2, "2026-03-15T12:00:00Z")
    assert row["next_reminder"] == 1
    assert [action["notice"] for action in rows.named("storage_actions")] == [
        "pickup_ready",
        "reminder_failed",
        "reminder_failed",
    ]


def test_without_a_policy_only_what_the_events_say_is_due():
    row = standing(ready())
    assert row["hold_due"] == "2026-03-20T16:00:00.000000Z"
    assert not {"next_reminder_due", "next_bill_due", "reclaim_due", "day_price"} & row.keys()


def test_the_terms_are_those_in_force_when_the_work_became_ready_however_policies_change():
    later = policy(version=2, effective_from="2026-03-10", half_shelf_day="9.00", reminder_hours=[1])
    backdated = policy(version=3, effective_from="2026-01-01", half_shelf_day="8.00", reminder_hours=[2])
    row = standing(policy(), later, ready(), backdated, storage("reminder_sent", "2026-03-15T10:00:00Z", reminder=1))
    assert (row["terms_version"], row["day_price"]) == (1, "3.00")
    assert row["next_reminder_due"] == "2026-03-18T22:00:00.000000Z"


def test_an_event_may_say_that_it_follows_other_terms():
    later = policy(version=2, effective_from="2026-03-10", half_shelf_day="9.00")
    row = standing(policy(), later, ready(), storage("reminder_sent", reminder=1, policy_version=2))
    assert (row["terms_version"], row["day_price"]) == (2, "18.00")


def test_actions_stand_by_the_time_at_which_they_happened_pickup_windows_among_them():
    window = cloud(
        "reservation.pickup_window_changed",
        "reservation:R-1",
        {"state": "open"},
        time="2026-03-02T08:00:00.5Z",
        forced="import",
        actorrole="admin",
    )
    sent = storage("reminder_sent", "2026-03-02T08:00:00Z", reminder=1)
    actions = rows_of(ready(), window, sent).named("storage_actions")
    assert [action["notice"] for action in actions] == ["pickup_ready", "pickup_reminder_1", "pickup_window_opened"]
    assert [action["time"] for action in actions] == [
        "2026-03-01T10:00:00.000000Z",
        "2026-03-02T08:00:00.000000Z",
        "2026-03-02T08:00:00.500000Z",
    ]


def test_a_reservation_shows_what_happened_to_its_storage_last():
    request = cloud(
        "reservation.requested",
        "reservation:R-1",
        {"firing_type": "bisque", "half_shelves": 2, "window": {"earliest": "2026-02-01", "latest": "2026-02-02"}},
        time="2026-02-01T08:00:00Z",
    )
    (row,) = rows_of(request, ready(), hold(), bill("03-21", 1, 1)).named("reservations")
    assert (row["storage"], row["storage_action"], row["days_billed"]) == ("S-1", "billed", 1)
    assert (row["ready_at"], row["version"]) == (READY, 1)


def test_what_would_fall_due_after_the_calendar_ends_is_never_due():
    late = {"ready_at": "9999-12-31T10:00:00Z", "grace_ends": "9999-12-31T23:59:59.999999999Z"}
    row = standing(policy(grace_hours=100_000, reminder_hours=[100_000], billing_days=36_500), ready(**late))
    assert row["hold_due"] == "9999-12-31T23:59:59.999999Z"
    assert (row["next_reminder"], "next_reminder_due" in row) == (1, False)
    assert not {"next_bill_due", "reclaim_due"} & row.keys()
