"""The tail of a SQLite log: where the entries are that the index does not hold yet.

Owns a few dicts over the last entries, kept by the one thread that writes. With the index they find every entry: below
``start`` the index alone, from there on the tail. Two generations, so that the older is dropped as a whole once it is
indexed. It refuses an entry that does not follow the last of its stream or member, or repeats an id, as far as it knows
them; an id that it no longer knows, the index's own key refuses when it gets there. Never reads or writes a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ledger.errors import StoreError
from ledger.store.protocol import NewRow

_NOWHERE = (0, -1)
"""The version and position of no entry."""
GENERATION = 16_384
"""Entries after which a new generation begins, if the older one can be dropped."""


class _Generation:
    """The entries of one range of positions, by id, stream and member."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.ids: dict[tuple[str, str], int] = {}
        self.streams: dict[str, tuple[int, int]] = {}  # the version and position of the last entry
        self.before: list[int] = []  # by place from `start`: where the entry before in the stream is; below: not here
        self.members: dict[str, int] = {}

    def of_stream(self, stream: str) -> Iterator[int]:
        """The positions of a stream, descending."""
        _, position = self.streams.get(stream, _NOWHERE)
        while position >= self.start:
            yield position
            position = self.before[position - self.start]


class Tail:
    """What was appended from ``start`` on, up to ``end``."""

    def __init__(self, start: int) -> None:
        self._old = _Generation(start)
        self._new = _Generation(start)

    @property
    def start(self) -> int:
        """The first position that the tail covers; the index must hold all below."""
        return self._old.start

    @property
    def end(self) -> int:
        """The size of the log that the tail knows."""
        return self._new.end

    def add(self, entries: Iterable[NewRow]) -> None:
        """Add entries in order. Raises ``StoreError`` at one that contradicts those known, and is then unusable."""
        new, old = self._new, self._old
        streams, before, members, ids = new.streams, new.before, new.members, new.ids  # for every entry: by local names
        for position, _, stream, version, _, member, member_version, source, event_id in entries:
            last = streams.get(stream) or old.streams.get(stream, _NOWHERE)
            if last is not _NOWHERE and version != last[0] + 1:
                raise StoreError(f"version {version} of {stream} can't follow version {last[0]}")
            streams[stream] = version, position
            before.append(last[1])
            if member is not None and member_version is not None:
                counted = members.get(member) or old.members.get(member)
                if counted is not None and member_version != counted + 1:
                    raise StoreError(f"member version {member_version} of {member} can't follow {counted}")
                members[member] = member_version
            identity = (source, event_id)
            if identity in old.ids or ids.setdefault(identity, position) != position:
                raise StoreError(f"the id {event_id} of {source} is taken")
            new.end = position + 1

    def drop(self, indexed: int) -> None:
        """Forget what the index holds by now, as far as that takes no more than dropping a generation."""
        if self._new.end - self._new.start >= GENERATION and self._old.end <= indexed:
            self._old, self._new = self._new, _Generation(self._new.end)

    def find_ids(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The positions of those (source, id) that are in the tail."""
        found: dict[tuple[str, str], int] = {}
        for known in (self._old.ids, self._new.ids):
            if not known.keys().isdisjoint(ids):  # mostly none is known
                found |= {each: known[each] for each in ids if each in known}
        return found

    def of_stream(self, stream: str) -> list[int]:
        """The positions of a stream in the tail, ascending."""
        if stream not in self._new.streams and stream not in self._old.streams:  # as most that are asked for
            return []
        return [*self._new.of_stream(stream), *self._old.of_stream(stream)][::-1]

    def member_version(self, member: str) -> int | None:
        """The last member version of a member in the tail, or None."""
        found = self._new.members.get(member)
        return self._old.members.get(member) if found is None else found
