"""Public fields of records: taken where the collection's policy declares them, whoever else writes at the time."""

import orjson
import pytest

from ledger.errors import LifecycleRefused
from ledger.event import LOCAL, Credential
from ledger.log import Log
from tests.support.events import cloud, new_log

DESK = Credential(id="desk", role="service", actor="desk", actor_role="staff")


@pytest.fixture
def log(tmp_path):
    with new_log(tmp_path) as made:
        yield made


def policy(version=1, collection="invoices", **fields):
    declared = {
        "collection": collection,
        "public_fields": [{"name": name, "type": of} for name, of in fields.items()],
        "relations": [],
    }
    data = {"effective_from": "2030-01-01", "version": version, "collection": declared}
    return cloud("policy.set", f"policy:collection.{collection}", data)


def invoice(number, verb="created", collection="invoices", **public):
    data = {"collection": collection, "fields": {"name": "Zoë"}, "public": public}
    return cloud(f"record.{verb}", f"record:{number}", data, actorrole="staff")


def test_a_public_field_is_refused_until_the_policy_of_its_collection_declares_it(log):
    with pytest.raises(LifecycleRefused) as caught:
        log.append([invoice("I-1", due="2026-03-01")], DESK)
    assert caught.value.path == "$.data.public.due"
    assert "since policy:collection.invoices does not declare it" in caught.value.detail
    log.append([policy(due="date")])
    log.append([invoice("I-1", due="2026-03-01"), invoice("I-1", "updated", due=None)], DESK)
    with pytest.raises(LifecycleRefused, match="total is no public field"):
        log.append([invoice("I-1", "updated", due="2026-03-02", total="18.50")], DESK)
    with pytest.raises(LifecycleRefused, match=r"policy:collection\.clients does not declare it"):
        log.append([invoice("I-2", collection="clients", due="2026-03-01")], DESK)


@pytest.mark.parametrize(
    ("of", "right", "wrong"),
    [
        ("boolean", True, 1),
        ("code", "paid-late", "Paid"),
        ("date", "2026-03-01", "2026-02-30"),
        ("decimal", "-18.50", "1e3"),
        ("id", "C-7", "C+7"),
        ("instant", "2026-03-01T09:00:00Z", "2026-02-30T09:00:00Z"),
        ("integer", -7, "7"),
    ],
)
def test_a_public_field_is_of_its_declared_type(log, of, right, wrong):
    log.append([policy(x=of), invoice("I-1", x=right)])
    with pytest.raises(LifecycleRefused) as caught:
        log.append([invoice("I-2", x=wrong)])
    assert caught.value.path == "$.data.public.x"
    assert f"of the type {of}" in caught.value.detail


def test_a_declaration_in_the_same_request_counts_and_one_that_is_refused_does_not(log):
    log.append([policy(due="date"), invoice("I-1", due="2026-03-01")])
    with pytest.raises(LifecycleRefused, match="the next version is 2"):
        log.append([invoice("I-2", due="2026-03-01"), policy(version=7, due="date", total="decimal")])
    with pytest.raises(LifecycleRefused, match="total is no public field"):
        log.append([invoice("I-2", total="18.50")])
    log.append([policy(version=2, total="decimal"), invoice("I-2", total="18.50")])
    with pytest.raises(LifecycleRefused, match="due is no public field"):
        log.append([invoice("I-3", due="2026-03-01")])


def test_a_retry_is_known_whatever_was_declared_since(log):
    event = invoice("I-1", due="2026-03-01")
    log.append([policy(due="date"), event])
    log.append([policy(version=2, total="decimal")])
    (again,) = log.append([event])
    assert again.duplicate


def test_the_declaration_is_found_by_a_writer_that_opens_the_ledger_anew(tmp_path):
    with new_log(tmp_path) as log:
        log.append([policy(due="date"), invoice("I-1", due="2026-03-01")])

    with Log.open(tmp_path, "studio") as log:
        log.append([invoice("I-1", "updated", due="2026-04-01")])
        with pytest.raises(LifecycleRefused):
            log.append([invoice("I-1", "updated", total="1")])


def test_a_record_without_public_fields_needs_no_policy_and_an_admin_may_force_one(log):
    log.append([cloud("record.created", "record:1", {"collection": "charts", "fields": {"sun": "leo"}})], DESK)
    forced = orjson.loads(invoice("I-1", due="2026-03-01")) | {"forced": "import", "actorrole": "admin"}
    log.append([orjson.dumps(forced)], LOCAL)
