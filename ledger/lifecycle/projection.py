"""The lifecycle of a projection's own stream: entries may be skipped one after another."""

from __future__ import annotations

from ledger.lifecycle.base import plain, stay

LIFECYCLE = plain("projection", {"skipped": {None: "skipping", **stay("skipping")}})
