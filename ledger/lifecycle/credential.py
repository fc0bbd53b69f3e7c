"""The lifecycle of a credential: issued once, revoked for ever, and refused at any time."""

from __future__ import annotations

from ledger.lifecycle.base import plain, stay

LIFECYCLE = plain(
    "credential",
    {
        "issued": {None: "active", "unknown": "active"},
        "revoked": {"active": "revoked"},
        "refused": {None: "unknown", **stay("unknown", "active", "revoked")},
    },
)
