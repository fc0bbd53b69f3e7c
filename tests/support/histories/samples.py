"""Random data of an event type, made from its JSON Schema: well-formed, but with no thought for what belongs together.

Owns the values of single fields. What hangs together (orders, links, versions) is ``histories``' to put right. A type
that is new to the catalogue is sampled as it is; a string with a pattern of its own needs a line in ``PATTERNED``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from ledger import catalog, moment

Make = Callable[[Random, int], Any]
"""Makes a value, given a source of chance and the time in microseconds."""

DAY = 86_400_000_000
WORDS = ("blue", "by-client", "cone-6", "desk", "kiln_2", "late", "no-room", "rush", "wax", "x1")
TEXTS = ("", "Zoë", 'said: "later" — 明日 😀', "1 Quay St\nGalway", "a\\b/c\t", "O'Hara, 2 bowls", "zoe@example.org")
HEX = "0123456789abcdef"


def text(rng: Random, now: int) -> str:
    """What a person might write, odd characters included."""
    return f"{rng.choice(TEXTS)}{rng.randrange(1000)}" if rng.random() < 0.8 else rng.choice(TEXTS)


def instant(rng: Random, now: int) -> str:
    """A moment within some days of now; of all the forms that there are."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now + rng.randrange(-5 * DAY, 40 * DAY))
    if rng.random() < 0.7:
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return at.strftime("%Y-%m-%dT%H:%M:%S.5+01:00" if rng.random() < 0.5 else "%Y-%m-%dT%H:%M:%S.123456789-05:30")


def day(rng: Random, now: int) -> str:
    """A date within some weeks of now."""
    return day_of(now + rng.randrange(-20, 60) * DAY)


def day_of(at: int) -> str:
    """The date of a time in microseconds."""
    return moment.recorded(at)[:10]


def digest(rng: Random, now: int) -> str:
    """Any digest."""
    return f"{rng.getrandbits(256):064x}"


def amount(rng: Random, now: int) -> str:
    """Some money."""
    return f"{rng.randrange(200)}.{rng.randrange(100):02d}" if rng.random() < 0.8 else str(rng.randrange(50))


TITLED: dict[str, Make] = {
    "code": lambda rng, now: rng.choice(WORDS),
    "reason": lambda rng, now: rng.choice(WORDS),
    "station": lambda rng, now: f"K{rng.randrange(6)}",
    "id": lambda rng, now: f"id-{rng.randrange(100)}",
    "decimal": lambda rng, now: ("-" if rng.random() < 0.2 else "") + amount(rng, now),
    "amount": amount,
    "currency": lambda rng, now: rng.choice(("EUR", "EUR", "USD")),
    "date": day,
    "instant": instant,
    "seconds": lambda rng, now: f"{rng.randrange(300)}.{rng.randrange(1_000_000):06d}",
    "digest": digest,
    "count": lambda rng, now: rng.randrange(20),
    "positive": lambda rng, now: rng.randrange(1, 20),
    "total": lambda rng, now: rng.randrange(5000),
    "size": lambda rng, now: rng.randrange(rng.choice((100, 10_000_000, 2**53))),
    "position": lambda rng, now: rng.randrange(1000),
}
PATTERNED: dict[str, Make] = {
    "code": lambda rng, now: f"MF-RES-{rng.getrandbits(32):08X}",
    "key": lambda rng, now: f"{rng.randrange(2020, 2027)}/{rng.getrandbits(40):x}.jpg",
    "locale": lambda rng, now: rng.choice(("en-IE", "de", "pt-BR")),
    "media_type": lambda rng, now: rng.choice(("image/jpeg", "video/mp4", "text/plain")),
    "name": lambda rng, now: rng.choice(("reservations", "pieces", "media", "members")),
    "field": lambda rng, now: rng.choice(WORDS),
    "table": lambda rng, now: rng.choice(("reservations", "stage_history", "pieces")),
    "verifier_keys": lambda rng, now: f"ledger.example/studio+{rng.getrandbits(32):08x}+AaBbCc/+09==",
}
"""By the name of a field: its value, where that is a string with a pattern that no other type of value has."""

PLAIN: dict[str, Make] = {
    "boolean": lambda rng, now: rng.random() < 0.5,
    "object": lambda rng, now: {rng.choice(WORDS): rng.randrange(9) for _ in range(rng.randint(1, 3))},
}
"""By the name of a type of JSON."""


def sample(name: str, rng: Random, now: int) -> dict[str, Any]:
    """Data of the type ``name``: its required fields, and few, some or all of the others."""
    likely = rng.choice((0.0, 0.3, 0.9))
    return {field: make(rng, now) for field, needed, make in _fields(name) if needed or rng.random() < likely}


@cache
def _fields(name: str) -> tuple[tuple[str, bool, Make], ...]:
    schema = catalog.json_schema(name)
    return _object(schema, schema.get("$defs", {}))


def _object(schema: dict[str, Any], definitions: dict[str, Any]) -> tuple[tuple[str, bool, Make], ...]:
    needed = schema.get("required", ())
    return tuple((name, name in needed, _make(name, of, definitions)) for name, of in schema["properties"].items())


def _make(name: str, schema: dict[str, Any], definitions: dict[str, Any]) -> Make:
    """How to make a value of a schema, found once."""
    if "$ref" in schema:
        fields = _object(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return lambda rng, now: {one: make(rng, now) for one, needed, make in fields if needed or rng.random() < 0.5}
    if "enum" in schema:
        return lambda rng, now: rng.choice(schema["enum"])
    if schema.get("title") in TITLED:
        return TITLED[schema["title"]]
    match schema["type"]:
        case "array":
            one = _make(name, schema["items"], definitions)
            low, high = schema.get("minItems", 0), min(schema["maxItems"], 3)
            return lambda rng, now: [one(rng, now) for _ in range(rng.randint(low, high))]
        case "integer":
            return lambda rng, now: rng.randint(schema["minimum"], min(schema["maximum"], schema["minimum"] + 50))
        case "string":
            return PATTERNED[name] if "pattern" in schema else text
    return PLAIN[schema["type"]]
