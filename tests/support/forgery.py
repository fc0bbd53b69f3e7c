"""What somebody with the file and no signing key can do: seal entries anew, and make tree and head fit them.

Owns no assertions. Shares the entry's layout with the ledger, and nothing with the audit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from ledger.tiles import Edge, Tile


def canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def leaf(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def reseal(entries: Sequence[bytes], first: int, change: Callable[[dict[str, Any]], None]) -> list[bytes]:
    """The entries with ``change`` made to the one at ``first``, and every later seal following from it."""
    sealed = list(entries[:first])
    for position in range(first, len(entries)):
        content = orjson.loads(entries[position])
        if position:
            content["seal"]["prev"] = leaf(sealed[-1]).hex()
        if position == first:
            change(content)
        sealed.append(canonical(content))
    return sealed


def tree(entries: Sequence[bytes]) -> list[Tile]:
    """All tiles of the tree over these entries."""
    edge = Edge()
    edge.extend([leaf(entry) for entry in entries])
    return edge.take_dirty()


def unlocked(path: Path) -> sqlite3.Connection:
    """The database without its triggers. Close it, so that the file holds what was done."""
    connection = sqlite3.connect(path, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    return connection


def stored_entries(connection: sqlite3.Connection) -> list[bytes]:
    return [entry for (entry,) in connection.execute("SELECT entry FROM entries ORDER BY rowid")]


def refit(connection: sqlite3.Connection, entries: Sequence[bytes]) -> None:
    """Make rows, tiles and head those of ``entries``, which are at most as many as there are rows."""
    connection.execute("BEGIN")
    connection.execute("DELETE FROM entries WHERE rowid > ?", (len(entries),))
    connection.executemany("UPDATE entries SET entry = ? WHERE rowid = ?", zip(entries, range(1, len(entries) + 1)))  # noqa: B905
    connection.execute("DELETE FROM tiles")
    connection.executemany("INSERT INTO tiles VALUES (?, ?, ?)", tree(entries))
    recorded = orjson.loads(entries[-1])["seal"]["recorded"]
    connection.execute("UPDATE head SET size = ?, leaf = ?, recorded = ?", (len(entries), leaf(entries[-1]), recorded))
    connection.execute("COMMIT")
