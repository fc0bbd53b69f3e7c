"""What is read and written within one SQLite transaction.

Owns the statements on a ledger's tables, and the ways by which entries are found: the index, for the last ones the
writer's tail, and where there is no room for the index to grow a walk over what it lacks. Never begins or ends a
transaction, and never seals, hashes, encrypts or judges what is kept.
"""

from __future__ import annotations

import functools
import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ledger.errors import StoreError, StoreFull
from ledger.store.protocol import PAGE, Batch, Columns, Head, Row, Selection, WrappedKey, placed
from ledger.store.sqlite_index import ADVICE, Column, Index
from ledger.store.sqlite_tail import Tail

_LAST = 2**62
"""Above every position; SQLite's integers end at 2^63."""
_PARAMETERS = 500
"""Values bound to one IN (...) list: far below SQLite's limit, and one cached statement for full lists."""
_TOGETHER = (100, 20, 4, 1)
"""Rows that one INSERT writes, as far as there are as many: SQLite takes two thirds of the time over a hundred."""


class SQLiteReads:
    """Reads on one cursor within one transaction; see ``protocol.Reads``. The index is caught up when it is needed."""

    def __init__(self, cursor: sqlite3.Cursor, index: Index) -> None:
        self._cursor = cursor
        self._index = index

    def head(self) -> Head:
        """The end of the log."""
        return Head(*self._cursor.execute("SELECT size, leaf, recorded, epoch FROM head").fetchone())

    def rows(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position."""
        last = _LAST if selection.last is None else min(selection.last, _LAST)
        if not 0 <= selection.first <= last:
            return []
        for column in ("stream", "member", "type"):  # the narrowest first
            name = getattr(selection, column)
            if name is not None:
                return self._rows_by_index(column, name, selection._replace(last=last), limit)
        found = self._cursor.execute(
            f"{ROWS} WHERE rowid BETWEEN ? AND ? LIMIT ?", (selection.first + 1, last + 1, limit)
        )
        return list(map(_row, found))

    def columns(self, first: int, count: int) -> Columns:
        """The rows there are at ``count`` positions from ``first``."""
        bounds = first + 1, first + count
        found = self._cursor.execute("SELECT entry FROM entries WHERE rowid BETWEEN ? AND ? ORDER BY rowid", bounds)
        entries = [entry for (entry,) in found]
        if len(entries) == count:  # a key is there once, so all are there: nothing is to be asked of the positions
            return Columns(range(first, first + count), entries)
        rows = self._cursor.execute(f"{ROWS} WHERE rowid BETWEEN ? AND ? ORDER BY rowid", bounds).fetchall()
        return Columns([position for position, _ in rows], [entry for _, entry in rows])

    def stream(self, name: str) -> list[Row]:
        """All rows of a stream, by version."""
        return self._rows_at(self._stream_positions([name]).get(name, []))

    def _rows_by_index(self, column: Column, name: str, selection: Selection, limit: int) -> list[Row]:
        assert selection.last is not None  # noqa: S101 - the caller has set it
        reached = self._caught_up()
        first, chosen = selection.first, list[Row]()
        while len(chosen) < limit:
            positions = self._index.positions(column, name, first, min(selection.last, reached - 1), limit)
            chosen += [row for row in self._rows_at(positions) if _matches(row, selection)]
            if len(positions) < limit:
                chosen += self._walk(selection._replace(first=max(reached, selection.first)), limit)
                break
            first = positions[-1] + 1
        return chosen[:limit]

    def _caught_up(self) -> int:
        """The size that the index has reached: the log's at least, unless there is no room for it to grow."""
        try:
            return self._index.catch_up(self.head().size)
        except StoreFull:
            return self._index.size()

    def _walk(self, selection: Selection, limit: int) -> list[Row]:
        """The first ``limit`` rows of a selection, found without the index."""
        last = _LAST if selection.last is None else min(selection.last, _LAST)
        found = self._cursor.execute(
            f"{ROWS} WHERE rowid BETWEEN ? AND ? ORDER BY rowid", (selection.first + 1, last + 1)
        )
        return list(itertools.islice((row for row in map(Row._make, found) if _matches(row, selection)), limit))

    def _rows_at(self, positions: Sequence[int]) -> list[Row]:
        """The rows at those positions, ascending; missing ones are left out."""
        rowids = [position + 1 for position in positions]
        return [Row(*row) for row in self._among(f"{ROWS} WHERE rowid IN (%s) ORDER BY rowid", rowids)]

    def _stream_positions(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Where the entries of each stream are, ascending."""
        reached = self._caught_up()
        found = self._index.all_positions(names)
        if reached < self.head().size:
            for name in names:
                known = [position for position in found.get(name, ()) if position < reached]
                found[name] = known + [row.position for row in self._walk(Selection(reached, stream=name), _LAST)]
        return found

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile, full or partial; empty when there is none."""
        found = self._cursor.execute(
            "SELECT hashes FROM tiles WHERE level = ? AND number = ?", (level, index)
        ).fetchone()
        return bytes(found[0]) if found else b""

    def tiles(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """The hashes of tiles by (level, index), as ``tile`` gives each."""
        return [self.tile(*each) for each in wanted]

    def disclosures(self, positions: Sequence[int]) -> dict[int, bytes]:
        """The sealed disclosures by position; positions without any are left out."""
        sql = "SELECT rowid - 1, sealed FROM disclosures WHERE rowid IN (%s)"
        return dict(self._among(sql, [position + 1 for position in positions]))

    def data_keys(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], WrappedKey]:
        """The wrapped data keys by (member, stream); unknown pairs are left out."""
        wanted = list(pairs)
        places = self._stream_positions([stream for _, stream in wanted]) if wanted else {}
        found: dict[tuple[str, str], WrappedKey] = {}
        for member, stream in wanted:
            rowids = [position + 1 for position in places.get(stream, ())]
            sql = f"{_KEYS} WHERE member = ? AND rowid IN (%s)"
            for row in self._among(sql, rowids, member):
                found[member, stream] = WrappedKey(*row)
                break
        return found

    def key_counts(self) -> dict[int, int]:
        """How many wrapped data keys there are of each epoch that has any."""
        return dict(self._cursor.execute("SELECT epoch, count(*) FROM data_keys GROUP BY epoch"))

    def keys_before(self, epoch: int, after: WrappedKey | None = None, limit: int = PAGE) -> list[WrappedKey]:
        """The first ``limit`` wrapped keys of epochs before ``epoch``, beyond ``after``."""
        sql = f"{_KEYS} WHERE rowid > ? AND epoch < ? ORDER BY rowid LIMIT ?"
        found = self._cursor.execute(sql, (0 if after is None else after.position + 1, epoch, limit))
        return list(map(WrappedKey._make, found))

    def checkpoints(self, after: int, limit: int = PAGE) -> list[tuple[int, bytes]]:
        """(size, note) of the signed checkpoints above a size, ascending."""
        sql = "SELECT size, note FROM checkpoints WHERE size > ? ORDER BY size LIMIT ?"
        return [(size, bytes(note)) for size, note in self._cursor.execute(sql, (after, limit))]

    def latest_checkpoint(self) -> bytes | None:
        """The note of the largest signed checkpoint."""
        found = self._cursor.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
        return bytes(found[0]) if found else None

    def _among(self, sql: str, values: Sequence[Any], *first: Any) -> Iterator[Any]:
        """The rows of a statement with an IN (...) list, a bounded part of the list at a time."""
        for start in range(0, len(values), _PARAMETERS):
            part = values[start : start + _PARAMETERS]
            # Not `yield from`: a reader that stops early would close the cursor with the generator.
            for row in self._cursor.execute(sql % ",".join("?" * len(part)), [*first, *part]):  # noqa: UP028
                yield row


class SQLiteWrites(SQLiteReads):
    """The write transaction; see ``protocol.Writes``. What the index lacks, the tail has."""

    part = 200

    def __init__(self, cursor: sqlite3.Cursor, index: Index, tail: Tail) -> None:
        super().__init__(cursor, index)
        self._tail = tail
        self._written = 0, 0, 0  # rows, disclosures and keys of the batch

    def find_ids(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The positions of those (source, id) that are known."""
        found = self._tail.find_ids(ids)
        by_source: dict[str, list[str]] = {}
        for source, event_id in itertools.filterfalse(found.__contains__, ids):
            by_source.setdefault(source, []).append(event_id)
        for source, wanted in by_source.items():
            for event_id, position in self._index.find_ids(source, wanted).items():
                found[source, event_id] = position
        return found

    def streams(self, names: Sequence[str]) -> dict[str, list[bytes]]:
        """The entries of each named stream, by version; streams without any are left out."""
        places = self._stream_positions(names)
        entries = {row.position: row for row in self._rows_at(sorted(itertools.chain(*places.values())))}
        found = {name: [entries[at] for at in positions if at in entries] for name, positions in places.items()}
        for name, rows in found.items():
            held = [(content.event.stream, content.seal.version) for row in rows for content in (row.content(),)]
            if held != [(name, version) for version in range(1, len(rows) + 1)]:
                raise StoreError(f"the index does not find {name} whole", advice=ADVICE)
        return {name: [row.entry for row in rows] for name, rows in found.items()}

    def member_versions(self, names: Sequence[str]) -> dict[str, int]:
        """The highest member version of each named member; members without any are left out."""
        found = {name: version for name in names if (version := self._tail.member_version(name)) is not None}
        last = self._index.last_positions("member", [name for name in names if name not in found])
        for row in map(placed, self._rows_at(sorted(last.values()))):
            if row.member is not None and row.member_version is not None and last.get(row.member) == row.position:
                found[row.member] = row.member_version
        if not last.keys() <= found.keys():
            raise StoreError("the index does not find the last entry of a member", advice=ADVICE)
        return found

    def extend(self, batch: Batch) -> None:
        """Write what a batch holds by now."""
        rows, disclosures, keys = self._written
        self._written = len(batch.rows), len(batch.disclosures), len(batch.keys)
        new = batch.rows[rows:]
        self._tail.add(new)
        self._insert("entries", [(row[0] + 1, row[1]) for row in new])
        self._insert("disclosures", [(position + 1, sealed) for position, sealed in batch.disclosures[disclosures:]])
        wrapped = [(key.position + 1, key.stream, key.member, key.epoch, key.wrapped) for key in batch.keys[keys:]]
        self._insert("data_keys", wrapped)

    def write(self, batch: Batch) -> None:
        """Write a batch, or what is left of it, within the transaction."""
        self.extend(batch)
        self._cursor.executemany(
            "INSERT INTO tiles VALUES (?, ?, ?) ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
            batch.tiles,
        )
        self._cursor.execute("UPDATE head SET size = ?, leaf = ?, recorded = ?, epoch = ?", batch.head)

    def erase(self, positions: Sequence[int], pairs: Sequence[tuple[str, str]]) -> None:
        """Delete the disclosures at those positions and the wrapped keys of those (member, stream), as far as there."""
        self._cursor.executemany("DELETE FROM disclosures WHERE rowid = ?", [(at + 1,) for at in positions])
        places = self._stream_positions([stream for _, stream in pairs]) if pairs else {}
        self._cursor.executemany(
            "DELETE FROM data_keys WHERE rowid = ? AND member = ?",
            [(at + 1, member) for member, stream in pairs for at in places.get(stream, ())],
        )

    def rewrap(self, keys: Sequence[WrappedKey]) -> None:
        """Put these in the place of the wrapped keys that their (member, stream) have."""
        self._cursor.executemany(
            "UPDATE data_keys SET epoch = ?, wrapped = ? WHERE rowid = ? AND member = ? AND stream = ?",
            [(key.epoch, key.wrapped, key.position + 1, key.member, key.stream) for key in keys],
        )

    def turn(self, epoch: int) -> None:
        """Set the head's epoch."""
        self._cursor.execute("UPDATE head SET epoch = ?", (epoch,))

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows, many a statement: a thread gives up the interpreter at each, and may wait to get it back."""
        start = 0
        for count in _TOGETHER:
            while len(rows) - start >= count:
                part = rows[start : start + count]
                sql = _insertion(table, len(part[0]), count)
                self._cursor.execute(sql, list(itertools.chain.from_iterable(part)))
                start += count

    def rows(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position, with those written in this transaction."""
        return self._walk(selection, limit)

    def _stream_positions(self, names: Sequence[str]) -> dict[str, list[int]]:
        found = self._index.all_positions(names)
        for name in names:
            if recent := self._tail.of_stream(name):
                known = found.get(name, [])
                last = known[-1] if known else -1
                found[name] = known + [position for position in recent if position > last]
        return found

    def drop_checkpoints(self, sizes: Sequence[int]) -> None:
        """Delete checkpoints, ascending. A trigger refuses the last of a block."""
        self._cursor.executemany("DELETE FROM checkpoints WHERE size = ?", [(size,) for size in sizes])

    def keep_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint, unless there is one of that size."""
        sql = "INSERT INTO checkpoints SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM checkpoints WHERE size = ?1)"
        self._cursor.execute(sql, (size, note))


ROWS = "SELECT rowid - 1, entry FROM entries"
"""Entries with their positions, to be narrowed by ``WHERE``."""
_KEYS = "SELECT rowid - 1, member, stream, epoch, wrapped FROM data_keys"
_row = functools.partial(tuple.__new__, Row)
"""``Row._make`` at a third of its time, for long scans."""


@functools.cache
def _insertion(table: str, width: int, rows: int) -> str:
    """The statement that inserts so many rows, each of so many values."""
    row = f"({','.join('?' * width)})"
    return f"INSERT INTO {table} VALUES {','.join([row] * rows)}"  # noqa: S608 - names of ours and marks only


def _matches(row: Row, selection: Selection) -> bool:
    """Whether a row is of the selection in all that it names."""
    wanted = (selection.stream, selection.member, selection.type)
    if wanted == (None, None, None):
        return True
    event = row.content().event
    have = (event.stream, event.member, event.type)
    return all(want is None or want == one for want, one in zip(wanted, have, strict=True))
