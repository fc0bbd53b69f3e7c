"""The ``ProjectionRunner`` of the ``eventsourcing`` library as it comes, with one projection, given our very entries.

It reads and decodes each entry and folds it in a transaction of its own: one statement for the row, one for the
position. Our fold does far more with each (every read model there is), and nothing else is asked of this one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from eventsourcing.application import Application
from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import register_topic
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from ledger.store.protocol import Row
from tools.bench.postgres import Server

NAME = "eventsourcing, ProjectionRunner"
NOT_AWAITED = f"{NAME}, commits not awaited"
_TOPIC = "continuity-bench-entry"
_LONGEST_S = 120
_RECORDED_AT_ONCE = 1_000


class Stored:
    """An entry as the library's mapper gives it out: its fields are those of the JSON, and what tells it apart."""

    event: dict[str, Any]
    seal: dict[str, Any]
    originator_id: str
    originator_version: int


register_topic(_TOPIC, Stored)


class Bookings(Application[str]):
    """The application whose events are folded."""


class View(PostgresTrackingRecorder):
    """One table of reservations, and how far it is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._table = SQL("{}.reservations").format(Identifier(self.datastore.schema))
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS {} (stream text PRIMARY KEY, version bigint, position bigint, member text,"
                " status text, stage text, station text, half_shelves bigint, updated text)"
            ).format(self._table)
        )

    def fold(self, entry: Any, tracking: Tracking) -> None:
        """The entry's change to its reservation's row, and the position, in one transaction."""
        event, seal = entry.event, entry.seal
        data = event["data"]
        common = (seal["version"], seal["position"], event["time"])
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            match event["type"]:
                case "reservation.requested":
                    cursor.execute(
                        SQL("INSERT INTO {} VALUES (%s, %s, %s, %s, 'requested', 'intake', NULL, %s, %s)").format(
                            self._table
                        ),
                        (event["stream"], *common[:2], event["member"], data["half_shelves"], common[2]),
                        prepare=True,
                    )
                case "reservation.confirmed":
                    self._update(cursor, "status = 'confirmed', station = %s", (data["station"],), common, event)
                case "reservation.stage_changed":
                    self._update(cursor, "stage = %s", (data["to"],), common, event)

    def _update(self, cursor: Any, what: str, values: tuple[Any, ...], common: tuple[Any, ...], event: Any) -> None:
        text = f"UPDATE {{}} SET {what}, version = %s, position = %s, updated = %s WHERE stream = %s"
        cursor.execute(SQL(text).format(self._table), (*values, *common, event["stream"]), prepare=True)


class OneProjection(Projection[View]):
    """Folds into the view; tells when it has folded so many."""

    name = "bookings"
    wanted: ClassVar[int] = 0
    done: ClassVar[threading.Event] = threading.Event()

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Fold an event."""
        self.view.fold(domain_event, tracking)
        if tracking.notification_id >= OneProjection.wanted:
            OneProjection.done.set()


def fold(server: Server, entries: Sequence[Row], *, awaited: bool) -> float:
    """Entries a second that the runner folds. Raises ``RuntimeError`` when it doesn't come to the end."""
    with _recorded(server, entries, awaited=awaited) as environment:
        OneProjection.wanted, OneProjection.done = len(entries), threading.Event()
        start = time.perf_counter()
        with ProjectionRunner(
            application_class=Bookings, projection_class=OneProjection, view_class=View, env=environment
        ):
            if not OneProjection.done.wait(_LONGEST_S):
                raise RuntimeError("the peer's runner did not come to the end")
            return len(entries) / (time.perf_counter() - start)


@contextmanager
def _recorded(server: Server, entries: Sequence[Row], *, awaited: bool) -> Iterator[dict[str, str]]:
    """A database of its own that holds the entries as the library stores events; the environment that names it."""
    with server.database("continuity_bench_runner") as url:
        if not awaited:
            server.execute("ALTER DATABASE continuity_bench_runner SET synchronous_commit = off")
        parts = conninfo_to_dict(url)
        environment = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(parts["dbname"]),
            "POSTGRES_HOST": str(parts["host"]),
            "POSTGRES_PORT": str(parts.get("port", 5432)),
            "POSTGRES_USER": str(parts["user"]),
            "POSTGRES_PASSWORD": str(parts.get("password", "none")),
            "ORIGINATOR_ID_TYPE": "text",
        }
        application = Bookings(environment)
        try:
            stored = [_stored(row) for row in entries]
            for at in range(0, len(stored), _RECORDED_AT_ONCE):
                application.recorder.insert_events(stored[at : at + _RECORDED_AT_ONCE])
        finally:
            application.close()
        server.rest()
        yield environment


def _stored(row: Row) -> StoredEvent:
    content = row.content()
    return StoredEvent(content.event.stream, content.seal.version, _TOPIC, row.entry)
