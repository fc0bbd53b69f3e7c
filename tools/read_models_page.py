"""The reference page of the read models: every table with its columns, and the events that fill it.

Owns the page ``docs/reference/read-models.md``, which ``tools.docs`` writes. What it says is a pure function of the
declarations in ``projections/models``. Never reads a store.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from projections.models import READ_MODELS
from projections.projection import Column, Projection, Table, types_of

_INTRODUCTION = """\
# Read models

Written by `make docs` from `projections/models`; don't edit it by hand.

A read model is what the log's entries add up to, kept in tables for questions that the log alone would answer slowly.
It can be thrown away and built anew at any time. A read model is rebuilt, switched and rolled back as one, under its
own name; wherever a name of a read model is taken, the name of one of its tables means it too. Rows are asked for by
[continuity query](cli.md#continuity-query) or [over HTTP](http.md).

Rows stand in the order of their key, and are found fast by their key and by the columns named below it. Columns are
`text`, `integer`, or `json`: text that holds a list or an object in canonical form. A value that is not known is null.
Times and dates are text. A time that an event's data gave stands as it was written, with its offset; all others are in
UTC and end in `Z`. Those that are reckoned by a policy, and those that the ledger's own clock gave, have six decimals,
so that they sort as text. Whether something is due is for the reader to see, by comparing with a clock: no row changes
because time passes. Money, durations and sums of bytes are decimals, as text; yes and no are the integers 1 and 0.

No row holds a private value. A column of **commitments** holds an object `{"name":[position,commitment]}`: which
private fields there are, at which position each was given last, and the commitment that stands there. Those who may see
private values can have them opened when they read; what was erased or purged opens no more, and the row stays as it is.
"""


def read_models_page() -> str:
    """Return the page of all read models, as Markdown."""
    return "\n".join([_INTRODUCTION, *_overview(), *(line for model in READ_MODELS for line in _model(model))])


def _overview() -> Iterator[str]:
    yield "| read model | tables |"
    yield "|---|---|"
    for model in READ_MODELS:
        tables = ", ".join(f"[{table.name}](#{table.name})" for table in model.tables)
        yield f"| [{model.name}](#read-model-{model.name}) | {tables} |"
    yield ""


def _model(model: Projection) -> Iterator[str]:
    yield f"## Read model {model.name}\n"
    yield f"Version {model.version}. Made of {_types(model)}.\n"
    for table in model.tables:
        yield from _table(table)


def _types(model: Projection) -> str:
    """The event types of a read model; a kind whose types are all among them is named as a whole."""
    named: dict[str, None] = {}
    for name in sorted(model.handlers):
        kind = name.partition(".")[0]
        whole = model.handlers.keys() >= set(types_of(kind))
        named[f"`{kind}.*`" if whole else f"`{name}`"] = None
    return ", ".join(named)


def _table(table: Table[Any]) -> Iterator[str]:
    yield f"### {table.name}\n"
    found = ["(" + ", ".join(f"`{name}`" for name in index) + ")" for index in table.indexes]
    by = f" Found by {', '.join(found)}." if found else ""
    yield f"{table.description} Key: {', '.join(f'`{column.name}`' for column in table.key)}.{by}\n"
    yield "| column | type | | meaning |"
    yield "|---|---|---|---|"
    yield from (f"| `{each.name}` | {each.type} | {_marks(each)} | {each.description} |" for each in table.columns)
    yield ""


def _marks(column: Column) -> str:
    marks = (("required", column.required), ("commitments", column.commitments))
    return ", ".join(name for name, holds in marks if holds)
