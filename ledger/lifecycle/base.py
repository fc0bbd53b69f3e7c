"""What a lifecycle is: a table of statuses, and one function for what no table can say.

Owns the shapes that the modules of the kinds are made of, and the wording of refusals. Pure: a state and a step in, the
next state or a refusal out. Never reads a clock, a store or private data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias

from msgspec import Struct

from ledger import moment
from ledger.errors import LifecycleRefused

TRASH_DAYS = 30
"""How long what is trashed stays restorable: it is not purged sooner."""


class Step(NamedTuple):
    """One event, as far as a lifecycle looks at it.

    ``role`` is the actor's; ``forced`` a reason code or None; ``recorded`` the seal's time; ``data`` the public data,
    empty unless the type ``reads_data``.
    """

    type: str
    role: str
    forced: str | None
    recorded: str
    data: Mapping[str, Any]

    @property
    def verb(self) -> str:
        """What happened: the type without its kind."""
        return self.type.partition(".")[2]


class State(Protocol):
    """Where a stream stands: a named tuple of each kind's own, hashable, with its status first."""

    @property
    def status(self) -> str:
        """The one of its fields that the table of its kind is about."""

    def _asdict(self) -> dict[str, Any]: ...


class StatusState(NamedTuple):
    """Where a stream stands of whose kind a lifecycle knows the status and nothing else."""

    status: str


Table: TypeAlias = Mapping[str, Mapping[str | None, str]]
"""By verb: the status after, by the status before (None: the stream has not begun). The rest is refused."""

Decide: TypeAlias = Callable[[State | None, Step], State]

Heed: TypeAlias = Callable[[State | None, Step, State | None], None]


def _nothing(verb: str, state: State | None) -> Iterator[dict[str, str]]:
    yield {}


class Lifecycle(Struct, frozen=True, kw_only=True):
    """The lifecycle of one kind of stream.

    ``decide`` gives the state after a step that the ``table`` allows, or that is forced, and refuses what no table can
    see; ``rules`` says the same in words, for people. ``known`` are states, and ``choices`` the ``to`` and ``from``
    that an event may have in a state, for which ``decide`` is asked once and for all; not for the verbs ``depends``,
    which look at a time or at other data. ``heed`` refuses a step for the state of the other stream that its type
    heeds.
    """

    kind: str
    table: Table
    decide: Decide
    known: tuple[State, ...]
    rules: str = ""
    depends: frozenset[str] = frozenset()
    heed: Heed | None = None
    choices: Callable[[str, State | None], Iterable[Mapping[str, str]]] = _nothing


def plain(kind: str, table: Table, rules: str = "") -> Lifecycle:
    """Return the lifecycle of a kind whose table says it all."""

    def decide(state: State | None, step: Step) -> State:
        return StatusState(led_to(table, state, step))

    return Lifecycle(kind=kind, table=table, decide=decide, known=statuses(table), rules=rules)


def statuses(table: Table) -> tuple[StatusState, ...]:
    """Return a state for each status that a table leads to, in the order of the table."""
    return tuple(map(StatusState, dict.fromkeys(status for moves in table.values() for status in moves.values())))


def led_to(table: Table, state: State | None, step: Step) -> str:
    """Return the status after a step, by the table; one that is forced leads to what it tells of.

    So where its verb has one status after it, that is where a forced step leads; else the status stays as it is, and
    what has not begun begins with the first one.
    """
    moves = table[step.verb]
    status = state.status if state else None
    if status in moves:
        return moves[status]
    first, *others = dict.fromkeys(moves.values())
    return status if status and others else first


def stay(*statuses: str) -> dict[str | None, str]:
    """Return the row of a table for a verb that is taken in these statuses and changes none of them."""
    return {status: status for status in statuses}


def refuse(kind: str, state: State | None, step: Step, why: str, path: str = "$.type") -> NoReturn:
    """Raise the refusal of ``step``: its fault lies at ``path``; ``why`` says what it is, or what would be allowed."""
    name = ", ".join(f"{field} {value}" for field, value in fields_of(state).items()) or "not begun"
    detail = f"{step.type} is refused for {_one(kind)} that is {name}; {why}"
    advice = "" if step.forced else "if it did happen so, an admin may force it with a reason code"
    raise LifecycleRefused(detail, path, state=name, event=step.type, advice=advice)


def fields_of(state: State | None) -> dict[str, Any]:
    """Return the fields of a state by name, without those that are None or have parts; none before a stream begins."""
    fields = {} if state is None else state._asdict()
    return {name: value for name, value in fields.items() if value is not None and not isinstance(value, tuple)}


def check_purge(kind: str, state: State, step: Step, trashed: str | None) -> None:
    """Check that what was ``trashed`` at a time has been in the trash for ``TRASH_DAYS``, by the time of ``step``."""
    if trashed is None:
        return
    elapsed = moment.microseconds(step.recorded) - moment.microseconds(trashed)
    if elapsed < TRASH_DAYS * 86_400_000_000:
        why = f"{_one(kind)} is purged {TRASH_DAYS} days after it was trashed, at the soonest"
        refuse(kind, state, step, why)


def _one(kind: str) -> str:
    return kind if kind in ("media", "storage") else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
