"""The smallest and the fullest example of each type that tells what is done for a member. ``examples`` has them all."""

from typing import Any

NOTES = {"notes": "Zoë asked ☎"}
REASON = {"reason": "no-answer"}
TERMS = {"policy_version": 3}
NOTICE = {"notification": "N-1"}
OWED = {"amount": "18.5", "currency": "EUR"}
WORK = {"reservation": "R-1"}
DIGEST = "0123456789abcdef" * 4
PLACE = {"location": {"key": "2026/03/a.jpg", "store": "main"}}

SERVICES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "account.deletion_eligible": ({}, {"days_overdue": 60, **TERMS, **NOTES}),
    "account.export_offered": ({}, {"expires": "2026-04-01T00:00:00Z", "export": "X-1", **NOTICE, **NOTES}),
    "account.final_warning_sent": (
        {},
        {"days_overdue": 45, "eligible_from": "2026-03-01", **NOTICE, **TERMS, **NOTES},
    ),
    "account.frozen": (
        {"blocked": ["uploads"]},
        {"blocked": ["uploads", "delivery"], "days_overdue": 7, **NOTICE, **TERMS, **REASON, **NOTES},
    ),
    "account.payment_overdue": (
        {"due": "2026-01-01", **OWED},
        {"due": "2026-01-01", "grace_ends": "2026-01-08", "invoice": "I-1", **OWED, **NOTICE, **TERMS, **NOTES},
    ),
    "account.settled": ({}, {"payment": "P-1", **OWED, **REASON, **NOTES}),
    "media.purged": (REASON, REASON),
    "media.restored": ({}, {**REASON, **NOTES}),
    "media.retention_extended": (
        {"retain_until": "2030-01-01", **REASON},
        {"retain_until": "2030-01-01", **REASON, **NOTES},
    ),
    "media.stored": (
        {"kind": "photo", "rendition": "original", "sha256": DIGEST, "size": 0, "version": 1, **PLACE},
        {
            "captured_at": "2026-03-01T09:00:00.5Z",
            "file_name": "Zoë's bowl.jpg",
            "kind": "video",
            "media_type": "video/mp4",
            "original": "M-1",
            "piece": "P-1",
            "record": "C-1",
            "rendition": "proxy",
            "retain_until": "2030-01-01",
            "sha256": DIGEST,
            "size": 2**53 - 1,
            "version": 2,
            **PLACE,
            **WORK,
            **NOTES,
        },
    ),
    "media.trashed": ({}, {**REASON, **NOTES}),
    "media.version_restored": ({"version": 1, **REASON}, {"version": 1, **REASON, **NOTES}),
    "notification.delivered": ({}, {"delivered_at": "2026-03-01T09:00:00Z"}),
    "notification.failed": (
        {"attempt": 1, "dead_letter": True, **REASON},
        {
            "attempt": 2,
            "dead_letter": False,
            "detail": "550 no such user: zoe@example.org",
            "provider": "post-office",
            "retry_after": "2026-03-01T10:00:00Z",
            **REASON,
        },
    ),
    "notification.queued": (
        {"channel": "email", "notice": "confirmed"},
        {
            "account": "A-1",
            "basis": "required",
            "body": "Dear Zoë,\n…",
            "channel": "email",
            "notice": "pickup_reminder_1",
            "piece": "P-1",
            "recipient": "zoe@example.org",
            "send_after": "2026-03-01T09:00:00+01:00",
            "storage": "S-1",
            "template": "reminder-en",
            "title": "Your bowl is ready",
            **WORK,
            **NOTES,
        },
    ),
    "notification.read": ({}, {"read_at": "2026-03-01T09:00:00Z"}),
    "notification.sent": ({"attempt": 1}, {"attempt": 2, "provider": "post-office", "provider_message": "x.1"}),
    "piece.note_added": (NOTES, NOTES),
    "piece.photo_attached": ({"photo": "M-1"}, {"photo": "M-1", **NOTES}),
    "piece.registered": (
        {"code": "MF-RES-H3T5XX-01A91F", "count": 1, **WORK},
        {"code": "MF-RES-H3T5XX-01A91F", "count": 6, "label": "Zoë's cups", "photo": "M-1", **WORK, **NOTES},
    ),
    "piece.status_changed": (
        {"to": "fired"},
        {"from": "loaded", "to": "fired", "station": "Kiln-1", **REASON, **NOTES},
    ),
    "storage.billed": (
        {
            "days": 1,
            "days_billed": 1,
            "first_day": "2026-03-01",
            "last_day": "2026-03-01",
            "half_shelves": 1,
            **OWED,
            **WORK,
        },
        {
            "days": 2,
            "days_billed": 28,
            "first_day": "2026-02-28",
            "last_day": "2026-03-01",
            "half_shelves": 2,
            "invoice": "I-1",
            **OWED,
            **WORK,
            **NOTICE,
            **TERMS,
            **NOTES,
        },
    ),
    "storage.hold_started": (
        {"billing_from": "2026-03-01T09:00:00Z", **WORK},
        {"billing_from": "2026-03-01T09:00:00Z", **WORK, **NOTICE, **TERMS, **REASON, **NOTES},
    ),
    "storage.picked_up": (WORK, {"via": "desk", **WORK, **NOTES}),
    "storage.pickup_missed": (
        WORK,
        {
            "start": "2026-03-01T09:00:00Z",
            "end": "2026-03-01T12:00:00Z",
            "misses": 1,
            **WORK,
            **NOTICE,
            **NOTES,
        },
    ),
    "storage.prepaid": (
        {"covered_until": "2026-03-29T09:00:00Z", **OWED, **WORK},
        {"covered_until": "2026-03-29T09:00:00Z", "payment": "P-1", **OWED, **WORK, **TERMS, **NOTES},
    ),
    "storage.ready_for_pickup": (
        {"grace_ends": "2026-03-20T15:00:00Z", "half_shelves": 1, "ready_at": "2026-03-01T09:00:00Z", **WORK},
        {
            "grace_ends": "2026-03-20T15:00:00Z",
            "half_shelves": 2,
            "pieces": ["P-1", "P-2"],
            "ready_at": "2026-03-01T09:00:00Z",
            "station": "Shelf-7",
            **WORK,
            **NOTICE,
            **TERMS,
            **NOTES,
        },
    ),
    "storage.reclaimed": (
        {**REASON, **WORK},
        {"disposition": "archived", **REASON, **WORK, **NOTICE, **TERMS, **NOTES},
    ),
    "storage.reminder_failed": (
        {"attempt": 1, "reminder": 1, **REASON, **WORK},
        {
            "attempt": 2,
            "detail": "timed out",
            "due": "2026-03-15T09:00:00Z",
            "reminder": 3,
            **REASON,
            **WORK,
            **NOTICE,
        },
    ),
    "storage.reminder_sent": (
        {"reminder": 1, **WORK},
        {"due": "2026-03-15T09:00:00Z", "reminder": 1, **WORK, **NOTICE, **TERMS},
    ),
}
