"""The read model ``operations``: who may use the ledger, what went wrong, and what its operators decided.

Owns seven tables: ``credentials`` and ``incidents``, a row each; ``credential_refusals``, ``attested_roots``,
``skipped_entries`` and ``ledger_changes``, a row for each such event; ``policies``, a row for each version that was
set. What was exported, imported, backed up, restored and drilled stands in read models of its own. Never holds a token,
never copies a private value, and never reads or writes a store.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.entry import Seal
from ledger.lifecycle import StatusState
from projections.models._streams import StreamRow, advance, as_json, committed, head, put_given, touch
from projections.projection import Commitments, Event, Json, Projection, Row, Table
from projections.work import Work


class Credential(StreamRow):
    """A credential as it stands."""

    status: Annotated[str, Meta(description="active, revoked, or unknown where none was ever issued")]
    role: Annotated[str | None, Meta(description="what it may do: owner, admin, service, auditor or member")] = None
    actor_roles: Annotated[Json | None, Meta(description="the roles it may act in: a list")] = None
    scopes: Annotated[Json | None, Meta(description="what it is limited to, if to less than its role: a list")] = None
    sees_member: Annotated[str | None, Meta(description="for the role member: whose history it sees")] = None
    expires: Annotated[str | None, Meta(description="until when it holds")] = None
    issued: Annotated[str | None, Meta(description="when it was issued")] = None
    issued_by: Annotated[str | None, Meta(description="the credential of who asked for it")] = None
    revoked: Annotated[str | None, Meta(description="when it was revoked")] = None
    revoked_by: Annotated[str | None, Meta(description="the credential of who asked for that")] = None
    revoke_reason: Annotated[str | None, Meta(description="why it was revoked")] = None
    refusals: Annotated[int, Meta(description="how often it was refused something")] = 0
    refused: Annotated[str | None, Meta(description="when it was refused something last")] = None


class Refusal(Row):
    """What a credential was refused."""

    stream: Annotated[str, Meta(description="the credential's stream")]
    version: Annotated[int, Meta(description="the version of the stream that the event made")]
    position: Annotated[int, Meta(description="the position of its entry")]
    action: Annotated[str, Meta(description="what was asked for, as a code")]
    reason: Annotated[str, Meta(description="why it was refused, as a code")]
    count: Annotated[int, Meta(description="how many times")]
    first_at: Annotated[str | None, Meta(description="the first of these times")]
    last_at: Annotated[str | None, Meta(description="the last of these times")]
    time: Annotated[str, Meta(description="when the event says that it happened")]


class Incident(StreamRow):
    """An incident as it stands."""

    status: Annotated[str, Meta(description="open or closed")]
    incident: Annotated[str | None, Meta(description="what kind: audit-fault, storage-full, backup-failed…")] = None
    severity: Annotated[str | None, Meta(description="low, medium, high or critical")] = None
    detected_at: Annotated[str | None, Meta(description="when it was noticed")] = None
    opened: Annotated[str | None, Meta(description="when it was opened last")] = None
    times_opened: Annotated[int, Meta(description="how often it was opened")] = 0
    backup: Annotated[str | None, Meta(description="the id of the backup that it is about")] = None
    drill: Annotated[str | None, Meta(description="the id of the drill in which it showed")] = None
    fault_position: Annotated[int | None, Meta(description="the first faulty position of an audit")] = None
    closed: Annotated[str | None, Meta(description="when it was closed last")] = None
    close_reason: Annotated[str | None, Meta(description="how it ended, as a code")] = None
    post_mortem: Annotated[str | None, Meta(description="the media id of what was learnt from it")] = None
    private: Annotated[Commitments | None, Meta(description="the private fields: `notes`")] = None


class Attested(Row):
    """The root that a projection's state had."""

    position: Annotated[int, Meta(description="the position of the entry that attests it")]
    projection: Annotated[str, Meta(description="the projection")]
    attested_position: Annotated[int, Meta(description="the position up to which the state was folded")]
    projection_version: Annotated[int, Meta(description="the version of the projection's code")]
    root: Annotated[str, Meta(description="the root of its rows, in hex")]
    rows: Annotated[int, Meta(description="how many rows it had, in all its tables")]
    recorded: Annotated[str, Meta(description="when the entry was recorded")]


class Policy(Row):
    """A version of a policy."""

    policy: Annotated[str, Meta(description="the policy's stream")]
    version: Annotated[int, Meta(description="which version, from 1")]
    topic: Annotated[str, Meta(description="account, collection, retention, storage or trash")]
    effective_from: Annotated[str, Meta(description="the first day on which it holds")]
    terms: Annotated[Json, Meta(description="the terms")]
    reason: Annotated[str | None, Meta(description="why, as a code")]
    time: Annotated[str, Meta(description="when it was set, as the event says")]
    actor: Annotated[str, Meta(description="the id of who set it")]
    position: Annotated[int, Meta(description="the position of its entry")]
    private: Annotated[Commitments | None, Meta(description="the private fields: `notes`")]


class Skipped(Row):
    """An entry that a projection leaves out."""

    projection: Annotated[str, Meta(description="the projection")]
    position: Annotated[int, Meta(description="the position of the entry that says so")]
    skipped_position: Annotated[int, Meta(description="the position of the entry that is left out")]
    projection_version: Annotated[int, Meta(description="the version of the projection's code for which it holds")]
    reason: Annotated[str, Meta(description="why, as a code")]
    asked_by: Annotated[str, Meta(description="the id of who decided so")]
    recorded: Annotated[str, Meta(description="when it was recorded")]


class Change(Row):
    """A change of the ledger itself."""

    position: Annotated[int, Meta(description="the position of its entry")]
    change: Annotated[str, Meta(description="created, key_rotated, frozen or thawed")]
    reason: Annotated[str | None, Meta(description="why, as a code")]
    origin: Annotated[str | None, Meta(description="for created: the ledger's public name")]
    verifier_keys: Annotated[Json | None, Meta(description="the keys that hold from there on: a list")]
    actor: Annotated[str, Meta(description="the id of who did it")]
    recorded: Annotated[str, Meta(description="when it was recorded")]


CREDENTIALS: Final = Table(
    "credentials", Credential, "Each credential as it stands.", by_stream=True, indexes=(("status",), ("role",))
)
REFUSALS: Final = Table("credential_refusals", Refusal, "What credentials were refused.", key_length=2)
INCIDENTS: Final = Table(
    "incidents", Incident, "Each incident as it stands.", by_stream=True, indexes=(("status",), ("severity",))
)
ATTESTED: Final = Table("attested_roots", Attested, "The state roots that were attested.", key_length=2)
POLICIES: Final = Table("policies", Policy, "Every version of every policy.", key_length=2)
SKIPPED: Final = Table("skipped_entries", Skipped, "Entries that a projection leaves out.", key_length=2)
CHANGES: Final = Table("ledger_changes", Change, "How the ledger began, its keys, and when it was frozen.")
PROJECTION: Final = Projection(
    "operations", version=1, tables=(CREDENTIALS, REFUSALS, INCIDENTS, ATTESTED, POLICIES, SKIPPED, CHANGES)
)


def _credential(work: Work, event: Event, seal: Seal) -> Credential:
    """The row of the event's credential, where the event leads."""
    row = work.change(CREDENTIALS, event.stream)
    status = advance("credential", None if row is None else StatusState(row.status), event, seal).status
    if row is None:
        return work.put(CREDENTIALS, Credential(*head(event, seal), status))
    touch(row, event, seal)
    row.status = status
    return row


@PROJECTION.on("credential.issued")
def _issued(work: Work, event: Event, seal: Seal) -> None:
    row, data = _credential(work, event, seal), event.data
    put_given(row, data, "role", "sees_member", "expires", "issued_by")
    row.issued = event.time
    row.actor_roles = as_json(data["actor_roles"])
    row.scopes = as_json(data["scopes"]) if "scopes" in data else None


@PROJECTION.on("credential.revoked")
def _revoked(work: Work, event: Event, seal: Seal) -> None:
    row, data = _credential(work, event, seal), event.data
    row.revoked, row.revoke_reason, row.revoked_by = event.time, data["reason"], data.get("revoked_by")


@PROJECTION.on("credential.refused")
def _refused(work: Work, event: Event, seal: Seal) -> None:
    row, data = _credential(work, event, seal), event.data
    row.refusals += data["count"]
    row.refused = data.get("last_at", event.time)
    refusal = Refusal(
        event.stream,
        seal.version,
        seal.position,
        data["action"],
        data["reason"],
        data["count"],
        data.get("first_at"),
        data.get("last_at"),
        event.time,
    )
    work.add(REFUSALS, refusal)


def _incident(work: Work, event: Event, seal: Seal) -> Incident:
    """The row of the event's incident, where the event leads."""
    row = work.change(INCIDENTS, event.stream)
    status = advance("incident", None if row is None else StatusState(row.status), event, seal).status
    if row is None:
        row = work.put(INCIDENTS, Incident(*head(event, seal), status))
    else:
        touch(row, event, seal)
        row.status = status
    row.private = committed(row.private, event, seal)
    return row


@PROJECTION.on("incident.opened")
def _opened(work: Work, event: Event, seal: Seal) -> None:
    row = _incident(work, event, seal)
    put_given(row, event.data, "backup", "detected_at", "drill", "fault_position", "incident", "severity")
    row.opened = event.time
    row.times_opened += 1


@PROJECTION.on("incident.closed")
def _closed(work: Work, event: Event, seal: Seal) -> None:
    row = _incident(work, event, seal)
    row.closed, row.close_reason = event.time, event.data["reason"]
    put_given(row, event.data, "post_mortem")


@PROJECTION.on("state.attested")
def _attested(work: Work, event: Event, seal: Seal) -> None:
    at = event.data["position"]
    for each in event.data["roots"]:
        row = Attested(seal.position, each["name"], at, each["version"], each["root"], each["rows"], seal.recorded)
        work.add(ATTESTED, row)


@PROJECTION.on("policy.set")
def _policy_set(work: Work, event: Event, seal: Seal) -> None:
    data = event.data
    topic = event.stream.partition(":")[2].partition(".")[0]
    row = Policy(
        event.stream,
        data["version"],
        topic,
        data["effective_from"],
        as_json(data[topic]),
        data.get("reason"),
        event.time,
        event.actor.id,
        seal.position,
        committed(None, event, seal),
    )
    work.put(POLICIES, row)


@PROJECTION.on("projection.skipped")
def _skipped(work: Work, event: Event, seal: Seal) -> None:
    data = event.data
    row = Skipped(
        event.stream.partition(":")[2],
        seal.position,
        data["position"],
        data["projection_version"],
        data["reason"],
        data["asked_by"],
        seal.recorded,
    )
    work.add(SKIPPED, row)


@PROJECTION.on("ledger.created", "ledger.key_rotated", "ledger.frozen", "ledger.thawed")
def _ledger_changed(work: Work, event: Event, seal: Seal) -> None:
    data = event.data
    row = Change(
        seal.position,
        event.type.partition(".")[2],
        data.get("reason"),
        data.get("origin"),
        as_json(data["verifier_keys"]) if "verifier_keys" in data else None,
        event.actor.id,
        seal.recorded,
    )
    work.add(CHANGES, row)
