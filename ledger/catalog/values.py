"""The public value types that the catalogue's fields are made of: codes, ids, dates, decimals, bounded counts.

Owns their patterns, with the words for each, and their bounds. Never a free text: a public string is one of these or an
enumeration, so that the log itself holds no personal data. Every integer is within what a JSON reader keeps exactly
(RFC 8785, |n| < 2**53).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from ledger import moment
from ledger.canonical import MAX_INTEGER
from ledger.errors import InvalidEvent
from ledger.patterns import shaped

CODE = shaped(r"[a-z0-9][a-z0-9_-]{0,63}", "a code: 1 to 64 of a-z, 0-9, _ and -, the first a letter or digit")
LABEL = shaped(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1 to 64 of A-Z, a-z, 0-9 and ._-, the first a letter or digit")
ID_PATTERN = r"[A-Za-z0-9._-][A-Za-z0-9._:-]{0,127}"
ID = shaped(ID_PATTERN, "an id: 1 to 128 of A-Z, a-z, 0-9 and ._-, and : after the first")

Code = Annotated[
    str,
    Meta(title="code", pattern=CODE, description="a word of the studio's own, lower case"),
]
Reason = Annotated[
    str,
    Meta(title="reason", pattern=CODE, description="why, as a code of the studio's own"),
]
Station = Annotated[
    str,
    Meta(
        title="station",
        pattern=LABEL,
        description="a kiln, shelf or room, as a code",
    ),
]
Id = Annotated[
    str,
    Meta(title="id", pattern=ID, description="an opaque id, never a name"),
]
Decimal = Annotated[
    str,
    Meta(
        title="decimal",
        pattern=shaped(
            r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,12})?",
            "a decimal number as a string, such as -12.5, of at most 18 digits and 12 after the point",
        ),
        description="a decimal number as a string, since the log holds no floats",
    ),
]
Date = Annotated[dt.date, Meta(title="date", description="a day of the calendar, YYYY-MM-DD")]
_DAY, _CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}"
Instant = Annotated[
    str,
    Meta(
        title="instant",
        pattern=shaped(
            rf"{_DAY}T{_CLOCK}:[0-9]{{2}}(?:\.[0-9]{{1,9}})?(?:Z|[+-]{_CLOCK})",
            "a moment with its offset (RFC 3339), such as 2026-03-01T09:30:00Z",
        ),
        description="a moment, RFC 3339 with its offset; kept as written",
        extra={"instant": True},
        extra_json_schema={"format": "date-time"},
    ),
]
Amount = Annotated[
    str,
    Meta(
        title="amount",
        pattern=shaped(
            r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,4})?",
            "an amount as a string, such as 15.00, of at most 12 digits and 4 after the point",
        ),
        description="an amount of money, not negative, as a decimal string",
    ),
]
Currency = Annotated[
    str,
    Meta(
        title="currency",
        pattern=shaped(r"[A-Z]{3}", "three capital letters (ISO 4217), such as EUR"),
        description="an ISO 4217 currency code",
    ),
]
Seconds = Annotated[
    str,
    Meta(
        title="seconds",
        pattern=shaped(
            r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,6})?",
            "seconds as a string, such as 1.5, of at most 12 digits and 6 after the point",
        ),
        description="a length of time in seconds, as a decimal string",
    ),
]
Digest = Annotated[
    str,
    Meta(
        title="digest",
        pattern=shaped(r"[0-9a-f]{64}", "a SHA-256 in hex: 64 of 0-9 and a-f"),
        description="a SHA-256 digest in lower-case hex",
    ),
]
Count = Annotated[int, Meta(title="count", ge=0, le=1_000_000, description="how many, none included")]
Positive = Annotated[int, Meta(title="positive", ge=1, le=1_000_000, description="how many, one at least")]
Total = Annotated[int, Meta(title="total", ge=0, le=MAX_INTEGER, description="how many, of what may be a great many")]
Size = Annotated[int, Meta(title="size", ge=0, le=MAX_INTEGER, description="how many bytes")]
Position = Annotated[
    int, Meta(title="position", ge=0, le=MAX_INTEGER, description="the position of an entry in the log")
]

VALUES = (
    Code,
    Reason,
    Station,
    Id,
    Decimal,
    Amount,
    Currency,
    Date,
    Instant,
    Seconds,
    Digest,
    Count,
    Positive,
    Total,
    Size,
    Position,
)
"""All of them; each carries its name as the title in its JSON Schema."""


def check_order(earlier: str | UnsetType, later: str | UnsetType, path: str, names: tuple[str, str]) -> None:
    """Check that of two ``Instant`` values, where both are present, the first is not after the second.

    ``path`` is that of the object they are fields of, ``names`` are their JSON names. Raises ``InvalidEvent``.
    """
    if isinstance(earlier, UnsetType) or isinstance(later, UnsetType):
        return
    if moment.microseconds(earlier) > moment.microseconds(later):
        raise InvalidEvent(f"{names[1]} {later} is before {names[0]} {earlier}", f"{path}.{names[1]}")


def check_range(first: int | UnsetType, last: int | UnsetType, path: str) -> None:
    """Check that ``first_position`` and ``last_position``, fields of the object at ``path``, are a range or absent.

    Raises ``InvalidEvent``.
    """
    if isinstance(first, UnsetType) or isinstance(last, UnsetType):
        if first is not last:
            missing = "first_position" if first is UNSET else "last_position"
            raise InvalidEvent("a range of positions has both ends, or none", f"{path}.{missing}")
    elif first > last:
        raise InvalidEvent(f"last_position {last} is before first_position {first}", f"{path}.last_position")
