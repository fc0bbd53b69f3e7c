"""What one stream says: its entries folded into one state, for streams of any kind.

Owns the fold that ``show`` and the read models share, so that they can't disagree, and the form in which people see a
state. Pure: a state and an entry in, the next state out. Status, stage and load come from ``ledger.lifecycle``; how
the data of each type joins the rest is said in ``RULES``. Never reads a store, a key or a clock.

Invariants: a public field holds what the last event that gave it said; a private one is withheld unless the value of
the last event that gave it is disclosed, so an older value never stands in for one that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct

from ledger import catalog, lifecycle
from ledger.entry import Entry
from ledger.heads import advance_stored
from ledger.redaction import GONE, SECRET, Redacted

Disclosed = Mapping[str, Any]
Withheld = Mapping[str, str]
_NO_RULES: Final[Withheld] = {}


class Rule(NamedTuple):
    """How the data of one event type joins a stream's fields. Without a rule, each field stands under its own name.

    ``group``: the public fields go into an object of this name, since elsewhere their names mean other things;
    ``whole``: that object is replaced, not merged. ``left_out`` fields tell of the event and not of the state.
    ``renamed`` fields go by another name. Of objects that are ``joined``, the members join those of before. ``implied``
    fields hold unless the data says otherwise. ``summed`` maps a field to the name under which its values add up.
    """

    group: str | None = None
    whole: bool = False
    left_out: tuple[str, ...] = ()
    renamed: Mapping[str, str] = {}
    joined: tuple[str, ...] = ()
    implied: Mapping[str, Any] = {}
    summed: Mapping[str, str] = {}


_PLAIN: Final = Rule()
_MOVE: Final = Rule(left_out=("from", "to"))  # the lifecycle's state says where it led
_RECORD: Final = Rule(joined=("public",))
_NOTE_ON_TRASH: Final = Rule(left_out=("notes",))  # else it would hide a field of the record that is named so

RULES: Final[Mapping[str, Rule]] = {
    "reservation.stage_changed": _MOVE,
    "reservation.load_changed": _MOVE,
    "reservation.estimate_changed": Rule(group="estimate"),
    "reservation.arrival_token_issued": Rule(group="arrival_token", whole=True),
    "reservation.arrived": Rule(renamed={"state": "arrival"}, implied={"arrival": "arrived"}),
    "reservation.pickup_window_changed": Rule(group="pickup_window"),
    "reservation.fairness_recorded": Rule(group="fairness", whole=True, summed={"points": "penalty_points"}),
    "member.registered": Rule(renamed={"kind": "membership"}),
    "member.account_changed": Rule(group="account", whole=True),
    "piece.status_changed": _MOVE,
    "media.stored": Rule(renamed={"kind": "media"}, left_out=("retain_until", "version")),
    "media.version_restored": Rule(left_out=("version",)),
    "media.retention_extended": Rule(left_out=("retain_until",)),
    "policy.set": Rule(left_out=("version",)),
    "state.attested": Rule(renamed={"position": "attested_position"}),
    "projection.skipped": Rule(renamed={"position": "skipped_position"}),
    "record.created": _RECORD,
    "record.updated": _RECORD,
    "record.trashed": _NOTE_ON_TRASH,
    "record.restored": _NOTE_ON_TRASH,
}
"""The types whose data doesn't simply join under its own names."""

HEADER: Final = frozenset(
    {"stream", "kind", "version", "position", "recorded", "member", "status", "stage", "load", "trashed"}
)
"""The names that ``present`` itself gives meaning to; no public field of the catalogue ends up under one of them."""

_TAKEN = HEADER | {"collection", "public", "reason", "fields", "withheld", "withheld_by"}


class StreamState(Struct, frozen=True, kw_only=True):
    """A stream after one of its entries.

    ``version``, ``position`` and ``recorded`` are that entry's; ``created`` and ``updated`` are the events' own times
    of the first and of this entry. ``member`` is whom the last event that names a member is about. ``fields`` holds the
    public data; ``private`` the private values by name, each as a tuple of one, or empty where it is not disclosed:
    then ``rules`` has the redaction rule that withheld it.
    """

    stream: str
    version: int
    position: int
    recorded: str
    created: str
    updated: str
    member: str | None
    lifecycle: Any
    fields: dict[str, Any]
    private: dict[str, tuple[Any, ...]]
    rules: dict[str, str]

    @property
    def kind(self) -> str:
        """The kind of the stream: what stands before the colon."""
        return self.stream.partition(":")[0]


def fold(
    state: StreamState | None, entry: Entry, disclosed: Disclosed | None = None, withheld: Withheld = _NO_RULES
) -> StreamState:
    """The state after ``entry``, which follows ``state`` in its stream; None is a stream that has not begun.

    ``disclosed`` are the entry's private values that still open; None leaves private fields out of the state entirely,
    their names too. ``withheld`` are the rules that withheld others; what neither names is gone. Values that nobody is
    shown (``EventType.withheld``) stay withheld in any case. Raises ``InvalidEvent`` for a type or a schema version
    that this program doesn't know.
    """
    body, seal = entry.event, entry.seal
    event_type = catalog.get(body.type)
    before = None if state is None else state.lifecycle
    after = advance_stored(event_type.kind, before, entry)
    rule = RULES.get(body.type, _PLAIN)
    fields = {} if state is None else state.fields
    data = public_data(entry)
    reason = data.get("reason")
    fields = _merged(fields, rule, data)
    if after != before:
        _set_or_drop(fields, "reason", reason)
    private, rules = ({}, {}) if state is None else (state.private, state.rules)
    if disclosed is not None and body.private:
        opened = {name: value for name, value in disclosed.items() if name not in event_type.withheld}
        names = [name for name in body.commitments() if name not in rule.left_out]
        private = {**private, **{name: (opened[name],) if name in opened else () for name in names}}
        told = {name: SECRET if name in event_type.withheld else withheld.get(name, GONE) for name in names}
        rules = {name: rule for name, rule in {**rules, **told}.items() if not private[name]}
    return StreamState(
        stream=body.stream,
        version=seal.version,
        position=seal.position,
        recorded=seal.recorded,
        created=body.time if state is None else state.created,
        updated=body.time,
        member=body.member or (None if state is None else state.member),
        lifecycle=after,
        fields=fields,
        private=private,
        rules=rules,
    )


def public_data(entry: Entry) -> dict[str, Any]:
    """The public data of an entry in the current shape of its type, as a fresh dict. Raises as ``fold`` does."""
    body = entry.event
    return catalog.get(body.type).upcast(body.v, body.public())


def fold_redacted(entries: Iterable[tuple[Entry, Redacted]]) -> StreamState | None:
    """As ``fold_all``, with what a redaction policy shows of each entry and withholds."""
    state = None
    for entry, (disclosed, withheld) in entries:
        state = fold(state, entry, disclosed, withheld)
    return state


def fold_all(entries: Iterable[tuple[Entry, Disclosed | None]]) -> StreamState | None:
    """The state after all entries of one stream, given in order, each with what ``fold`` is to know of it."""
    state = None
    for entry, disclosed in entries:
        state = fold(state, entry, disclosed)
    return state


def _merged(fields: dict[str, Any], rule: Rule, data: dict[str, Any]) -> dict[str, Any]:
    """A fresh dict: ``fields`` with the public ``data`` of an event joined by its rule; ``data`` is used up.

    An ungrouped ``reason`` is left out: it explains a transition, and ``fold`` puts it there.
    """
    if rule.group is not None:
        merged = dict(fields)
        for name, total in rule.summed.items():
            if name in data:
                merged[total] = merged.get(total, 0) + data[name]
        merged[rule.group] = data if rule.whole else {**fields.get(rule.group, {}), **data}
        return merged
    data.pop("reason", None)
    for name in rule.left_out:
        data.pop(name, None)
    for name in rule.joined:
        if name in data:
            data[name] = {**fields.get(name, {}), **data[name]}
    for name, other in rule.renamed.items():
        if name in data:
            data[other] = data.pop(name)
    return {**fields, **rule.implied, **data}


def _set_or_drop(fields: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        fields.pop(name, None)
    else:
        fields[name] = value


def present(state: StreamState) -> dict[str, Any]:
    """The state as people and programs see it; the same for the same state, down to the order of names.

    First who and where: ``stream``, ``kind``, ``version``, ``position``, ``recorded`` and what the lifecycle says
    (``status``, ``stage``, ``load`` …), ``member`` if there is one. Then the fields by name. ``reason`` is why the
    stream stands where it does: that of its last transition, absent if none was given. A private name that is taken by
    any of these (a record may call its fields as it likes) stands in the object ``fields`` instead. ``withheld`` lists
    the private fields whose values are not shown, ``withheld_by`` has the redaction rule for each; both are absent when
    there are none.
    """
    shown: dict[str, Any] = {
        "stream": state.stream,
        "kind": state.kind,
        "version": state.version,
        "position": state.position,
        "recorded": state.recorded,
        **lifecycle.describe(state.kind, state.lifecycle),
    }
    if state.member is not None:
        shown["member"] = state.member
    disclosed = {name: value[0] for name, value in state.private.items() if value}
    free = {name: value for name, value in disclosed.items() if name not in _TAKEN}
    shown.update(sorted({**state.fields, **free}.items()))
    if aside := sorted(disclosed.keys() - free.keys()):
        shown["fields"] = {name: disclosed[name] for name in aside}
    if withheld := sorted(name for name, value in state.private.items() if not value):
        shown["withheld"] = withheld
        shown["withheld_by"] = {name: state.rules[name] for name in withheld}
    return shown
