"""The rows that handlers read and change, between the store that keeps them and the fold that moves them on.

Owns the cache of a projection's rows in one generation: what was read, what has changed since it was last taken, and
what is known not to be stored. Never reads or writes a store by itself: it is given a way to load, and gives changes.

Invariants: a fold answers the same whatever was loaded beforehand, kept or let go; those are matters of speed. Rows
that have changed stay until they are taken. ``complete`` means that every stored row is here, so nothing is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import astuple

from projections.projection import Key, Row, Table, Values

R = TypeVar("R", bound=Row)
Load = Callable[[Table[Any], Key], Values | None]
"""Gives the stored row with a key, or None."""
LoadMany = Callable[[Table[Any], list[str]], dict[str, Values]]
"""Gives the stored rows of many keys of one column; those that are not stored are left out."""


class Changes(Struct):
    """What a store is to write of one table. No key stands in it twice.

    No stored row has the key of a ``new`` one; a ``changed`` one may replace a stored row; ``removed`` are keys.
    """

    new: list[Values] = field(default_factory=list)
    changed: list[Values] = field(default_factory=list)
    removed: list[Key] = field(default_factory=list)


class _Cache:
    """The rows of one table by key; None is for a key that has no row."""

    __slots__ = ("absent", "added", "complete", "dirty", "kinds", "rows")

    def __init__(self, *, complete: bool) -> None:
        self.rows: dict[Key, Any] = {}
        self.dirty: dict[Key, None] = {}  # in the order in which they changed first: near each other in memory, too
        self.added: list[Row] = []
        self.absent: set[Key] = set()  # keys of ``rows`` that are surely not stored
        self.complete = complete
        self.kinds: set[str] = set()  # the kinds of streams whose rows were asked for


class Work:
    """The rows of one generation of a projection, as its handlers see them. Not safe for use from several threads."""

    def __init__(self, load: Load, *, complete: bool = False) -> None:
        """Take ``load`` to find stored rows; ``complete`` says that there are none, so that it is never called."""
        self.load = load
        self._complete = complete
        self._caches: dict[Table[Any], _Cache] = {}

    # --- For handlers ------------------------------------------------------------------------------------------------

    def get(self, table: Table[R], key: Key) -> R | None:
        """The row with this key, to look at; None if there is none."""
        try:
            found: R | None = self._caches[table].rows[key]
        except KeyError:
            found = self._fetch(table, key)
        return found

    def change(self, table: Table[R], key: Key) -> R | None:
        """The row with this key, to change by setting its fields; None if there is none."""
        try:
            cache = self._caches[table]
            row: R | None = cache.rows[key]
        except KeyError:
            row = self._fetch(table, key)
            cache = self._caches[table]
        if row is not None:
            cache.dirty[key] = None
        return row

    def put(self, table: Table[R], row: R) -> R:
        """Put a row in the place of the one with its key, if there is one; returns it, to be changed further."""
        self._set(table, table.key_of(row), row)
        return row

    def add(self, table: Table[R], row: R) -> None:
        """Add a row whose key no other row has or had, and which no handler asks for again."""
        try:
            self._caches[table].added.append(row)
        except KeyError:
            self._cache(table).added.append(row)

    def remove(self, table: Table[Any], key: Key) -> None:
        """Remove the row with this key, if there is one."""
        self._set(table, key, None)

    # --- For whoever runs them ---------------------------------------------------------------------------------------

    @property
    def prefetches(self) -> bool:
        """Whether ``prefetch`` could have anything to do."""
        return any(table.by_stream and not cache.complete for table, cache in self._caches.items())

    def prefetch(self, streams: Mapping[str, Mapping[str, bool]], load: LoadMany) -> None:
        """Load in bulk the rows of ``by_stream`` tables that a batch will ask for.

        ``streams`` are those of its events by kind, each with whether it begins in the batch: then it has no row yet.
        """
        for table, cache in self._caches.items():
            if not table.by_stream or cache.complete:
                continue
            missing = []
            for kind in cache.kinds & streams.keys():
                for stream, begins in streams[kind].items():
                    if stream in cache.rows:
                        continue
                    if begins:
                        _set_absent(cache, stream)
                    else:
                        missing.append(stream)
            found = load(table, missing) if missing else {}
            for stream in missing:
                if stream in found:
                    cache.rows[stream] = table.make(found[stream])
                else:
                    _set_absent(cache, stream)

    def take(self) -> dict[Table[Any], Changes]:
        """All changes since they were last taken; from here on the rows count as stored so."""
        return {table: _taken(cache) for table, cache in self._caches.items() if cache.dirty or cache.added}

    def trim(self, most: int) -> None:
        """Let go of the rows that are longest here, where a table has more than ``most`` and none are to be taken."""
        for cache in self._caches.values():
            excess = len(cache.rows) - most
            if excess > 0 and not cache.dirty:
                for key in list(islice(cache.rows, excess + most // 10)):
                    del cache.rows[key]
                    cache.absent.discard(key)
                cache.complete = False

    def _cache(self, table: Table[Any]) -> _Cache:
        cache = self._caches.get(table)
        if cache is None:
            cache = self._caches[table] = _Cache(complete=self._complete)
        return cache

    def _set(self, table: Table[Any], key: Key, row: Row | None) -> None:
        cache = self._cache(table)
        if cache.complete and key not in cache.rows:
            cache.absent.add(key)
        cache.rows[key] = row
        cache.dirty[key] = None

    def _fetch(self, table: Table[Any], key: Key) -> Any:
        """The row of a key that is not in the cache, which then holds it."""
        cache = self._cache(table)
        if table.by_stream:
            cache.kinds.add(str(key).partition(":")[0])
        values = None if cache.complete else self.load(table, key)
        if values is None:
            _set_absent(cache, key)
            return None
        row = cache.rows[key] = table.make(values)
        return row


def _set_absent(cache: _Cache, key: Key) -> None:
    cache.rows[key] = None
    cache.absent.add(key)


def _taken(cache: _Cache) -> Changes:
    changes = Changes(new=list(map(astuple, cache.added)))
    cache.added.clear()
    rows, absent = cache.rows, cache.absent
    for key in cache.dirty:
        row = rows[key]
        if row is None:
            if key not in absent:
                changes.removed.append(key)
                absent.add(key)
        elif key in absent:
            absent.discard(key)
            changes.new.append(astuple(row))
        else:
            changes.changed.append(astuple(row))
    cache.dirty.clear()
    return changes
