"""The lifecycle of a drill: it is recorded once it is completed, passed or failed."""

from __future__ import annotations

from ledger.lifecycle.base import plain

LIFECYCLE = plain("drill", {"completed": {None: "completed"}})
