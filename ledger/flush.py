"""One flush: what a transaction takes from the queue is decided, sealed and laid out as a batch.

Owns the order of decisions for each event (known id, expected version, lifecycle, size), the assignment of positions
and versions, the chain and the encryption of disclosures. Reads only through the transaction it is given, and never
commits: whoever runs it writes the batch. Invariants: positions, versions and member versions have no gaps; a unit (an
atomic request, or one event of any other) is sealed whole or leaves no trace; ``seal.prev`` is the leaf hash of the
entry before.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from msgspec import Struct

from ledger import entry as entries
from ledger import lifecycle, privacy
from ledger.datakeys import DataKeys, Pair
from ledger.entry import LEDGER_STREAM, NO_PREVIOUS
from ledger.errors import EventError, IdConflict, LifecycleRefused, VersionConflict
from ledger.event import Prepared, difference
from ledger.heads import Heads, StreamHead, Undo
from ledger.store.protocol import Batch, Head, NewRow, Selection, Writes


class Receipt(Struct, frozen=True, kw_only=True, gc=False):
    """Proof of posting: where the event stands, and the leaf hash (hex) that commits to it.

    ``duplicate`` says that this very event had been recorded before, and that this is its first receipt again.
    """

    id: str
    source: str
    stream: str
    position: int
    version: int
    leaf_hash: str
    recorded: str
    duplicate: bool = False


Outcome = Receipt | EventError


class Unit(Struct):
    """Events that are sealed together or not at all, each with its index in the request."""

    events: Sequence[tuple[int, Prepared]]


class Flush:
    """The work of one transaction. Make it, ``run`` it over units, then write ``batch`` and commit."""

    def __init__(self, writes: Writes, head: Head, heads: Heads, keys: DataKeys, origin: str, recorded: str) -> None:
        self.batch = Batch(head=head)
        self.leaves: list[bytes] = []
        self.results: list[list[Outcome] | EventError] = []
        self._writes = writes
        self._heads = heads
        self._keys = keys
        self._origin = origin
        self._recorded = recorded
        self._base = head.size
        self._prev = head.leaf.hex() if head.size else NO_PREVIOUS
        self._epoch = head.epoch
        self._known: dict[tuple[str, str], int] = {}
        self._sealed: list[Prepared] = []  # beside batch.rows

    def run(self, units: Sequence[Unit]) -> None:
        """Decide and seal all units; ``results`` then has for each its outcomes, or the error that refused it."""
        events = [prepared for unit in units for _, prepared in unit.events]
        self._known = self._writes.find_ids([(event.source, event.id) for event in events])
        self._heads.load(
            self._writes,
            {event.stream for event in events} | {LEDGER_STREAM},
            {event.member for event in events if event.member is not None},
        )
        self.results = [self._run_unit(unit) for unit in units]
        self._seal_disclosures()
        rows = self.batch.rows
        if rows:
            self.batch.head = Head(self._base + len(rows), self.leaves[-1], self._recorded, self._epoch)

    def _run_unit(self, unit: Unit) -> list[Outcome] | EventError:
        undo, start, prev = Undo(), len(self.batch.rows), self._prev
        added: list[tuple[str, str]] = []
        outcomes: list[Outcome] = []
        for index, event in unit.events:
            try:
                position = self._known.get((event.source, event.id))
                if position is not None:
                    outcomes.append(self._repeat(event, position))
                else:
                    outcomes.append(self._append(event, undo))
                    added.append((event.source, event.id))
            except EventError as error:
                error.index = index
                undo.back()
                del self.batch.rows[start:], self.leaves[start:], self._sealed[start:]
                for key in added:
                    del self._known[key]
                self._prev = prev
                return error
        return outcomes

    def _append(self, event: Prepared, undo: Undo) -> Receipt:
        """Check one new event against its stream's head, seal it, and move the heads on."""
        streams, members = self._heads.streams, self._heads.members
        head = streams[event.stream]
        if event.expected_version is not None and event.expected_version != head.version:
            raise VersionConflict(event.expected_version, head.version)
        step = lifecycle.Step(event.type.name, event.actor_role, event.forced, self._recorded, event.lifecycle_data)
        self._refuse_when_frozen(event)
        state = lifecycle.advance(event.type.kind, head.state, step)
        version, position = head.version + 1, self._base + len(self.batch.rows)
        member_version = None if event.member is None else members[event.member] + 1
        entry = entries.build(event.body, event.by, member_version, position, self._prev, self._recorded, version)
        leaf = sha256(b"\x00" + entry).digest()
        undo.set(streams, event.stream, StreamHead(version, state))
        if event.member is not None and member_version is not None:
            undo.set(members, event.member, member_version)
        self._known[event.source, event.id] = position
        self._prev = leaf_hash = leaf.hex()
        self.leaves.append(leaf)
        self._sealed.append(event)
        self.batch.rows.append(
            NewRow(  # by place: by name it takes twice the time
                position,
                entry,
                event.stream,
                version,
                event.type.name,
                event.member,
                member_version,
                event.source,
                event.id,
            )
        )
        return Receipt(
            id=event.id,
            source=event.source,
            stream=event.stream,
            position=position,
            version=version,
            leaf_hash=leaf_hash,
            recorded=self._recorded,
        )

    def _refuse_when_frozen(self, event: Prepared) -> None:
        """While the ledger is frozen, only its own stream moves: the event that thaws it stands there."""
        if event.stream != LEDGER_STREAM and lifecycle.is_frozen(self._heads.streams[LEDGER_STREAM].state):
            raise LifecycleRefused(
                f"the ledger is frozen, so {event.type.name} is refused",
                state="frozen",
                event=event.type.name,
                advice="an owner or admin posts ledger.thawed on ledger:main first",
            )

    def _repeat(self, event: Prepared, position: int) -> Receipt:
        """The first receipt of an event that is recorded already. Raises ``IdConflict`` when this is no retry of it."""
        if position >= self._base:  # earlier in this very flush
            at = position - self._base
            entry, disclosed = self.batch.rows[at].entry, self._sealed[at].private
        else:
            (row,) = self._writes.rows(Selection(position, position))
            (disclosed,) = self._keys.disclose(self._writes, [row])
            entry = row.entry
        stored = entries.decode(entry)
        if stored.event.private and stored.seal.by != event.by and not event.reads_private:
            differs: str | None = "credential"  # comparing would let a caller guess at values it may not read
        else:
            differs = difference(event, stored.event, disclosed)
        if differs is not None:
            raise IdConflict(position, differs)
        return Receipt(
            id=event.id,
            source=event.source,
            stream=stored.event.stream,
            position=position,
            version=stored.seal.version,
            leaf_hash=sha256(b"\x00" + entry).hexdigest(),
            recorded=stored.seal.recorded,
            duplicate=True,
        )

    def _seal_disclosures(self) -> None:
        """Encrypt the disclosures of all sealed events, under keys that exist or are made with this batch."""
        private = [(row, event) for row, event in zip(self.batch.rows, self._sealed, strict=True) if event.disclosures]
        # A stream that begins here has no key yet, so only the others are looked for.
        pairs: set[Pair] = {(event.member or "", event.stream) for _, event in private}
        begun = {row.stream for row in self.batch.rows if row.version == 1}
        keys = self._keys.load(self._writes, {pair for pair in pairs if pair[1] not in begun})
        for row, event in private:
            pair = (event.member or "", event.stream)
            if (key := keys.get(pair)) is None:
                key, wrapped = self._keys.create(pair, self._epoch, row.position)
                keys[pair] = key
                self.batch.keys.append(wrapped)
            bound_to = privacy.associated(self._origin, event.source, event.id, event.names)
            self.batch.disclosures.append((row.position, privacy.seal(key, event.disclosures, bound_to)))
