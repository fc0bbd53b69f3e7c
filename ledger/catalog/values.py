"""The public value types that the catalogue's fields are made of: codes, ids, dates, decimals, bounded counts.

Owns their patterns and bounds. Never a free text: a public string is one of these or an enumeration, so that the log
itself holds no personal data. Every integer is within what a JSON reader keeps exactly (RFC 8785, |n| < 2**53).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import Meta, UnsetType

from ledger import moment
from ledger.errors import InvalidEvent

# In Python ``$`` also matches before a last line feed, which no value may end in; JSON Schema readers know no ``\Z``.
END = r"$(?!\n)"

Code = Annotated[
    str,
    Meta(
        title="code", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}" + END, description="a word of the studio's own, lower case"
    ),
]
Reason = Annotated[
    str,
    Meta(title="reason", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}" + END, description="why, as a code of the studio's own"),
]
Station = Annotated[
    str,
    Meta(
        title="station",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}" + END,
        description="a kiln, shelf or room, as a code",
    ),
]
Id = Annotated[
    str,
    Meta(title="id", pattern=r"^[A-Za-z0-9._-][A-Za-z0-9._:-]{0,127}" + END, description="an opaque id, never a name"),
]
Decimal = Annotated[
    str,
    Meta(
        title="decimal",
        pattern=r"^-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,12})?" + END,
        description="a decimal number as a string, since the log holds no floats",
    ),
]
Date = Annotated[dt.date, Meta(title="date", description="a day of the calendar, YYYY-MM-DD")]
_DAY, _CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}"
Instant = Annotated[
    str,
    Meta(
        title="instant",
        pattern=rf"^{_DAY}T{_CLOCK}:[0-9]{{2}}(?:\.[0-9]{{1,9}})?(?:Z|[+-]{_CLOCK})" + END,
        description="a moment, RFC 3339 with its offset; kept as written",
        extra_json_schema={"format": "date-time"},
    ),
]
Count = Annotated[int, Meta(title="count", ge=0, le=1_000_000, description="how many, none included")]
Positive = Annotated[int, Meta(title="positive", ge=1, le=1_000_000, description="how many, one at least")]

VALUES = (Code, Reason, Station, Id, Decimal, Date, Instant, Count, Positive)
"""All of them; each carries its name as the title in its JSON Schema."""


def check_order(earlier: str | UnsetType, later: str | UnsetType, path: str, names: tuple[str, str]) -> None:
    """Check two ``Instant`` values where present: each real, and the first not after the second.

    ``path`` is that of the object they are fields of, ``names`` are their JSON names. Raises ``InvalidEvent``.
    """
    first = _microseconds(earlier, f"{path}.{names[0]}")
    last = _microseconds(later, f"{path}.{names[1]}")
    if first is not None and last is not None and first > last:
        raise InvalidEvent(f"{names[1]} {later} is before {names[0]} {earlier}", f"{path}.{names[1]}")


def _microseconds(text: str | UnsetType, path: str) -> int | None:
    if isinstance(text, UnsetType):
        return None
    try:
        return moment.microseconds(text)
    except ValueError as error:
        raise InvalidEvent(f"{error}, got {text}", path) from None
