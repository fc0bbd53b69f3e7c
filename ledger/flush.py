"""One flush: what a transaction takes from the queue is decided, sealed and laid out as a batch.

Owns the order of decisions for each event (known id, expected version, lifecycle, size), the assignment of positions
and versions, the chain and the encryption of disclosures. Reads only through the transaction it is given, and never
commits: whoever runs it writes the batch. Invariants: positions, versions and member versions have no gaps; what
belongs together (an atomic request, or one event of any other) is sealed whole or leaves no trace; ``seal.prev`` is the
leaf hash of the entry before.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import cast

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from ledger import entry as entries
from ledger import lifecycle, privacy, rotation
from ledger.datakeys import DataKeys, Pair
from ledger.entry import LEDGER_STREAM, NO_PREVIOUS
from ledger.errors import (
    EventError,
    IdConflict,
    InvalidEvent,
    LifecycleRefused,
    MalformedRotation,
    SignatureError,
    VersionConflict,
)
from ledger.event import Prepared, difference
from ledger.heads import Heads, StreamHead
from ledger.joined import check_joined
from ledger.key_history import KeyHistory
from ledger.store.protocol import Batch, Head, NewRow, Selection, Writes
from ledger.tiles import Edge


class Receipt(Struct, frozen=True, gc=False):
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


Within = Callable[[Writes, Batch], None]
"""What else is done in the transaction of a request whose events were sealed, before its batch is written."""


Piece = Sequence[Prepared | EventError]
"""Some events of a request. One that was refused already stands there as its error, which is its outcome."""


Names = tuple[str, str, str, str | None]
"""What of an event is looked up in the log: its source, id, stream and member."""


class Request(Struct):
    """Events to be decided in their order: all of them are sealed or none if ``atomic``, else each for itself.

    ``rest`` are those after ``events``, taken once, as they get prepared. One that was refused already stands among
    them as its error, which is its outcome; an atomic request holds none, but taking its rest may raise it. One with
    something to do ``within`` its transaction has that for itself; what this raises refuses the request. So has one
    whose event is made ``late``, from its position and the root of the tree before it. ``foreseen`` are names that the
    ``rest`` will probably have: they are looked up beforehand, in one go; whatever else it has, when it is there.
    """

    events: Piece
    atomic: bool
    within: Within | None = None
    late: Callable[[int, bytes], Prepared] | None = None
    rest: Iterable[Piece] | None = None
    foreseen: Sequence[Names] = ()


Result = list[Outcome] | EventError
"""What becomes of a request: an outcome for each event, or the error that refused it as a whole."""


class Undone(Exception):
    """A request, given by its place among those of the flush, was refused when part of it was in the store already.

    The transaction has to be given up, and what the others get of it.
    """

    def __init__(self, request: int, error: EventError) -> None:
        super().__init__(request, error)
        self.request = request
        self.error = error


_new_row = functools.partial(tuple.__new__, NewRow)
"""``NewRow`` by place from one tuple, at a third of its time."""


class Flush:
    """The work of one transaction. Make it, ``run`` it over requests, then write ``batch`` and commit."""

    def __init__(
        self, writes: Writes, head: Head, heads: Heads, keys: DataKeys, origin: str, recorded: str, edge: Edge
    ) -> None:
        """``edge`` is that of the tree up to ``head``; it is left as it is."""
        self._edge = edge
        self.batch = Batch(head=head)
        self.leaves: list[bytes] = []
        self.results: list[Result] = []
        self._writes = writes
        self._heads = heads
        self._keys = keys
        self._origin = origin
        self._recorded = recorded
        self._base = head.size
        self._prev = head.leaf.hex() if head.size else NO_PREVIOUS
        self._epoch = head.epoch
        self._foreseen: set[Names] = set()  # what was looked up before its events were there
        self._known: dict[tuple[str, str], int] = {}
        self._sealed: list[Prepared] = []  # beside batch.rows
        self._made: dict[Pair, bytes] = {}  # a store gets them at the end; the cache may drop them before
        self._disclosed = 0  # of those, how many have had their disclosures encrypted
        self._sent = 0  # and how many are with the store

    def run(self, requests: Sequence[Request]) -> None:
        """Decide and seal all; ``results`` then has what became of each request. Raises ``Undone``."""
        self._heads.make_room()
        self._foreseen.update(*(request.foreseen for request in requests))
        self._find(list(self._foreseen), set())
        self._look_up([event for request in requests for event in request.events])
        for request in requests:
            self.results.append(self._decide(request))
        self._seal_disclosures()
        rows = self.batch.rows
        if rows:
            self.batch.head = Head(self._base + len(rows), self.leaves[-1], self._recorded, self._epoch)

    def _look_up(self, piece: Piece) -> None:
        """Find what has to be known of the log before these events are decided, as far as it was not foreseen."""
        events = [event for event in piece if isinstance(event, Prepared)]
        names = [(event.source, event.id, event.stream, event.member) for event in events]
        if self._foreseen:
            names = [each for each in names if each not in self._foreseen]
        self._find(names, {event.heeds for event in events if event.heeds is not None})

    def _find(self, names: Sequence[Names], heeded: set[str]) -> None:
        """Find which of these ids the log has, and the heads of these streams and members and of those ``heeded``."""
        self._known |= self._writes.find_ids([(source, event_id) for source, event_id, _, _ in names])
        self._heads.load(
            self._writes,
            {stream for _, _, stream, _ in names} | {LEDGER_STREAM} | heeded,
            {member for _, _, _, member in names if member is not None},
        )

    def _events(self, request: Request) -> Iterator[Prepared | EventError]:
        """All events of a request, looked up as they arrive."""
        if request.rest is None:
            return itertools.chain.from_iterable(self._parts(request.events))
        return itertools.chain.from_iterable(self._pieces(request, iter(request.rest)))

    def _pieces(self, request: Request, rest: Iterator[Piece]) -> Iterator[Piece]:
        """What there is of a request that is yet arriving, and its ``rest``, piece by piece."""
        taken = list(request.events)
        first = self._base + len(self.batch.rows)
        yield from self._parts(request.events)
        self._send()
        for piece in rest:
            taken += piece
            self._look_up(piece)
            yield from self._parts(piece)
            self._send()
        if request.atomic:
            # Looked up by now, an id that the request repeats is found where the request itself has put it.
            before = {identity for identity, position in self._known.items() if position < first}
            check_joined(cast("list[Prepared]", taken), before)

    def _parts(self, piece: Piece) -> Iterator[Piece]:
        """A piece, cut so that the store can begin with each part of a large one while we go on with the next."""
        part = self._writes.part
        for start in range(0, len(piece), part):
            yield piece[start : start + part]
            if len(piece) - start >= part:
                self._send()

    def _send(self) -> None:
        """Let the store begin with what is sealed by now."""
        if self._sent < len(self.batch.rows):
            self._writes.extend(self.batch)
            self._sent = len(self.batch.rows)
            self._seal_disclosures()

    def _decide(self, request: Request) -> Result:
        events = self._events(request)
        if request.atomic:
            try:
                if request.rest is None:  # else when all of it is there
                    check_joined(cast("Sequence[Prepared]", request.events), self._known)
                return self._append(cast("Iterator[Prepared]", events))
            except EventError as error:
                return error
        outcomes: list[Outcome] = []
        for index, event in enumerate(events):
            try:
                outcomes += [event] if isinstance(event, EventError) else self._append_one(event)
            except EventError as error:
                error.index = index
                outcomes.append(error)
        return outcomes

    def _append_one(self, event: Prepared) -> list[Outcome]:
        check_joined([event], self._known)
        return self._append([event])

    def _append(self, events: Iterable[Prepared]) -> list[Outcome]:
        """Check and seal events that stand or fall together, and move the heads on.

        Raises the ``EventError`` of the first that is refused, with its index, and then leaves no trace. This is the
        one loop that every event passes under the head's lock.
        """
        rows, leaves, start, prev = self.batch.rows, self.leaves, len(self.batch.rows), self._prev
        position, known, recorded = self._base + start, self._known, self._recorded
        streams, members = self._heads.streams, self._heads.members
        ids: dict[tuple[str, str], int] = {}  # these three: what becomes of the three above if all goes well
        moved: dict[str, StreamHead] = {}
        counted: dict[str, int] = {}
        receipts: list[Outcome] = []
        frozen = lifecycle.is_frozen(streams[LEDGER_STREAM].state)
        try:
            for event in events:
                identity, stream, member = (event.source, event.id), event.stream, event.member
                first = known.get(identity, ids.get(identity))
                if first is not None:
                    receipts.append(self._repeat(event, first))
                    continue
                head = moved.get(stream) or streams[stream]
                state, version = self._next_state(event, head, moved, frozen=frozen), head.version + 1
                if stream == LEDGER_STREAM:
                    frozen = self._ledger_changed(event, position, state)
                member_version = None if member is None else (counted.get(member) or members[member]) + 1
                entry = entries.build(event.body, event.by, member_version, position, prev, recorded, version)
                leaf = sha256(b"\x00" + entry).digest()
                prev, ids[identity], moved[stream] = leaf.hex(), position, StreamHead(version, state)
                if member is not None and member_version is not None:
                    counted[member] = member_version
                leaves.append(leaf)
                name, source, event_id = event.type, event.source, event.id
                rows.append(
                    _new_row((position, entry, stream, version, name, member, member_version, source, event_id))
                )
                self._sealed.append(event)
                receipts.append(Receipt(event_id, source, stream, position, version, prev, recorded))
                position += 1
        except EventError as error:
            if error.index is None:
                error.index = len(receipts)
            self._take_back(start, error)
            raise
        known.update(ids)
        streams.update(moved)
        members.update(counted)
        self._prev = prev
        return receipts

    def _take_back(self, start: int, error: EventError) -> None:
        """Leave no trace of the rows from ``start`` on. Raises ``Undone`` when the store has them."""
        if self._sent > start:
            raise Undone(len(self.results), error) from None
        del self.batch.rows[start:], self.leaves[start:], self._sealed[start:]

    def _next_state(
        self, event: Prepared, head: StreamHead, moved: Mapping[str, StreamHead], *, frozen: bool
    ) -> lifecycle.State:
        """The state of the event's stream after it. Raises ``VersionConflict``, ``LifecycleRefused``."""
        if event.expected_version is not None and event.expected_version != head.version:
            raise VersionConflict(event.expected_version, head.version)
        if frozen and event.stream != LEDGER_STREAM:
            raise LifecycleRefused(
                f"the ledger is frozen, so {event.type} is refused",
                state="frozen",
                event=event.type,
                advice="an owner or admin posts ledger.thawed on ledger:main first",
            )
        if event.forced is None and event.heeds is None:
            following = lifecycle.foreseen(event.type, head.state, event.lifecycle_data)
            if following is not None:
                return following
        kind = event.type.partition(".")[0]
        step = lifecycle.Step(event.type, event.actor_role, event.forced, self._recorded, event.lifecycle_data)
        if event.heeds is not None:
            heeded = moved.get(event.heeds) or self._heads.streams[event.heeds]
            lifecycle.heed(kind, head.state, step, heeded.state)
        return lifecycle.advance(kind, head.state, step)

    def _ledger_changed(self, event: Prepared, position: int, state: lifecycle.State) -> bool:
        """Whether the ledger is frozen after an event of its own; raises ``InvalidEvent`` for one that can't be."""
        if event.type == rotation.TYPE:
            self._check_rotation(event, position)
        return lifecycle.is_frozen(state)

    def _check_rotation(self, event: Prepared, position: int) -> None:
        """See that a rotation of keys follows from those that hold, over the tree before it. Raises ``InvalidEvent``.

        Whoever posts it: by this and nothing else the log's own entries lead from its first keys to those that hold.
        """
        before = self._writes.streams([LEDGER_STREAM]).get(LEDGER_STREAM, [])
        before += [row.entry for row in self.batch.rows if row.stream == LEDGER_STREAM]
        edge = self._edge.copy()
        edge.extend(self.leaves)
        try:
            asked = rotation.Rotation.parse(position, entries.body(event.body).public())
            if asked.root != edge.root():
                raise MalformedRotation(f"it is made for another tree than that of {position:,} entries before it")
            KeyHistory.of_entries(before).follow(asked)
        except SignatureError as fault:
            raise InvalidEvent(str(fault), "$.data", advice="keys are rotated by: continuity keys rotate") from None

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
        """Encrypt the disclosures of sealed events, under keys that exist or are made with this batch."""
        rows, sealed_events = self.batch.rows[self._disclosed :], self._sealed[self._disclosed :]
        self._disclosed = len(self._sealed)
        private = [(row[0], event) for row, event in zip(rows, sealed_events, strict=True) if event.disclosures]
        first: dict[Pair, int] = {}
        for position, event in private:
            first.setdefault((event.member or "", event.stream), position)
        # A stream that begins here has no key yet, so only the others are looked for.
        begun = {row.stream for row in rows if row.version == 1}
        keys = {pair: self._made[pair] for pair in first if pair in self._made}
        keys |= self._keys.load(self._writes, [pair for pair in first if pair not in keys and pair[1] not in begun])
        missing = {pair: position for pair, position in first.items() if pair not in keys}
        made, wrapped = self._keys.create(missing, self._epoch)
        keys |= made
        self._made |= made
        self.batch.keys += wrapped
        nonces = privacy.drawn(privacy.NONCE_SIZE, len(private))
        for position, event in private:
            bound_to = privacy.associated(self._origin, event.source, event.id, event.names)
            key = AESGCM(keys[event.member or "", event.stream])
            sealed = privacy.seal(key, event.disclosures, bound_to, next(nonces))
            self.batch.disclosures.append((position, sealed))
