"""The rules that the tables of pieces, notifications, storage, media, accounts and policies don't say."""

import pytest

from ledger.lifecycle import AccountState, MediaState, PolicyState, StatusState, StorageState, describe
from tests.unit.ledger.lifecycle.steps import LONG_AGO, NOW, refusal, take

PIECE = ("awaiting_placement", "loaded", "fired", "ready", "picked_up")
STORED = MediaState("stored", 2, 3, None, None)
TRASHED = MediaState("trashed", 2, 3, None, LONG_AGO)
WARNED = AccountState("warned", None)


# --- Pieces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", PIECE[:-1])
@pytest.mark.parametrize("to", PIECE)
@pytest.mark.parametrize("start", [None, *PIECE])
def test_a_piece_goes_one_step_on_and_starts_where_the_event_says(status, to, start):
    data = {"to": to} | ({"from": start} if start else {})
    state = StatusState(status)
    if start not in (None, status):
        assert refusal(state, "piece.status_changed", data).path == "$.data.from"
    elif PIECE.index(to) != PIECE.index(status) + 1:
        caught = refusal(state, "piece.status_changed", data)
        assert caught.path == "$.data.to"
        assert f"the next step from {status} is {PIECE[PIECE.index(status) + 1]}" in caught.detail
    else:
        assert take(state, "piece.status_changed", data) == StatusState(to)


def test_a_forced_change_of_a_piece_leads_where_it_says():
    assert take(StatusState("picked_up"), "piece.status_changed", {"to": "loaded"}, role="admin", forced="x") == (
        "loaded",
    )
    assert take(None, "piece.status_changed", {"to": "ready"}, role="admin", forced="import") == ("ready",)
    assert take(None, "piece.note_added", {}, role="admin", forced="import") == ("awaiting_placement",)
    assert take(StatusState("fired"), "piece.note_added", {}, role="admin", forced="import") == ("fired",)


# --- Notifications ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["queued", "sent", "failed"])
def test_a_notification_that_fails_for_good_is_dead_lettered_until_it_is_queued_again(status):
    given_up = {"attempt": 3, "dead_letter": True, "reason": "no-answer"}
    dead = take(StatusState(status), "notification.failed", given_up)
    assert describe("notification", dead) == {"status": "dead_lettered"}
    for verb in ("sent", "failed", "delivered", "read"):
        assert refusal(dead, f"notification.{verb}").path == "$.type"
    assert take(dead, "notification.queued") == StatusState("queued")


# --- Storage ----------------------------------------------------------------------------------------------------------


def test_storage_belongs_to_one_reservation_throughout():
    state = StorageState("active", "R-1")
    caught = refusal(state, "storage.picked_up", {"reservation": "R-2"})
    assert caught.path == "$.data.reservation"
    assert "it is storage of R-1, not of R-2" in caught.detail
    assert caught.state == "status active, reservation R-1"
    assert describe("storage", state) == {"status": "active", "reservation": "R-1"}
    forced = take(state, "storage.picked_up", {"reservation": "R-2"}, role="admin", forced="correction")
    assert forced == StorageState("picked_up", "R-2")


def test_a_reminder_that_is_told_of_too_late_moves_no_storage():
    gone = StorageState("picked_up", "R-1")
    assert take(gone, "storage.reminder_sent", role="admin", forced="late-entry") == gone


# --- Media ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "right"), [(1, False), (3, False), (4, True), (5, False)])
def test_each_version_of_media_follows_the_last_one_stored(version, right):
    if right:
        assert take(STORED, "media.stored", {"version": 4}) == MediaState("stored", 4, 4, None, None)
    else:
        caught = refusal(STORED, "media.stored", {"version": version})
        assert caught.path == "$.data.version"
        assert f"the next version is 4, not {version}" in caught.detail
    assert refusal(None, "media.stored", {"version": 2}).path == "$.data.version"


def test_a_version_of_media_that_is_forced_out_of_order_takes_no_number_twice():
    late = take(STORED, "media.stored", {"version": 1}, role="admin", forced="import")
    assert late == MediaState("stored", 1, 3, None, None)
    assert take(late, "media.stored", {"version": 4}).latest == 4


def test_an_earlier_version_of_media_is_restored_and_the_later_ones_stay():
    assert take(STORED, "media.version_restored", {"version": 1}) == MediaState("stored", 1, 3, None, None)
    assert take(STORED, "media.version_restored", {"version": 3}) == MediaState("stored", 3, 3, None, None)
    for wrong in (2, 4):
        caught = refusal(STORED, "media.version_restored", {"version": wrong})
        assert caught.path == "$.data.version"
        assert "there are versions 1 to 3, and 2 is the current one" in caught.detail


def test_the_retention_of_media_is_never_shortened():
    kept = take(STORED, "media.retention_extended", {"retain_until": "2030-01-01"})
    assert kept == STORED._replace(retain_until="2030-01-01")
    for earlier in ("2030-01-01", "2029-12-31"):
        caught = refusal(kept, "media.retention_extended", {"retain_until": earlier})
        assert caught.path == "$.data.retain_until"
    assert take(kept, "media.stored", {"version": 4, "retain_until": "2027-01-01"}).retain_until == "2030-01-01"
    assert take(kept, "media.stored", {"version": 4, "retain_until": "2031-01-01"}).retain_until == "2031-01-01"
    assert take(None, "media.stored", {"version": 1, "retain_until": "2027-01-01"}).retain_until == "2027-01-01"


def test_media_are_purged_thirty_days_after_they_were_trashed_and_no_sooner():
    trashed = take(STORED, "media.trashed", {})
    assert describe("media", trashed) == {"status": "trashed", "media_version": 2, "latest": 3, "trashed": NOW}
    purged = take(trashed, "media.purged", {}, role="system", recorded="2026-03-31T00:00:00.000000Z")
    assert purged == MediaState("purged", 2, 3, None, None)
    caught = refusal(trashed, "media.purged", {}, role="system", recorded="2026-03-30T23:59:59.999999Z")
    assert "media is purged 30 days after it was trashed, at the soonest" in caught.detail
    restored = take(trashed, "media.restored", {})
    assert restored == STORED


def test_media_are_not_purged_up_to_the_day_until_which_they_are_kept():
    kept = TRASHED._replace(retain_until="2026-05-01")
    late = {"role": "system", "recorded": "2026-05-01T23:59:59.999999Z"}
    assert "kept until the end of 2026-05-01" in refusal(kept, "media.purged", {}, **late).detail
    assert take(kept, "media.purged", {}, role="system", recorded="2026-05-02T00:00:00.000000Z").status == "purged"
    assert take(kept, "media.purged", {}, role="admin", forced="court-order").status == "purged"


# --- Accounts ---------------------------------------------------------------------------------------------------------


def test_no_account_is_eligible_for_deletion_before_its_data_was_offered():
    caught = refusal(WARNED, "account.deletion_eligible", {})
    assert caught.path == "$.type"
    assert "refused for an account that is status warned; the account's data has to be offered first" in caught.detail
    offered = take(WARNED, "account.export_offered", {})
    assert describe("account", offered) == {"status": "warned", "export_offered": NOW}
    assert take(offered, "account.deletion_eligible", {}) == AccountState("deletion_eligible", NOW)


@pytest.mark.parametrize("status", ["overdue", "frozen", "warned", "deletion_eligible"])
def test_an_offer_ends_when_the_account_is_settled(status):
    settled = take(AccountState(status, LONG_AGO), "account.settled", {})
    assert settled == AccountState("settled", None)
    assert take(settled, "account.payment_overdue", {}) == AccountState("overdue", None)


def test_another_payment_overdue_does_not_set_an_account_back():
    frozen = AccountState("frozen", LONG_AGO)
    assert take(frozen, "account.payment_overdue", {}) == frozen


# --- Policies ---------------------------------------------------------------------------------------------------------


def test_the_versions_of_a_policy_follow_one_another_from_one():
    assert take(None, "policy.set", {"version": 1}) == PolicyState("set", 1)
    assert take(PolicyState("set", 1), "policy.set", {"version": 2}) == PolicyState("set", 2)
    collection = {"collection": "clients", "public_fields": [{"name": "due", "type": "date"}], "relations": []}
    declares = take(None, "policy.set", {"version": 1, "collection": collection})
    assert declares == PolicyState("set", 1, (("due", "date"),))
    assert describe("policy", declares) == {"status": "set", "policy_version": 1}
    for state, wrong in ((None, 2), (PolicyState("set", 3), 3), (PolicyState("set", 3), 5)):
        caught = refusal(state, "policy.set", {"version": wrong})
        assert caught.path == "$.data.version"
        assert f"not {wrong}" in caught.detail
    forced = take(PolicyState("set", 3), "policy.set", {"version": 9}, role="admin", forced="import")
    assert forced == PolicyState("set", 9)
