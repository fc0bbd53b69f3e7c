"""The lifecycle of an import: applied once, and undone at most once."""

from __future__ import annotations

from ledger.lifecycle.base import plain

LIFECYCLE = plain("import", {"applied": {None: "applied"}, "undone": {"applied": "undone"}})
