"""What belongs together in a random history: links, orders, counts, and who does what.

Owns, for each type of event, how its sampled data are put right. Never says what may follow what: the lifecycles do. A
type that isn't named here is told as it was sampled, with its links put right.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

from ledger import catalog, moment
from ledger.lifecycle import STAGES, LedgerState, MemberState
from tests.support.histories.operations import OPERATIONS, Plot
from tests.support.histories.samples import DAY, day_of, text
from tests.support.histories.world import COLLECTIONS, Draft, World

LINKS = {
    "account": "account",
    "backup": "backup",
    "counterpart": "member",
    "drill": "drill",
    "export": "export",
    "invoice": "record",
    "notification": "notification",
    "original": "media",
    "parent": "backup",
    "payment": "record",
    "photo": "media",
    "piece": "piece",
    "post_mortem": "media",
    "record": "record",
    "reservation": "reservation",
    "safety_backup": "backup",
    "sees_member": "member",
    "storage": "storage",
}
"""By the name of a field: the kind of the stream whose id it holds."""

INSTANTS = (("start", "end"), ("issued", "expires"), ("ready_at", "grace_ends"), ("first_at", "last_at"))


def role_of(name: str, rng: Random, roles: Sequence[str]) -> str:
    """Who may do it, in what is not the ledger's own to write."""
    if name in ("ledger.frozen", "ledger.thawed"):
        return "admin"
    return rng.choice(roles)


def put_right(draft: Draft, world: World) -> bool:
    """Put the data of a draft right; False where the world has no place for the event yet."""
    _order_instants(draft.data)
    if draft.correlation is None and not _link(draft, world):
        return False
    plot = PLOTS.get(draft.name)
    return plot is None or plot(draft, world) is not False


def _order_instants(data: dict[str, Any]) -> None:
    for first, last in INSTANTS:
        if first in data and last in data:
            data[first], data[last] = sorted((data[first], data[last]), key=moment.microseconds)


def _link(draft: Draft, world: World) -> bool:
    """Make each link name a stream that is there; one that may be left out is, where there is none."""
    required = _required(draft.name)
    for name in [name for name in draft.data if name in LINKS]:
        found = world.any_of(LINKS[name])
        if found is not None:
            draft.data[name] = found
        elif name in required:
            return False
        else:
            del draft.data[name]
    return True


@cache
def _required(name: str) -> frozenset[str]:
    return frozenset(catalog.json_schema(name).get("required", ()))


# --- Reservations, pieces, notifications, storage ---------------------------------------------------------------------


def _requested(draft: Draft, world: World) -> None:
    first = world.now + world.rng.randrange(1, 30) * DAY
    last = first + world.rng.randrange(20) * DAY
    draft.data["window"] = {"earliest": day_of(first), "latest": day_of(last)}


def _stage_changed(draft: Draft, world: World) -> None:
    rng, data = world.rng, draft.data
    here = draft.state.stage if draft.state and draft.state.stage in STAGES else "intake"
    at = STAGES.index(here)
    data["to"] = rng.choice(STAGES[at + 1 : at + 4] or STAGES) if rng.random() < 0.9 else rng.choice(STAGES)
    if STAGES.index(data["to"]) < at:
        draft.role = "staff" if draft.role != "admin" else draft.role
        data.setdefault("reason", "recount")
    if "from" in data:
        data["from"] = here


def _load_changed(draft: Draft, world: World) -> None:
    here = draft.state.load if draft.state else "queued"
    draft.data["to"] = {"queued": "loading", "loading": "loaded", "loaded": "queued"}[here]
    if here == "loaded" and draft.role != "admin":
        draft.role = "staff"
    if "from" in draft.data:
        draft.data["from"] = here


def _estimate_changed(draft: Draft, world: World) -> None:
    if not {"start", "end", "sla", "confidence"} & draft.data.keys():
        draft.data["sla"] = world.rng.choice(("on_track", "at_risk", "delayed", "unknown"))


def _token_issued(draft: Draft, world: World) -> None:
    draft.data["version"] = draft.facts["token"] = world.facts[draft.stream].get("token", 0) + 1
    draft.data["token"] = f"t-{world.rng.getrandbits(64):x}"


def _fairness(draft: Draft, world: World) -> None:
    draft.data.setdefault("points", world.rng.randrange(3))
    if draft.data["kind"] == "override":
        draft.data.setdefault("boost", world.rng.randrange(-3, 10))
        draft.data.setdefault("expires", moment.recorded(world.now + 20 * DAY))


def _registered_piece(draft: Draft, world: World) -> None:
    draft.data["code"] = f"MF-{draft.data['reservation']}-{draft.stream.partition(':')[2]}"


def _piece_changed(draft: Draft, world: World) -> None:
    order = ("awaiting_placement", "loaded", "fired", "ready", "picked_up", "picked_up")
    here = draft.state.status if draft.state else order[0]
    draft.data["to"] = order[order.index(here) + 1]
    if "from" in draft.data:
        draft.data["from"] = here


def _attempted(draft: Draft, world: World) -> None:
    draft.data["attempt"] = draft.facts["attempt"] = world.facts[draft.stream].get("attempt", 0) + 1
    if draft.data.get("dead_letter"):
        draft.data.pop("retry_after", None)


def _stored_work(draft: Draft, world: World) -> None:
    """Shelf storage is of one reservation, from its first event on."""
    known = world.facts[draft.stream].get("reservation", draft.data["reservation"])
    draft.data["reservation"] = draft.facts["reservation"] = known


def _ready(draft: Draft, world: World) -> None:
    _stored_work(draft, world)
    draft.data["ready_at"] = moment.recorded(world.now)
    draft.data["grace_ends"] = moment.recorded(world.now + 462 * DAY // 24)
    if "pieces" in draft.data:
        draft.data["pieces"] = [found for found in (world.any_of("piece") for _ in range(2)) if found]


def _billed(draft: Draft, world: World) -> None:
    _stored_work(draft, world)
    facts = world.facts[draft.stream]
    first = facts.get("billed_to", world.now - 3 * DAY) + DAY
    days = world.rng.randint(1, 7)
    last, so_far = first + (days - 1) * DAY, facts.get("days", 0) + days
    draft.facts |= {"billed_to": last, "days": so_far}
    draft.data |= {"first_day": day_of(first), "last_day": day_of(last), "days": days, "days_billed": so_far}
    draft.data |= {"amount": f"{days}.50", "currency": "EUR"}


# --- Media, records, members ------------------------------------------------------------------------------------------


def _media_stored(draft: Draft, world: World) -> None:
    draft.data["version"] = draft.state.latest + 1 if draft.state else 1
    draft.data["rendition"] = "proxy" if "original" in draft.data else "original"


def _version_restored(draft: Draft, world: World) -> bool:
    state = draft.state
    versions = [version for version in range(1, state.latest + 1) if version != state.media_version] if state else [1]
    if not versions:
        return False
    draft.data["version"] = world.rng.choice(versions)
    return True


def _extended(draft: Draft, world: World) -> None:
    kept = draft.state.retain_until if draft.state else None
    after = moment.microseconds(f"{kept}T00:00:00Z") if kept else world.now
    draft.data["retain_until"] = day_of(after + world.rng.randrange(1, 90) * DAY)


def _record(draft: Draft, world: World) -> None:
    rng, data = world.rng, draft.data
    collection = world.facts[draft.stream].get("collection") or rng.choice(sorted(COLLECTIONS))
    data["collection"] = draft.facts["collection"] = collection
    if draft.name not in ("record.created", "record.updated"):
        return
    names = rng.sample(("name", "notes", "born", "address", "paid", "size"), rng.randint(1, 3))
    data["fields"] = {name: _value(rng, world.now) for name in names}
    data.pop("public", None)
    if data["collection"] in world.declared:
        public = {
            name: _public(of, world) for name, of in COLLECTIONS[data["collection"]].items() if rng.random() < 0.6
        }
        if public:
            data["public"] = public
            if rng.random() < 0.3:
                del data["fields"]


def _value(rng: Random, now: int) -> Any:
    """A private value: any JSON without floats."""
    return rng.choice((text(rng, now), rng.randrange(10**6), None, True, ["a", {"b": 1}], {}, "18.50", "2026-03-01"))


def _public(of: str, world: World) -> Any:
    rng = world.rng
    if rng.random() < 0.1:
        return None
    return {
        "id": world.any_of("record") or "C-1",
        "date": day_of(world.now + rng.randrange(40) * DAY),
        "boolean": rng.random() < 0.5,
        "decimal": f"{rng.randrange(500)}.{rng.randrange(100):02d}",
    }[of]


def _contact(draft: Draft, world: World) -> None:
    if not draft.data:
        draft.data["name"] = text(world.rng, world.now)


def _account_changed(draft: Draft, world: World) -> None:
    """A transfer or merge goes to another active member, and is told from both sides; see ``sequel``."""
    data = draft.data
    if draft.correlation is not None:
        return  # the other side, which is right already
    counterpart = data.get("counterpart")
    active = world.states.get(f"member:{counterpart}") == MemberState("active")
    if draft.forced or not active or f"member:{counterpart}" == draft.stream:
        data["change"] = "closed"
    if data["change"] == "closed":
        data.pop("counterpart", None)
        data.pop("side", None)
    else:
        data["side"] = "given"
        draft.correlation = f"account-{draft.position}"


WITH_SEQUEL = frozenset({"ledger.frozen", "member.account_changed"})
"""The types that another event may have to follow at once."""


def sequel(first: Draft) -> Draft | None:
    """What has to follow at once, if anything: the ledger is thawed, the other side of a transfer is told."""
    at, data = first.position + 1, first.data
    if first.name == "ledger.frozen":
        return Draft("ledger.thawed", first.stream, LedgerState("frozen"), {"reason": "done"}, "admin", at)
    if first.correlation is None:
        return None
    other = {"change": data["change"], "reason": data["reason"], "side": "received"}
    other["counterpart"] = first.stream.partition(":")[2]
    stream = f"member:{data['counterpart']}"
    return Draft(first.name, stream, MemberState("active"), other, first.role, at, correlation=first.correlation)


PLOTS: dict[str, Plot] = {
    **OPERATIONS,
    "reservation.requested": _requested,
    "reservation.stage_changed": _stage_changed,
    "reservation.load_changed": _load_changed,
    "reservation.estimate_changed": _estimate_changed,
    "reservation.arrival_token_issued": _token_issued,
    "reservation.fairness_recorded": _fairness,
    "piece.registered": _registered_piece,
    "piece.status_changed": _piece_changed,
    "notification.sent": _attempted,
    "notification.failed": _attempted,
    **{name: _stored_work for name in catalog.names() if name.startswith("storage.")},
    "storage.ready_for_pickup": _ready,
    "storage.billed": _billed,
    "media.stored": _media_stored,
    "media.version_restored": _version_restored,
    "media.retention_extended": _extended,
    **{name: _record for name in catalog.names() if name.startswith("record.")},
    "member.contact_updated": _contact,
    "member.account_changed": _account_changed,
}
"""By type: what puts its data right, in place; it answers False where there is no place for the event."""
