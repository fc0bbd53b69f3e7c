"""The lifecycle of a hold: placed once, released once."""

from __future__ import annotations

from ledger.lifecycle.base import plain

LIFECYCLE = plain("hold", {"placed": {None: "placed"}, "released": {"placed": "released"}})
