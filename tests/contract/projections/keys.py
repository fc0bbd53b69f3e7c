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


class Sparse(Row):
    """Little but a key, in most rows."""

    name: Annotated[str, Meta(description="a text")]
    a: Annotated[str | None, Meta(description="a text")] = None
    b: Annotated[str | None, Meta(description="a text")] = None
    c: Annotated[str | None, Meta(description="a text")] = None
    d: Annotated[str | None, Meta(description="a text")] = None
    e: Annotated[str | None, Meta(description="a text")] = None
    f: Annotated[str | None, Meta(description="a text")] = None
    g: Annotated[str | None, Meta(description="a text")] = None
    h: Annotated[str | None, Meta(description="a text")] = None


SPARSE = Table("sparse", Sparse, "names")
KEYS = Table("keys", Pair, "pairs", key_length=2)
WIDER = Table("seen", Wider, "streams", by_stream=True)
OLDER = Table("seen", Older, "streams", by_stream=True)
