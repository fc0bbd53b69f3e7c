"""The public value types that the catalogue's fields are made of: codes, ids, dates, decimals, bounded counts.

Owns their patterns and bounds. Never a free text: a public string is one of these or an enumeration, so that the log
itself holds no personal data. Every integer is within what a JSON reader keeps exactly (RFC 8785, |n| < 2**53).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import Meta

from ledger.errors import InvalidEvent

# In Python ``$`` also matches before a last line feed, which no value may end in; JSON Schema readers know no ``\Z``.
END = r"$(?!\n)"

Code = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}" + END, description="a code: lower case, at most 64")]
Reason = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}" + END, description="a reason code")]
Station = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}" + END, description="the code of a kiln, shelf or room")
]
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}" + END, description="an opaque id, never a name")]
Decimal = Annotated[
    str,
    Meta(
        pattern=r"^-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,12})?" + END,
        description="a decimal number as a string, since the log holds no floats",
    ),
]
Date = Annotated[dt.date, Meta(description="a calendar date, YYYY-MM-DD")]
_DAY, _CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}"
Instant = Annotated[
    str,
    Meta(
        pattern=rf"^{_DAY}T{_CLOCK}:[0-9]{{2}}(?:\.[0-9]{{1,6}})?(?:Z|[+-]{_CLOCK})" + END,
        description="a moment, RFC 3339 with its offset, at most microseconds; kept as written",
        extra_json_schema={"format": "date-time"},
    ),
]
Count = Annotated[int, Meta(ge=0, le=1_000_000, description="a count, from 0")]
Positive = Annotated[int, Meta(ge=1, le=1_000_000, description="a count, from 1")]


def instant(text: str, path: str) -> dt.datetime:
    """Return the moment that the ``Instant`` ``text`` names.

    Raises ``InvalidEvent`` at ``path`` where there is no such date, time or offset.
    """
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidEvent(f"no such moment: {text} ({error})", path) from None


def check_order(earlier: object, later: object, path: str, names: tuple[str, str]) -> None:
    """Check two ``Instant`` values, each possibly ``UNSET``: both real, and the first not after the second.

    ``path`` is that of the object they are fields of, ``names`` are their JSON names. Raises ``InvalidEvent``.
    """
    first = instant(earlier, f"{path}.{names[0]}") if isinstance(earlier, str) else None
    last = instant(later, f"{path}.{names[1]}") if isinstance(later, str) else None
    if first and last and first > last:
        raise InvalidEvent(f"{names[0]} {earlier} is after {names[1]} {later}", f"{path}.{names[1]}")
