"""The overdue ladder, the trash and holds: what falls due when, and what keeps it from happening."""

from tests.support.events import cloud
from tests.support.folding import rows_of

LADDER = {"freeze_days": 7, "warning_days": 45, "deletion_days": 60}


def policy(topic, terms, version=1, effective_from="2026-01-01"):
    data = {"version": version, "effective_from": effective_from, topic: terms}
    return cloud("policy.set", f"policy:{topic}", data, time="2026-01-01T00:00:00Z", actorrole="admin")


def account(verb, time="2026-02-01T09:00:00Z", **data):
    return cloud(f"account.{verb}", "account:A-1", data, member="M-1", time=time)


def overdue(due="2026-01-31", amount="40.00", **data):
    return account("payment_overdue", due=due, amount=amount, currency="EUR", **data)


def one(rows, table):
    (row,) = rows.named(table)
    return row


WARNED = (
    account("frozen", blocked=["uploads"]),
    account("final_warning_sent", "2026-03-17T09:00:00Z"),
    account("export_offered", "2026-03-17T09:00:01Z", export="X-1"),
)


def test_the_ladder_is_reckoned_from_the_day_the_payment_was_due():
    row = one(rows_of(policy("account", LADDER), overdue()), "accounts")
    assert (row["freeze_due"], row["warning_due"], row["deletion_due"]) == ("2026-02-07", "2026-03-17", "2026-04-01")
    assert (row["status"], row["amount"], row["terms_version"]) == ("overdue", "40.00", 1)


def test_the_oldest_unpaid_sum_counts_and_all_of_them_are_owed():
    row = one(
        rows_of(policy("account", LADDER), overdue(), overdue("2026-01-21", "2.5"), overdue("2026-02-01")), "accounts"
    )
    assert (row["due"], row["freeze_due"], row["amount"]) == ("2026-01-21", "2026-01-28", "82.50")
    assert row["times_overdue"] == 3


def test_a_settled_account_owes_nothing_and_has_nothing_due():
    row = one(
        rows_of(policy("account", LADDER), overdue(), *WARNED, account("settled", "2026-03-20T09:00:00Z")), "accounts"
    )
    assert row["status"] == "settled"
    assert not {"due", "amount", "freeze_due", "deletion_due", "blocked", "export", "export_offered"} & row.keys()


def test_an_account_is_due_for_deletion_only_once_its_data_was_offered():
    rows = rows_of(policy("account", LADDER), overdue())
    assert one(rows, "due_retention")["eligible_from"] == "2026-04-01"
    assert "due" not in one(rows, "due_retention")
    rows = rows_of(policy("account", LADDER), overdue(), *WARNED)
    assert one(rows, "due_retention")["due"] == "2026-04-01T00:00:00.000000Z"
    late = account("export_offered", "2026-05-01T09:00:00Z")
    rows = rows_of(policy("account", LADDER), overdue(), *WARNED[:2], late)
    assert one(rows, "due_retention")["due"] == "2026-05-01T09:00:00.000000Z"
    assert rows_of(policy("account", LADDER), overdue(), *WARNED, account("settled")).named("due_retention") == []


def record(verb, time, stream="record:C-1", member="M-1", **data):
    return cloud(f"record.{verb}", stream, {"collection": "clients", **data}, time=time, member=member)


CREATED = record("created", "2026-01-05T08:00:00Z", fields={"name": "Zoë"})
TRASHED = record("trashed", "2026-02-01T08:00:00Z")


def test_a_trashed_record_may_be_purged_after_thirty_days_or_as_many_as_the_policy_has():
    row = one(rows_of(CREATED, TRASHED), "due_retention")
    assert (row["action"], row["due"]) == ("purge", "2026-03-03T08:00:00.000000Z")
    row = one(rows_of(policy("trash", {"days": 60}), CREATED, TRASHED), "due_retention")
    assert row["due"] == "2026-04-02T08:00:00.000000Z"
    assert rows_of(CREATED, TRASHED, record("restored", "2026-02-02T08:00:00Z")).named("due_retention") == []


def media(verb, time, **data):
    return cloud(f"media.{verb}", "media:P-1", data, time=time)


STORED = {
    "kind": "photo",
    "rendition": "original",
    "location": {"store": "archive", "key": "a/b"},
    "sha256": "ab" * 32,
    "size": 1000,
    "version": 1,
}


def test_media_are_kept_until_their_day_even_in_the_trash():
    stored = media("stored", "2026-01-05T08:00:00Z", **STORED, retain_until="2026-06-30")
    row = one(rows_of(stored), "due_retention")
    assert row["retain_until"] == "2026-06-30"
    assert "due" not in row
    trashed = media("trashed", "2026-02-01T08:00:00Z")
    assert one(rows_of(stored, trashed), "due_retention")["due"] == "2026-07-01T00:00:00.000000Z"
    extended = media("retention_extended", "2026-02-02T08:00:00Z", retain_until="2027-06-30", reason="legal")
    assert one(rows_of(stored, trashed, extended), "due_retention")["due"] == "2027-07-01T00:00:00.000000Z"
    purged = cloud("media.purged", "media:P-1", {"reason": "aged"}, time="2026-07-02T08:00:00Z", actorrole="system")
    assert rows_of(stored, trashed, purged).named("due_retention") == []  # it is gone, so nothing is due any more
    plain = media("stored", "2026-01-05T08:00:00Z", **STORED)
    assert one(rows_of(plain, trashed), "due_retention")["due"] == "2026-03-03T08:00:00.000000Z"
    assert rows_of(plain).named("due_retention") == []


def hold(verb, stream="hold:H-1", **data):
    return cloud(f"hold.{verb}", stream, {"reason": "dispute", **data}, time="2026-02-01T08:00:00Z", actorrole="admin")


def test_holds_on_the_same_thing_are_counted_until_each_is_released():
    both = (hold("placed", scope="member", target="M-1"), hold("placed", "hold:H-2", scope="member", target="M-1"))
    assert rows_of(*both).named("held") == [{"scope": "member", "target": "M-1", "holds": 2}]
    assert rows_of(*both, hold("released")).named("held") == [{"scope": "member", "target": "M-1", "holds": 1}]
    assert rows_of(*both, hold("released"), hold("released", "hold:H-2")).named("held") == []
    released = rows_of(*both, hold("released")).named("holds")[0]
    assert (released["status"], released["reason"], released["release_reason"]) == ("released", "dispute", "dispute")


def test_dates_at_the_end_of_the_calendar_stop_nothing():
    terms = policy("account", {"freeze_days": 0, "warning_days": 1, "deletion_days": 36_500})
    row = one(rows_of(terms, overdue("9999-12-31"), *WARNED), "accounts")
    assert (row["freeze_due"], "warning_due" in row, "deletion_due" in row) == ("9999-12-31", False, False)
    kept = media("stored", "2026-01-05T08:00:00Z", **STORED, retain_until="9999-12-31")
    rows = rows_of(policy("trash", {"days": 36_500}), kept, media("trashed", "2026-02-01T08:00:00Z"))
    assert one(rows, "due_retention")["due"] == "9999-12-31T00:00:00.000000Z"
