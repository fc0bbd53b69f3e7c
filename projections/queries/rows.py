"""Any table of the read models, a page at a time: by the values of some columns, in the order of its key.

Owns which columns rows may be asked for by, how a row is given out, and the opening of its private values. Who may see
what is for the caller to know. Never folds and never changes anything.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from ledger.canonical import MAX_INTEGER
from ledger.entry import decode
from ledger.errors import NotFound
from ledger.log import Log
from ledger.redaction import Policy, Redacted, redact
from projections.models import TABLES
from projections.projection import Key, Table, Values
from projections.store.protocol import PAGE, Reads

Where = Mapping[str, str | int | None]
"""Values that columns must have, by name."""

_INTEGER_DIGITS: Final = len(str(MAX_INTEGER))


class Page(NamedTuple):
    """Rows by column name, and the key after which the next page begins; None where there is none."""

    rows: list[dict[str, Any]]
    next: Key | None


def table_named(name: str) -> Table[Any]:
    """The table of that name. Raises ``NotFound``, with what may have been meant."""
    found = TABLES.get(name)
    if found is None:
        near = difflib.get_close_matches(name[:100], TABLES, n=3)
        advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(TABLES)}"
        raise NotFound(f"there is no read model table {name[:100]!r}", advice=advice)
    return found


def findable(table: Table[Any]) -> list[str]:
    """The columns by which rows are found fast: those that its key and its indexes begin with."""
    return list(dict.fromkeys([table.key[0].name, *(index[0] for index in table.indexes)]))


def condition(table: Table[Any], name: str, text: str) -> str | int:
    """The value that a column must have, from text. Raises ``KeyError`` for no such column, ``ValueError``."""
    column = table.column(name)
    if column.type == "json":
        raise ValueError("rows are not found by a column that holds a list or an object")
    if column.type == "text":
        if "\0" in text:  # which no row holds, and which PostgreSQL does not take
            raise ValueError("expected text without the character U+0000")
        return text
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _INTEGER_DIGITS):
        raise ValueError(f"expected an integer, got {text[:100]!r}")
    return int(text)


def page(reads: Reads, table: Table[Any], where: Where, *, after: Key | None = None, limit: int = PAGE) -> Page:
    """The first ``limit`` rows that fulfil ``where``, with a key above ``after``. Raises ``Unready``."""
    found = reads.rows(table, where=where, after=after, limit=limit + 1)
    more, found = len(found) > limit, found[:limit]
    return Page([shown(table, values) for values in found], _key(table, found[-1]) if more else None)


def every(reads: Reads, table: Table[Any], where: Where | None = None) -> Iterator[dict[str, Any]]:
    """All rows that fulfil ``where``, read a page at a time. Raises ``Unready``."""
    after: Key | None = None
    while True:
        found = page(reads, table, where or {}, after=after)
        yield from found.rows
        if found.next is None:
            return
        after = found.next


def shown(table: Table[Any], values: Values) -> dict[str, Any]:
    """A row by column name; JSON is read, and columns without a value are left out."""
    return {
        column.name: orjson.loads(value) if column.type == "json" and isinstance(value, str) else value
        for column, value in zip(table.columns, values, strict=True)
        if value is not None
    }


def position_of(reads: Reads, table: Table[Any]) -> int:
    """Up to which position the rows of a table are folded, -1 for none."""
    live = [one for one in reads.generations() if one.state == "live" and table.name in one.tables]
    return live[0].position if live else -1


def disclosed(log: Log, table: Table[Any], rows: Sequence[dict[str, Any]], policy: Policy) -> list[dict[str, Any]]:
    """The rows with their private values, as a redaction policy shows them. For those who may see them only.

    ``disclosed`` holds the values by name, ``withheld`` the rule that withheld each of the rest; either is left out
    where it would be empty. Raises ``StoreError`` for a damaged disclosure.
    """
    columns = [column.name for column in table.columns if column.commitments]
    noted = [{name: each[0] for column in columns for name, each in row.get(column, {}).items()} for row in rows]
    entries = [log.row(position) for position in sorted({position for names in noted for position in names.values()})]
    opened: dict[int, Redacted] = {}
    for entry, values in zip(entries, log.disclose(entries), strict=True):
        event = decode(entry.entry).event
        opened[entry.position] = redact(policy, event.type, event.commitments(), values)
    return [row | _chosen(names, opened) for row, names in zip(rows, noted, strict=True)]


def _chosen(names: Mapping[str, int], opened: Mapping[int, Redacted]) -> dict[str, Any]:
    """Of what entries disclose, the fields that a row has of each."""
    shown = {name: opened[at].shown[name] for name, at in names.items() if name in opened[at].shown}
    withheld = {name: opened[at].withheld[name] for name, at in names.items() if name not in shown}
    return ({"disclosed": shown} if shown else {}) | ({"withheld": withheld} if withheld else {})


def _key(table: Table[Any], values: Values) -> Key:
    key: Key = table.key_of(table.make(values))
    return key
