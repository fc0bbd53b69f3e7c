"""Tables of unusual shapes for the contract suite."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from projections.projection import Row, Table
from tests.support.projecting import Seen


class Pair(Row):
    """Nothing but a key, with names that are words of SQL."""

    order: Annotated[str, Meta(description="a text")]
    group: Annotated[int, Meta(description="a number")]


class Wider(Seen):
    """A row of a later release."""

    colour: Annotated[str | None, Meta(description="a column that is new")] = None


class Older(Seen):
    """A row of an earlier release."""

    size: Annotated[str | None, Meta(description="a column that is no longer")] = None


KEYS = Table("keys", Pair, "pairs", key_length=2)
WIDER = Table("seen", Wider, "streams", by_stream=True)
OLDER = Table("seen", Older, "streams", by_stream=True)
