"""The lifecycle of a backup: attempts may fail before it is completed; what is completed may be pruned."""

from __future__ import annotations

from ledger.lifecycle.base import plain, stay

LIFECYCLE = plain(
    "backup",
    {
        "completed": {None: "completed", "failed": "completed"},
        "failed": {None: "failed", **stay("failed")},
        "pruned": {"completed": "pruned"},
    },
)
