"""Instants as text: the one form of a caller's time, and of the ledger's own.

Owns parsing and formatting of RFC 3339. Never reads a clock. A normal time is in UTC, ends in ``Z``, and carries a
fraction only where there is one, without trailing zeros. A ``recorded`` time always has six decimals, so that its texts
sort as the instants do.
"""

from __future__ import annotations

import datetime as dt
import re

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1)
EXPECTED = "an RFC 3339 time with an offset, such as 2026-03-01T09:30:00Z"


def normal(text: str) -> str:
    """The normal form of an RFC 3339 time (section 5.6): same instant, UTC, at most nine decimals kept exactly.

    Raises ``ValueError`` for another form, a missing offset, a date that does not exist, or a leap second.
    """
    if len(text) == 20 and text[4::3] == "--T::Z":  # the common case, already normal: YYYY-MM-DDTHH:MM:SSZ
        dt.datetime.fromisoformat(text[:19])
        return text
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"expected {EXPECTED}")
    day, clock, fraction, zulu, sign, hours, minutes = match.groups()
    moment = dt.datetime.fromisoformat(f"{day}T{clock}")
    if not zulu:
        if int(hours) > 23 or int(minutes) > 59:
            raise ValueError(f"no such offset: {sign}{hours}:{minutes}")
        shift = dt.timedelta(hours=int(hours), minutes=int(minutes))
        try:
            moment = moment - shift if sign == "+" else moment + shift
        except OverflowError:
            raise ValueError("outside the years 0001 to 9999 in UTC") from None
    fraction = (fraction or "").rstrip("0")
    return f"{moment.isoformat()}.{fraction}Z" if fraction else f"{moment.isoformat()}Z"


def recorded(microseconds: int) -> str:
    """The text of ``recorded`` for a Unix time in microseconds: UTC, six decimals, ``Z``."""
    return (_EPOCH + dt.timedelta(microseconds=microseconds)).isoformat(timespec="microseconds") + "Z"


def microseconds(text: str) -> int:
    """The Unix time in whole microseconds of an RFC 3339 time; finer digits are cut. Raises ``ValueError``."""
    day, _, fraction = normal(text)[:-1].partition(".")
    seconds = (dt.datetime.fromisoformat(day) - _EPOCH) // dt.timedelta(seconds=1)
    return seconds * 1_000_000 + int(fraction[:6].ljust(6, "0"))


def bound(text: str, *, end: bool) -> str:
    """A bound in time that a person gives, as ``recorded`` text: a time, or a date for its first or last microsecond.

    ``end`` says which end of an inclusive range is meant: finer digits are cut from an end, and round a start up.
    Raises ``ValueError``.
    """
    if _DATE.fullmatch(text):
        dt.date.fromisoformat(text)
        return f"{text}T23:59:59.999999Z" if end else f"{text}T00:00:00.000000Z"
    finer = len(normal(text).partition(".")[2]) > len("123456Z")  # a normal time has no zeros there
    try:
        return recorded(microseconds(text) + (finer and not end))
    except OverflowError:
        raise ValueError("after the year 9999") from None


def is_before(end: str, start: str) -> bool:
    """Whether the end of an inclusive range in time is before its start, both as for ``bound``, to the microsecond.

    Raises ``ValueError``.
    """
    begins = bound(start, end=_DATE.fullmatch(start) is None)  # finer digits are cut from both, or they would cross
    return bound(end, end=True) < begins
