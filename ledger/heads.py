"""Stream and member heads: where each stream and member stands, as caches that can always be folded anew from entries.

Owns the caches. They are valid while the log's head is ours; whoever sees another writer's entries drops them. Never
writes anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from ledger import catalog, lifecycle
from ledger.entry import Entry, decode
from ledger.errors import LifecycleRefused
from ledger.store.protocol import Writes

CACHED_HEADS = 100_000


class StreamHead(Struct, frozen=True, gc=False):
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
    try:
        return lifecycle.advance(kind, state, step)
    except LifecycleRefused:
        return lifecycle.advance(kind, state, step._replace(role="admin", forced="recorded"))


class Heads:
    """The heads that a writer knows, across flushes."""

    def __init__(self) -> None:
        self.streams: dict[str, StreamHead] = {}
        self.members: dict[str, int] = {}

    def load(self, writes: Writes, streams: set[str], members: set[str]) -> None:
        """Bring the heads of these streams and members into the caches."""
        if missing := [name for name in streams if name not in self.streams]:
            found = writes.streams(missing)
            for name in missing:
                entries = found.get(name)
                self.streams[name] = fold(name.partition(":")[0], entries) if entries else _UNBEGUN
        if missing := [name for name in members if name not in self.members]:
            found_versions = writes.member_versions(missing)
            for name in missing:
                self.members[name] = found_versions.get(name, 0)

    def make_room(self) -> None:
        """Before a flush, not within it: the heads that it has moved on are nowhere else yet."""
        _make_room(self.streams)
        _make_room(self.members)

    def forget(self) -> None:
        """Drop everything: the log's head is not what we left."""
        self.streams.clear()
        self.members.clear()


def _make_room(cache: dict[str, Any]) -> None:
    """Drop the oldest of a full cache until nine tenths are left."""
    if len(cache) >= CACHED_HEADS:
        for name in list(cache)[: len(cache) - CACHED_HEADS * 9 // 10]:
            del cache[name]
