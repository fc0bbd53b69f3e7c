"""Which event may follow which, per kind of stream.

Owns the look-up: a kind's lifecycle is one module in this package, found by being here. Pure: a state and a step in,
the next state or a refusal out. Never reads a clock, a store or private data; which actor roles a credential may claim
is for ``ledger.event`` to say. A kind that has no module here is not ruled: any event may follow any.

Invariant: a forced step by an admin is never refused.

Everything that a table can say beforehand is compiled into ``_NEXT``, so that the common path is one look-up. What
needs a role, a reason, a time or a figure is decided by the one function of its kind; a refusal is worded only if there
is one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from ledger.errors import LifecycleRefused
from ledger.lifecycle.account import AccountState
from ledger.lifecycle.base import TRASH_DAYS, Lifecycle, State, StatusState, Step, Table, fields_of, refuse
from ledger.lifecycle.ledger import LedgerState
from ledger.lifecycle.media import MediaState
from ledger.lifecycle.member import MemberState
from ledger.lifecycle.policy import PolicyState
from ledger.lifecycle.record import RecordState
from ledger.lifecycle.reservation import LOADS, STAGES, ReservationState
from ledger.lifecycle.storage import StorageState

__all__ = [
    "LIFECYCLES",
    "LOADS",
    "STAGES",
    "TABLES",
    "TRASH_DAYS",
    "AccountState",
    "LedgerState",
    "MediaState",
    "MemberState",
    "PolicyState",
    "RecordState",
    "ReservationState",
    "State",
    "StatusState",
    "Step",
    "StorageState",
    "UnruledState",
    "advance",
    "describe",
    "foreseen",
    "heed",
    "is_frozen",
]


class UnruledState(NamedTuple):
    """A stream of a kind without a lifecycle: it has begun, and any event may follow."""

    status: str = "begun"


def _discover() -> Iterator[Lifecycle]:
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        if found.name != "base":
            yield module.LIFECYCLE


LIFECYCLES: Mapping[str, Lifecycle] = {lifecycle.kind: lifecycle for lifecycle in _discover()}
"""The lifecycle of each kind of stream that has one."""

TABLES: Mapping[str, Table] = {kind: lifecycle.table for kind, lifecycle in LIFECYCLES.items()}
"""Per kind and verb: the status after, by the status before (None: the stream has not begun). The rest is refused."""


def foreseen(name: str, state: State | None, data: Mapping[str, Any]) -> State | None:
    """Return the state after an event of the type ``name`` that is not forced, where role and time don't matter.

    Else None: then ``advance`` decides, which gives the same where this says anything.
    """
    return _NEXT.get((name, state, data.get("to"), data.get("from")))


def advance(kind: str, state: State | None, step: Step) -> State:
    """Return the state of a stream of ``kind`` after ``step``; ``state`` is None for a stream that has not begun.

    Raises ``LifecycleRefused`` naming the state, the event and what would be allowed.
    """
    if step.forced is None:
        if (following := foreseen(step.type, state, step.data)) is not None:
            return following
    elif step.role != "admin":
        refuse(kind, state, step, f"a forced event needs the actor role admin, got {step.role}", "$.forced")
    lifecycle = LIFECYCLES.get(kind)
    if lifecycle is None:
        return UnruledState()
    if step.forced is None and (state and state.status) not in lifecycle.table[step.verb]:
        refuse(kind, state, step, f"allowed: {_allowed(lifecycle.table, state) or 'nothing'}")
    return lifecycle.decide(state, step)


def heed(kind: str, state: State | None, step: Step, other: State | None) -> None:
    """Check ``step`` against the state of the ``other`` stream that its type heeds; a forced one heeds nothing.

    For new events only: one that is recorded has happened, whatever became of the other stream. Raises as ``advance``.
    """
    lifecycle = LIFECYCLES[kind]
    if lifecycle.heed is not None and step.forced is None:
        lifecycle.heed(state, step, other)


def describe(kind: str, state: State | None) -> dict[str, Any]:
    """Return the ``state`` of a stream of ``kind`` by field name, such as ``{"status": "confirmed", "stage": ...}``.

    A field that is None or has parts is left out; a stream that has not begun, or is not ruled, has no fields.
    """
    return fields_of(state) if kind in LIFECYCLES else {}


def is_frozen(state: State | None) -> bool:
    """Say whether the ledger's own stream, in ``state``, stops all others from taking appends."""
    return isinstance(state, LedgerState) and state.status == "frozen"


def _allowed(table: Table, state: State | None) -> str:
    return ", ".join(sorted(verb for verb, moves in table.items() if (state and state.status) in moves))


_Key = tuple[str, State | None, str | None, str | None]


def _compile() -> dict[_Key, State]:
    """Return the state after each step that a client with no reason may take: so may every other role."""
    following: dict[_Key, State] = {}
    for kind, lifecycle in LIFECYCLES.items():
        for verb, state in product(lifecycle.table, [None, *lifecycle.known]):
            if (state and state.status) not in lifecycle.table[verb] or verb in lifecycle.depends:
                continue
            name = f"{kind}.{verb}"
            for data in lifecycle.choices(verb, state):
                try:
                    after = lifecycle.decide(state, Step(name, "client", None, "", data))
                except LifecycleRefused:
                    continue
                following[name, state, data.get("to"), data.get("from")] = after
    return following


_NEXT = _compile()
