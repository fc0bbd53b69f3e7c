"""What happened, as plain values, and the questions that the naive tables ask of it."""

import datetime as dt
import json
from typing import Any, NamedTuple

from ledger import catalog, lifecycle
from ledger.entry import decode
from ledger.heads import advance_stored

UTC = dt.UTC


class Fact(NamedTuple):
    """One entry; ``before`` and ``after`` are its stream's lifecycle state by field name, {} for what has not begun."""

    type: str
    stream: str
    version: int
    position: int
    recorded: str
    time: str
    data: dict[str, Any]
    private: dict[str, str]
    member: str | None
    member_version: int | None
    actor: str
    role: str
    forced: str | None
    correlation: str | None
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def kind(self):
        return self.type.split(".")[0]

    @property
    def verb(self):
        return self.type.split(".")[1]

    @property
    def id(self):
        return self.stream.split(":", 1)[1]

    @property
    def moved(self):
        return self.before != self.after


def facts_of(entries):
    """All entries, given as bytes, in their order."""
    states, found = {}, []
    for raw in entries:
        entry, plain = decode(raw), json.loads(raw)
        event, seal = plain["event"], plain["seal"]
        kind, stream = event["type"].split(".")[0], event["stream"]
        before = states.get(stream)
        after = states[stream] = advance_stored(kind, before, entry)
        assert catalog.get(event["type"]).version == event["v"]
        found.append(
            Fact(
                event["type"],
                stream,
                seal["version"],
                seal["position"],
                seal["recorded"],
                event["time"],
                event["data"],
                event.get("private", {}),
                event.get("member"),
                seal.get("member_version"),
                event["actor"]["id"],
                event["actor"]["role"],
                event.get("forced"),
                event.get("correlation"),
                {} if before is None else lifecycle.describe(kind, before),
                lifecycle.describe(kind, after),
            )
        )
    return found


def only(facts, *types):
    """Those of these types."""
    return [fact for fact in facts if fact.type in types]


def streams(facts, kind):
    """The facts of each stream of a kind."""
    found = {}
    for fact in facts:
        if fact.kind == kind:
            found.setdefault(fact.stream, []).append(fact)
    return list(found.values())


def last(facts, name, default=None):
    """What the last fact that gave a field said of it."""
    return next((fact.data[name] for fact in reversed(facts) if name in fact.data), default)


def given(facts, *names):
    """What was said last of each field."""
    return {name: last(facts, name) for name in names}


def when(facts):
    """The time of the last."""
    return facts[-1].time if facts else None


def head(facts):
    """The first columns of the row of a stream."""
    members = [fact.member for fact in facts if fact.member]
    return {
        "stream": facts[-1].stream,
        "version": facts[-1].version,
        "position": facts[-1].position,
        "recorded": facts[-1].recorded,
        "created": facts[0].time,
        "updated": facts[-1].time,
        "member": members[-1] if members else None,
    }


def earlier_members(facts):
    """The members that were named but for the last one; None where there are none."""
    members = [fact.member for fact in facts if fact.member]
    return sorted(set(members) - set(members[-1:])) or None


def commitments(facts):
    """The private fields, each as the last fact that gave it has it; None where there are none."""
    return {name: [fact.position, one] for fact in facts for name, one in fact.private.items()} or None


def stood(facts):
    """The facts since the status is as it is, the one that led to it first."""
    at = max(i for i, fact in enumerate(facts) if fact.before.get("status") != fact.after["status"])
    return facts[at:]


def instant(text):
    """A moment as a number of microseconds since 1970."""
    whole, fraction, zone = _parts(text)
    at = dt.datetime.fromisoformat(whole + zone).astimezone(UTC)
    return round((at.replace(tzinfo=None) - dt.datetime(1970, 1, 1)) / dt.timedelta(microseconds=1)) + fraction


def _parts(text):
    whole, rest = text[:19], text[19:]
    digits = ""
    if rest.startswith("."):
        rest = rest[1:]
        while rest[0].isdigit():
            digits, rest = digits + rest[0], rest[1:]
    return whole, int(digits[:6].ljust(6, "0")), "+00:00" if rest == "Z" else rest


def written(microseconds):
    """That moment as the ledger writes it; None past the end of the calendar."""
    try:
        at = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=microseconds)
    except OverflowError:
        return None
    return at.isoformat(timespec="microseconds") + "Z"


def later(text, *, hours=0, days=0):
    """The moment that much after another, as the ledger writes it."""
    return written(instant(text) + (hours + 24 * days) * 3_600_000_000)


def days_after(day, days):
    """The day that many days after another."""
    try:
        return str(dt.date.fromisoformat(day) + dt.timedelta(days=days))
    except OverflowError:
        return None


def terms(facts, policy, day, said=None):
    """(version, terms) of a policy by what happened so far: of the version said, else the highest in force on a day."""
    known = {}
    for fact in facts:
        if fact.stream == f"policy:{policy}":
            topic = policy.split(".")[0]
            known[fact.data["version"]] = (fact.data["effective_from"], fact.data[topic])
    if said in known:
        return said, known[said][1]
    in_force = [version for version, (start, _) in known.items() if start <= day]
    if not in_force:
        return None, None
    return max(in_force), known[max(in_force)][1]


def terms_rows(facts, topic):
    """The rows of a table of terms."""
    for found in streams(facts, "policy"):
        of_topic = [fact for fact in found if topic in fact.data]
        if of_topic:
            known = {fact.data["version"]: fact for fact in of_topic}
            yield {
                "policy": found[0].stream,
                "version": of_topic[-1].data["version"],
                "versions": [
                    [version, known[version].data["effective_from"], known[version].data[topic]]
                    for version in sorted(known, reverse=True)
                ],
            }
