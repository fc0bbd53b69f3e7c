"""The lifecycle of a restore: it is recorded once it is completed."""

from __future__ import annotations

from ledger.lifecycle.base import plain

LIFECYCLE = plain("restore", {"completed": {None: "completed"}})
