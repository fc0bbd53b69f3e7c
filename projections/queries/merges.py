"""Into whom accounts were merged, as the read model of members tells.

Owns that question, of which ``ledger.history`` has the rule: both sides have to tell of a merge, and it ends for a
merged account with an erasure of that account. Never folds and never reads the log.
"""

from __future__ import annotations

from typing import Any

from projections.models.members import CHANGES, MEMBERS
from projections.queries.rows import every, shown
from projections.store.protocol import Reads


def heirs(reads: Reads, member: str) -> list[str]:
    """The members who this one goes on as: the one their account was merged into, and so on; nearest first."""
    found: list[str] = []
    pending = [member]
    while pending:
        for receiver in _receivers(reads, pending.pop(0)):
            if receiver not in (member, *found):
                found.append(receiver)
                pending.append(receiver)
    return found


def _receivers(reads: Reads, giver: str) -> list[str]:
    stream = f"member:{giver}"
    values = reads.row(MEMBERS, stream)
    if values is None:
        return []
    over = shown(MEMBERS, values).get("erased_position", -1)  # what was merged before that is
    given = every(reads, CHANGES, {"stream": stream, "change": "merged", "side": "given"})
    return [one["counterpart"] for one in given if one["position"] > over and _is_told_by_both(reads, giver, one)]


def _is_told_by_both(reads: Reads, giver: str, given: dict[str, Any]) -> bool:
    stream = f"member:{given['counterpart']}"
    where = {"counterpart": giver, "stream": stream, "change": "merged", "side": "received"}
    return any(one.get("correlation") == given.get("correlation") for one in every(reads, CHANGES, where))
