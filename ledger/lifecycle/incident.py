"""The lifecycle of an incident: opened and closed, and opened again if it was not over."""

from __future__ import annotations

from ledger.lifecycle.base import plain

LIFECYCLE = plain("incident", {"opened": {None: "open", "closed": "open"}, "closed": {"open": "closed"}})
