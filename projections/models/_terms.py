"""The studio's terms, as read models that reckon with them keep them: all versions of a policy in one row.

Owns the row and the question which version holds. In force on a day is the highest version that is effective on it, as
far as the ledger knew of it by then; so what was reckoned once never moves when a policy is set later.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Final

import orjson
from msgspec import Meta

from ledger import canonical, moment
from projections.projection import Event, Json, Row, Table
from projections.work import Work


class Terms(Row):
    """A policy that the read model reckons with."""

    policy: Annotated[str, Meta(description="the policy's stream")]
    version: Annotated[int, Meta(description="the version that was set last")]
    versions: Annotated[
        Json, Meta(description="all versions: a list of `[version, effective_from, terms]`, the highest first")
    ]


def terms_table(name: str, what: str) -> Table[Terms]:
    """A table of terms, for a read model that reckons with ``what``."""
    return Table(name, Terms, f"The terms of {what}, in all their versions.", by_stream=True)


def set_terms(work: Work, table: Table[Terms], event: Event, topic: str) -> None:
    """Note a policy that was set, if it is one on ``topic``. A version that is set once more counts as set last."""
    data = event.data
    if topic not in data:
        return
    version = data["version"]
    row = work.change(table, event.stream) or work.put(table, Terms(event.stream, version, "[]"))
    others = [each for each in orjson.loads(row.versions) if each[0] != version]
    versions = sorted([*others, [version, data["effective_from"], data[topic]]], key=lambda each: each[0], reverse=True)
    row.version = version
    row.versions = canonical.dumps(versions).decode()


def version_for(work: Work, table: Table[Terms], policy: str, said: int | None, day: str) -> int | None:
    """The version of a policy to reckon with: the one that an event said it follows, or the one in force on a day.

    ``policy`` is the policy's stream, ``day`` YYYY-MM-DD. A version that is not known counts as not said. None where
    there is neither.
    """
    row = work.get(table, policy)
    if row is None:
        return None
    versions = _parsed(row.versions)
    if said is not None and said in {number for number, _, _ in versions}:
        return said
    return next((number for number, effective, _ in versions if effective <= day), None)


def terms_of(work: Work, table: Table[Terms], policy: str, version: int | None) -> dict[str, Any] | None:
    """The terms of a version, or None where it is not known. Not to be changed."""
    row = None if version is None else work.get(table, policy)
    if row is None:
        return None
    return next((terms for number, _, terms in _parsed(row.versions) if number == version), None)


@lru_cache(maxsize=512)
def _parsed(versions: str) -> list[tuple[int, str, dict[str, Any]]]:
    parsed: list[tuple[int, str, dict[str, Any]]] = orjson.loads(versions)
    return parsed


HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR


def later(instant: str, microseconds: int) -> str | None:
    """The moment that many microseconds after an instant, in the form of ``recorded``; None beyond the year 9999."""
    try:
        return moment.recorded(moment.microseconds(instant) + microseconds)
    except OverflowError:
        return None


def day_of(instant: str) -> str:
    """The day of an instant in UTC."""
    return moment.normal(instant)[:10]
