"""The smallest and the fullest example of each type that tells how the ledger is run. ``examples`` has them all."""

from typing import Any

NOTES = {"notes": "ask Zoë ☎"}
REASON = {"reason": "by-rule"}
DIGEST = "0123456789abcdef" * 4
RANGE = {"first_position": 0, "last_position": 2**53 - 1}
TREE = {"root": DIGEST, "tree_size": 2**53 - 1}
ASKED = {"requested_by": "boss"}
TOOK = {"duration_seconds": "0.042"}
STORAGE = {
    "billing_days": 28,
    "currency": "EUR",
    "grace_hours": 462,
    "half_shelf_day": "1.50",
    "prepaid": "15.00",
    "prepaid_hours": 672,
    "reminder_hours": [336, 420, 462],
}
COUNTS = {"added": 3, "failed": 0, "renamed": 0, "skipped": 1, "updated": 2}
BACKUP = {
    "encryption": "age",
    "entries": 7,
    "manifest_sha256": DIGEST,
    "sha256": DIGEST,
    "size": 4096,
    "vault": "cellar",
    **TREE,
    **TOOK,
}
EXPORT = {
    "anonymised": False,
    "entries": 3,
    "format": "bag",
    "redaction": "member",
    "values_withheld": 1,
    **TREE,
    **ASKED,
}

OPERATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "backup.completed": (
        {"generation": "base", "lock": "none", **BACKUP},
        {
            "generation": "increment",
            "lock": "compliance",
            "locked_until": "2027-03-01T00:00:00Z",
            "object_version": "v.1",
            "parent": "B-1",
            "recipients": 2,
            "rpo_seconds": "59.9",
            **RANGE,
            **BACKUP,
        },
    ),
    "backup.failed": (
        {"attempt": 1, "vault": "cellar", **REASON},
        {
            "attempt": 2,
            "detail": "403 from the vault",
            "retry_after": "2026-03-01T10:00:00Z",
            "vault": "cellar",
            **REASON,
            **TOOK,
        },
    ),
    "backup.pruned": ({"freed": 0, "vault": "cellar", **REASON}, {"freed": 4096, "vault": "cellar", **REASON}),
    "credential.issued": (
        {"actor_roles": ["client"], "role": "service"},
        {
            "actor_roles": ["client", "staff"],
            "expires": "2027-01-01T00:00:00Z",
            "issued_by": "boss",
            "role": "member",
            "scopes": ["export", "read"],
            "sees_member": "M-1",
        },
    ),
    "credential.refused": (
        {"action": "append", "count": 1, **REASON},
        {
            "action": "append",
            "count": 9,
            "first_at": "2026-03-01T10:00:00Z",
            "last_at": "2026-03-01T10:01:00Z",
            **REASON,
        },
    ),
    "credential.revoked": (REASON, {"revoked_by": "boss", **REASON}),
    "drill.completed": (
        {
            "backup": "B-1",
            "differing": ["reservations"],
            "entries": 0,
            "result": "failed",
            "vault": "cellar",
            **REASON,
            **TOOK,
        },
        {
            "backup": "B-1",
            "detail": "as hoped",
            "differing": [],
            "entries": 8,
            "last_position": 7,
            "result": "passed",
            "root": DIGEST,
            "rpo_seconds": "12",
            "rto_seconds": "33.25",
            "state_checked": 6,
            "vault": "cellar",
            **REASON,
            **TOOK,
        },
    ),
    "export.issued": (
        {"scope": "everything", "tables": [], **EXPORT},
        {
            "expires": "2026-04-01T00:00:00Z",
            "request": "J-1",
            "reservation": "R-1",
            "scope": "reservation",
            "size": 4096,
            "tables": [{"rows": 3, "table": "stage_history"}, {"rows": 1, "table": "reservations"}],
            **EXPORT,
            **RANGE,
            **TOOK,
        },
    ),
    "hold.placed": (
        {"scope": "everything", **REASON},
        {"case": "2026-7", "review_on": "2027-01-01", "scope": "stream", "target": "media:X-1"} | REASON | NOTES,
    ),
    "hold.released": (REASON, {**REASON, **NOTES}),
    "import.applied": (
        {"format": "csv", "mode": "ask", "sha256": DIGEST, "size": 10, **COUNTS, **ASKED},
        {"format": "bundle", "mode": "merge", "sha256": DIGEST, "size": 10, **COUNTS, **ASKED, **RANGE, **TOOK},
    ),
    "import.undone": (
        {"failed": 0, "kept": 1, "reversed": 5, **REASON, **ASKED},
        {"failed": 0, "kept": 1, "reversed": 5, **REASON, **ASKED, **RANGE, **TOOK},
    ),
    "incident.closed": (REASON, {"post_mortem": "M-9", **REASON, **NOTES}),
    "incident.opened": (
        {"incident": "audit-fault", "severity": "low"},
        {
            "backup": "B-1",
            "detected_at": "2026-03-01T09:00:00Z",
            "drill": "D-1",
            "fault_position": 7,
            "incident": "audit-fault",
            "severity": "critical",
            **NOTES,
        },
    ),
    "policy.set": (
        {"effective_from": "2026-03-01", "version": 1, "storage": STORAGE},
        {
            "effective_from": "2026-03-01",
            "version": 2,
            "storage": {**STORAGE, "prepaid_reminder_hours": [336, 600]},
            **REASON,
            **NOTES,
        },
    ),
    "projection.skipped": ({"asked_by": "boss", "position": 7, "projection_version": 1, **REASON},) * 2,
    "restore.completed": (
        {
            "backup": "B-1",
            "entries": 8,
            "erased_again": 0,
            "last_position": 7,
            "root": DIGEST,
            "rpo_seconds": "0",
            "rto_seconds": "12.5",
            "vault": "cellar",
            **REASON,
            **ASKED,
            **TOOK,
        },
        {
            "backup": "B-1",
            "entries": 8,
            "erased_again": 2,
            "last_position": 7,
            "point_in_time": "2026-03-01T09:00:00Z",
            "root": DIGEST,
            "rpo_seconds": "60",
            "rto_seconds": "12.5",
            "safety_backup": "B-2",
            "state_checked": 6,
            "vault": "cellar",
            **REASON,
            **ASKED,
            **TOOK,
        },
    ),
    "state.attested": (
        {"position": 0, "roots": [{"name": "pieces", "root": DIGEST, "rows": 0, "version": 1}]},
        {
            "position": 2**53 - 1,
            "roots": [
                {"name": "pieces", "root": DIGEST, "rows": 1, "version": 1},
                {"name": "reservations", "root": DIGEST, "rows": 9, "version": 2},
            ],
        },
    ),
}
