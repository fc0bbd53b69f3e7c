"""The rules of members, records and the ledger that their tables don't say."""

from typing import Any

import pytest

from ledger.errors import LifecycleRefused
from ledger.lifecycle import LedgerState, MemberState, RecordState, State, Step, advance, describe, is_frozen
from tests.unit.ledger.lifecycle.steps import NOW, refusal, take


@pytest.mark.parametrize("change", ["transferred", "merged", "closed"])
def test_an_account_ends_on_the_side_that_gives_and_lives_on_where_it_is_received(change):
    active = MemberState("active")
    for given in ({}, {"side": "given"}):
        ended = take(active, "member.account_changed", {"change": change, **given})
        assert ended == MemberState(change)
        assert refusal(ended, "member.contact_updated").path == "$.type"
    assert take(active, "member.account_changed", {"change": change, "side": "received"}) == active
    forced = take(None, "member.account_changed", {"change": change}, role="admin", forced="import")
    assert forced == MemberState(change)


def purge(trashed: str, recorded: str, **how: Any) -> State:
    forced = Step("record.purged", how.get("role", "system"), how.get("forced"), recorded, {})
    return advance("record", RecordState("trashed", trashed), forced)


def test_a_record_is_purged_thirty_days_after_it_was_trashed_and_no_sooner():
    trashed = take(RecordState("active", None), "record.trashed")
    assert trashed == RecordState("trashed", NOW)
    assert describe("record", trashed) == {"status": "trashed", "trashed": NOW}
    assert purge(NOW, "2026-03-31T00:00:00.000000Z") == RecordState("purged", None)
    with pytest.raises(LifecycleRefused, match="purged 30 days after it was trashed, at the soonest"):
        purge(NOW, "2026-03-30T23:59:59.999999Z")
    assert purge(NOW, NOW, role="admin", forced="import") == RecordState("purged", None)


def test_a_restored_record_can_be_purged_only_after_it_is_trashed_again():
    restored = take(RecordState("trashed", NOW), "record.restored")
    assert restored == RecordState("active", None)
    assert refusal(restored, "record.purged", role="system").path == "$.type"
    again = advance("record", restored, Step("record.trashed", "staff", None, "2026-04-01T00:00:00.000000Z", {}))
    with pytest.raises(LifecycleRefused):
        advance("record", again, Step("record.purged", "system", None, "2026-04-30T00:00:00.000000Z", {}))


def test_a_record_updated_by_force_while_trashed_stays_trashed():
    trashed = RecordState("trashed", NOW)
    assert take(trashed, "record.updated", role="admin", forced="correction") == trashed


@pytest.mark.parametrize("role", ["client", "staff", "service", "system"])
def test_only_an_admin_freezes_and_thaws_the_ledger(role):
    assert refusal(LedgerState("open"), "ledger.frozen", role=role).path == "$.actorrole"
    assert refusal(LedgerState("frozen"), "ledger.thawed", role=role).path == "$.actorrole"


def test_only_a_frozen_ledger_counts_as_frozen():
    frozen = take(LedgerState("open"), "ledger.frozen", role="admin")
    assert is_frozen(frozen)
    assert not is_frozen(take(frozen, "ledger.thawed", role="admin"))
    assert not is_frozen(None)
    assert not is_frozen(MemberState("frozen"))
