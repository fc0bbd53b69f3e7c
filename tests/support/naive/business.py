"""Naive tables of reservations, members, accounts and notifications."""

from decimal import Decimal

from tests.support.naive.facts import (
    commitments,
    days_after,
    earlier_members,
    given,
    head,
    last,
    only,
    stood,
    streams,
    terms,
    terms_rows,
    when,
)


def reservations(facts):
    for found in streams(facts, "reservation"):
        moves = [fact for fact in found if fact.moved]
        requests = only(found, "reservation.requested")
        plain = [fact for fact in found if fact.verb not in _GROUPED]
        estimates = only(found, "reservation.estimate_changed")
        arrivals = only(found, "reservation.arrived")
        tokens = only(found, "reservation.arrival_token_issued")
        pickups = only(found, "reservation.pickup_window_changed")
        evidence = only(found, "reservation.fairness_recorded")
        points = [fact.data["points"] for fact in evidence if "points" in fact.data]
        boosts = [fact for fact in evidence if "boost" in fact.data]
        shelved = [
            fact
            for fact in facts
            if fact.kind == "storage" and fact.data["reservation"] == found[0].id and fact.position > found[0].position
        ]
        window = last(requests, "window", {})
        yield {
            **head(found),
            **found[-1].after,
            **given(plain, *_PLAIN),
            "reason": moves[-1].data.get("reason"),
            "window_earliest": window.get("earliest"),
            "window_latest": window.get("latest"),
            "estimate_start": last(estimates, "start"),
            "estimate_end": last(estimates, "end"),
            "estimate_confidence": last(estimates, "confidence"),
            "estimate_reason": last(estimates, "reason"),
            "sla": last(estimates, "sla"),
            "sla_since": _since(estimates, "sla"),
            "arrival": arrivals[-1].data.get("state", "arrived") if arrivals else None,
            "arrival_time": when(arrivals),
            "token_version": tokens[-1].data["version"] if tokens else None,
            "token_issued": tokens[-1].data.get("issued") if tokens else None,
            "token_expires": tokens[-1].data.get("expires") if tokens else None,
            "pickup_state": last(pickups, "state"),
            "pickup_start": last(pickups, "start"),
            "pickup_end": last(pickups, "end"),
            "pickup_misses": last(pickups, "misses"),
            "pickup_reschedules": last(pickups, "reschedules"),
            "pickup_reason": last(pickups, "reason"),
            "penalty_points": sum(points) if points else None,
            "boost": last(boosts, "boost"),
            "boost_expires": boosts[-1].data.get("expires") if boosts else None,
            "storage": shelved[-1].id if shelved else None,
            "storage_action": shelved[-1].verb if shelved else None,
            "storage_time": when(shelved),
            "ready_at": last(shelved, "ready_at"),
            "days_billed": last(shelved, "days_billed"),
            "private": commitments(found),
        }


_GROUPED = ("estimate_changed", "arrival_token_issued", "pickup_window_changed", "fairness_recorded")
_PLAIN = (
    "firing_type",
    "half_shelves",
    "channel",
    "rate",
    "station",
    "preferred_station",
    "queue_class",
    "queue_position",
    "add_ons",
    "resources",
    "photo",
    "via",
    "expected_at",
    "token_used",
)


def _since(facts, name):
    """Since when a field has had the value that it has now."""
    since, value = None, None
    for fact in facts:
        if fact.data.get(name, value) != value:
            since, value = fact.time, fact.data[name]
    return since


def stage_history(facts):
    for fact in facts:
        if fact.kind == "reservation" and fact.moved:
            yield {
                "stream": fact.stream,
                "version": fact.version,
                "position": fact.position,
                "type": fact.type,
                **{f"from_{name}": value for name, value in fact.before.items()},
                **{f"to_{name}": value for name, value in fact.after.items()},
                "time": fact.time,
                "recorded": fact.recorded,
                "actor": fact.actor,
                "actor_role": fact.role,
                "reason": fact.data.get("reason"),
                "forced": fact.forced,
                "private": commitments([fact]),
            }


def fairness_evidence(facts):
    for fact in only(facts, "reservation.fairness_recorded"):
        yield {
            "stream": fact.stream,
            "version": fact.version,
            "position": fact.position,
            "decided_by": fact.actor,
            "time": fact.time,
            "private": commitments([fact]),
            **fact.data,
        }


def members(facts):
    for found in streams(facts, "member"):
        changes = only(found, "member.account_changed")
        erasures = only(found, "member.erased")
        registrations = only(found, "member.registered")
        row = {
            **head(found),
            "status": found[-1].after["status"],
            "status_since": stood(found)[0].time,
            "reason": stood(found)[0].data.get("reason"),
            "membership": last(registrations, "kind"),
            **given(registrations, "joined", "locale"),
            "erased": when(erasures),
            "erased_position": erasures[-1].position if erasures else None,
            "private": commitments(found),
        }
        if changes:
            change = changes[-1].data
            row |= {
                "change": change["change"],
                "side": change.get("side", "given"),
                "counterpart": change.get("counterpart"),
                "change_reason": change["reason"],
                "changed": changes[-1].time,
            }
        yield row


def account_changes(facts):
    for fact in only(facts, "member.account_changed"):
        yield {
            "stream": fact.stream,
            "version": fact.version,
            "position": fact.position,
            "change": fact.data["change"],
            "side": fact.data.get("side", "given"),
            "counterpart": fact.data.get("counterpart"),
            "correlation": fact.correlation,
            "reason": fact.data["reason"],
            "time": fact.time,
            "forced": fact.forced,
            "private": commitments([fact]),
        }


def member_fields(facts):
    known = {(fact.stream, name) for fact in facts if fact.kind == "member" for name in fact.private}
    for name in {name for _, name in known}:
        yield {"field": name, "members": sum(1 for _, other in known if other == name)}


def accounts(facts):
    for found in streams(facts, "account"):
        settled = only(found, "account.settled")
        owing = [fact for fact in found if not settled or fact.position > settled[-1].position]
        bills = only(owing, "account.payment_overdue")
        warnings = only(owing, "account.final_warning_sent")
        offers = only(owing, "account.export_offered")
        freezes = only(owing, "account.frozen")
        yield {
            **head(found),
            "earlier_members": earlier_members(found),
            **found[-1].after,
            "status_since": stood(found)[0].time,
            "invoice": last(only(found, "account.payment_overdue"), "invoice"),
            **_owed(bills),
            **_ladder(facts, bills, warnings),
            "blocked": last(freezes, "blocked"),
            "frozen": when(freezes),
            "warned": when(warnings),
            "export": offers[-1].data.get("export") if offers else None,
            "offer_expires": offers[-1].data.get("expires") if offers else None,
            "eligible": when(only(owing, "account.deletion_eligible")),
            "settled": when(settled),
            "times_overdue": len(only(found, "account.payment_overdue")),
            "private": commitments(found),
        }


def _owed(bills):
    if not bills:
        return {}
    currency = bills[0].data["currency"]
    amounts = [Decimal(fact.data["amount"]) for fact in bills if fact.data["currency"] == currency]
    return {"amount": format(sum(amounts, Decimal()), "f"), "currency": currency}


def _ladder(facts, bills, warnings):
    """The due dates, by the bill that was due first and the terms as they were known when it was told of."""
    if not bills:
        return {"deletion_due": last(warnings, "eligible_from")}
    oldest = min(bills, key=lambda fact: fact.data["due"])
    so_far = [fact for fact in facts if fact.position < oldest.position]
    version, known = terms(so_far, "account", oldest.time[:10], oldest.data.get("policy_version"))
    due, row = oldest.data["due"], {"terms_version": version}
    for column, term in (
        ("freeze_due", "freeze_days"),
        ("warning_due", "warning_days"),
        ("deletion_due", "deletion_days"),
    ):
        row[column] = None if known is None else days_after(due, known[term])
    if "grace_ends" in oldest.data:
        row["freeze_due"] = days_after(oldest.data["grace_ends"], 1)
    said = last([fact for fact in warnings if fact.position > oldest.position], "eligible_from")
    return {"due": due, **row, **({} if said is None else {"deletion_due": said})}


def account_terms(facts):
    return terms_rows(facts, "account")


def notifications(facts):
    for found in streams(facts, "notification"):
        queued = only(found, "notification.queued")
        sent = only(found, "notification.sent")
        failed = only(found, "notification.failed")
        delivered = only(found, "notification.delivered")
        read = only(found, "notification.read")
        tried = only(found, "notification.sent", "notification.failed")
        planned = only(found, "notification.sent", "notification.failed", "notification.queued")
        yield {
            **head(found),
            "status": found[-1].after["status"],
            **given(queued, *_MESSAGE),
            "queued": when(queued),
            "sent": when(sent),
            "failed": when(failed),
            "delivered": delivered[-1].data.get("delivered_at", delivered[-1].time) if delivered else None,
            "read": read[-1].data.get("read_at", read[-1].time) if read else None,
            "attempts": max((fact.data["attempt"] for fact in tried), default=0),
            "failures": len(failed),
            "retries": len(_retries(found)),
            "retry_after": planned[-1].data.get("retry_after") if planned else None,
            "failure": last(failed, "reason"),
            **given(tried, "provider", "provider_message"),
            "private": commitments(found),
        }


_MESSAGE = ("notice", "channel", "basis", "template", "reservation", "piece", "storage", "account", "send_after")


def _retries(found):
    """The attempts with a higher number than any before, after one that failed."""
    tried = only(found, "notification.sent", "notification.failed")
    return [
        fact
        for at, fact in enumerate(tried)
        if only(tried[:at], "notification.failed")
        and fact.data["attempt"] > max(other.data["attempt"] for other in tried[:at])
    ]


def notification_attempts(facts):
    for fact in only(facts, "notification.sent", "notification.delivered", "notification.failed"):
        yield {
            "stream": fact.stream,
            "version": fact.version,
            "position": fact.position,
            "outcome": "dead_lettered" if fact.data.get("dead_letter") else fact.verb,
            "time": fact.time,
            "private": commitments([fact]),
            **{name: fact.data.get(name) for name in ("attempt", "provider", "reason", "retry_after")},
        }


def notification_figures(facts):
    counts = {}
    for found in streams(facts, "notification"):
        retries = {fact.position for fact in _retries(found)}
        for at, fact in enumerate(found):
            queued = only(found[: at + 1], "notification.queued")
            key = (last(queued, "channel", ""), last(queued, "notice", ""))
            row = counts.setdefault(key, dict.fromkeys(_FIGURES, 0))
            row[fact.verb] += 1
            row["dead_lettered"] += bool(fact.data.get("dead_letter"))
            row["retried"] += fact.position in retries
    for (channel, notice), row in counts.items():
        yield {"channel": channel, "notice": notice, **row}


_FIGURES = ("queued", "sent", "delivered", "read", "failed", "retried", "dead_lettered")

TABLES = (
    reservations,
    stage_history,
    fairness_evidence,
    members,
    account_changes,
    member_fields,
    accounts,
    account_terms,
    notifications,
    notification_attempts,
    notification_figures,
)
