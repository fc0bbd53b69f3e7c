"""Naive models of the lifecycles: plain facts, and the sentences of the design as conditions on them.

Owns one model a kind; ``Model`` itself does for those of which the written table says all. Shares no code with
``ledger.lifecycle``. A model is asked whether it ``takes`` a step, told to ``take`` it, and asked what is ``shown``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from ledger.lifecycle import Step
from tests.unit.ledger.lifecycle.steps import CELLS

Data = st.SearchStrategy[dict[str, Any]]
NOTHING: Data = st.just({})


class Model:
    """A kind whose status follows its table."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.status: str | None = None

    def verbs(self) -> list[str]:
        return sorted({name.partition(".")[2] for name, _ in CELLS if name.startswith(f"{self.kind}.")})

    def offers(self, verb: str) -> Data:
        """Data to try with a verb, right and wrong."""
        return NOTHING

    def takes(self, step: Step) -> bool:
        return (step.type, self.status) in CELLS

    def take(self, step: Step) -> None:
        self.status = CELLS[step.type, self.status]

    def shown(self) -> dict[str, Any]:
        return {} if self.status is None else {"status": self.status}


class LedgerModel(Model):
    def takes(self, step: Step) -> bool:
        return super().takes(step) and (step.verb not in ("frozen", "thawed") or step.role == "admin")


class MemberModel(Model):
    def offers(self, verb: str) -> Data:
        if verb != "account_changed":
            return NOTHING
        sides = st.sampled_from([{}, {"side": "given"}, {"side": "received"}])
        return st.builds(lambda change, side: {"change": change, **side}, st.sampled_from(ENDS), sides)

    def take(self, step: Step) -> None:
        super().take(step)
        if step.verb == "account_changed" and step.data.get("side") != "received":
            self.status = step.data["change"]


ENDS = ["transferred", "merged", "closed"]


class TrashModel(Model):
    """A record; what it remembers beside the status is when it was trashed."""

    trashed: str | None = None

    def takes(self, step: Step) -> bool:
        if step.verb == "purged" and self.trashed:
            waited = datetime.fromisoformat(step.recorded) - datetime.fromisoformat(self.trashed)
            return waited >= timedelta(days=30)
        return super().takes(step)

    def take(self, step: Step) -> None:
        super().take(step)
        if step.verb in ("trashed", "restored", "purged"):
            self.trashed = step.recorded if step.verb == "trashed" else None

    def shown(self) -> dict[str, Any]:
        return super().shown() | ({"trashed": self.trashed} if self.trashed else {})


DAYS = ["2026-03-01", "2026-03-16", "2026-03-31", "2026-04-15", "2026-04-30", "2026-05-30"]
"""Those on which something may happen: half months and months of thirty days after the beginning."""


class MediaModel(TrashModel):
    """Media remember their versions too, and until when they are kept."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.stored: list[int] = []
        self.current = 0
        self.kept = ""

    def offers(self, verb: str) -> Data:
        near = st.integers(1, len(self.stored) + 2).map(lambda version: {"version": version})
        kept = st.sampled_from(DAYS).map(lambda day: {"retain_until": day})
        match verb:
            case "stored":
                return st.builds(lambda version, until: version | until, near, kept | NOTHING)
            case "version_restored":
                return near
            case "retention_extended":
                return kept
        return NOTHING

    def takes(self, step: Step) -> bool:
        if not super().takes(step):
            return False
        match step.verb:
            case "stored":
                return step.data["version"] == len(self.stored) + 1
            case "version_restored":
                return step.data["version"] in self.stored and step.data["version"] != self.current
            case "retention_extended":
                return step.data["retain_until"] > self.kept
            case "purged":
                return step.recorded > f"{self.kept}T99" if self.kept else True
        return True

    def take(self, step: Step) -> None:
        super().take(step)
        if step.verb == "stored":
            self.stored.append(step.data["version"])
        self.current = step.data.get("version", self.current)
        self.kept = max(self.kept, step.data.get("retain_until", ""))

    def shown(self) -> dict[str, Any]:
        if self.status is None:
            return {}
        kept = {"retain_until": self.kept} if self.kept else {}
        return super().shown() | {"media_version": self.current, "latest": len(self.stored)} | kept


class AccountModel(Model):
    """An account remembers when its data was offered."""

    offered: str | None = None

    def takes(self, step: Step) -> bool:
        return super().takes(step) and (step.verb != "deletion_eligible" or self.offered is not None)

    def take(self, step: Step) -> None:
        super().take(step)
        if step.verb == "export_offered":
            self.offered = step.recorded
        if step.verb == "settled":
            self.offered = None

    def shown(self) -> dict[str, Any]:
        return super().shown() | ({"export_offered": self.offered} if self.offered else {})


class StorageModel(Model):
    """Shelf storage is of one reservation."""

    reservation: str | None = None

    def offers(self, verb: str) -> Data:
        return st.sampled_from(["R-1", "R-1", "R-1", "R-2"]).map(lambda found: {"reservation": found})

    def takes(self, step: Step) -> bool:
        return super().takes(step) and self.reservation in (None, step.data["reservation"])

    def take(self, step: Step) -> None:
        super().take(step)
        self.reservation = step.data["reservation"]

    def shown(self) -> dict[str, Any]:
        return super().shown() | ({"reservation": self.reservation} if self.reservation else {})


class PolicyModel(Model):
    """A policy counts its versions."""

    version = 0

    def offers(self, verb: str) -> Data:
        return st.integers(max(1, self.version - 1), self.version + 2).map(lambda version: {"version": version})

    def takes(self, step: Step) -> bool:
        return step.data["version"] == self.version + 1

    def take(self, step: Step) -> None:
        super().take(step)
        self.version += 1

    def shown(self) -> dict[str, Any]:
        return {"status": "set", "policy_version": self.version} if self.version else {}


class PieceModel(Model):
    ORDER = ("awaiting_placement", "loaded", "fired", "ready", "picked_up")

    def offers(self, verb: str) -> Data:
        if verb != "status_changed":
            return NOTHING
        start = st.sampled_from([{}, {}, *({"from": status} for status in (self.status, *self.ORDER) if status)])
        return st.builds(lambda to, start: {"to": to, **start}, st.sampled_from(self.ORDER), start)

    def takes(self, step: Step) -> bool:
        if not super().takes(step) or step.verb != "status_changed":
            return super().takes(step)
        on = self.ORDER[self.ORDER.index(str(self.status)) + 1]
        return step.data["to"] == on and step.data.get("from", self.status) == self.status


class NotificationModel(Model):
    def offers(self, verb: str) -> Data:
        return st.booleans().map(lambda dead: {"dead_letter": dead}) if verb == "failed" else NOTHING

    def take(self, step: Step) -> None:
        super().take(step)
        if step.data.get("dead_letter"):
            self.status = "dead_lettered"


MODELS: dict[str, type[Model]] = {
    "account": AccountModel,
    "ledger": LedgerModel,
    "media": MediaModel,
    "member": MemberModel,
    "notification": NotificationModel,
    "piece": PieceModel,
    "policy": PolicyModel,
    "record": TrashModel,
    "storage": StorageModel,
}
"""The kinds of which a table doesn't say all. The reservation has a machine of its own."""
