"""The recorders of the ``eventsourcing`` library as they come, given ready-made rows of the very bytes that we seal.

They neither parse, check, chain nor encrypt; our stores are subclasses of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from functools import partial

from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from ledger.store.protocol import Row
from tools.bench.clients import drive
from tools.bench.measure import Contestant
from tools.bench.peers.cell import Cell
from tools.bench.postgres import Server

SQLITE = "eventsourcing, SQLite"
POSTGRES = "eventsourcing, PostgreSQL"
_SCHEMA = "continuity_bench_vanilla"

Requests = list[list[list[StoredEvent]]]


class Vanilla:
    """Both recorders, each with a fresh table for each run."""

    def __init__(self, server: Server, entries: Iterable[Row]) -> None:
        """``entries`` are ours of all events that will be asked for."""
        self._server = server
        self._rows = dict(map(_ready_made, entries))

    def contestants(self, cell: Cell, seconds: float) -> list[Contestant]:
        """As those who append."""
        requests = _requests(cell, self._rows)
        return [
            Contestant(SQLITE, partial(_sqlite, requests, seconds)),
            Contestant(POSTGRES, partial(_postgres, self._server, requests, seconds)),
        ]


def _ready_made(row: Row) -> tuple[str, StoredEvent]:
    content = row.content()
    return content.event.id, StoredEvent(
        originator_id=content.event.stream,
        originator_version=content.seal.version,
        topic=content.event.type,
        state=row.entry,
    )


def _requests(cell: Cell, rows: Mapping[str, StoredEvent]) -> Requests:
    return [[[rows[event.id] for event in request] for request in one] for one in cell.requests]


def _insert(recorder: ApplicationRecorder, requests: Requests, seconds: float) -> float:
    def send(client: int, request: list[StoredEvent]) -> int:
        recorder.insert_events(request)
        return len(request)

    return drive(requests, send, seconds)


def _sqlite(requests: Requests, seconds: float) -> float:
    with tempfile.TemporaryDirectory(prefix="continuity-bench-") as folder:
        datastore = SQLiteDatastore(f"{folder}/peer.db", originator_id_type="text")
        try:
            recorder = SQLiteApplicationRecorder(datastore)
            recorder.create_table()
            with datastore.transaction(commit=False) as cursor:
                cursor.execute("PRAGMA synchronous")
                if cursor.fetchone()[0] != 2:
                    raise RuntimeError("the peer is not as durable as we are")
            return _insert(recorder, requests, seconds)
        finally:
            datastore.close()


def _postgres(server: Server, requests: Requests, seconds: float) -> float:
    server.execute(f"CREATE SCHEMA {_SCHEMA}")
    datastore = PostgresDatastore(
        "", "", "", "", "", schema=_SCHEMA, originator_id_type="text", pool_size=len(requests), max_overflow=0
    )
    try:
        datastore.pool.conninfo = server.url
        assert isinstance(datastore.pool.kwargs, dict)
        datastore.pool.kwargs = {"row_factory": datastore.pool.kwargs["row_factory"]}
        recorder = PostgresApplicationRecorder(datastore)
        recorder.create_table()
        server.rest()
        return _insert(recorder, requests, seconds)
    finally:
        datastore.close()
        server.execute(f"DROP SCHEMA {_SCHEMA} CASCADE")
