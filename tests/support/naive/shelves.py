"""Naive tables of shelf storage and pieces."""

from decimal import Decimal

from tests.support.naive.facts import (
    commitments,
    given,
    head,
    instant,
    last,
    later,
    only,
    stood,
    streams,
    terms,
    terms_rows,
    when,
    written,
)

_LIVE = ("active", "reminder_pending", "hold_pending", "stored_by_policy")


def storage(facts):
    for found in streams(facts, "storage"):
        ready = only(found, "storage.ready_for_pickup")
        prepaid = only(found, "storage.prepaid")
        reminded = only(found, "storage.reminder_sent")
        failed = only(found, "storage.reminder_failed")
        holds = only(found, "storage.hold_started")
        bills = only(found, "storage.billed")
        ends = only(found, "storage.picked_up", "storage.reclaimed")
        currency = last(only(found, "storage.prepaid", "storage.billed")[:1], "currency")
        row = {
            **head(found),
            **found[-1].after,
            **given(ready, "station", "pieces", "ready_at", "grace_ends"),
            "half_shelves": last(only(found, "storage.ready_for_pickup", "storage.billed"), "half_shelves"),
            "covered_until": last(prepaid, "covered_until"),
            "currency": currency,
            "prepaid": _sum(prepaid, currency),
            "billed": _sum(bills, currency),
            "reminders": max((fact.data["reminder"] for fact in reminded), default=0),
            "reminded": when(reminded),
            "reminder_failures": len(failed),
            "reminder_failed": when(failed),
            "billing_from": last(holds, "billing_from"),
            "days_billed": last(bills, "days_billed", 0),
            "billed_to": last(bills, "last_day"),
            "misses": _misses(found),
            "ended": when(ends),
            "disposition": last(ends, "disposition"),
            "private": commitments(found),
        }
        yield {**row, **_due(facts, found, row)}


def _sum(facts, currency):
    amounts = [Decimal(fact.data["amount"]) for fact in facts if fact.data["currency"] == currency]
    return format(sum(amounts, Decimal()), "f") if amounts else None


def _misses(found):
    misses = 0
    for fact in only(found, "storage.pickup_missed"):
        misses = fact.data.get("misses", misses + 1)
    return misses


def _version(facts, found):
    """The version that due times follow: the one named last, or that in force when the work was ready."""
    version, ready_at = None, None
    for fact in found:
        so_far = [other for other in facts if other.position < fact.position]
        ready_at = fact.data.get("ready_at", ready_at)
        if ready_at is not None and (fact.verb == "ready_for_pickup" or "policy_version" in fact.data):
            version, _ = terms(so_far, "storage", written(instant(ready_at))[:10], fact.data.get("policy_version"))
    return version


def _due(facts, found, row):
    version = _version(facts, found)
    so_far = [fact for fact in facts if fact.position < found[-1].position]
    known = None if version is None else terms(so_far, "storage", "", version)[1]
    status = row["status"]
    live, held = status in _LIVE, row["billing_from"] is not None
    ends = [instant(text) for text in (row["grace_ends"], row["covered_until"]) if text]
    due = {"terms_version": version, "hold_due": written(max(ends)) if live and not held and ends else None}
    if known is None:
        return due
    if row["half_shelves"] is not None:
        due["day_price"] = format(Decimal(known["half_shelf_day"]) * row["half_shelves"], "f")
    if live and not held:
        hours = known["reminder_hours"]
        if row["covered_until"]:
            hours = known.get("prepaid_reminder_hours", hours)
        if row["ready_at"] and row["reminders"] < len(hours):
            due["next_reminder"] = row["reminders"] + 1
            due["next_reminder_due"] = later(row["ready_at"], hours=hours[row["reminders"]])
    begin = row["billing_from"] or due["hold_due"]
    if live and begin:
        due["reclaim_due"] = later(begin, days=known["billing_days"])
        if row["days_billed"] < known["billing_days"]:
            due["next_bill_due"] = later(begin, days=row["days_billed"] + 1)
    return due


def storage_actions(facts):
    for fact in facts:
        if fact.kind == "storage" or fact.type == "reservation.pickup_window_changed":
            yield {
                "reservation": fact.data.get("reservation", fact.id),
                "time": written(instant(fact.time)),
                "position": fact.position,
                "stream": fact.stream,
                "version": fact.version,
                "type": fact.type,
                "notice": _notice(fact),
                **{name: fact.data.get(name) for name in _TOLD},
                "actor": fact.actor,
                "actor_role": fact.role,
                "forced": fact.forced,
                "private": commitments([fact]),
            }


_TOLD = (
    "due",
    "reminder",
    "attempt",
    "days",
    "first_day",
    "last_day",
    "amount",
    "currency",
    "reason",
    "notification",
    "policy_version",
)


def _notice(fact):
    if fact.kind == "reservation":
        return {"open": "pickup_window_opened"}.get(fact.data["state"], f"pickup_window_{fact.data['state']}")
    if fact.verb == "reminder_sent":
        return f"pickup_reminder_{fact.data['reminder']}"
    return {
        "ready_for_pickup": "pickup_ready",
        "prepaid": "storage_prepaid",
        "hold_started": "hold_pending",
        "billed": "storage_billing_update",
        "pickup_missed": "pickup_window_missed",
        "reclaimed": "stored_by_policy",
    }.get(fact.verb, fact.verb)


def storage_terms(facts):
    return terms_rows(facts, "storage")


def pieces(facts):
    for found in streams(facts, "piece"):
        yield {
            **head(found),
            "status": found[-1].after["status"],
            "status_since": stood(found)[0].time,
            "reason": stood(found)[0].data.get("reason"),
            **given(found, "code", "reservation", "count", "photo", "station"),
            "notes_added": len(only(found, "piece.note_added")),
            "private": commitments(found),
        }


TABLES = (storage, storage_actions, storage_terms, pieces)
