"""Which event may follow which, per kind of stream.

Owns the transition tables and the states that they lead through. Pure: a state and a step in, the next state or a
refusal out. Never reads a clock, a store or private data; which actor roles a credential may claim is for
``ledger.event`` to say. A kind that has no table here is not ruled: any event may follow any.

Invariants: a reservation's status is ``cancelled`` if and only if its stage is, and ``completed`` if and only if its
stage is ``picked_up``, forced or not. A forced step by an admin is never refused.

Everything that a table can say beforehand is compiled into ``KNOWN``, so that the common path is one look-up. What
needs a role, a reason or a time is decided by the one function of its kind; a refusal is worded only if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple, NoReturn, TypeAlias, cast

from ledger import moment
from ledger.errors import LifecycleRefused

STAGES = ("intake", "queued", "drying", "glaze", "loaded", "ready_for_pickup", "stored", "picked_up")
"""The stages of a reservation in their order. ``cancelled`` is a stage too, outside the order."""

LOADS = ("queued", "loading", "loaded")
"""The states of a reservation's kiln load in their order."""

TRASH_DAYS = 30
"""How long a trashed record stays restorable: it is not purged sooner."""


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


class ReservationState(NamedTuple):
    """Where a reservation stands: its status, its stage, its kiln load."""

    status: str
    stage: str
    load: str


class MemberState(NamedTuple):
    """Where a member's account stands."""

    status: str


class RecordState(NamedTuple):
    """Where a record stands, and the ``recorded`` time since which it is trashed, or None."""

    status: str
    trashed: str | None


class LedgerState(NamedTuple):
    """Whether the ledger is open or frozen."""

    status: str


class UnruledState(NamedTuple):
    """A stream of a kind without a table: it has begun, and any event may follow."""

    status: str = "begun"


State: TypeAlias = ReservationState | MemberState | RecordState | LedgerState | UnruledState
Table: TypeAlias = Mapping[str, Mapping[str | None, str]]

_LIVE = ("requested", "confirmed", "waitlisted")
_ENDED = ("transferred", "merged", "closed")
_BEGUN = ReservationState("requested", "intake", "queued")


def _stay(*statuses: str) -> dict[str | None, str]:
    return {status: status for status in statuses}


TABLES: Mapping[str, Table] = {
    "reservation": {
        "requested": {None: "requested"},
        "confirmed": {"requested": "confirmed", "waitlisted": "confirmed"},
        "waitlisted": {"requested": "waitlisted", "confirmed": "waitlisted"},
        "cancelled": {"requested": "cancelled", "confirmed": "cancelled", "waitlisted": "cancelled"},
        "stage_changed": _stay(*_LIVE),  # from confirmed to the stage picked_up: completed
        "load_changed": _stay(*_LIVE),
        "estimate_changed": _stay(*_LIVE),
        "station_assigned": _stay(*_LIVE),
        "arrival_token_issued": _stay(*_LIVE),
        "arrived": _stay(*_LIVE),
        "pickup_window_changed": _stay(*_LIVE),
        "fairness_recorded": _stay(*_LIVE, "cancelled", "completed"),
    },
    "member": {
        "registered": {None: "active", "closed": "active"},
        "contact_updated": _stay("active"),
        "account_changed": _stay("active"),  # where this account is the one that ends: transferred, merged or closed
        # A member may be known by other streams only, and more may be recorded of one who was erased before.
        "erased": dict.fromkeys((None, "active", *_ENDED, "erased"), "erased"),
    },
    "record": {
        "created": {None: "active"},
        "updated": _stay("active"),
        "trashed": {"active": "trashed"},
        "restored": {"trashed": "active"},
        "purged": {"trashed": "purged"},
    },
    "ledger": {
        "created": {None: "open"},
        "key_rotated": _stay("open", "frozen"),
        "frozen": {"open": "frozen"},
        "thawed": {"frozen": "open"},
    },
}
"""Per kind and verb: the status after, by the status before (None: the stream has not begun). The rest is refused."""


def advance(kind: str, state: State | None, step: Step) -> State:
    """Return the state of a stream of ``kind`` after ``step``; ``state`` is None for a stream that has not begun.

    Raises ``LifecycleRefused`` naming the state, the event and what would be allowed.
    """
    if step.forced is None:
        data = step.data
        following = KNOWN.get((step.type, state, data.get("to"), data.get("from")))
        if following is not None:
            return following
    elif step.role != "admin":
        _refuse(kind, state, step, f"a forced event needs the actor role admin, got {step.role}", "$.forced")
    table = TABLES.get(kind)
    if table is None:
        return UnruledState()
    if step.forced is None and (state and state.status) not in table[_verb(step)]:
        _refuse(kind, state, step, f"allowed: {_allowed(table, state) or 'nothing'}")
    return _DECIDE[kind](state, step)


def advance_recorded(kind: str, state: State | None, step: Step) -> State:
    """Return the state after a step that is recorded, and so has happened: as ``advance``, but it is never refused.

    What today's tables would not accept counts as forced.
    """
    try:
        return advance(kind, state, step)
    except LifecycleRefused:
        return advance(kind, state, step._replace(role="admin", forced="recorded"))


def describe(kind: str, state: State | None) -> dict[str, str]:
    """Return the ``state`` of a stream of ``kind`` by field name, such as ``{"status": "confirmed", "stage": ...}``.

    A field that is None is left out; a stream that has not begun, or is not ruled, has no fields.
    """
    if state is None or kind not in TABLES:
        return {}
    return {name: value for name, value in state._asdict().items() if value is not None}


def is_frozen(state: State | None) -> bool:
    """Say whether the ledger's own stream, in ``state``, stops all others from taking appends."""
    return isinstance(state, LedgerState) and state.status == "frozen"


def _verb(step: Step) -> str:
    return step.type.partition(".")[2]


def _allowed(table: Table, state: State | None) -> str:
    return ", ".join(sorted(verb for verb, moves in table.items() if (state and state.status) in moves))


def _refuse(kind: str, state: State | None, step: Step, why: str, path: str = "$.type") -> NoReturn:
    """Raise the refusal of ``step``: its fault lies at ``path``; ``why`` says what it is, or what would be allowed."""
    name = ", ".join(f"{field} {value}" for field, value in describe(kind, state).items()) or "not begun"
    detail = f"{step.type} is refused for a {kind} that is {name}; {why}"
    advice = "" if step.forced else "if it did happen so, an admin may force it with a reason code"
    raise LifecycleRefused(detail, path, state=name, event=step.type, advice=advice)


# --- One function a kind: the state after a step that the table allows, or that is forced -----------------------------


def _reservation(before: State | None, step: Step) -> ReservationState:
    """A forced step leads to what its event says, and from a final status back into a live one where it must."""
    state = cast("ReservationState | None", before)
    verb = _verb(step)
    if verb == "requested":
        return _BEGUN
    if verb == "stage_changed":
        return _stage_changed(state, step)
    if verb == "load_changed":
        return _load_changed(state, step)
    here = state or _BEGUN
    if verb == "cancelled":
        return here._replace(status="cancelled", stage="cancelled")
    if verb in ("confirmed", "waitlisted"):
        return here._replace(status=verb, stage=here.stage if here.status in _LIVE else "intake")
    return here


def _stage_changed(state: ReservationState | None, step: Step) -> ReservationState:
    to = step.data["to"]
    if state is not None and step.forced is None:
        _check_from(state, state.stage, step)
        if STAGES.index(to) < STAGES.index(state.stage):
            _check_back(state, step)
        if to == "picked_up" and state.status != "confirmed":
            _refuse("reservation", state, step, "only a confirmed reservation is picked up", "$.data.to")
    here = state or _BEGUN
    if to == "picked_up":
        return here._replace(status="completed", stage=to)
    # Work that has a stage was let in; so what is forced out of nothing or a final status is confirmed from there on.
    return here._replace(status=here.status if state and here.status in _LIVE else "confirmed", stage=to)


def _check_from(state: ReservationState, actual: str, step: Step) -> None:
    """Check that a change starts where the event says, if it says so, and leads elsewhere."""
    if step.data.get("from", actual) != actual:
        _refuse("reservation", state, step, f"it is not in {step.data['from']} but in {actual}", "$.data.from")
    if step.data["to"] == actual:
        _refuse("reservation", state, step, f"it is in {actual} already", "$.data.to")


def _check_back(state: ReservationState, step: Step) -> None:
    if step.role not in ("staff", "admin"):
        _refuse(
            "reservation", state, step, f"a step back needs the role staff or admin, got {step.role}", "$.actorrole"
        )
    if "reason" not in step.data:
        _refuse("reservation", state, step, "a step back needs a reason", "$.data.reason")


def _load_changed(state: ReservationState | None, step: Step) -> ReservationState:
    to = step.data["to"]
    if state is not None and step.forced is None:
        _check_from(state, state.load, step)
        if (state.load, to) == ("loaded", "queued"):
            if step.role not in ("staff", "admin"):
                why = f"a correction needs the role staff or admin, got {step.role}"
                _refuse("reservation", state, step, why, "$.actorrole")
        elif LOADS.index(to) != LOADS.index(state.load) + 1:
            _refuse(
                "reservation", state, step, "a load goes queued, loading, loaded, or from loaded to queued", "$.data.to"
            )
    return (state or _BEGUN)._replace(load=to)


def _member(state: State | None, step: Step) -> MemberState:
    here = cast("MemberState", state or MemberState("active"))
    match _verb(step):
        case "registered":
            return MemberState("active")
        case "erased":
            return MemberState("erased")
        case "account_changed" if step.data.get("side") != "received":
            return MemberState(step.data["change"])
    return here


def _record(before: State | None, step: Step) -> RecordState:
    state = cast("RecordState | None", before)
    match _verb(step):
        case "trashed":
            return RecordState("trashed", step.recorded)
        case "purged":
            _check_purge(state, step)
            return RecordState("purged", None)
        case "updated" if state:
            return state
    return RecordState("active", None)


def _check_purge(state: RecordState | None, step: Step) -> None:
    if step.forced is not None or state is None or state.trashed is None:
        return
    elapsed = moment.microseconds(step.recorded) - moment.microseconds(state.trashed)
    if elapsed < TRASH_DAYS * 86_400_000_000:
        _refuse("record", state, step, f"a record is purged {TRASH_DAYS} days after it was trashed, at the soonest")


def _ledger(state: State | None, step: Step) -> LedgerState:
    here = cast("LedgerState", state or LedgerState("open"))
    match _verb(step):
        case "frozen" | "thawed" if step.role != "admin":
            _refuse("ledger", state, step, f"it needs the actor role admin, got {step.role}", "$.actorrole")
        case "frozen":
            return LedgerState("frozen")
        case "thawed" | "created":
            return LedgerState("open")
    return here


_DECIDE: Mapping[str, Callable[[State | None, Step], State]] = {
    "reservation": _reservation,
    "member": _member,
    "record": _record,
    "ledger": _ledger,
}


# --- What can be known beforehand -------------------------------------------------------------------------------------

_KNOWN: Mapping[str, Iterable[State]] = {
    "reservation": [
        *(ReservationState(status, stage, load) for status, stage, load in product(_LIVE, STAGES[:-1], LOADS)),
        *(ReservationState("cancelled", "cancelled", load) for load in LOADS),
        *(ReservationState("completed", "picked_up", load) for load in LOADS),
    ],
    "member": [MemberState(status) for status in ("active", *_ENDED, "erased")],
    "record": [RecordState("active", None)],
    "ledger": [LedgerState("open"), LedgerState("frozen")],
}
# These look at a time, or at other data than "to" and "from".
_UNKNOWABLE = frozenset({"member.account_changed", "record.trashed"})


def _changes(verb: str, state: State | None) -> Iterator[dict[str, str]]:
    """Yield every ``to``, with and without its right ``from``, for the verbs that have them; else nothing said."""
    if verb in ("stage_changed", "load_changed"):
        here = cast("ReservationState", state)
        for to in STAGES if verb == "stage_changed" else LOADS:
            yield {"to": to}
            yield {"to": to, "from": here.stage if verb == "stage_changed" else here.load}
    else:
        yield {}


def _compile() -> dict[tuple[str, State | None, str | None, str | None], State]:
    """Return the state after each step that a client with no reason may take: so may every other role."""
    following: dict[tuple[str, State | None, str | None, str | None], State] = {}
    for kind, table in TABLES.items():
        for verb, state in product(table, [None, *_KNOWN[kind]]):
            name = f"{kind}.{verb}"
            if (state and state.status) not in table[verb] or name in _UNKNOWABLE:
                continue
            for data in _changes(verb, state):
                try:
                    after = _DECIDE[kind](state, Step(name, "client", None, "", data))
                except LifecycleRefused:
                    continue
                following[name, state, data.get("to"), data.get("from")] = after
    return following


KNOWN = _compile()
