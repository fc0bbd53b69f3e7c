"""What a random history has told so far, and the event that it is about to tell.

Owns the streams that have begun, where they stand, whom they are about, and the facts that later events count on from.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any

COLLECTIONS: dict[str, dict[str, str]] = {
    "clients": {},
    "projects": {"client": "id", "due": "date"},
    "invoices": {"client": "id", "settled": "boolean", "total": "decimal"},
}
"""The collections of records, with the public fields that each declares, once it does."""

PERSONAL = frozenset({"account", "media", "notification", "piece", "record", "reservation", "storage"})
"""The kinds whose streams are about a member."""


@dataclass
class Draft:
    """An event in the making.

    ``position`` is where the ledger will put it, ``version`` its place in the stream, once it is told; ``facts`` are to
    be remembered of it.
    """

    name: str
    stream: str
    state: Any
    data: dict[str, Any]
    role: str
    position: int
    version: int = 0
    forced: str | None = None
    correlation: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class World:
    """What a history has told so far. ``apart`` are positions of entries that tell nothing of a member's things."""

    rng: Random
    now: int
    states: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    there: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    members: dict[str, str] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    declared: set[str] = field(default_factory=set)
    apart: list[int] = field(default_factory=lambda: [0])

    def new_stream(self, kind: str) -> str | None:
        """The name of a stream that may begin, or None where the kind has them all."""
        rng, number = self.rng, len(self.there[kind]) + 1
        match kind:
            case "policy":
                names = ["storage", "account", "trash", "retention", *(f"collection.{name}" for name in COLLECTIONS)]
            case "projection":
                names = ["reservations", "pieces", "media"]
            case "credential" if not self.there[kind]:
                names = ["unknown"]
            case "member":
                names = [f"M-{number}"]
            case _:
                names = [f"{kind[:3].upper()}-{number}"]
        free = [name for name in names if name not in self.there[kind]]
        return f"{kind}:{rng.choice(free)}" if free else None

    def any_of(self, kind: str) -> str | None:
        """The id of a stream of the kind that has begun, the later ones more often; or None."""
        there = self.there[kind]
        return there[min(int(len(there) * self.rng.random() ** 0.5), len(there) - 1)] if there else None

    def member_of(self, stream: str) -> str | None:
        """The member that a stream is about, for ever the same; None where it is about nobody."""
        kind, _, rest = stream.partition(":")
        if kind == "member":
            return rest
        if stream not in self.members and kind in PERSONAL:
            self.members[stream] = self.any_of("member") or f"M-{self.rng.randrange(1, 9)}"
        return self.members.get(stream)

    def tell(self, draft: Draft, after: Any) -> None:
        """Remember an event that was told, and the state that it led to."""
        kind, _, rest = draft.stream.partition(":")
        if draft.stream not in self.states:
            self.there[kind].append(rest)
        self.states[draft.stream] = after
        self.facts[draft.stream] |= draft.facts
        self.versions[draft.stream] = draft.version = self.versions.get(draft.stream, 0) + 1
        if kind not in PERSONAL and kind != "member":
            self.apart.append(draft.position)
        if draft.name == "policy.set" and rest.startswith("collection."):
            self.declared.add(rest.removeprefix("collection."))
