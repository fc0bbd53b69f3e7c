"""Stream and member heads: where each stream and member stands, as caches that can always be folded anew from entries.

Owns the caches and the overlay of one flush upon them, with undo for a request that fails as a whole. They are valid
while the log's head is ours; whoever sees another writer's entries drops them. Never writes anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

from ledger import catalog, lifecycle
from ledger.entry import Entry, decode
from ledger.store.protocol import Writes

CACHED_HEADS = 100_000
_K = TypeVar("_K")
_V = TypeVar("_V")


class StreamHead(NamedTuple):
    """A stream's last version and its lifecycle state; version 0 and None before it begins."""

    version: int
    state: Any


_UNBEGUN = StreamHead(0, None)
_NO_DATA: dict[str, Any] = {}


def fold(kind: str, entries: Iterable[bytes]) -> StreamHead:
    """The head of a stream from all its entries, in order."""
    version, state = 0, None
    for entry in entries:
        stored = decode(entry)
        version, state = stored.seal.version, advance_stored(kind, state, stored)
    return StreamHead(version, state)


def advance_stored(kind: str, state: Any, stored: Entry) -> Any:
    """The lifecycle state after a stored entry.

    What is recorded has happened, so it is never refused here: an event that today's lifecycle would not accept counts
    as forced.
    """
    body = stored.event
    event_type = catalog.get(body.type)
    data = event_type.upcast(body.v, body.public()) if event_type.reads_data else _NO_DATA
    step = lifecycle.Step(body.type, body.actor.role, body.forced or None, stored.seal.recorded, data)
    return lifecycle.advance_recorded(kind, state, step)


class Heads:
    """The heads that a writer knows, across flushes."""

    def __init__(self) -> None:
        self.streams: dict[str, StreamHead] = {}
        self.members: dict[str, int] = {}

    def load(self, writes: Writes, streams: set[str], members: set[str]) -> None:
        """Bring the heads of these streams and members into the caches."""
        _make_room(self.streams)
        _make_room(self.members)
        if missing := [name for name in streams if name not in self.streams]:
            found = writes.streams(missing)
            for name in missing:
                entries = found.get(name)
                self.streams[name] = fold(name.partition(":")[0], entries) if entries else _UNBEGUN
        if missing := [name for name in members if name not in self.members]:
            found_versions = writes.member_versions(missing)
            for name in missing:
                self.members[name] = found_versions.get(name, 0)

    def forget(self) -> None:
        """Drop everything: the log's head is not what we left."""
        self.streams.clear()
        self.members.clear()


class Undo:
    """Remembers what a unit of work replaced in a dict, so that it can be put back."""

    def __init__(self) -> None:
        self._replaced: list[tuple[dict[Any, Any], Any, Any]] = []

    def set(self, target: dict[_K, _V], key: _K, value: _V) -> None:
        """Set an item of ``target``, remembering the old one; the key must be present."""
        self._replaced.append((target, key, target[key]))
        target[key] = value

    def back(self) -> None:
        """Put everything back, last change first."""
        for target, key, old in reversed(self._replaced):
            target[key] = old


def _make_room(cache: dict[str, Any]) -> None:
    """Drop the oldest of a full cache until nine tenths are left, before a flush names what it needs."""
    if len(cache) >= CACHED_HEADS:
        for name in list(cache)[: len(cache) - CACHED_HEADS * 9 // 10]:
            del cache[name]
