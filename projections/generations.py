"""Which generations a projection has, which of them this code goes on with, and how they take each other's place.

Owns these decisions, and the transactions that carry them out. Never folds.

A generation is this code's when its fingerprint is that of the declaration. The live one that is, is followed; one that
is filling, is filled and then made live. A live one of other code is served on as it is, while one of this code is
filled beside it; if the previous one is of this code (an old release came back), it is made live again at once. One
that an operator has withdrawn is left alone, until its code changes. This is decided once, when a runner begins: so two
releases at work side by side don't take turns at undoing what the other did.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from ledger.errors import Conflict
from projections.projection import Projection
from projections.store.protocol import Generation, State, Writes

Holds = Callable[[Generation], bool]
"""Whether the log holds the entry up to which a generation is folded."""


def states(name: str, generations: Iterable[Generation]) -> dict[State, Generation]:
    """The generations of the projection ``name``; there is one at most in each state."""
    return {one.state: one for one in generations if one.projection == name}


def followed(projection: Projection, generations: Iterable[Generation]) -> Generation | None:
    """The live generation, if it is this code's."""
    return _own(projection, states(projection.name, generations).get("live"))


def filling(projection: Projection, generations: Iterable[Generation]) -> Generation | None:
    """The generation that is being filled, if it is this code's."""
    return _own(projection, states(projection.name, generations).get("filling"))


def stopped(generations: Iterable[Generation]) -> list[Generation]:
    """Those that would be gone on with, and stand still at an event that can't be folded."""
    return [one for one in generations if one.fault is not None and one.state in ("live", "filling")]


def unsettled(projections: Sequence[Projection], generations: Sequence[Generation], holds: Holds) -> bool:
    """Whether ``settle`` has anything to do."""
    return any(
        not all(map(holds, found.values())) or not _has_its_own(projection, found)
        for projection in projections
        for found in [states(projection.name, generations)]
    )


def settle(writes: Writes, projections: Iterable[Projection], holds: Holds) -> None:
    """See that each projection has a generation of this code and of this log: live, filling or withdrawn."""
    for projection in projections:
        found = states(projection.name, writes.generations())
        for state, generation in list(found.items()):
            if not holds(generation):  # a restored, rolled back or other log: these rows are of what never was
                writes.drop(generation)
                del found[state]
        if _has_its_own(projection, found):
            continue
        if previous := _own(projection, found.get("previous")):
            writes.switch(None, previous)
        else:
            begin(writes, projection)


def begin(writes: Writes, projection: Projection) -> Generation:
    """A fresh generation to fill, in the place of any other that was being filled."""
    if unfinished := states(projection.name, writes.generations()).get("filling"):
        writes.drop(unfinished)
    return writes.create(projection)


def take_back(writes: Writes, begun: Container[tuple[str, int]]) -> None:
    """Drop those of these generations that are still being filled, where there is a live one to read instead."""
    now = writes.generations()
    live = {one.projection for one in now if one.state == "live"}
    for one in now:
        if one.state == "filling" and one[:2] in begun and one.projection in live:
            writes.drop(one)


def finish(writes: Writes, projection: Projection, generation: Generation) -> None:
    """Make a filled generation live, keep the one that was, and drop those before it."""
    before = states(projection.name, writes.generations())
    writes.switch(projection, generation)
    for state in ("previous", "withdrawn"):
        if older := before.get(state):
            writes.drop(older)


def go_back(writes: Writes, name: str, holds: Holds) -> Generation:
    """Make the generation live that was so before, and withdraw the one that is; or undo just that.

    Returns what is live then. Raises ``Conflict`` when there is none to go back to, or it is of another log.
    """
    found = states(name, writes.generations())
    target = found.get("previous") or found.get("withdrawn")
    if target is None:
        raise Conflict(f"there is no generation of {name} to go back to", advice="one is kept after each rebuild")
    if not holds(target):
        raise Conflict(
            f"generation {target.number} of {name} is of another log",
            advice=f"make a new one: continuity rebuild {name}",
        )
    writes.switch(None, target, replaced="withdrawn" if target.state == "previous" else "previous")
    return target._replace(state="live")


def _own(projection: Projection, generation: Generation | None) -> Generation | None:
    return generation if generation is not None and generation.fingerprint == projection.fingerprint() else None


def _has_its_own(projection: Projection, found: dict[State, Generation]) -> bool:
    return any(_own(projection, found.get(state)) for state in ("live", "filling", "withdrawn"))
