"""The read model ``backups``: what is saved where, what failed, and what restores and drills showed.

Owns five tables: ``backups``, ``restores`` and ``drills``, a row each; ``backup_failures``, a row for each attempt that
failed; ``vaults``, how far each vault is, from which a reader sees whether backups are overdue. Never copies a private
value (what a vault answered), and never reads or writes a store.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.entry import Seal
from ledger.lifecycle import StatusState
from projections.models._streams import StreamRow, Sum, advance, as_json, committed, head, plus, put_given, touch
from projections.projection import Commitments, Event, Json, Projection, Row, Table
from projections.work import Work


class Backup(StreamRow):
    """A backup as it stands."""

    status: Annotated[str, Meta(description="failed, completed or pruned")]
    vault: Annotated[str | None, Meta(description="the studio's name for the vault")] = None
    generation: Annotated[str | None, Meta(description="base, or increment upon its parent")] = None
    parent: Annotated[str | None, Meta(description="the id of the backup that it builds upon")] = None
    encryption: Annotated[str | None, Meta(description="age, aes-256-gcm or none")] = None
    recipients: Annotated[int | None, Meta(description="how many keys can open it")] = None
    entries: Annotated[int | None, Meta(description="how many entries it holds")] = None
    first_position: Annotated[int | None, Meta(description="the position of the first")] = None
    last_position: Annotated[int | None, Meta(description="the position of the last")] = None
    tree_size: Annotated[int | None, Meta(description="how many entries the log held")] = None
    root: Annotated[str | None, Meta(description="the root of the tree at that size, in hex")] = None
    sha256: Annotated[str | None, Meta(description="the digest of the content as stored, in hex")] = None
    manifest_sha256: Annotated[str | None, Meta(description="the digest of its signed manifest, in hex")] = None
    size: Annotated[int | None, Meta(description="how many bytes are stored")] = None
    lock: Annotated[str | None, Meta(description="the vault's lock, as read back: none, governance or compliance")] = (
        None
    )
    locked_until: Annotated[str | None, Meta(description="until when it is locked")] = None
    object_version: Annotated[str | None, Meta(description="the vault's id of the version")] = None
    duration_seconds: Annotated[str | None, Meta(description="how long it took, a decimal")] = None
    rpo_seconds: Annotated[
        str | None, Meta(description="how old the oldest entry was that no backup held until then, a decimal")
    ] = None
    completed: Annotated[str | None, Meta(description="when it was completed")] = None
    failures: Annotated[int, Meta(description="attempts at it that failed")] = 0
    failed: Annotated[str | None, Meta(description="when an attempt failed last")] = None
    failure: Annotated[str | None, Meta(description="why it failed last, as a code")] = None
    retry_after: Annotated[str | None, Meta(description="when it is tried again, where it failed")] = None
    pruned: Annotated[str | None, Meta(description="when it was deleted from its vault")] = None
    prune_reason: Annotated[str | None, Meta(description="the rule that it fell under")] = None
    freed: Annotated[int | None, Meta(description="how many bytes that freed")] = None
    private: Annotated[Commitments | None, Meta(description="the private fields: `detail`")] = None


class Failure(Row):
    """An attempt at a backup that failed."""

    stream: Annotated[str, Meta(description="the backup's stream")]
    version: Annotated[int, Meta(description="the version of the stream that the event made")]
    position: Annotated[int, Meta(description="the position of its entry")]
    attempt: Annotated[int, Meta(description="which attempt at this backup, from 1")]
    vault: Annotated[str, Meta(description="the studio's name for the vault")]
    reason: Annotated[str, Meta(description="why, as a code")]
    time: Annotated[str, Meta(description="when, as the event says")]
    retry_after: Annotated[str | None, Meta(description="when it is tried again")]
    duration_seconds: Annotated[str | None, Meta(description="how long it took, a decimal")]
    private: Annotated[Commitments | None, Meta(description="the private fields of the event: `detail`")]


class Vault(Row):
    """How far a vault is."""

    vault: Annotated[str, Meta(description="the studio's name for the vault")]
    completed: Annotated[int, Meta(description="how many backups were completed there")] = 0
    failures: Annotated[int, Meta(description="how many attempts failed")] = 0
    pruned: Annotated[int, Meta(description="how many backups were deleted there")] = 0
    size: Annotated[
        Sum, Meta(description="how many bytes are stored there: of all that were completed, without what pruning freed")
    ] = "0"
    last_backup: Annotated[str | None, Meta(description="the stream of the last backup completed")] = None
    last_completed: Annotated[str | None, Meta(description="when that was recorded")] = None
    last_position: Annotated[int | None, Meta(description="the last position that any backup there holds")] = None
    last_failed: Annotated[str | None, Meta(description="when the last failure was recorded")] = None
    failures_since: Annotated[int, Meta(description="how many attempts failed since the last backup")] = 0


class Restore(StreamRow):
    """A restore."""

    status: Annotated[str, Meta(description="completed")]
    backup: Annotated[str | None, Meta(description="the id of the last backup of the chain that was used")] = None
    vault: Annotated[str | None, Meta(description="the studio's name for the vault")] = None
    reason: Annotated[str | None, Meta(description="why, as a code")] = None
    requested_by: Annotated[str | None, Meta(description="the id of who asked for it")] = None
    point_in_time: Annotated[str | None, Meta(description="the moment that was asked for, if one was")] = None
    entries: Annotated[int | None, Meta(description="how many entries are back")] = None
    last_position: Annotated[int | None, Meta(description="the position of the last")] = None
    root: Annotated[str | None, Meta(description="the root of the tree at that size, verified, in hex")] = None
    erased_again: Annotated[
        int | None, Meta(description="how many erasures and purges were done again before serving")
    ] = None
    state_checked: Annotated[int | None, Meta(description="the position whose attested state roots were compared")] = (
        None
    )
    safety_backup: Annotated[str | None, Meta(description="the id of the backup made of what was there before")] = None
    rpo_seconds: Annotated[
        str | None, Meta(description="how much time at the end could not be brought back, a decimal")
    ] = None
    rto_seconds: Annotated[str | None, Meta(description="how long it took until it served, a decimal")] = None
    duration_seconds: Annotated[str | None, Meta(description="how long it took, a decimal")] = None


class Drill(StreamRow):
    """A drill."""

    status: Annotated[str, Meta(description="completed")]
    result: Annotated[str | None, Meta(description="passed or failed")] = None
    reason: Annotated[str | None, Meta(description="why it failed")] = None
    backup: Annotated[str | None, Meta(description="the id of the last backup of the chain that was tried")] = None
    vault: Annotated[str | None, Meta(description="the studio's name for the vault")] = None
    entries: Annotated[int | None, Meta(description="how many entries came back")] = None
    last_position: Annotated[int | None, Meta(description="the position of the last")] = None
    root: Annotated[str | None, Meta(description="the root of the restored tree, in hex")] = None
    state_checked: Annotated[int | None, Meta(description="the position whose attested state roots were compared")] = (
        None
    )
    differing: Annotated[
        Json | None, Meta(description="the projections whose state roots were others than attested: a list")
    ] = None
    rpo_seconds: Annotated[str | None, Meta(description="how much time at the end did not come back, a decimal")] = None
    rto_seconds: Annotated[
        str | None, Meta(description="how long it took until the ledger could have served, a decimal")
    ] = None
    duration_seconds: Annotated[str | None, Meta(description="how long it took, a decimal")] = None
    private: Annotated[Commitments | None, Meta(description="the private fields: `detail`")] = None


BACKUPS: Final = Table(
    "backups",
    Backup,
    "Each backup as it stands.",
    by_stream=True,
    indexes=(("vault",), ("status",), ("parent",)),
)
FAILURES: Final = Table("backup_failures", Failure, "Each attempt at a backup that failed.", key_length=2)
VAULTS: Final = Table("vaults", Vault, "How far each vault is.")
RESTORES: Final = Table("restores", Restore, "Each restore.", by_stream=True)
DRILLS: Final = Table("drills", Drill, "Each drill, with what it measured.", by_stream=True, indexes=(("result",),))
PROJECTION: Final = Projection("backups", version=1, tables=(BACKUPS, FAILURES, VAULTS, RESTORES, DRILLS))

_COMPLETED: Final = (
    "duration_seconds",
    "encryption",
    "entries",
    "first_position",
    "generation",
    "last_position",
    "lock",
    "locked_until",
    "manifest_sha256",
    "object_version",
    "parent",
    "recipients",
    "root",
    "rpo_seconds",
    "sha256",
    "size",
    "tree_size",
    "vault",
)
_RESTORED: Final = (
    "backup",
    "duration_seconds",
    "entries",
    "erased_again",
    "last_position",
    "point_in_time",
    "reason",
    "requested_by",
    "root",
    "rpo_seconds",
    "rto_seconds",
    "safety_backup",
    "state_checked",
    "vault",
)
_DRILLED: Final = (
    "backup",
    "duration_seconds",
    "entries",
    "last_position",
    "reason",
    "result",
    "root",
    "rpo_seconds",
    "rto_seconds",
    "state_checked",
    "vault",
)


def _moved(work: Work, event: Event, seal: Seal) -> tuple[Backup, Vault]:
    """The rows of the event's backup, where the event leads, and of its vault."""
    row = work.change(BACKUPS, event.stream)
    status = advance("backup", None if row is None else StatusState(row.status), event, seal).status
    if row is None:
        row = work.put(BACKUPS, Backup(*head(event, seal), status))
    else:
        touch(row, event, seal)
        row.status = status
    row.private = committed(row.private, event, seal)
    name: str = event.data["vault"]
    row.vault = name
    return row, work.change(VAULTS, name) or work.put(VAULTS, Vault(name))


@PROJECTION.on("backup.completed")
def _completed(work: Work, event: Event, seal: Seal) -> None:
    row, vault = _moved(work, event, seal)
    data = event.data
    put_given(row, data, *_COMPLETED)
    row.completed, row.retry_after = event.time, None
    vault.completed += 1
    vault.size = plus(vault.size, data["size"])
    vault.failures_since = 0
    vault.last_backup, vault.last_completed = event.stream, seal.recorded
    if "last_position" in data:
        vault.last_position = max(data["last_position"], vault.last_position or 0)


@PROJECTION.on("backup.failed")
def _failed(work: Work, event: Event, seal: Seal) -> None:
    row, vault = _moved(work, event, seal)
    data = event.data
    row.failures += 1
    row.failed, row.failure, row.retry_after = event.time, data["reason"], data.get("retry_after")
    vault.failures += 1
    vault.failures_since += 1
    vault.last_failed = seal.recorded
    failure = Failure(
        event.stream,
        seal.version,
        seal.position,
        data["attempt"],
        data["vault"],
        data["reason"],
        event.time,
        data.get("retry_after"),
        data.get("duration_seconds"),
        committed(None, event, seal),
    )
    work.add(FAILURES, failure)


@PROJECTION.on("backup.pruned")
def _pruned(work: Work, event: Event, seal: Seal) -> None:
    row, vault = _moved(work, event, seal)
    row.pruned, row.prune_reason, row.freed = event.time, event.data["reason"], event.data["freed"]
    vault.pruned += 1
    vault.size = plus(vault.size, -event.data["freed"])


@PROJECTION.on("restore.completed")
def _restored(work: Work, event: Event, seal: Seal) -> None:
    row = work.change(RESTORES, event.stream)
    if row is None:
        row = work.put(RESTORES, Restore(*head(event, seal), "completed"))
    else:
        touch(row, event, seal)
    put_given(row, event.data, *_RESTORED)


@PROJECTION.on("drill.completed")
def _drilled(work: Work, event: Event, seal: Seal) -> None:
    row = work.change(DRILLS, event.stream)
    if row is None:
        row = work.put(DRILLS, Drill(*head(event, seal), "completed"))
    else:
        touch(row, event, seal)
    put_given(row, event.data, *_DRILLED)
    row.differing = as_json(event.data["differing"])
    row.private = committed(row.private, event, seal)
