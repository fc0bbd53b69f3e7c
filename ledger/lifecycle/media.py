"""The lifecycle of media: versions without gaps, a trash of 30 days, and retention that is only ever extended."""

from __future__ import annotations

from typing import NamedTuple, cast

from ledger.lifecycle.base import TRASH_DAYS, Lifecycle, State, Step, Table, check_purge, refuse, stay


class MediaState(NamedTuple):
    """Where media stand.

    ``media_version`` is the current version of the content, ``latest`` the last one stored, ``retain_until`` the last
    day on which they are kept in any case, ``trashed`` the ``recorded`` time since which they are trashed; or None.
    """

    status: str
    media_version: int
    latest: int
    retain_until: str | None
    trashed: str | None


_BEGUN = MediaState("stored", 1, 1, None, None)
_TABLE: Table = {
    "stored": {None: "stored", **stay("stored")},
    "version_restored": stay("stored"),
    "retention_extended": stay("stored", "trashed"),
    "trashed": {"stored": "trashed"},
    "restored": {"trashed": "stored"},
    "purged": {"trashed": "purged"},
}


def _decide(before: State | None, step: Step) -> MediaState:
    state = cast("MediaState | None", before)
    here = state or _BEGUN
    if step.forced is None:
        _check(state, step)
    match step.verb:
        case "stored":
            version: int = step.data["version"]
            kept = max(filter(None, (state and state.retain_until, step.data.get("retain_until"))), default=None)
            return MediaState("stored", version, max(version, state.latest if state else 0), kept, None)
        case "version_restored":
            return here._replace(media_version=step.data["version"])
        case "retention_extended":
            return here._replace(retain_until=step.data["retain_until"])
        case "trashed":
            return here._replace(status="trashed", trashed=step.recorded)
        case "purged":
            return here._replace(status="purged", trashed=None)
    return here._replace(status="stored", trashed=None)


def _check(state: MediaState | None, step: Step) -> None:
    """Check what a table can't say: the figures and times of a step that it allows."""
    if step.verb == "stored":
        due = state.latest + 1 if state else 1
        if step.data["version"] != due:
            why = f"the next version is {due}, not {step.data['version']}"
            refuse("media", state, step, why, "$.data.version")
    if state is None:
        return
    if step.verb == "version_restored":
        version = step.data["version"]
        if version > state.latest or version == state.media_version:
            why = f"there are versions 1 to {state.latest}, and {state.media_version} is the current one"
            refuse("media", state, step, why, "$.data.version")
    if step.verb == "retention_extended" and step.data["retain_until"] <= (state.retain_until or ""):
        refuse("media", state, step, "retention is extended only, never shortened", "$.data.retain_until")
    if step.verb == "purged":
        check_purge("media", state, step, state.trashed)
        if state.retain_until is not None and step.recorded[:10] <= state.retain_until:
            refuse("media", state, step, f"it is kept until the end of {state.retain_until}")


LIFECYCLE = Lifecycle(
    kind="media",
    table=_TABLE,
    decide=_decide,
    known=(),
    depends=frozenset(_TABLE),
    rules=f"""\
Each `stored` after the first brings the next version, and `version_restored` goes back to one that there was.
`retention_extended` never shortens. `purged` needs {TRASH_DAYS} days to have passed since the media were trashed, and
the day `retain_until` too.
""",
)
