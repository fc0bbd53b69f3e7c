"""The PostgreSQL store: one schema a ledger, for services with several processes and ledgers on several nodes.

Owns the statements on the schema's tables (postgres.sql) and the two kinds of transaction: short reads of one snapshot,
and the one write transaction, which locks the head row first of all. Builds on the ``eventsourcing`` recorder, which
reads entries through the view ``stored_events``; its way of inserting is closed, since it would not seal. Commits are
durable; only then are subscribers told, outside the transaction, since NOTIFY inside one would let all ledgers of the
server commit one after the other. Never seals, hashes, encrypts or judges what it keeps, and never shows its URL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import psycopg
from eventsourcing.persistence import ApplicationRecorder, Notification, StoredEvent, Subscription
from eventsourcing.postgres import PostgresApplicationRecorder
from psycopg import Connection, Cursor
from psycopg.sql import Identifier

from ledger.errors import NotFound, StoreError
from ledger.store.postgres_datastore import READING, WRITING, LedgerDatastore, connect, translated
from ledger.store.postgres_schema import SCHEMA_VERSION, create_schema, grant
from ledger.store.postgres_subscription import Listener, SteadySubscription
from ledger.store.postgres_transactions import LAST, PostgresReads, PostgresWrites, Statements, plain
from ledger.store.protocol import Head, Meanwhile, nothing
from ledger.store.subscription import Watch


class PostgresStore(PostgresApplicationRecorder):
    """A ledger in one schema. Make it with ``create``, open it with the constructor."""

    local = False

    def __init__(self, url: str, schema: str) -> None:
        """Open an existing schema.

        Raises ``NotFound`` when there is none, ``StoreUnreachable`` when the server does not answer, ``StoreError``
        when it is no ledger's or this role may not use it.
        """
        self._sessions = LedgerDatastore(url, schema)
        super().__init__(self._sessions)
        self._url = url
        self.schema = schema
        self._sql = Statements(schema)
        self._listener = Listener(url, schema)
        try:
            self._origin = self._checked_origin()
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(
        cls, url: str, schema: str, origin: str, head: Head, *, service_role: str | None = None, claim: str = ""
    ) -> PostgresStore:
        """Make the schema, empty, at ``head``, and let ``service_role`` use it; this takes the owner's role.

        Raises ``Conflict`` when it exists, ``StoreError``.
        """
        with translated(), connect(url) as connection, connection.transaction():
            create_schema(connection, schema, origin, head, claim)
            if service_role is not None:
                grant(connection, schema, service_role)
        return cls(url, schema)

    @property
    def origin(self) -> str:
        """The ledger's origin, as set at its creation."""
        return self._origin

    @property
    def recorder(self) -> ApplicationRecorder:
        """This store: it is a recorder of the library."""
        return self

    def _checked_origin(self) -> str:
        with self.reading() as reads:
            if reads.all("SELECT to_regnamespace(%s)", Identifier(self.schema).as_string()) == [(None,)]:
                raise NotFound(f"there is no ledger's schema {self.schema} in the database")
            meta = dict(reads.all(self._sql.meta))
        if meta.get("schema") != SCHEMA_VERSION or "origin" not in meta:
            raise StoreError(
                f"the schema {self.schema} has version {meta.get('schema')}, this program knows {SCHEMA_VERSION}",
                advice="use the version of the program that wrote it",
            )
        return str(meta["origin"])

    # --- Transactions ------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[PostgresReads]:
        """A consistent view for a short read, on a connection of the pool."""
        with translated(), self._sessions.begun(_begin_reading, READING) as (connection, _):
            try:
                yield PostgresReads(plain(connection), self._sql)
            finally:
                with suppress(psycopg.Error):  # it wrote nothing that a failing end could lose
                    connection.execute("ROLLBACK")

    @contextmanager
    def writing(self, meanwhile: Meanwhile = nothing) -> Iterator[PostgresWrites]:
        """The one write transaction. Commits durably on a clean exit; any error leaves no trace."""
        with translated(), self._sessions.begun(self._begin_writing, WRITING) as (connection, head):
            writes = PostgresWrites(plain(connection), self._sql, head)
            try:
                with connection.filled(meanwhile):
                    yield writes
                    self._commit(connection)
            except BaseException as error:
                writes.break_off(error)
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
                raise
        self._listener.notify()

    def _begin_writing(self, connection: Connection[Any]) -> Head:
        """Begin and lock the head, in one exchange. What is read after that is what the last writer committed."""
        with connection.pipeline():
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            found = plain(connection).execute(self._sql.lock_head).fetchone()
        if found is None:
            raise StoreError("the store has lost its head", advice="audit the ledger before appending again")
        return Head(*found)

    def _commit(self, connection: Connection[Any]) -> None:
        """Commit, and tell other processes in the same exchange. What is committed stays so if telling them fails."""
        committed: Cursor[Any] | None = None
        try:
            with connection.pipeline() as pipeline:
                committed = connection.execute("COMMIT")
                pipeline.sync()
                connection.execute(self._sql.notify)
        except psycopg.Error:
            if committed is None or committed.statusmessage != "COMMIT":
                raise
        if committed.statusmessage != "COMMIT":  # the server answers ROLLBACK when a statement had failed
            raise StoreError("the transaction was rolled back", advice="try again")

    def add_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint, durably; one that is kept already stays as it is."""
        with translated(), self._sessions.get_connection() as connection:
            connection.execute(self._sql.add_checkpoint, (size, note))

    def drop_checkpoints(self, sizes: Sequence[int]) -> None:
        """Let go of checkpoints that need not be kept; all stay if a trigger keeps one of them."""
        refused = psycopg.errors.RestrictViolation, psycopg.errors.InsufficientPrivilege
        with translated(), self._sessions.get_connection() as connection, suppress(*refused):
            connection.execute(self._sql.drop_checkpoints, (list(sizes),))

    def scrub(self) -> bool:
        """Nothing is to be done from here: what the server still holds of deleted rows is the server's to drop."""
        return True

    # --- As a recorder of the library --------------------------------------------------------------------------------

    def create_table(self) -> None:
        """Nothing: the schema is made by ``create``."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> NoReturn:
        """Closed: the library's insert would write rows without a seal."""
        raise StoreError("entries are written by ledger.log only", advice="append through the log, which seals them")

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The library's read of the log by notification id (position + 1), by our key."""
        first = 0 if start is None else start - (1 if inclusive_of_start else 0)
        last = LAST if stop is None else stop - 1
        with self.reading() as reads:
            if topics:
                found = reads.all(self._sql.notifications_of_types, first, last, list(topics), limit)
            else:
                found = reads.all(self._sql.notifications, first, last, limit)
        return [Notification(*row) for row in found]

    def max_notification_id(self) -> int | None:
        """The notification id of the last entry."""
        with self.reading() as reads:
            found = reads.one(self._sql.last_notification)
        return found[0] if found else None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """A subscription to entries with a notification id above ``gt``, from any process; it outlives the server."""
        return SteadySubscription(self, self._listener, gt, topics)

    def opener(self) -> Callable[[], PostgresStore]:
        """What opens this schema once more, in any process."""
        return _Opener(self._url, self.schema)

    def watch(self) -> Watch:
        """Something that is woken at each commit, from any process; it outlives the server."""
        return Watch(self._listener)

    def close(self) -> None:
        """Release connections and threads. Idempotent."""
        self._listener.close()
        self._sessions.close()


class _Opener:
    """Opens a schema once more. It can be pickled, and shown: that does not tell the URL, which may hold a password."""

    def __init__(self, url: str, schema: str) -> None:
        self._url = url
        self._schema = schema

    def __call__(self) -> PostgresStore:
        return PostgresStore(self._url, self._schema)


def _begin_reading(connection: Connection[Any]) -> None:
    """Begin a transaction that sees one moment of the database, whatever others commit meanwhile."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
