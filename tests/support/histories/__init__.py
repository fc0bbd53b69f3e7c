"""Random histories over all kinds of stream, as CloudEvents that a new ledger takes one after the other as they come.

``history(seed, n)`` is fast and the same for the same seed; ``histories()`` is the strategy of hypothesis for it, which
shrinks. Both draw from one teller: it picks a stream and an event that its lifecycle allows (a few are forced by an
admin instead), samples data by the type's schema (``samples``), and puts right what hangs together (``plots``): links
name streams that are there, stages go on, versions count up, records hold what their collection declared. A kind that
is new to the catalogue takes part as soon as it has a lifecycle.

A history belongs into a ledger of its own that holds nothing but ``ledger.created``. ``AUTHOR`` may post all of it,
even what the ledger itself writes; such an event is a fact in the log and destroys nothing (``member.erased`` leaves
keys as they are). ``fill`` appends one to a log.

With ``waits`` there are purges too, which need 30 days in the trash. Then the ledger's clock has to go with the events:
pass a ``Clock`` to the log and to ``fill``. Without, a history needs no time to pass, and any clock will do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import Any

import orjson
from hypothesis import strategies as st

from ledger import catalog, lifecycle, moment
from ledger.errors import LifecycleRefused
from ledger.event import Credential
from ledger.lifecycle import LIFECYCLES, Step
from ledger.log import Log
from tests.support.histories import plots
from tests.support.histories.samples import DAY, sample
from tests.support.histories.world import Draft, World

AUTHOR = Credential(
    id="local",
    role="owner",
    actor="author",
    actor_role="service",
    actor_roles=frozenset({"client", "staff", "service", "system", "admin"}),
)
"""Who may post every event of a history."""

BEGINNING = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
WEIGHTS = {
    "reservation": 30,
    "piece": 12,
    "notification": 12,
    "storage": 12,
    "media": 10,
    "record": 10,
    "member": 6,
    "account": 6,
    "ledger": 0.5,
    "projection": 0.5,
    "state": 1,
}
"""How often an event is of a kind; 2 for those that aren't named."""

RARE = {
    "account.settled": 0.2,
    "ledger.frozen": 0.3,
    "media.trashed": 0.3,
    "member.account_changed": 0.2,
    "member.erased": 0.05,
    "notification.read": 0.3,
    "record.trashed": 0.3,
    "reservation.cancelled": 0.2,
    "storage.picked_up": 0.2,
    "storage.reclaimed": 0.5,
}
"""How often an event is told that ends something, where another might be told once."""

SINGLE = {"ledger": "main", "state": "main"}
"""The one stream of kinds that have one."""

SIGNED = ("ledger.created", "ledger.key_rotated")
"""Types of which a ledger makes each itself, with its keys: chance makes none that is true."""
PURGES = frozenset({"record.purged", "media.purged"})
ROLES = ("client", "staff", "staff", "service", "admin")


class Clock:
    """A ledger's clock that ``fill`` moves; in microseconds."""

    def __init__(self, now: int = BEGINNING - DAY) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def history(seed: int, n: int, *, kinds: Collection[str] | None = None, waits: bool = False) -> list[bytes]:
    """``n`` events, the same for the same arguments. ``kinds`` limits them to streams of these kinds."""
    return _Teller(Random(seed), kinds, waits=waits).tell(n)


def histories(
    max_events: int = 60, *, kinds: Collection[str] | None = None, waits: bool = False
) -> st.SearchStrategy[list[bytes]]:
    """The strategy of histories of 1 to ``max_events`` events."""
    return st.builds(
        lambda rng, n: _Teller(rng, kinds, waits=waits).tell(n),
        st.randoms(use_true_random=False),
        st.integers(1, max_events),
    )


def fill(log: Log, events: Sequence[bytes], clock: Clock | None = None, batch: int = 500) -> None:
    """Append a history to a log, ``batch`` events at a time, as ``AUTHOR``; every event has to be taken.

    ``clock`` is the log's own: it is set to the time of each batch's first event, and a purge begins a batch, so that
    the ledger's clock is never ahead of the history.
    """
    for part in batches(events, batch):
        if clock is not None:
            clock.now = max(clock.now, moment.microseconds(orjson.loads(part[0])["time"]))
        log.append(part, AUTHOR)


def batches(events: Sequence[bytes], batch: int) -> Iterator[list[bytes]]:
    """The events in batches of about that many: each purge at the head of one, both sides of a transfer in one."""
    part: list[bytes] = []
    for event in events:
        if (len(part) >= batch and b'"side":"received"' not in event) or (
            part and b".purged" in event and orjson.loads(event)["type"] in PURGES
        ):
            yield part
            part = []
        part.append(event)
    if part:
        yield part


class _Teller:
    """Tells one history. ``world`` is what it knows of the streams that it has begun."""

    def __init__(self, rng: Random, kinds: Collection[str] | None, *, waits: bool) -> None:
        self.rng = rng
        self.waits = waits
        self.kinds = sorted(kinds) if kinds is not None else sorted(LIFECYCLES)
        self.weights = [WEIGHTS.get(kind, 2) for kind in self.kinds]
        self.world = World(rng, BEGINNING)
        self.world.states["ledger:main"] = lifecycle.LedgerState("open")
        self.world.versions["ledger:main"] = 1
        self.made = 1  # the next position: the ledger begins with an entry of its own
        self.name = f"{rng.getrandbits(48):012x}"

    def tell(self, n: int) -> list[bytes]:
        """The next ``n`` events. A ledger that is frozen is thawed at once, so a history never ends so."""
        events: list[bytes] = []
        while len(events) < n:
            self._pass_time()
            made = self._next(n - len(events))
            if made is not None:
                events += made
        return events

    def _pass_time(self) -> None:
        self.world.now += self.rng.randrange(1_800_000_000)  # up to half an hour
        if self.waits and self.rng.random() < 0.01:
            self.world.now += 31 * DAY

    def _next(self, left: int) -> list[bytes] | None:
        """One event of some stream, or two that belong together; None where chance found none that is lawful."""
        kind = self.rng.choices(self.kinds, self.weights)[0]
        stream = self._stream(kind)
        if stream is None:
            return None
        forced = kind != "ledger" and self.rng.random() < 0.02
        state = self.world.states.get(stream)
        table = LIFECYCLES[kind].table
        verbs = [
            verb
            for verb, moves in table.items()
            if (forced or (state and state.status) in moves) and self._tellable(f"{kind}.{verb}", left, forced=forced)
        ]
        if not verbs:
            return None
        names = [f"{kind}.{verb}" for verb in verbs]
        name = self.rng.choices(names, [RARE.get(name, 1.0) for name in names])[0]
        first = self._draft(name, stream, forced=forced)
        if not self._told(first):
            return None
        sequel = plots.sequel(first)
        if sequel is None:
            return [self._cloud(first)]
        assert self._told(sequel)
        return [self._cloud(first), self._cloud(sequel)]

    def _tellable(self, name: str, left: int, *, forced: bool) -> bool:
        if name in SIGNED or (name in PURGES and not self.waits) or (name in plots.WITH_SEQUEL and left < 2):
            return False
        return not (forced and catalog.get(name).issued_by_ledger)

    def _stream(self, kind: str) -> str | None:
        """A stream of the kind: a new one, or one that is there, the later ones more often."""
        there = self.world.there[kind]
        if kind in SINGLE:
            return f"{kind}:{SINGLE[kind]}"
        if not there or self.rng.random() < 0.2:
            return self.world.new_stream(kind)
        at = int(len(there) * self.rng.random() ** 0.3)
        return f"{kind}:{there[min(at, len(there) - 1)]}"

    def _draft(self, name: str, stream: str, *, forced: bool) -> Draft:
        world, found = self.world, catalog.get(name)
        role = plots.role_of(name, self.rng, ROLES)
        if forced:
            role = "admin"
        elif found.issued_by_ledger:
            role = "system"
        data = sample(name, self.rng, world.now)
        return Draft(name, stream, world.states.get(stream), data, role, self.made, forced="import" if forced else None)

    def _told(self, draft: Draft) -> bool:
        """Put a draft right and tell it to the world; False where its lifecycle or its plot has no place for it."""
        world = self.world
        if not plots.put_right(draft, world):
            return False
        step = Step(draft.name, draft.role, draft.forced, moment.recorded(world.now), draft.data)
        try:
            after = lifecycle.advance(draft.stream.partition(":")[0], draft.state, step)
        except LifecycleRefused:
            return False
        world.tell(draft, after)
        self.made += 1
        return True

    def _cloud(self, draft: Draft) -> bytes:
        """The event as its caller posts it."""
        rng, world = self.rng, self.world
        cloud: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"{self.name}-{draft.position}",
            "source": "urn:history",
            "type": draft.name,
            "subject": draft.stream,
            "time": moment.normal(moment.recorded(world.now)),
            "actorrole": draft.role,
            "data": draft.data,
        }
        if draft.role != "system":
            cloud["actor"] = f"{draft.role}-{rng.randrange(4)}"
        member = world.member_of(draft.stream)
        if member is not None:
            cloud["member"] = member
        if draft.forced is not None:
            cloud["forced"] = draft.forced
        if draft.correlation is not None:
            cloud["correlationid"] = draft.correlation
        chance = rng.random()
        if chance < 0.1:
            cloud["tags"] = " ".join(rng.sample(("batch", "desk", "walk-in", "night"), rng.randint(1, 3)))
        elif chance < 0.2:
            cloud["expectedversion"] = draft.version - 1
        return orjson.dumps(cloud)
