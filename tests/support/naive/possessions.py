"""Naive tables of media, records and holds."""

import datetime as dt
import json
from hashlib import sha256
from itertools import pairwise

from tests.support.naive.facts import (
    commitments,
    earlier_members,
    given,
    head,
    last,
    later,
    only,
    streams,
    terms,
    terms_rows,
)

# --- Media -----------------------------------------------------------------------------------------------------------


def media(facts):
    for found in streams(facts, "media"):
        stored = only(found, "media.stored")
        state = found[-1].after
        versions = _versions(found)
        shown = _shown(found)
        row = {
            **head(found),
            "earlier_members": earlier_members(found),
            "status": state["status"],
            "content_version": state["media_version"],
            "versions": state["latest"],
            "retain_until": state.get("retain_until"),
            "trashed": state.get("trashed"),
            "reason": [fact for fact in found if fact.moved][-1].data.get("reason"),
            **given(stored, "kind", "rendition", "captured_at", "original", "reservation", "piece", "record"),
            "added": _added(found)[-1] if stored else None,
            "bytes": str(sum(fact.data["size"] for fact in versions.values())),
            "private": commitments(found),
        }
        if shown is not None:
            row |= {
                "sha256": shown.data["sha256"],
                "size": shown.data["size"],
                "store": shown.data["location"]["store"],
                "key": shown.data["location"]["key"],
                "media_type": shown.data.get("media_type"),
            }
        yield row


def _versions(found):
    """The facts that told of each version, the last of them where several did."""
    return {fact.data["version"]: fact for fact in only(found, "media.stored")}


def _added(found):
    """The versions in the order in which they were first told of."""
    return list(dict.fromkeys(fact.data["version"] for fact in only(found, "media.stored")))


def _shown(found):
    """The fact that told of the content that is the current one."""
    shown = None
    for at, fact in enumerate(found):
        if fact.verb in ("stored", "version_restored"):
            shown = _versions(found[: at + 1]).get(fact.data["version"], shown)
    return shown


def _purged(found):
    """The versions that were destroyed, by the position of the fact that told of them."""
    gone = set()
    for at, fact in enumerate(found):
        if fact.verb == "purged":
            gone |= {told.position for told in _versions(found[:at]).values()}
    return gone


def media_versions(facts):
    for found in streams(facts, "media"):
        gone = _purged(found)
        for number, fact in _versions(found).items():
            yield {
                "stream": fact.stream,
                "content_version": number,
                "sha256": fact.data["sha256"],
                "size": fact.data["size"],
                "store": fact.data["location"]["store"],
                "key": fact.data["location"]["key"],
                "media_type": fact.data.get("media_type"),
                "position": fact.position,
                "time": fact.time,
                "previous": dict(pairwise([None, *_added(found)][::-1]))[number],
                "purged": int(fact.position in gone),
            }


def media_contents(facts):
    told = {}
    for fact in only(facts, "media.stored"):
        told.setdefault(fact.data["sha256"], fact.data["size"])
    kept = [row["sha256"] for row in media_versions(facts) if not row["purged"]]
    for digest, size in told.items():
        copies = kept.count(digest)
        yield {"sha256": digest, "size": size, "copies": copies, "doubled": int(copies > 1)}


def media_by_kind(facts):
    rows = [row for row in media(facts) if row["kind"] is not None]
    told = {(fact.data["kind"], fact.data["rendition"]) for fact in only(facts, "media.stored")}
    for kind, rendition in told:
        row = {"kind": kind, "rendition": rendition}
        for status in ("stored", "trashed", "purged"):
            of_status = [
                one for one in rows if (one["kind"], one["rendition"], one["status"]) == (kind, rendition, status)
            ]
            row[status] = len(of_status)
            row[f"{status}_bytes"] = str(sum(int(one["bytes"]) for one in of_status))
        yield row


# --- Records ---------------------------------------------------------------------------------------------------------


def records(facts):
    for found in streams(facts, "record"):
        state = found[-1].after
        public, private = _fields(found)
        row = {
            **head(found),
            "earlier_members": earlier_members(found),
            "status": state["status"],
            "trashed": state.get("trashed"),
            "collection": found[-1].data["collection"],
            "reason": [fact for fact in found if fact.moved][-1].data.get("reason"),
            "fields": public or None,
            "private": private or None,
        }
        if public and row["status"] != "purged":
            text = json.dumps(public, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            row["digest"] = sha256(text.encode()).hexdigest()
        yield row


def _filling(found):
    return only(found, "record.created", "record.updated")


def _fields(found):
    """The fields that stand openly, and the commitments of the others."""
    public, private = {}, {}
    for fact in _filling(found):
        for name, one in fact.private.items():
            private[name] = [fact.position, one]
            public.pop(name, None)
        for name, value in fact.data.get("public", {}).items():
            public[name] = value
            private.pop(name, None)
    return public, private


def record_relations(facts):
    for found in streams(facts, "record"):
        public, _ = _fields(found)
        for name, value in public.items():
            said = [fact for fact in _filling(found) if name in fact.data.get("public", {})][-1]
            so_far = [fact for fact in facts if fact.position < said.position]
            collection = said.data["collection"]
            _, known = terms(so_far, f"collection.{collection}", said.time[:10])
            relations = {one["field"]: one for one in (known or {}).get("relations", [])}
            if not isinstance(value, str):
                continue
            row = {"stream": said.stream, "field": name, "collection": collection, "position": said.position}
            if name in relations:
                target = relations[name]["to"]
                row["target_collection"] = relations[name].get("to_collection")
            elif name.endswith("_id") and name != "_id":
                target = name[: -len("_id")]
                target = target if target in ("member", "reservation", "piece", "media") else "record"
            else:
                continue
            yield {**row, "target": f"{target}:{value}"}


def collections(facts):
    rows = list(records(facts))
    for name in {fact.data["collection"] for fact in facts if fact.kind == "record"}:
        states = [row["status"] for row in rows if row["collection"] == name]
        yield {"collection": name, **{status: states.count(status) for status in ("active", "trashed", "purged")}}


def record_fields(facts):
    counts = {}
    for found in streams(facts, "record"):
        known = set()
        for fact in _filling(found):
            for name in {*fact.private, *fact.data.get("public", {})} - known:
                known.add(name)
                key = (fact.data["collection"], name)
                counts[key] = counts.get(key, 0) + 1
    for (collection, field), count in counts.items():
        yield {"collection": collection, "field": field, "records": count}


def record_contents(facts):
    keys = [(row["collection"], row["digest"]) for row in records(facts) if "digest" in row]
    for collection, digest in set(keys):
        count = keys.count((collection, digest))
        yield {"collection": collection, "digest": digest, "records": count, "doubled": int(count > 1)}


def collection_terms(facts):
    return terms_rows(facts, "collection")


# --- Holds and due retention -----------------------------------------------------------------------------------------


def holds(facts):
    for found in streams(facts, "hold"):
        placed, released = only(found, "hold.placed"), only(found, "hold.released")
        row = {
            **head(found),
            "status": found[-1].after["status"],
            **given(placed, "scope", "reason", "case", "review_on"),
            "target": placed[-1].data.get("target") if placed else None,
            "private": commitments(found),
        }
        if placed:
            row |= {"placed": placed[-1].time, "placed_by": placed[-1].actor}
        if released:
            row |= {
                "released": released[-1].time,
                "released_by": released[-1].actor,
                "release_reason": released[-1].data["reason"],
            }
        yield row


def held(facts):
    standing = [
        (row["scope"], row["target"] or "") for row in holds(facts) if row["status"] == "placed" and row["scope"]
    ]
    for scope, target in set(standing):
        yield {"scope": scope, "target": target, "holds": standing.count((scope, target))}


def due_retention(facts):
    yield from _due_records(facts)
    yield from _due_media(facts)
    yield from _due_accounts(facts)


def _restorable_until(facts, trashed):
    so_far = [fact for fact in facts if fact.recorded < trashed.recorded or fact.position < trashed.position]
    _, known = terms(so_far, "trash", trashed.recorded[:10])
    return later(trashed.recorded, days=30 if known is None else known["days"])


def _due_records(facts):
    for found in streams(facts, "record"):
        moves = [fact for fact in found if fact.verb != "updated"]
        if moves and moves[-1].verb == "trashed":
            yield {
                "stream": found[0].stream,
                "action": "purge",
                "collection": moves[-1].data["collection"],
                "trashed": moves[-1].recorded,
                "due": _restorable_until(facts, moves[-1]),
            }


def _due_media(facts):
    for found in streams(facts, "media"):
        purged = max((fact.position for fact in found if fact.verb == "purged"), default=-1)
        since = [fact for fact in found if fact.position > purged]
        until = _kept_until(since)
        moves = [fact for fact in since if fact.verb in ("stored", "trashed", "restored")]
        in_trash = moves and moves[-1].verb == "trashed"
        if not in_trash and until is None:
            continue
        row = {"stream": found[0].stream, "action": "purge", "retain_until": until}
        if in_trash:
            due = [_restorable_until(facts, moves[-1])]
            if until is not None:
                due.append(_morning_after(until))
            row |= {"trashed": moves[-1].recorded, "due": None if due[0] is None else max(due)}
        yield row


def _kept_until(found):
    until = None
    for fact in found:
        said = fact.data.get("retain_until")
        if said is not None:
            until = said if fact.verb == "retention_extended" else max(said, until or "")
    return until


def _morning_after(day):
    if day == "9999-12-31":
        return f"{day}T00:00:00.000000Z"
    return f"{dt.date.fromisoformat(day) + dt.timedelta(days=1)}T00:00:00.000000Z"


def _due_accounts(facts):
    for found in streams(facts, "account"):
        settled = only(found, "account.settled")
        owing = [fact for fact in found if not settled or fact.position > settled[-1].position]
        telling = [fact for fact in owing if fact.verb != "frozen"]
        if not telling:
            continue
        bills = only(owing, "account.payment_overdue")
        offers = only(owing, "account.export_offered")
        eligible = only(owing, "account.deletion_eligible")
        warnings = only(owing, "account.final_warning_sent")
        row = {"stream": found[0].stream, "action": "delete_account", "overdue_since": None}
        start = -1
        if bills:
            oldest = min(bills, key=lambda fact: fact.data["due"])
            start, row["overdue_since"] = oldest.position, oldest.data["due"]
            so_far = [fact for fact in facts if fact.position < start]
            _, known = terms(so_far, "account", oldest.time[:10], oldest.data.get("policy_version"))
            if known is not None:
                due = dt.date.fromisoformat(oldest.data["due"]) + dt.timedelta(days=known["deletion_days"])
                row["eligible_from"] = str(due)
        said = last([fact for fact in warnings if fact.position > start], "eligible_from")
        if said is not None:
            row["eligible_from"] = said
        row["export_offered"] = offers[-1].recorded if offers else None
        row["eligible"] = eligible[-1].recorded if eligible else None
        if eligible:
            row["due"] = row["eligible"]
        elif offers and row.get("eligible_from"):
            row["due"] = max(row["export_offered"], f"{row['eligible_from']}T00:00:00.000000Z")
        yield row


def trash_terms(facts):
    return terms_rows(facts, "trash")


def deletion_terms(facts):
    return terms_rows(facts, "account")


TABLES = (
    media,
    media_versions,
    media_contents,
    media_by_kind,
    records,
    record_relations,
    collections,
    record_fields,
    record_contents,
    collection_terms,
    holds,
    held,
    due_retention,
    trash_terms,
    deletion_terms,
)
