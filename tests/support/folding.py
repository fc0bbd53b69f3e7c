"""Folding by the read models without a log and without a store: events are sealed here, rows are kept in dicts.

Owns no fixtures and no assertions. What it does to rows between batches is what a store does: it keeps their values and
makes them anew, so that nothing that a handler leaves in memory outlives its batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from ledger import moment
from ledger.entry import build
from ledger.event import prepare
from projections.models import READ_MODELS
from projections.projection import Key, Projection, Table, Values, read
from projections.work import Changes, Work
from tests.support.histories import AUTHOR

CREATED = {
    "specversion": "1.0",
    "id": "created",
    "source": "urn:history",
    "type": "ledger.created",
    "subject": "ledger:main",
    "time": "2025-12-31T00:00:00Z",
    "actorrole": "system",
    "data": {"format": 1, "origin": "ledger.example/studio", "verifier_keys": ["ledger.example/studio+00000000+AAAA"]},
}


def sealed(events: Iterable[bytes]) -> list[bytes]:
    """The entries of a ledger that took these CloudEvents, each recorded at its own time, after ``ledger.created``."""
    entries: list[bytes] = []
    versions: Counter[str] = Counter()
    now = 0
    for raw in (orjson.dumps(CREATED), *events):
        prepared = prepare(raw, AUTHOR)
        now = max(now, moment.microseconds(orjson.loads(raw)["time"]))
        stream, member = f"stream {prepared.stream}", prepared.member and f"member {prepared.member}"
        versions.update((stream, member))
        entries.append(
            build(
                prepared.body,
                AUTHOR.id,
                None if member is None else versions[member],
                len(entries),
                "0" * 64,
                moment.recorded(now),
                versions[stream],
            )
        )
    return entries


class Rows:
    """The rows of some read models after the entries that were folded so far."""

    def __init__(self, models: Sequence[Projection] = READ_MODELS) -> None:
        self.models = models
        self.tables: dict[Table[Any], dict[Key, Values]] = {table: {} for model in models for table in model.tables}

    def fold(self, entries: Sequence[bytes], batch: int = 1000) -> None:
        """Fold further entries, that many at a time."""
        for start in range(0, len(entries), batch):
            folded = [read(entry) for entry in entries[start : start + batch]]
            for model in self.models:
                work = Work(lambda table, key: self.tables[table].get(key))
                for each in folded:
                    handler = model.handlers.get(each.event.type)
                    if handler is not None:
                        handler(work, each.event, each.seal)
                for table, changes in work.take().items():
                    self._keep(table, changes)

    def _keep(self, table: Table[Any], changes: Changes) -> None:
        rows, width = self.tables[table], len(table.key)
        for values in (*changes.new, *changes.changed):
            key = values[:width] if width > 1 else values[0]
            rows[key] = values
        for key in changes.removed:
            rows.pop(key, None)

    def values(self) -> dict[str, dict[Key, Values]]:
        """All rows as they are kept, by table and key."""
        return {table.name: dict(rows) for table, rows in self.tables.items()}

    def named(self, name: str) -> list[dict[str, Any]]:
        """The rows of a table by key, each by column name, without those that have no value; JSON is read."""
        table = next(table for table in self.tables if table.name == name)
        return [named(table, self.tables[table][key]) for key in sorted(self.tables[table])]


def named(table: Table[Any], values: Values) -> dict[str, Any]:
    """A row by column name, without columns that have no value; JSON is read."""
    return {
        column.name: orjson.loads(value) if column.type == "json" else value
        for column, value in zip(table.columns, values, strict=True)
        if value is not None
    }


def rows_of(*events: bytes, models: Sequence[Projection] = READ_MODELS) -> Rows:
    """The rows after these CloudEvents, all that a new ledger holds."""
    rows = Rows(models)
    rows.fold(sealed(events))
    return rows
