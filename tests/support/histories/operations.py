"""What belongs together in the events that tell how the studio and its ledger are run; see ``plots``."""

from __future__ import annotations

from collections.abc import Callable

from ledger import catalog
from tests.support.histories.samples import DAY, HEX, day_of
from tests.support.histories.world import COLLECTIONS, Draft, World

Plot = Callable[[Draft, World], bool | None]
"""Puts the data of a draft right, in place; answers False where the world has no place for the event."""


def _hold(draft: Draft, world: World) -> None:
    rng = world.rng
    streams = sorted(world.states)
    targets = {"member": world.any_of("member"), "stream": rng.choice(streams), "collection": "clients"}
    draft.data["target"] = targets.get(draft.data["scope"])
    if draft.data["target"] is None:
        draft.data["scope"] = "everything"
        del draft.data["target"]


def _policy(draft: Draft, world: World) -> None:
    rng, data = world.rng, draft.data
    name, _, collection = draft.stream.partition(":")[2].partition(".")
    for other in ("account", "collection", "retention", "storage", "trash"):
        data.pop(other, None)
    hours = sorted(rng.sample(range(24, 600), 3))
    data[name] = {
        "storage": {
            "billing_days": 28,
            "currency": "EUR",
            "grace_hours": rng.choice((462, 500)),
            "half_shelf_day": f"{rng.randrange(1, 3)}.50",
            "prepaid": "15.00",
            "prepaid_hours": 672,
            "reminder_hours": hours,
        },
        "account": {"deletion_days": 60, "freeze_days": rng.randrange(3, 15), "warning_days": 45},
        "trash": {"days": rng.randrange(30, 90)},
        "retention": {"periods": [{"days": rng.randrange(100, 4000), "retention_class": "service"}]},
        "collection": {
            "collection": collection,
            "public_fields": [{"name": one, "type": of} for one, of in COLLECTIONS.get(collection, {}).items()],
            "relations": [
                {"field": one, "to": "record", "to_collection": "clients"}
                for one, of in COLLECTIONS.get(collection, {}).items()
                if of == "id"
            ],
        },
    }[name]
    data["version"] = draft.state.policy_version + 1 if draft.state else 1
    data["effective_from"] = day_of(world.now + rng.randrange(-3, 30) * DAY)


def _credential(draft: Draft, world: World) -> bool:
    """The stream of nobody's credential holds refusals only."""
    draft.data["actor_roles"] = sorted(set(draft.data.get("actor_roles", ())))
    if draft.name != "credential.issued":
        del draft.data["actor_roles"]
    return draft.stream != "credential:unknown" or draft.name == "credential.refused"


def _range(draft: Draft, world: World) -> None:
    """A range of positions that the log has by then, or none; and what is said of the tree fits it."""
    first = world.rng.randrange(draft.position)
    if "first_position" in draft.data or "last_position" in draft.data:
        draft.data["first_position"] = first
        draft.data["last_position"] = world.rng.randrange(first, draft.position)
    if "tree_size" in draft.data:
        draft.data["tree_size"] = draft.position


def _export(draft: Draft, world: World) -> None:
    _range(draft, world)
    rng, data = world.rng, draft.data
    if data["scope"] == "reservation" and "reservation" not in data:
        found = world.any_of("reservation")
        data["scope"] = "reservation" if found else "everything"
        data["reservation"] = found
    if data["scope"] != "reservation":
        data.pop("reservation", None)
    if data["scope"] == "member":
        world.members[draft.stream] = world.any_of("member") or "M-1"
    names = rng.sample(("reservations", "stage_history", "pieces"), rng.randint(0, 3))
    data["tables"] = [{"table": name, "rows": rng.randrange(100)} for name in names]


def _backup(draft: Draft, world: World) -> None:
    _range(draft, world)
    data = draft.data
    data["generation"] = "increment" if "parent" in data else "base"
    data["lock"] = world.rng.choice(("governance", "compliance")) if "locked_until" in data else "none"


def _restore(draft: Draft, world: World) -> None:
    draft.data["last_position"] = world.rng.randrange(draft.position)
    if "state_checked" in draft.data:
        draft.data["state_checked"] = world.rng.randrange(draft.position)


def _drill(draft: Draft, world: World) -> None:
    data = draft.data
    if {"last_position", "root", "rpo_seconds", "rto_seconds"} <= data.keys() and world.rng.random() < 0.8:
        data["result"], data["differing"] = "passed", []
    else:
        data["result"] = "failed"
        data.setdefault("reason", "root-differs")
    for name in ("last_position", "state_checked"):
        if name in data:
            data[name] = world.rng.randrange(draft.position)


def _attested(draft: Draft, world: World) -> None:
    rng = world.rng
    names = sorted(rng.sample(("media", "pieces", "records", "reservations", "stage_history"), rng.randint(1, 5)))
    draft.data["position"] = draft.position - 1
    draft.data["roots"] = [
        {"name": name, "root": "".join(rng.choices(HEX, k=64)), "rows": rng.randrange(100), "version": 1}
        for name in names
    ]


def _skipped(draft: Draft, world: World) -> None:
    """What is skipped is an entry that the projection doesn't fold anyhow, so that skipping it changes no row."""
    draft.data["position"] = world.rng.choice(world.apart)


def _position(draft: Draft, world: World) -> None:
    if "fault_position" in draft.data:
        draft.data["fault_position"] = world.rng.randrange(draft.position)


OPERATIONS: dict[str, Plot] = {
    "hold.placed": _hold,
    "policy.set": _policy,
    **{name: _credential for name in catalog.names() if name.startswith("credential.")},
    "export.issued": _export,
    "import.applied": _range,
    "import.undone": _range,
    "backup.completed": _backup,
    "restore.completed": _restore,
    "drill.completed": _drill,
    "state.attested": _attested,
    "incident.opened": _position,
    "projection.skipped": _skipped,
}
