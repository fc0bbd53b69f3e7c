"""One smallest and one fullest example of the data of every event type, as a caller would post it."""

from typing import Any

from tests.support.rotations import rotation
from tests.unit.ledger.catalog.operations import OPERATIONS
from tests.unit.ledger.catalog.services import SERVICES

REASON = {"reason": "by-client"}
NOTES = {"notes": 'Zoë said: "later" — 明日 😀\n'}
WINDOW = {"window": {"earliest": "2026-02-28", "latest": "2026-03-01"}}
KEY = "example.org/studio+0f1e2d3c+AaBbCc/+09=="
SPAN = {"start": "2026-03-01T09:00:00Z", "end": "2026-03-01T09:00:00.000000001+00:00"}
PERSON = {
    "address": "1 Quay St, Galway",
    "birth_date": "1990-02-28",
    "email": "zoe@example.org",
    "name": "Zoë O'Hara",
    "phone": "+353 91 000 000",
    **NOTES,
}
STATION = {"station": "Kiln-1.B_2"}
COLLECTION = {"collection": "clients"}
FIELDS = {"name": "Zoë", "tags": ["a", {"b": None}], "paid": True, "count": 2**53 - 1, "empty": {}}
PUBLIC = {"total": "18.50", "due": "2026-03-01", "client": "C-7", "settled": False, "items": 3, "b": None}

EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **OPERATIONS,
    **SERVICES,
    "ledger.created": ({"format": 1, "origin": "example.org/studio", "verifier_keys": [KEY]},) * 2,
    "ledger.frozen": (REASON, REASON),
    "ledger.key_rotated": (rotation("one", "two").data(),) * 2,
    "ledger.thawed": (REASON, REASON),
    "member.account_changed": (
        {"change": "closed", **REASON},
        {"change": "merged", "counterpart": "M-2", "side": "received", **REASON, **NOTES},
    ),
    "member.contact_updated": ({"phone": "1"}, PERSON),
    "member.erased": (REASON, REASON),
    "member.registered": ({}, {"joined": "2026-01-01", "kind": "studio", "locale": "en-IE", **PERSON}),
    "record.created": ({**COLLECTION, "fields": {"a": None}}, {**COLLECTION, "fields": FIELDS, "public": PUBLIC}),
    "record.purged": ({**COLLECTION, **REASON},) * 2,
    "record.restored": (COLLECTION, {**COLLECTION, **REASON, **NOTES}),
    "record.trashed": (COLLECTION, {**COLLECTION, **REASON, **NOTES}),
    "record.updated": ({**COLLECTION, "public": {"a": None}}, {**COLLECTION, "fields": FIELDS, "public": PUBLIC}),
    "reservation.arrival_token_issued": (
        {"token": "t", "version": 1},
        {"token": "tök\n", "version": 2, "issued": "2026-03-01T09:00:00Z", "expires": "2026-03-02T09:00:00+01:00"},
    ),
    "reservation.arrived": (
        {},
        {
            "via": "desk",
            "state": "overdue",
            "expected_at": "2026-03-01T09:00:00Z",
            "photo": "M-1",
            "token_used": 2,
            **STATION,
            **REASON,
            **NOTES,
        },
    ),
    "reservation.cancelled": ({}, {**REASON, **NOTES}),
    "reservation.confirmed": ({}, {**STATION, **REASON, **NOTES}),
    "reservation.estimate_changed": (
        {"sla": "delayed"},
        {"sla": "at_risk", "confidence": "low", **SPAN, **REASON, **NOTES},
    ),
    "reservation.fairness_recorded": (
        {"kind": "no_show", "points": 2, **REASON},
        {
            "kind": "override",
            "points": 0,
            "boost": -1000,
            "expires": "2026-03-02T00:00:00Z",
            "evidence": "incident:I-7",
            "decided_by": "desk-1",
            **REASON,
            **NOTES,
        },
    ),
    "reservation.load_changed": ({"to": "loading"}, {"from": "queued", "to": "loading", **STATION, **REASON, **NOTES}),
    "reservation.pickup_window_changed": (
        {"state": "open"},
        {"state": "missed", "misses": 1, "reschedules": 0, **SPAN, **REASON, **NOTES},
    ),
    "reservation.requested": (
        {"firing_type": "bisque", "half_shelves": 1, **WINDOW},
        {
            "firing_type": "other",
            "half_shelves": 1_000_000,
            "add_ons": ["wax", "rush-48h"],
            "channel": "ta-to",
            "photo": "media:1",
            "preferred_station": "A",
            "queue_class": "regular",
            "queue_position": 0,
            "rate": "-6.38",
            "resources": {"kiln_profile": "cone-6", "rack_count": 2, "special_handling": ["fragile"]},
            **WINDOW,
            **NOTES,
        },
    ),
    "reservation.stage_changed": ({"to": "stored"}, {"from": "intake", "to": "stored", **STATION, **REASON, **NOTES}),
    "reservation.station_assigned": (
        STATION,
        {"queue_class": "rush", "queue_position": 1, **STATION, **REASON, **NOTES},
    ),
    "reservation.waitlisted": ({}, {"queue_class": "rush", "queue_position": 3, **STATION, **REASON, **NOTES}),
}


def stream_of(name: str) -> str:
    """The stream that the examples of a type may go to."""
    return {"policy.set": "policy:storage", "state.attested": "state:main"}.get(name, f"{name.partition('.')[0]}:X-1")
