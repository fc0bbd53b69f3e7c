"""How rows of a generation are loaded for a fold: within the transaction at hand, or each time anew.

Owns nothing but the two ways. Never writes.
"""

from __future__ import annotations

from typing import Any

from projections.store.protocol import Generation, ProjectionStore, Reads


class Within:
    """Loads rows of one generation within a transaction."""

    def __init__(self, reads: Reads, generation: Generation) -> None:
        self._reads = reads
        self._number = generation.number

    def one(self, table: Any, key: Any) -> Any:
        """The row with a key."""
        return self._reads.row(table, key, self._number)

    def many(self, table: Any, keys: list[str]) -> Any:
        """The rows with these keys."""
        return self._reads.rows_of(table, keys, self._number)


class Aside:
    """Loads rows of one generation, each time as they are stored then."""

    def __init__(self, store: ProjectionStore, generation: Generation) -> None:
        self._store = store
        self._generation = generation

    def one(self, table: Any, key: Any) -> Any:
        """The row with a key."""
        with self._store.reading() as reads:
            return reads.row(table, key, self._generation.number)

    def many(self, table: Any, keys: list[str]) -> Any:
        """The rows with these keys."""
        with self._store.reading() as reads:
            return reads.rows_of(table, keys, self._generation.number)
