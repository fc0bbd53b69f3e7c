"""Connections to PostgreSQL: the recorder library's pool, with the sessions that a ledger needs.

Owns the settings of each session (durable commits, bounded waits, plans by index), the retry of a connection that has
gone stale, the bounds on each wait for the server, and the translation of the driver's errors. How long a server that
is away is waited for, ``postgres_reach`` says. Never shows a connection URL: it may hold a password.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, cast

import psycopg
import psycopg_pool
from eventsourcing.persistence import PersistenceError
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection, errors
from psycopg.rows import DictRow, dict_row

from ledger.errors import StoreDamaged, StoreError, StoreFull, StoreLocked, StoreUnreachable
from ledger.store.postgres_binary import accept_encoded
from ledger.store.postgres_reach import reach_of
from ledger.store.postgres_waiting import SILENCE, FilledConnection, Silent

LOCK_TIMEOUT = 30
"""Seconds that a writer waits for another's transaction."""
IDLE_TIMEOUT = 60
"""Seconds after which the server ends a transaction whose program stands still, so that it can't hold the head."""
CONNECT_TIMEOUT = 5
ANSWER = 5.0
"""Seconds in which a server that is there has answered what needs no lock and no row."""
WAIT = 10
"""Seconds to wait for a connection, while the server restarts or all of the pool are in use."""
REACH = 1
"""Seconds between attempts to reach a server that is away, as long as somebody waits for it."""
POOL = 10
"""Connections of one opened ledger, at most; one is kept open."""

SESSION = """
    SELECT set_config('lock_timeout', %s, false),
        set_config('idle_in_transaction_session_timeout', %s, false),
        set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false),
        set_config('enable_seqscan', 'off', false),
        set_config('enable_bitmapscan', 'off', false),
        set_config('enable_hashjoin', 'off', false),
        set_config('enable_mergejoin', 'off', false),
        set_config('jit', 'off', false),
        set_config('plan_cache_mode', 'force_generic_plan', false)
"""
"""Every statement of ours has its index: planned once, never by statistics that a growing table has outrun."""


class Patience(NamedTuple):
    """How long a transaction waits for the server: seconds of silence at its beginning, and later in it.

    Whoever ``insists`` waits for a server that is away even if another looks for it already.
    """

    beginning: float
    later: float
    insists: bool


READING = Patience(ANSWER, SILENCE, insists=False)
WRITING = Patience(SILENCE, SILENCE, insists=True)
"""Its beginning waits for the head's lock."""
FOLDING = Patience(SILENCE, math.inf, insists=True)
"""A statement that fills or drops whole tables takes what it takes."""


class LedgerDatastore(PostgresDatastore):
    """The library's datastore for one schema, made from a connection URL."""

    def __init__(self, url: str, schema: str, connections: int = POOL) -> None:
        """Take the URL, and how many ``connections`` there may be at most; one of them is kept open."""
        super().__init__(
            "",
            "",
            "",
            "",
            "",
            connect_timeout=WAIT,
            idle_in_transaction_session_timeout=IDLE_TIMEOUT,
            pool_size=1,
            max_overflow=connections - 1,
            lock_timeout=LOCK_TIMEOUT,
            schema=schema,
            originator_id_type="text",
        )
        # The constructor takes a few parts only; a URL may also name certificates, several hosts or a service.
        self.pool.conninfo = url
        # By itself the pool tries ever more rarely: after an hour's outage it would overlook a server for another.
        self.pool.reconnect_timeout = REACH
        self.pool.kwargs = {"row_factory": dict_row, **CONNECTION}
        self.pool.connection_class = FilledConnection
        self._reach = reach_of(url)

    def after_connect_func(self) -> Callable[[Connection[Any]], None]:
        """What prepares a new connection."""
        return prepare_session

    def register_type_adapters(self) -> None:
        """None: the composite types are of the library's insert, which is closed."""

    @contextmanager
    def begun(
        self, begin: Callable[[Connection[DictRow]], Any], patience: Patience
    ) -> Iterator[tuple[FilledConnection, Any]]:
        """A connection on which ``begin`` has just succeeded, with its result; the transaction's end is the caller's.

        A connection that the server has dropped since its last use shows itself here, before anything is done on it,
        and another is taken.
        """
        self.pool.open()
        began = time.monotonic()
        with self._reach.asking(WAIT, insists=patience.insists):
            connection, result = self._begin(begin, patience)
        try:
            yield connection, result
        except Silent:
            self._fell_silent(began)
            raise
        finally:
            connection.patience = SILENCE
            self.pool.putconn(connection)

    def _begin(self, begin: Callable[[Connection[DictRow]], Any], patience: Patience) -> tuple[FilledConnection, Any]:
        silent = False
        for stale in range(POOL, -1, -1):
            began = time.monotonic()
            connection = self._getconn()
            connection.patience = patience.beginning
            try:
                result = begin(connection)
            except BaseException as error:
                lost = connection.closed
                with suppress(psycopg.Error):
                    connection.rollback()
                self.pool.putconn(connection)
                if isinstance(error, Silent):
                    self._fell_silent(began)
                    lost, silent = lost and not silent, True
                if not (lost and stale and isinstance(error, psycopg.OperationalError)):
                    raise
            else:
                connection.patience = patience.later
                self._reach.answered()
                return connection, result
        raise AssertionError  # the last round returns or raises

    def _fell_silent(self, since: float) -> None:
        """A connection got no answer, so those that lie in the pool are worth nothing either: they are made anew."""
        self._reach.missed(since)
        self.pool.drain()

    def _getconn(self) -> FilledConnection:
        """A connection of the pool; each time it is asked for one, the pool tries anew to reach the server."""
        began, until, failed = time.monotonic(), self._reach.until(WAIT), self._failed()
        while True:
            try:
                return cast("FilledConnection", self.pool.getconn(REACH))
            except psycopg_pool.PoolTimeout:
                if time.monotonic() < until:
                    continue
                if self._failed() > failed:  # else they are all in use
                    self._reach.missed(began)
                waited = time.monotonic() - began
                raise psycopg_pool.PoolTimeout(f"no connection to the server within {waited:.0f} s") from None

    def _failed(self) -> int:
        """How many attempts of the pool to connect have failed."""
        return self.pool.get_stats().get("connections_errors", 0)


CONNECTION: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT,
    "fallback_application_name": "continuity-ledger",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""A server that vanished without a word is given up after 25 s; by the system's own settings, after hours."""


def connect(url: str) -> Connection[DictRow]:
    """A connection outside the pool, prepared as its are. Raises the driver's errors."""
    connection = FilledConnection.connect(url, autocommit=True, row_factory=dict_row, **CONNECTION)
    try:
        prepare_session(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def prepare_session(connection: Connection[Any]) -> None:
    """Set what every session of a ledger needs."""
    prepared = cast("FilledConnection", connection)
    prepared.patience = ANSWER
    prepared.autocommit = True
    accept_encoded(prepared)
    prepared.execute(SESSION, (f"{LOCK_TIMEOUT}s", f"{IDLE_TIMEOUT}s"))
    prepared.patience = SILENCE


@contextmanager
def translated() -> Iterator[None]:
    """Turn database errors into ``StoreError``, with what to do where it is known."""
    try:
        yield
    except (psycopg.Error, PersistenceError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error
        raise _store_error(cause) from error


def _store_error(error: Exception) -> StoreError:
    message = f"the database failed: {' '.join(str(error).split()) or type(error).__name__}"
    if isinstance(error, psycopg_pool.PoolClosed):
        return StoreError("the ledger is closed")
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected):
        return StoreLocked(
            message, advice="see which program holds the lock on the head (pg_stat_activity), or try again"
        )
    if isinstance(error, errors.DiskFull):
        return StoreFull(message, advice="make room on the database's disk; appends then go on")
    if isinstance(error, errors.InsufficientPrivilege | errors.ReadOnlySqlTransaction):
        return StoreError(message, advice="see the roles and grants in docs/how-to/postgresql.md")
    if str(getattr(error, "sqlstate", None)).startswith(("XX", "58")):  # a damaged page or index, a failing disk
        return StoreDamaged(message, advice="see the server's log; audit the ledger before appending again")
    # The server is gone, is shutting down, or the connection is: class 08, 57P and the driver's own, without a state.
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (
        not getattr(error, "sqlstate", None) or str(error.sqlstate).startswith(("08", "57P", "53"))
    ):
        return StoreUnreachable(message, advice="see that PostgreSQL runs and that the store's URL leads there")
    return StoreError(message, advice="audit the ledger before appending again")
