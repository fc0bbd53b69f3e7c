"""The lifecycle of an export: a bundle is issued once."""

from __future__ import annotations

from ledger.lifecycle.base import plain

LIFECYCLE = plain("export", {"issued": {None: "issued"}})
