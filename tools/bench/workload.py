"""The events that benchmarks append: typed reservations with private notes, made here, the same in every run.

Owns their shape: four events a reservation, spread over time as a studio's are, for some thousands of members, one
event in four with a private field. The mix is steady once the first reservations are through, however many follow.
Never depends on data outside the project.
"""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

LEAD = 2_000
"""What ``lead`` is unless told otherwise."""
_STAY = 40
_START = dt.datetime(2024, 1, 1, 8)


class Posted(NamedTuple):
    """An event as a caller posts it, and which reservation it is of."""

    reservation: int
    id: str
    body: bytes


def stream(*, ordered_ids: bool = False, lead: int = LEAD, seed: int = 1) -> Iterator[Posted]:
    """CloudEvents without end, lifecycles kept.

    ``ordered_ids`` gives event ids that ascend with time instead of random-looking ones; ``lead`` is how many
    reservations are made, at most, between one's booking and its arrival. The mix is steady after as many.
    """
    chance = random.Random(seed)
    due: list[tuple[int, int, str]] = []  # when, which reservation, what happens to it
    count = 0
    for now in itertools.count():
        heapq.heappush(due, (now, now, "requested"))
        while due and due[0][0] <= now:
            _, number, verb = heapq.heappop(due)
            match verb:
                case "requested":
                    heapq.heappush(due, (now + 1, number, "confirmed"))
                case "confirmed":
                    heapq.heappush(due, (now + chance.randrange(1, lead), number, "stored"))
                case "stored":
                    heapq.heappush(due, (now + _STAY, number, "picked_up"))
            name = f"{seed:04d}-{count:010d}" if ordered_ids else f"{chance.getrandbits(128):032x}"
            count += 1
            yield Posted(number, name, orjson.dumps(_event(name, number, verb, now)))


def events(count: int, *, ordered_ids: bool = False, seed: int = 1) -> list[Posted]:
    """The first ``count`` events of a stream."""
    return list(itertools.islice(stream(ordered_ids=ordered_ids, seed=seed), count))


def shares(posted: Sequence[Posted], clients: int) -> list[list[Posted]]:
    """The events of each client: all of a reservation are one client's, since their order matters."""
    return [[event for event in posted if event.reservation % clients == client] for client in range(clients)]


def batches(posted: Sequence[Posted], size: int) -> list[list[Posted]]:
    """One client's events in requests of ``size``; a rest that fills none is left out."""
    return [list(posted[first : first + size]) for first in range(0, len(posted) - size + 1, size)]


_VERBS = {"requested": "requested", "confirmed": "confirmed", "stored": "stage_changed", "picked_up": "stage_changed"}


def _event(name: str, number: int, verb: str, now: int) -> dict[str, Any]:
    member = f"M-{number * 2654435761 % 4001:05d}"  # scattered, and the same at each of a reservation's events
    role = "client" if verb == "requested" else "staff"
    return {
        "specversion": "1.0",
        "id": name,
        "source": "urn:example:front-desk",
        "type": f"reservation.{_VERBS[verb]}",
        "subject": f"reservation:R-{number:07d}",
        "time": (_START + dt.timedelta(seconds=30 * now)).isoformat() + "Z",
        "member": member,
        "actor": member if role == "client" else f"desk-{number % 5}",
        "actorrole": role,
        "data": _data(number, verb, now),
    }


def _data(number: int, verb: str, now: int) -> dict[str, Any]:
    match verb:
        case "requested":
            arrival = _START.date() + dt.timedelta(days=now // 2880 + 1 + number % 90)
            return {
                "firing_type": ("bisque", "glaze", "other")[number % 3],
                "half_shelves": 1 + number % 5,
                "window": {
                    "earliest": arrival.isoformat(),
                    "latest": (arrival + dt.timedelta(days=3)).isoformat(),
                },
                "channel": "direct",
                "rate": f"{20 + number % 180}.50",
                "notes": f"party of {number % 7}, keep the blue bowls apart, shelf {number}",
            }
        case "confirmed":
            return {"station": f"K{number % 4}"}
        case "stored":
            return {"from": "intake", "to": "stored", "reason": "moved-in", "station": f"K{number % 4}"}
        case _:
            return {"from": "stored", "to": "picked_up", "reason": "collected"}
