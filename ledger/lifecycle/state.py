"""The lifecycle of the state: attested again and again."""

from __future__ import annotations

from ledger.lifecycle.base import plain, stay

LIFECYCLE = plain("state", {"attested": {None: "attested", **stay("attested")}})
