"""Counters by name that find a gap or a repetition: one for streams, one for members.

Owns their memory: the names met last are kept in a dict, all others in a temporary database of our own, so that memory
has a bound whatever the size of the ledger and nothing is asked of the store that is being audited. Names are bytes, as
entries hold them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import repeat
from operator import length_hint, sub
from typing import NamedTuple, Protocol

KEPT = 400_000
"""Names kept in memory; half of them move out when there are more. A full counter takes about 50 MB."""
_ASKED = 256
"""Names that one statement looks for: as many as a tile has entries."""


class Runs(NamedTuple):
    """Names met in a range of entries, with the first and the last count of each; between them there is no gap."""

    names: list[bytes]
    firsts: list[int]
    lasts: list[int]


class Counts(Protocol):
    """What counts names."""

    def advance(self, names: Sequence[bytes | None], counts: Sequence[int | None]) -> int | None:
        """Count these names; ``counts`` says what each should come to. None where a name is none.

        Returns the index of the first that comes to another count, and counts no further; None when all agree.
        """
        ...

    def expected(self, name: bytes) -> int:
        """What a name would come to next."""
        ...


class Counters:
    """How often each name has been met. Names are counted from 1, without gaps."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._recent: dict[bytes, int] = {}
        self._others: sqlite3.Connection | None = None

    def advance(self, names: Sequence[bytes | None], counts: Sequence[int | None]) -> int | None:
        """Count names one by one; see ``Counts``."""
        self._recall(names)
        recent = self._recent
        get = recent.get
        left = iter(names)  # says where we are, which to count along takes a fifth longer
        for name, count in zip(left, counts, strict=True):
            if name is not None and get(name, 0) + 1 == count:  # never of no count
                recent[name] = count
            elif name is not None or count is not None:
                return len(names) - length_hint(left) - 1
        self._make_room()
        return None

    def fits(self, runs: Runs) -> bool:
        """Whether a range follows what was counted so far."""
        self._recall(runs.names)
        return list(map(self._recent.get, runs.names, repeat(0))) == list(map(sub, runs.firsts, repeat(1)))

    def join(self, runs: Runs) -> None:
        """Count a range that fits."""
        self._recent.update(zip(runs.names, runs.lasts, strict=True))
        self._make_room()

    def expected(self, name: bytes) -> int:
        """What a name would come to next."""
        self._recall([name])
        return self._recent.get(name, 0) + 1

    def close(self) -> None:
        """Remove the temporary database. Idempotent."""
        if self._others is not None:
            self._others.close()
            self._others = None

    def _recall(self, names: Sequence[bytes | None]) -> None:
        """Bring the counts of names that were moved out back into memory."""
        if self._others is None:
            return
        sought = sorted({name for name in names if name is not None and name not in self._recent})
        sql = f"SELECT name, count FROM counts WHERE name IN ({','.join('?' * _ASKED)})"  # noqa: S608
        for start in range(0, len(sought), _ASKED):
            some: list[bytes | None] = [*sought[start : start + _ASKED]]
            some += [None] * (_ASKED - len(some))
            self._recent.update(self._others.execute(sql, some))

    def _make_room(self) -> None:
        """Move the older half of the names out of memory when there are too many."""
        if len(self._recent) <= self._kept:
            return
        if self._others is None:
            self._others = sqlite3.connect("", isolation_level=None)  # a file without a name, gone when it is closed
            self._others.execute("PRAGMA journal_mode = OFF")
            self._others.execute("CREATE TABLE counts (name BLOB PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID")
        names = list(self._recent)[: len(self._recent) // 2]
        moved = sorted((name, self._recent.pop(name)) for name in names)
        self._others.execute("BEGIN")
        self._others.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?)", moved)
        self._others.execute("COMMIT")


class Run:
    """Counts the names of a range, not knowing what was before: the first count of each is taken as it is."""

    def __init__(self) -> None:
        self._firsts: dict[bytes, int] = {}
        self._lasts: dict[bytes, int] = {}

    def advance(self, names: Sequence[bytes | None], counts: Sequence[int | None]) -> int | None:
        """Count names one by one; see ``Counts``."""
        firsts, lasts = self._firsts, self._lasts
        get = lasts.get
        for index, (name, count) in enumerate(zip(names, counts, strict=True)):
            if name is None:
                if count is not None:
                    return index
                continue
            if count is None:
                return index
            if (last := get(name)) is None:
                firsts[name] = count
            elif last != count - 1:
                return index
            lasts[name] = count
        return None

    def expected(self, name: bytes) -> int:
        """What a name would come to next, if it was met."""
        return self._lasts.get(name, 0) + 1

    def runs(self) -> Runs:
        """What was counted."""
        return Runs(list(self._firsts), list(self._firsts.values()), list(self._lasts.values()))
