"""Naive tables of statistics and of how the ledger is run."""

import datetime as dt

from tests.support.naive.facts import commitments, given, head, last, only, streams, when

# --- Statistics ------------------------------------------------------------------------------------------------------


def _counts(keys):
    counts = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return counts.items()


def statistics_by_type(facts):
    for name, count in _counts(fact.type for fact in facts):
        of_type = only(facts, name)
        yield {
            "type": name,
            "events": count,
            "forced": sum(1 for fact in of_type if fact.forced),
            "first_position": of_type[0].position,
            "last_position": of_type[-1].position,
        }


def statistics_by_day(facts):
    for day, count in _counts(fact.time[:10] for fact in facts):
        yield {"day": day, "weekday": dt.date.fromisoformat(day).isoweekday(), "events": count}


def statistics_by_hour(facts):
    keys = ((dt.date.fromisoformat(fact.time[:10]).isoweekday(), int(fact.time[11:13])) for fact in facts)
    for (weekday, hour), count in _counts(keys):
        yield {"weekday": weekday, "hour": hour, "events": count}


def statistics_growth(facts):
    for (kind, month), count in _counts((fact.kind, fact.time[:7]) for fact in facts if fact.version == 1):
        yield {"kind": kind, "month": month, "streams": count}


def statistics_recorded(facts):
    for day in {fact.recorded[:10] for fact in facts}:
        of_day = [fact for fact in facts if fact.recorded[:10] == day]
        yield {
            "day": day,
            "first_position": of_day[0].position,
            "streams": sum(1 for fact in of_day if fact.version == 1),
            "members": sum(1 for fact in of_day if fact.member_version == 1),
        }


# --- What is handed out and taken in ---------------------------------------------------------------------------------


def exports(facts):
    for found in streams(facts, "export"):
        yield {
            **head(found),
            "status": "issued",
            **{name: last(found, name) for name in {name for fact in found for name in fact.data}},
            "anonymised": int(found[-1].data["anonymised"]),
        }


def imports(facts):
    for found in streams(facts, "import"):
        applied, undone = only(found, "import.applied"), only(found, "import.undone")
        row = {
            **head(found),
            "status": found[-1].after["status"],
            **given(applied, *_IMPORTED),
            "changed": last(applied, "updated"),
            "applied": when(applied),
            "undone": when(undone),
        }
        if undone:
            told = undone[-1].data
            row |= {
                "undo_reason": told["reason"],
                "undone_by": told["requested_by"],
                "reversed": told["reversed"],
                "kept": told["kept"],
                "undo_failed": told["failed"],
                "undo_first_position": told.get("first_position"),
                "undo_last_position": told.get("last_position"),
            }
        yield row


_IMPORTED = (
    "format",
    "mode",
    "requested_by",
    "sha256",
    "size",
    "added",
    "renamed",
    "skipped",
    "failed",
    "first_position",
    "last_position",
    "duration_seconds",
)


# --- Backups ---------------------------------------------------------------------------------------------------------


def backups(facts):
    for found in streams(facts, "backup"):
        completed, failed = only(found, "backup.completed"), only(found, "backup.failed")
        pruned = only(found, "backup.pruned")
        names = {name for fact in completed for name in fact.data}
        attempts = only(found, "backup.completed", "backup.failed")
        yield {
            **head(found),
            **{name: last(completed, name) for name in names},
            "vault": last(found, "vault"),
            "status": found[-1].after["status"],
            "completed": when(completed),
            "failures": len(failed),
            "failed": when(failed),
            "failure": last(failed, "reason"),
            "retry_after": attempts[-1].data.get("retry_after") if attempts else None,
            "pruned": when(pruned),
            "prune_reason": last(pruned, "reason"),
            "freed": last(pruned, "freed"),
            "private": commitments(found),
        }


def backup_failures(facts):
    for fact in only(facts, "backup.failed"):
        yield {
            "stream": fact.stream,
            "version": fact.version,
            "position": fact.position,
            "time": fact.time,
            "private": commitments([fact]),
            **fact.data,
        }


def vaults(facts):
    for name in {fact.data["vault"] for fact in facts if fact.kind == "backup"}:
        found = [fact for fact in facts if fact.kind == "backup" and fact.data["vault"] == name]
        completed, failed = only(found, "backup.completed"), only(found, "backup.failed")
        pruned = only(found, "backup.pruned")
        yield {
            "vault": name,
            "completed": len(completed),
            "failures": len(failed),
            "pruned": len(pruned),
            "size": str(sum(fact.data["size"] for fact in completed) - sum(fact.data["freed"] for fact in pruned)),
            "last_backup": completed[-1].stream if completed else None,
            "last_completed": completed[-1].recorded if completed else None,
            "last_position": max(
                (fact.data["last_position"] for fact in completed if "last_position" in fact.data), default=None
            ),
            "last_failed": failed[-1].recorded if failed else None,
            "failures_since": sum(1 for fact in failed if not completed or fact.position > completed[-1].position),
        }


def restores(facts):
    for found in streams(facts, "restore"):
        names = {name for fact in found for name in fact.data}
        yield {**head(found), "status": "completed", **{name: last(found, name) for name in names}}


def drills(facts):
    for found in streams(facts, "drill"):
        names = {name for fact in found for name in fact.data}
        yield {
            **head(found),
            "status": "completed",
            **{name: last(found, name) for name in names},
            "private": commitments(found),
        }


# --- Operations ------------------------------------------------------------------------------------------------------


def credentials(facts):
    for found in streams(facts, "credential"):
        issued, revoked = only(found, "credential.issued"), only(found, "credential.revoked")
        refused = only(found, "credential.refused")
        yield {
            **head(found),
            "status": found[-1].after["status"],
            **given(issued, "role", "actor_roles", "sees_member", "expires", "issued_by"),
            "scopes": issued[-1].data.get("scopes") if issued else None,
            "issued": when(issued),
            "revoked": when(revoked),
            "revoked_by": revoked[-1].data.get("revoked_by") if revoked else None,
            "revoke_reason": last(revoked, "reason"),
            "refusals": sum(fact.data["count"] for fact in refused),
            "refused": refused[-1].data.get("last_at", refused[-1].time) if refused else None,
        }


def credential_refusals(facts):
    for fact in only(facts, "credential.refused"):
        yield {
            "stream": fact.stream,
            "version": fact.version,
            "position": fact.position,
            "time": fact.time,
            **fact.data,
        }


def incidents(facts):
    for found in streams(facts, "incident"):
        opened, closed = only(found, "incident.opened"), only(found, "incident.closed")
        yield {
            **head(found),
            "status": found[-1].after["status"],
            **given(opened, "incident", "severity", "detected_at", "backup", "drill", "fault_position"),
            "opened": when(opened),
            "times_opened": len(opened),
            "closed": when(closed),
            "close_reason": last(closed, "reason"),
            "post_mortem": last(closed, "post_mortem"),
            "private": commitments(found),
        }


def attested_roots(facts):
    for fact in only(facts, "state.attested"):
        for root in fact.data["roots"]:
            yield {
                "position": fact.position,
                "projection": root["name"],
                "attested_position": fact.data["position"],
                "projection_version": root["version"],
                "root": root["root"],
                "rows": root["rows"],
                "recorded": fact.recorded,
            }


def policies(facts):
    latest = {(fact.stream, fact.data["version"]): fact for fact in only(facts, "policy.set")}
    for fact in latest.values():
        topic = fact.id.split(".")[0]
        yield {
            "policy": fact.stream,
            "version": fact.data["version"],
            "topic": topic,
            "effective_from": fact.data["effective_from"],
            "terms": fact.data[topic],
            "reason": fact.data.get("reason"),
            "time": fact.time,
            "actor": fact.actor,
            "position": fact.position,
            "private": commitments([fact]),
        }


def skipped_entries(facts):
    for fact in only(facts, "projection.skipped"):
        yield {
            "projection": fact.id,
            "position": fact.position,
            "skipped_position": fact.data["position"],
            "projection_version": fact.data["projection_version"],
            "reason": fact.data["reason"],
            "asked_by": fact.data["asked_by"],
            "recorded": fact.recorded,
        }


def ledger_changes(facts):
    for fact in facts:
        if fact.kind == "ledger":
            yield {
                "position": fact.position,
                "change": fact.verb,
                "recorded": fact.recorded,
                "actor": fact.actor,
                **{name: fact.data.get(name) for name in ("reason", "origin", "verifier_keys")},
            }


TABLES = (
    statistics_by_type,
    statistics_by_day,
    statistics_by_hour,
    statistics_growth,
    statistics_recorded,
    exports,
    imports,
    backups,
    backup_failures,
    vaults,
    restores,
    drills,
    credentials,
    credential_refusals,
    incidents,
    attested_roots,
    policies,
    skipped_entries,
    ledger_changes,
)
