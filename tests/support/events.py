"""Small builders of CloudEvents and ledgers, for tests of any part.

Owns no fixtures and no assertions. Every event is valid as it comes; what a test is about, it passes by name.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

from ledger.log import Log
from ledger.store.opening import StoreURL

ORIGIN = "ledger.example/studio"
SOURCE = "urn:test"
TIME = "2026-03-01T09:30:00Z"
_numbers = itertools.count(1)


def cloud(kind: str, subject: str, data: dict[str, Any] | None = None, **attributes: Any) -> bytes:
    """A CloudEvent as JSON bytes, with a fresh id unless one is given. An attribute that is None is left out."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"e-{next(_numbers)}",
        "source": SOURCE,
        "type": kind,
        "subject": subject,
        "time": TIME,
        "data": data or {},
    }
    event.update(attributes)
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


def requested(reservation: str = "R-1", member: str | None = "M-1", **attributes: Any) -> bytes:
    """A member asks for kiln capacity: the first event of a reservation. ``data`` may override fields."""
    data = {
        "firing_type": "glaze",
        "half_shelves": 2,
        "window": {"earliest": "2026-03-02", "latest": "2026-03-09"},
        "notes": "the blue one, please",
        **attributes.pop("data", {}),
    }
    return cloud("reservation.requested", f"reservation:{reservation}", data, member=member, **attributes)


def estimate_changed(reservation: str = "R-1", member: str | None = "M-1", **attributes: Any) -> bytes:
    """The estimate moves: an event that an unfinished reservation takes any number of times."""
    data = {"confidence": "high", **attributes.pop("data", {})}
    return cloud("reservation.estimate_changed", f"reservation:{reservation}", data, member=member, **attributes)


def stage_changed(to: str, reservation: str = "R-1", member: str | None = "M-1", **attributes: Any) -> bytes:
    """The work moves to another stage."""
    data = {"to": to, **attributes.pop("data", {})}
    return cloud("reservation.stage_changed", f"reservation:{reservation}", data, member=member, **attributes)


def plain(verb: str, reservation: str = "R-1", member: str | None = "M-1", **attributes: Any) -> bytes:
    """``confirmed``, ``waitlisted`` or ``cancelled``: a reservation event that needs no data."""
    data = attributes.pop("data", {})
    return cloud(f"reservation.{verb}", f"reservation:{reservation}", data, member=member, **attributes)


class Place(NamedTuple):
    """Where a test's ledger is: its folder, and the database of its store if that is PostgreSQL. Processes pass it."""

    data: Path
    database: str | None = None

    @property
    def store(self) -> StoreURL | None:
        return None if self.database is None else StoreURL(self.database)

    def create(self, **options: Any) -> Log:
        """The new ledger, opened."""
        return Log.create(self.data, "studio", ORIGIN, store=self.store, **options).log

    def open(self, **options: Any) -> Log:
        """The ledger, opened once more."""
        return Log.open(self.data, "studio", store=self.store, **options)


def new_log(data: Path, name: str = "studio", **options: Any) -> Log:
    """A new ledger under ``data``, opened; its entry 0 is ``ledger.created``."""
    return Log.create(data, name, ORIGIN, **options).log


def account_changed(
    change: str, giver: str, receiver: str, correlation: str | None = "c-1", **attributes: Any
) -> list[bytes]:
    """A transfer or a merge, told from both sides."""
    return [
        cloud(
            "member.account_changed",
            f"member:{own}",
            {"change": change, "counterpart": other, "side": side, "reason": "asked"},
            correlationid=correlation,
            **attributes,
        )
        for own, other, side in ((giver, receiver, "given"), (receiver, giver, "received"))
    ]
