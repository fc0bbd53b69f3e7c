"""The tail of a SQLite log: where the entries are that the index does not hold yet.

Owns a few dicts over the last entries, kept by the one thread that writes. With the index they find every entry: below
``start`` the index alone, from there on the tail. Two generations, so that the older is dropped as a whole once it is
indexed. It refuses an entry that does not follow the last of its stream or member, or repeats an id, as far as it knows
them; an id that it no longer knows, the index's own key refuses when it gets there. Never reads or writes a database.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from ledger.errors import StoreError
from ledger.store.protocol import NewRow, Row

GENERATION = 16_384
"""Entries after which a new generation begins, if the older one can be dropped."""


class _Generation:
    """The entries of one range of positions, by id, stream and member."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.ids: dict[tuple[str, str], int] = {}
        self.streams: dict[str, list[int]] = {}
        self.versions: dict[str, int] = {}
        self.members: dict[str, int] = {}


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
        for position, _, stream, version, _, member, member_version, source, event_id in entries:
            last = new.versions.get(stream, old.versions.get(stream))
            if last is not None and version != last + 1:
                raise StoreError(f"version {version} of {stream} can't follow version {last}")
            new.versions[stream] = version
            new.streams.setdefault(stream, []).append(position)
            if member is not None and member_version is not None:
                last = new.members.get(member, old.members.get(member))
                if last is not None and member_version != last + 1:
                    raise StoreError(f"member version {member_version} of {member} can't follow {last}")
                new.members[member] = member_version
            identity = (source, event_id)
            if identity in new.ids or identity in old.ids:
                raise StoreError(f"the id {event_id} of {source} is taken")
            new.ids[identity] = position
            new.end = position + 1

    def drop(self, indexed: int) -> None:
        """Forget what the index holds by now, as far as that takes no more than dropping a generation."""
        if self._new.end - self._new.start >= GENERATION and self._old.end <= indexed:
            self._old, self._new = self._new, _Generation(self._new.end)

    def position(self, source: str, event_id: str) -> int | None:
        """The position of an id, or None when it is not in the tail."""
        key = (source, event_id)
        found = self._new.ids.get(key)
        return self._old.ids.get(key) if found is None else found

    def of_stream(self, stream: str) -> list[int]:
        """The positions of a stream in the tail, ascending."""
        return [*self._old.streams.get(stream, ()), *self._new.streams.get(stream, ())]

    def member_version(self, member: str) -> int | None:
        """The last member version of a member in the tail, or None."""
        found = self._new.members.get(member)
        return self._old.members.get(member) if found is None else found


def placed(row: Row) -> NewRow:
    """A stored entry with what finds it again. Raises ``StoreError`` when the bytes are no entry."""
    content = row.content()
    event, seal = content.event, content.seal
    return NewRow(
        *row,
        stream=event.stream,
        version=seal.version,
        type=event.type,
        member=None if event.member is UNSET else event.member,
        member_version=None if seal.member_version is UNSET else seal.member_version,
        source=event.source,
        id=event.id,
    )
