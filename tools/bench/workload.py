"""The events that benchmarks append: typed reservations with private notes, made here, the same in every run.

Owns their shape: about four events a reservation, spread over time as a studio's are, for some thousands of members,
one event in four with a private field. Never depends on data outside the project.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Iterator
from typing import Any

import orjson

_START = dt.datetime(2024, 1, 1, 8)
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


def events(count: int, *, ordered_ids: bool = False, seed: int = 1) -> list[bytes]:
    """Return ``count`` CloudEvents as JSON, ordered by time, lifecycles kept.

    ``ordered_ids`` gives event ids that ascend with time instead of random-looking ones.
    """
    chance = random.Random(seed)
    made = [event for number in range(count // 4 + 1) for event in _reservation(number, chance)]
    made.sort(key=lambda event: event["time"])
    for number, event in enumerate(made):
        event["id"] = f"{seed:04d}-{number:09d}" if ordered_ids else str(uuid.uuid5(_NAMESPACE, f"{seed}/{number}"))
    return [orjson.dumps(event) for event in made[:count]]


def _reservation(number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    booked = _START + dt.timedelta(seconds=30 * number)
    arrival = booked + dt.timedelta(days=chance.randrange(1, 90))
    member = f"M-{chance.randrange(4000):05d}"

    def event(verb: str, moment: dt.datetime, role: str, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": "",
            "source": "urn:example:front-desk",
            "type": f"reservation.{verb}",
            "subject": f"reservation:R-{number:07d}",
            "time": moment.isoformat() + "Z",
            "member": member,
            "actor": member if role == "client" else f"desk-{number % 5}",
            "actorrole": role,
            "data": data,
        }

    window = {
        "earliest": arrival.date().isoformat(),
        "latest": (arrival.date() + dt.timedelta(days=3)).isoformat(),
    }
    requested = {
        "firing_type": chance.choice(("bisque", "glaze", "other")),
        "half_shelves": chance.randrange(1, 6),
        "window": window,
        "channel": "direct",
        "rate": f"{chance.randrange(20, 200)}.50",
        "notes": f"party of {number % 7}, keep the blue bowls apart, shelf {number}",
    }
    yield event("requested", booked, "client", requested)
    yield event("confirmed", booked + dt.timedelta(minutes=5), "staff", {"station": f"K{number % 4}"})
    moved = {"from": "intake", "to": "stored", "reason": "moved-in", "station": f"K{number % 4}"}
    yield event("stage_changed", arrival, "staff", moved)
    done = {"from": "stored", "to": "picked_up", "reason": "collected"}
    yield event("stage_changed", arrival + dt.timedelta(days=4), "staff", done)
