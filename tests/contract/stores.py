"""The kinds of store that the contract suite runs against. A new kind is one class here and one name in ``KINDS``.

Owns how each kind is made, opened a second time (as another process would) and reached behind the store's back, and the
test adapter that lets the recorder library's own test cases write rows: the shipped stores refuse that.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import orjson
import psycopg
from eventsourcing.persistence import IntegrityError, Notification, StoredEvent

from ledger.entry import decode
from ledger.errors import StoreError
from ledger.store.postgres import PostgresStore
from ledger.store.protocol import Batch, Head, NewRow, Row, Selection, Store
from ledger.store.sqlite import SQLiteStore

ORIGIN = "ledger.example/contract"
SCHEMA = "ledger_contract"
EMPTY = Head(0, bytes(32), "", 1)


class RawInserts:
    """Opens ``insert_events`` for the recorder library's test cases: rows as given, without seal, tree or ids."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        try:
            with self.writing() as writes:
                head = writes.head()
                self._refuse_doubles(writes, stored_events)
                rows = [
                    new_row(
                        position,
                        str(event.originator_id),
                        event.originator_version,
                        event.topic,
                        data={"state": event.state.hex()},
                        event_id=f"raw-{position}",
                    )
                    for position, event in enumerate(stored_events, head.size)
                ]
                writes.write(Batch(rows=rows, head=head._replace(size=head.size + len(rows))))
        except StoreError as error:
            refusals = (self.integrity_error, IntegrityError)
            if isinstance(error.__cause__, refusals) or "can't follow" in str(error):
                raise IntegrityError(error) from error
            raise
        return [row.position + 1 for row in rows]

    def select_events(self, *args: Any, **options: Any) -> list[StoredEvent]:
        return [unwrapped(event) for event in super().select_events(*args, **options)]

    def select_notifications(self, *args: Any, **options: Any) -> list[Notification]:
        return [unwrapped(event) for event in super().select_notifications(*args, **options)]


class RawSQLiteStore(RawInserts, SQLiteStore):
    integrity_error = sqlite3.IntegrityError

    def _refuse_doubles(self, writes: Any, stored_events: Sequence[StoredEvent]) -> None:
        """What the library leaves to a unique key, the log decides before it writes; so the adapter has to."""
        contents = [row.content() for row in writes.rows(Selection(), limit=1_000_000)]
        taken = {(content.event.stream, content.seal.version) for content in contents}
        if any((str(event.originator_id), event.originator_version) in taken for event in stored_events):
            raise IntegrityError


def unwrapped(event: Any) -> Any:
    """An event of the library with the state that the adapter was given."""
    return dataclasses.replace(event, state=bytes.fromhex(decode(event.state).event.public()["state"]))


class RawPostgresStore(RawInserts, PostgresStore):
    integrity_error = psycopg.IntegrityError

    def _refuse_doubles(self, writes: Any, stored_events: Sequence[StoredEvent]) -> None:
        """Its unique keys do."""


class SQLiteKind:
    """SQLite stores in one folder."""

    place = "tmp_path"
    words: ClassVar = {"key": "rowid", "zero": "x'00'", "zeros": "zeroblob(64)"}
    """How its SQL says what differs from one database to the other."""
    refusal = sqlite3.IntegrityError
    """What the database raises when a trigger refuses a change."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"

    def create(self, head: Head = EMPTY) -> Store:
        return SQLiteStore.create(self.path, ORIGIN, head)

    def create_raw(self) -> RawSQLiteStore:
        return RawSQLiteStore.create(self.path, ORIGIN, EMPTY)

    def open(self) -> Store:
        return SQLiteStore(self.path)

    def execute(self, sql: str) -> list[Any]:
        """Run a statement on a connection that is none of the store's, and commit it."""
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                return connection.execute(sql).fetchall()
        finally:
            connection.close()


class PostgresKind:
    """PostgreSQL stores in one schema of one database."""

    place = "database"
    words: ClassVar = {"key": "position", "zero": r"'\x00'", "zeros": r"decode(repeat('00', 64), 'hex')"}
    refusal = psycopg.errors.RestrictViolation

    def __init__(self, url: str) -> None:
        self.url = url

    def create(self, head: Head = EMPTY) -> Store:
        return PostgresStore.create(self.url, SCHEMA, ORIGIN, head)

    def create_raw(self) -> RawPostgresStore:
        return RawPostgresStore.create(self.url, SCHEMA, ORIGIN, EMPTY)

    def open(self) -> Store:
        return PostgresStore(self.url, SCHEMA)

    def execute(self, sql: str) -> list[Any]:
        """Run a statement as the owner, on a connection that is none of the store's, and commit it."""
        with psycopg.connect(self.url) as connection:
            connection.execute(f"SET search_path = {SCHEMA}")
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []


KINDS = {"sqlite": SQLiteKind, "postgresql": PostgresKind}


def leaf(position: int) -> bytes:
    return sha256(b"%d" % position).digest()


def new_row(
    position: int,
    stream: str,
    version: int,
    kind: str = "t.a",
    member: tuple[str, int] | None = None,
    *,
    source: str = "urn:test",
    event_id: str = "",
    data: Any = None,
) -> NewRow:
    """A row with an entry that says where it belongs, and nothing that has to be true."""
    name, member_version = member or (None, None)
    event = {
        "actor": {"id": "a", "role": "staff"},
        "data": data or {},
        "id": event_id or f"id-{position}",
        **({"member": name} if name else {}),
        "source": source,
        "stream": stream,
        "time": "2026-03-01T00:00:00Z",
        "type": kind,
        "v": 1,
    }
    seal = {
        "by": "local",
        **({"member_version": member_version} if name else {}),
        "position": position,
        "prev": "0" * 64,
        "recorded": "2026-03-01T00:00:00.000000Z",
        "version": version,
    }
    entry = orjson.dumps({"event": event, "seal": seal})
    return NewRow(position, entry, stream, version, kind, name, member_version, source, event["id"])


def stored(rows: Iterable[NewRow]) -> list[Row]:
    """The rows as they are read."""
    return [Row(row.position, row.entry) for row in rows]


def head(size: int) -> Head:
    return Head(size, leaf(size), f"2026-03-01T00:00:00.{size:06d}Z", 1)


def write(store: Store, rows: Sequence[NewRow], **parts: Any) -> None:
    """One transaction that appends ``rows`` and moves the head."""
    with store.writing() as writes:
        size = writes.head().size + len(rows)
        writes.write(Batch(rows=list(rows), head=head(size), **parts))
