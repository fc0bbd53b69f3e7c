"""Where projections stand: what an operator is shown of the catalogue.

Owns the words. Never changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from projections.generations import stopped
from projections.projection import Projection
from projections.store.protocol import Fault, Generation


class Standing(NamedTuple):
    """One generation of a projection, or that there is none.

    ``state`` is ``live`` (read by queries, and kept up to date), ``outdated`` (read by queries, but made by other code
    than this), ``filling``, ``stopped`` (live or filling, at an event that it can't fold: ``fault``), ``previous``,
    ``withdrawn`` or ``missing``. ``position`` is that of the last entry folded, -1 for none; ``lag`` how many more the
    log holds.
    """

    name: str
    version: int
    generation: int | None
    position: int
    lag: int
    state: str
    fault: Fault | None

    def json(self) -> dict[str, Any]:
        """As JSON shows it."""
        return self._asdict() | {"fault": None if self.fault is None else self.fault._asdict()}


def standings(projections: Iterable[Projection], found: Sequence[Generation], size: int) -> list[Standing]:
    """How the generations of these projections stand against a log of ``size`` entries, by name and number."""
    shown = []
    for projection in sorted(projections, key=lambda one: one.name):
        own = [one for one in found if one.projection == projection.name]
        if not any(one.state == "live" for one in own):
            shown.append(Standing(projection.name, projection.version, None, -1, size, "missing", None))
        shown += [_standing(projection, one, size) for one in own]
    return shown


def _standing(projection: Projection, one: Generation, size: int) -> Standing:
    state: str = one.state
    if stopped([one]):
        state = "stopped"
    elif one.state == "live" and one.fingerprint != projection.fingerprint():
        state = "outdated"
    lag = max(0, size - 1 - one.position)
    return Standing(one.projection, one.version, one.number, one.position, lag, state, one.fault)
