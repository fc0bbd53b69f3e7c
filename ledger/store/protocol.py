"""What the log asks of a store, and the shapes that pass between them.

Owns the protocol and its durability promise: when ``Writes.commit`` returns, the batch is on stable storage, and a
crash at any earlier moment leaves the store as it was. A store keeps bytes and finds them again; it never seals,
hashes, encrypts or judges them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from eventsourcing.persistence import ApplicationRecorder, Subscription
from msgspec import UNSET, Struct, field

from ledger.entry import Entry, decode
from ledger.store.subscription import Watch
from ledger.tiles import Tile

PAGE = 1_000
"""Rows that one short read returns at most, so that no reader holds back the database's housekeeping."""


Meanwhile = Callable[[], bool]
"""Does a little work, and says whether there was any. Raises nothing, and does not touch the store."""


def nothing() -> bool:
    """The ``Meanwhile`` that has nothing to do."""
    return False


class Head(NamedTuple):
    """The end of the log: its size, its last entry's leaf hash and ``recorded``, and the epoch of its data keys."""

    size: int
    leaf: bytes
    recorded: str
    epoch: int


class Row(NamedTuple):
    """A stored entry: where it stands, and its bytes, which say all else."""

    position: int
    entry: bytes

    def content(self) -> Entry:
        """The entry read; anew at each call. Raises ``StoreError`` when the bytes are no entry."""
        return decode(self.entry)


class NewRow(NamedTuple):
    """An entry to be written, with what of its content finds it again: a store need not read the bytes for it."""

    position: int
    entry: bytes
    stream: str
    version: int
    type: str
    member: str | None
    member_version: int | None
    source: str
    id: str


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


PLACE = NewRow._fields[2:]
"""The columns that say where an entry belongs: what its bytes say, repeated to find it."""


class Columns(NamedTuple):
    """Rows in order, column by column, for long scans.

    ``places`` has the columns of ``PLACE`` where the store keeps them beside its entries, as PostgreSQL's does, and
    none where it does not. All are as they stand in the store, whatever that is.
    """

    positions: Sequence[int]
    entries: Sequence[bytes]
    places: Sequence[Sequence[Any]] = ()


class Selection(NamedTuple):
    """Which rows: an inclusive range of positions, and equality of stream, member and type where given."""

    first: int = 0
    last: int | None = None
    stream: str | None = None
    member: str | None = None
    type: str | None = None


class WrappedKey(NamedTuple):
    """The data key of a (member, stream), encrypted under an epoch key; ``member`` is empty for events about nobody.

    ``position`` is that of the first entry whose disclosures it seals.
    """

    position: int
    member: str
    stream: str
    epoch: int
    wrapped: bytes


class Batch(Struct):
    """What one flush writes, all or nothing."""

    rows: list[NewRow] = field(default_factory=list)
    disclosures: list[tuple[int, bytes]] = field(default_factory=list)
    """(position, sealed disclosures) of the rows with private fields."""
    keys: list[WrappedKey] = field(default_factory=list)
    tiles: list[Tile] = field(default_factory=list)
    head: Head = Head(0, b"", "", 0)


class Reads(Protocol):
    """Reads within one consistent view of the store."""

    def head(self) -> Head:
        """The end of the log."""
        ...

    def rows(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position."""
        ...

    def columns(self, first: int, count: int) -> Columns:
        """The rows there are at ``count`` positions from ``first``."""
        ...

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile, full or partial; empty when there is none."""
        ...

    def tiles(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """The hashes of tiles by (level, index), as ``tile`` gives each, in one exchange with the database."""
        ...

    def disclosures(self, positions: Sequence[int]) -> dict[int, bytes]:
        """The sealed disclosures by position; positions without any are left out."""
        ...

    def data_keys(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], WrappedKey]:
        """The wrapped data keys by (member, stream); unknown pairs are left out."""
        ...

    def key_counts(self) -> dict[int, int]:
        """How many wrapped data keys there are of each epoch that has any; reads them all."""
        ...

    def keys_before(self, epoch: int, after: WrappedKey | None = None, limit: int = PAGE) -> list[WrappedKey]:
        """The first ``limit`` wrapped keys of epochs before ``epoch``, beyond ``after`` in an order of the store's own.

        Empty at the end; rewrapping those had leaves the place of the others as it is.
        """
        ...

    def checkpoints(self, after: int, limit: int = PAGE) -> list[tuple[int, bytes]]:
        """(size, note) of the signed checkpoints above a size, ascending."""
        ...

    def latest_checkpoint(self) -> bytes | None:
        """The note of the largest signed checkpoint."""
        ...


class Writes(Reads, Protocol):
    """One write transaction under the head lock: what it reads stays true until it ends."""

    @property
    def part(self) -> int:
        """Entries of a large batch after which ``extend`` is worth it."""
        ...

    def find_ids(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The positions of those (source, id) that are known."""
        ...

    def streams(self, names: Sequence[str]) -> dict[str, list[bytes]]:
        """The entries of each named stream, by version; streams without any are left out."""
        ...

    def member_versions(self, names: Sequence[str]) -> dict[str, int]:
        """The highest member version of each named member; members without any are left out."""
        ...

    def extend(self, batch: Batch) -> None:
        """Write what a batch that is yet growing holds by now, as far as that can be done; ``write`` does the rest.

        A store that is not ``local`` may still be at it afterwards: to read then is to wait for that.
        """
        ...

    def write(self, batch: Batch) -> None:
        """Write a batch, or what ``extend`` has left of it, and move the head.

        Nothing is durable before the transaction's context ends without an error.
        """
        ...

    def erase(self, positions: Sequence[int], pairs: Sequence[tuple[str, str]]) -> None:
        """Delete the disclosures at those positions and the wrapped keys of those (member, stream), as far as there."""
        ...

    def rewrap(self, keys: Sequence[WrappedKey]) -> None:
        """Put these in the place of the wrapped keys that their (member, stream) have."""
        ...

    def turn(self, epoch: int) -> None:
        """Set the head's epoch, under which data keys are wrapped from now on. It never goes back."""
        ...


class Store(Protocol):
    """A ledger's database."""

    @property
    def local(self) -> bool:
        """Whether its work is done in this process, so that there is no waiting for it with something else to do."""
        ...

    @property
    def origin(self) -> str:
        """The ledger's origin, as set at its creation."""
        ...

    @property
    def recorder(self) -> ApplicationRecorder:
        """The store as a recorder of the ``eventsourcing`` library, for its projections and subscriptions."""
        ...

    def reading(self) -> AbstractContextManager[Reads]:
        """A consistent view for a short read."""
        ...

    def writing(self, meanwhile: Meanwhile = nothing) -> AbstractContextManager[Writes]:
        """The one write transaction; commits durably on a clean exit, else leaves no trace. Raises ``StoreError``.

        A store may call ``meanwhile`` again and again while it waits for its database.
        """
        ...

    def add_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint, durably; one that is kept already stays as it is."""
        ...

    def drop_checkpoints(self, sizes: Sequence[int]) -> None:
        """Let go of checkpoints that need not be kept (``ledger.thinning``); all stay if the last of a block is there.

        A store that was made before it had this rule keeps them all.
        """
        ...

    def scrub(self) -> bool:
        """Let nothing of what was deleted stay in the store's files; False when readers kept it from that.

        A database server keeps what its logs and dead rows hold for as long as it is set to: True, since there is
        nothing to be done from here.
        """
        ...

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """A subscription to entries with a notification id (position + 1) above ``gt``; it misses none."""
        ...

    def opener(self) -> Callable[[], Store]:
        """What opens this store once more, in any process: it can be pickled. Called, it raises ``StoreError``."""
        ...

    def watch(self) -> Watch:
        """Something that is woken at each commit, from any process. It may be woken for nothing."""
        ...

    def close(self) -> None:
        """Release connections and threads. Idempotent."""
        ...
