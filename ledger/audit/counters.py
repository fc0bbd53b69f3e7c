"""Counters by name that find a gap or a repetition: one for streams, one for members.

Owns their memory: the names met last are kept in a dict, all others in a temporary database of our own, so that memory
has a bound whatever the size of the ledger and nothing is asked of the store that is being audited.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

KEPT = 400_000
"""Names kept in memory; half of them move out when there are more. A full counter takes about 50 MB."""


class Counters:
    """How often each name has been met. Names are counted from 1, without gaps."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._recent: dict[str, int] = {}
        self._others: sqlite3.Connection | None = None

    def advance(self, names: Sequence[str | None], counts: Sequence[int | None]) -> int | None:
        """Count these names; ``counts`` says what each should come to. None where a name is none.

        Returns the index of the first that comes to another count, and counts no further; None when all agree.
        """
        if self._others is not None:
            self._recall(names)
        recent = self._recent
        get = recent.get
        for index, (name, count) in enumerate(zip(names, counts, strict=True)):
            if name is None:
                if count is not None:
                    return index
            elif count is None or get(name, 0) != count - 1:
                return index
            else:
                recent[name] = count
        if len(recent) > self._kept:
            self._move_out()
        return None

    def expected(self, name: str) -> int:
        """What a name would come to next."""
        if self._others is not None:
            self._recall([name])
        return self._recent.get(name, 0) + 1

    def close(self) -> None:
        """Remove the temporary database. Idempotent."""
        if self._others is not None:
            self._others.close()
            self._others = None

    def _recall(self, names: Sequence[str | None]) -> None:
        """Bring the counts of names that were moved out back into memory."""
        if self._others is None:
            return
        execute = self._others.execute
        for name in {name for name in names if name is not None and name not in self._recent}:
            found = execute("SELECT count FROM counts WHERE name = ?", (name,)).fetchone()
            if found is not None:
                self._recent[name] = found[0]

    def _move_out(self) -> None:
        """Move the older half of the names out of memory."""
        if self._others is None:
            self._others = sqlite3.connect("", isolation_level=None)  # a file without a name, gone when it is closed
            self._others.execute("PRAGMA journal_mode = OFF")
            self._others.execute("CREATE TABLE counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID")
        names = list(self._recent)[: len(self._recent) // 2]
        moved = sorted((name, self._recent.pop(name)) for name in names)
        self._others.execute("BEGIN")
        self._others.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?)", moved)
        self._others.execute("COMMIT")
