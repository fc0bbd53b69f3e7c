"""Ranges of the log as people give them: from a bound to a bound, each a position or a time, both inclusive.

Owns the question whether such a range is turned round. What a bound means is ``Log.bound``'s. Never reads entries by
itself.
"""

from __future__ import annotations

from ledger import moment
from ledger.log import Log


def is_turned_round(log: Log, first: str, last: str) -> bool:
    """Whether a range ends before it begins, its bounds given as ``Log.bound`` takes them. Raises ``ValueError``.

    One in which nothing was recorded is merely empty, and so is one that begins beyond the end of the log.
    """
    of_positions = [text.isascii() and text.isdigit() for text in (first, last)]
    if all(of_positions):
        return int(first) > int(last)
    if not any(of_positions):
        return moment.is_before(last, first)
    start, end = log.bound(first, end=False), log.bound(last, end=True)
    known = start if of_positions[0] else end  # what is not recorded yet was recorded neither before nor after a time
    return end < start and known < log.head().size
