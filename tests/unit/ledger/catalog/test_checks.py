"""What the types of services and operations refuse beyond the form of their fields, each at its path."""

import json
from typing import Any, get_args

import msgspec
import pytest

from ledger import catalog
from ledger.catalog import policy
from ledger.catalog.base import RETENTION
from ledger.errors import InvalidEvent, RoleDenied
from ledger.event import Credential, fault, prepare
from tests.unit.ledger.catalog.examples import EXAMPLES, stream_of
from tests.unit.ledger.events import LOCAL, SERVICE, event
from tests.unit.ledger.events import fault as refused


def full(name: str, **changes: Any) -> dict[str, Any]:
    """The fullest example, with some fields changed; None takes one away."""
    return {key: value for key, value in {**EXAMPLES[name][1], **changes}.items() if value is not None}


def refusal(name: str, data: dict[str, Any]) -> InvalidEvent:
    with pytest.raises((InvalidEvent, msgspec.ValidationError)) as caught:
        catalog.get(name).decode(json.dumps(data).encode())
    return caught.value if isinstance(caught.value, InvalidEvent) else fault(caught.value, "$.data")


@pytest.mark.parametrize(
    ("name", "changes", "path"),
    [
        ("piece.registered", {"code": "MF RES"}, "$.data.code"),
        ("piece.registered", {"count": 0}, "$.data.count"),
        ("piece.status_changed", {"to": "broken"}, "$.data.to"),
        ("notification.failed", {"dead_letter": True}, "$.data.retry_after"),
        ("notification.failed", {"dead_letter": 1}, "$.data.dead_letter"),
        ("notification.queued", {"send_after": "2026-02-30T09:00:00Z"}, "$.data.send_after"),
        ("notification.queued", {"channel": "E-mail"}, "$.data.channel"),
        ("notification.sent", {"attempt": 0}, "$.data.attempt"),
        ("storage.ready_for_pickup", {"grace_ends": "2026-02-28T09:00:00Z"}, "$.data.grace_ends"),
        ("storage.ready_for_pickup", {"pieces": ["P 1"]}, "$.data.pieces[0]"),
        ("storage.prepaid", {"amount": "-1"}, "$.data.amount"),
        ("storage.prepaid", {"amount": "1.50000"}, "$.data.amount"),
        ("storage.prepaid", {"currency": "euro"}, "$.data.currency"),
        ("storage.billed", {"last_day": "2026-02-27"}, "$.data.last_day"),
        ("storage.billed", {"days": 3}, "$.data.days"),
        ("storage.billed", {"days_billed": 1}, "$.data.days_billed"),
        ("storage.pickup_missed", {"end": "2026-03-01T08:00:00Z"}, "$.data.end"),
        ("media.stored", {"sha256": "A" * 64}, "$.data.sha256"),
        ("media.stored", {"size": -1}, "$.data.size"),
        ("media.stored", {"original": None}, "$.data.original"),
        ("media.stored", {"rendition": "original"}, "$.data.original"),
        ("media.stored", {"media_type": "image"}, "$.data.media_type"),
        ("media.stored", {"location": {"store": "main", "key": "https://x.example/a"}}, "$.data.location.key"),
        ("media.stored", {"location": {"store": "main", "key": "/etc/passwd"}}, "$.data.location.key"),
        ("media.stored", {"location": {"store": "main", "key": "a/../b"}}, "$.data.location.key"),
        ("media.stored", {"location": {"store": "main", "key": "a//b"}}, "$.data.location.key"),
        ("media.stored", {"location": {"store": "main", "key": "a" * 513}}, "$.data.location.key"),
        ("media.stored", {"location": {"store": "main", "key": "a\n"}}, "$.data.location.key"),
        ("account.frozen", {"blocked": []}, "$.data.blocked"),
        ("account.frozen", {"blocked": ["login"]}, "$.data.blocked[0]"),
        ("hold.placed", {"scope": "everything"}, "$.data.target"),
        ("hold.placed", {"target": None}, "$.data.target"),
        ("hold.placed", {"target": "X-1"}, "$.data.target"),
        ("hold.placed", {"scope": "collection", "target": "Charts"}, "$.data.target"),
        ("hold.placed", {"scope": "member", "target": "M 1"}, "$.data.target"),
        ("policy.set", {"storage": None}, "$.data"),
        ("policy.set", {"trash": {"days": 30}}, "$.data"),
        ("policy.set", {"storage": None, "trash": {"days": 29}}, "$.data.trash.days"),
        ("credential.refused", {"last_at": "2026-03-01T09:00:00Z"}, "$.data.last_at"),
        ("credential.issued", {"expires": "2026-03-01"}, "$.data.expires"),
        ("export.issued", {"last_position": None}, "$.data.last_position"),
        ("export.issued", {"first_position": None}, "$.data.first_position"),
        ("export.issued", {"first_position": 8, "last_position": 7}, "$.data.last_position"),
        ("export.issued", {"reservation": None}, "$.data.reservation"),
        ("export.issued", {"scope": "member"}, "$.data.reservation"),
        ("export.issued", {"tables": [{"table": "pieces", "rows": 1}] * 2}, "$.data.tables"),
        ("export.issued", {"duration_seconds": "1.0000001"}, "$.data.duration_seconds"),
        ("backup.completed", {"parent": None}, "$.data.parent"),
        ("backup.completed", {"generation": "base"}, "$.data.parent"),
        ("backup.completed", {"lock": "none"}, "$.data.locked_until"),
        ("backup.completed", {"locked_until": None}, "$.data.locked_until"),
        ("drill.completed", {"result": "failed", "reason": None}, "$.data.reason"),
        ("drill.completed", {"rto_seconds": None}, "$.data.rto_seconds"),
        ("drill.completed", {"root": None}, "$.data.root"),
        ("drill.completed", {"differing": ["pieces"]}, "$.data.differing"),
        ("restore.completed", {"point_in_time": "2026-03-01T25:00:00Z"}, "$.data.point_in_time"),
        ("state.attested", {"roots": []}, "$.data.roots"),
        ("state.attested", {"position": -1}, "$.data.position"),
        ("reservation.arrived", {"expected_at": "2026-03-01T09:60:00Z"}, "$.data.expected_at"),
    ],
)
def test_a_wrong_value_is_refused_at_its_path(name, changes, path):
    caught = refusal(name, full(name, **changes))
    assert caught.path == path
    assert caught.detail


def test_the_roots_of_a_state_stand_in_the_order_of_their_names_one_for_each():
    roots = EXAMPLES["state.attested"][1]["roots"]
    for wrong in (roots[::-1], [roots[0], roots[0]]):
        assert refusal("state.attested", full("state.attested", roots=wrong)).path == "$.data.roots"


# --- Policies ---------------------------------------------------------------------------------------------------------

COLLECTION = {
    "collection": "invoices",
    "public_fields": [{"name": "client", "type": "id"}, {"name": "due", "type": "date"}],
    "relations": [{"field": "client", "to": "record", "to_collection": "clients"}],
}


def policy_of(**terms: Any) -> dict[str, Any]:
    return {"effective_from": "2026-03-01", "version": 1, **terms}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"public_fields": [{"name": "client", "type": "id"}] * 2}, "$.data.collection.public_fields"),
        ({"public_fields": [{"name": "client", "type": "code"}]}, "$.data.collection.relations[0].field"),
        ({"public_fields": []}, "$.data.collection.relations[0].field"),
        ({"relations": [{"field": "due", "to": "member"}]}, "$.data.collection.relations[0].field"),
        ({"relations": [{"field": "client", "to": "record"}]}, "$.data.collection.relations[0].to_collection"),
        (
            {"relations": [{"field": "client", "to": "media", "to_collection": "clients"}]},
            "$.data.collection.relations[0].to_collection",
        ),
        ({"relations": [{"field": "client", "to": "member"}] * 2}, "$.data.collection.relations"),
    ],
)
def test_what_a_collection_declares_hangs_together(changes, path):
    assert refusal("policy.set", policy_of(collection={**COLLECTION, **changes})).path == path


@pytest.mark.parametrize("days", [(8, 7, 60), (7, 61, 60)])
def test_an_account_is_frozen_then_warned_then_eligible(days):
    terms = dict(zip(("freeze_days", "warning_days", "deletion_days"), days, strict=True))
    assert refusal("policy.set", policy_of(account=terms)).path == "$.data.account"


@pytest.mark.parametrize("name", ["reminder_hours", "prepaid_reminder_hours"])
def test_reminders_follow_one_another(name):
    storage = {**EXAMPLES["policy.set"][1]["storage"], name: [336, 336]}
    assert refusal("policy.set", policy_of(storage=storage)).path == f"$.data.storage.{name}"


def test_a_retention_class_has_one_period_and_all_classes_can_have_one():
    period = {"days": 3650, "retention_class": "service"}
    caught = refusal("policy.set", policy_of(retention={"periods": [period, period]}))
    assert caught.path == "$.data.retention.periods"
    assert sorted(get_args(policy.RetentionClass)) == sorted(RETENTION)


@pytest.mark.parametrize(
    ("terms", "stream"),
    [
        ({"collection": COLLECTION}, "policy:collection.invoices"),
        ({"account": {"freeze_days": 7, "warning_days": 45, "deletion_days": 60}}, "policy:account"),
        ({"trash": {"days": 30}}, "policy:trash"),
        ({"retention": {"periods": [{"days": 1, "retention_class": "secret"}]}}, "policy:retention"),
    ],
)
def test_a_policy_goes_to_the_stream_that_its_data_name(terms, stream):
    assert prepare(event(type="policy.set", subject=stream, data=policy_of(**terms)), LOCAL).stream == stream
    caught = refused(event(type="policy.set", subject="policy:mine", data=policy_of(**terms)))
    assert caught.path == "$.subject"
    assert stream in caught.detail


# --- Who may post -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in catalog.names() if catalog.get(name).posted_by is not None])
@pytest.mark.parametrize("role", ["owner", "admin", "service", "auditor", "member"])
def test_a_type_that_is_for_some_to_post_is_refused_from_others(name, role):
    raw = event(type=name, subject=stream_of(name), data=EXAMPLES[name][0], actorrole="staff")
    credential = Credential(id="c", role=role, actor="c", actor_role="service")
    if role in catalog.get(name).posted_by:
        assert prepare(raw, credential).type == name
    else:
        with pytest.raises(RoleDenied) as caught:
            prepare(raw, credential)
        assert caught.value.path == "$.type"
        assert role in caught.value.detail


def test_whoever_may_append_posts_the_rest():
    raw = event(type="account.frozen", subject="account:A", data={"blocked": ["uploads"]})
    assert prepare(raw, SERVICE).stream == "account:A"


# --- Public fields of records -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({}, "$.data"),
        ({"public": {}}, "$.data.public"),
        ({"public": {"two words": 1}}, "$.data.public"),
        ({"public": {"a": "two words"}}, "$.data.public.a"),
        ({"public": {"a": "line\n"}}, "$.data.public.a"),
        ({"public": {"a": "Zoë"}}, "$.data.public.a"),
        ({"public": {"a": ""}}, "$.data.public.a"),
        ({"public": {"a": "a" * 129}}, "$.data.public.a"),
        ({"public": {"a": 1.0}}, "$.data.public.a"),
        ({"public": {"a": 2**53}}, "$.data.public.a"),
        ({"public": {"a": ["x"]}}, "$.data.public.a"),
        ({"public": {"a": 1}, "fields": {"a": 1}}, "$.data.public.a"),
    ],
)
def test_a_public_field_of_a_record_that_is_no_code_or_number_is_refused_at_its_path(data, path):
    assert refusal("record.created", {"collection": "clients", **data}).path == path


def test_public_fields_of_a_record_are_written_in_the_order_of_their_names():
    found = catalog.get("record.updated")
    data = found.decode(b'{"collection":"c","public":{"b":"-1.5","a":true,"c":null,"B":7}}')
    assert found.split(data) == (b'{"collection":"c","public":{"B":7,"a":true,"b":"-1.5","c":null}}', {})
    public = {"collection": "c", "public": {"a": 1}}
    assert found.join(public, {}) == public
    assert found.join(public, {"x": 2}) == {**public, "fields": {"x": 2}}
