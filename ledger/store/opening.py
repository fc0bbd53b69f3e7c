"""Where a ledger's store is: a file in its folder, or a schema of a PostgreSQL database.

Owns the choice between the stores, and the connection URL, which may hold a password and is therefore never printed
whole. Keys stay in the ledger's folder whichever store is chosen. The modules for PostgreSQL are loaded only when they
are needed.
"""

# ruff: noqa: PLC0415
from __future__ import annotations

import re
from pathlib import Path

from ledger.errors import NotFound
from ledger.store.protocol import Head, Store
from ledger.store.sqlite import SQLiteStore

FILE = "ledger.db"
_SCHEME = re.compile(r"postgres(ql)?://")


class StoreURL:
    """The URL of the database that holds the ledgers' schemas. Shown without password and options."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Take ``postgresql://user@host/database``, with all that libpq allows. Raises ``ValueError``."""
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            if not _SCHEME.match(text):
                raise ValueError
            conninfo_to_dict(text)
        except (ValueError, ProgrammingError):  # whose own message may quote the password
            raise ValueError("a store is a URL like postgresql://user@host:5432/database") from None
        self._text = text

    def reveal(self) -> str:
        """The whole URL, for the driver alone."""
        return self._text

    def __str__(self) -> str:
        from psycopg.conninfo import conninfo_to_dict

        parts = {name: str(value) for name, value in conninfo_to_dict(self._text).items()}
        user = f"{parts['user']}@" if "user" in parts else ""
        port = f":{parts['port']}" if "port" in parts else ""
        return f"postgresql://{user}{parts.get('host', '')}{port}/{parts.get('dbname', '')}"

    def __repr__(self) -> str:
        return f"StoreURL({str(self)!r})"


def reach_store(url: StoreURL | None) -> None:
    """See that the database can be reached, before anything is noted of what is made there. Raises ``StoreError``."""
    if url is not None:
        from ledger.store.postgres_datastore import connect, translated

        with translated(), connect(url.reveal()):
            pass


def create_store(
    url: StoreURL | None,
    name: str,
    folder: Path,
    origin: str,
    head: Head,
    *,
    service_role: str | None = None,
    claim: str = "",
) -> Store:
    """Make the store of the ledger ``name``, empty, at ``head``; ``service_role`` is the role that may then use it.

    Outside the folder it is made under a ``claim``, by which ``reclaim_store`` knows it again.
    Raises ``Conflict`` when there is one, ``ValueError`` for a name that the database can't hold, ``StoreError``.
    """
    if url is None:
        return SQLiteStore.create(folder / FILE, origin, head)
    from ledger.store.postgres import PostgresStore
    from ledger.store.postgres_schema import schema_of

    return PostgresStore.create(url.reveal(), schema_of(name), origin, head, service_role=service_role, claim=claim)


def open_store(url: StoreURL | None, name: str, folder: Path) -> Store:
    """Open the store of the ledger ``name``. Raises ``NotFound`` and ``StoreError``."""
    if url is None:
        if not (folder / FILE).is_file():
            raise NotFound(
                f"there is no ledger file {folder / FILE}", advice="if it is kept in PostgreSQL, give its URL: --store"
            )
        return SQLiteStore(folder / FILE)
    from ledger.store.postgres import PostgresStore
    from ledger.store.postgres_schema import schema_of

    return PostgresStore(url.reveal(), schema_of(name))


def discard_store(url: StoreURL | None, name: str) -> None:
    """Take back what ``create_store`` has made outside the ledger's folder, since no ledger came of it."""
    if url is not None:
        from ledger.store.postgres_datastore import connect, translated
        from ledger.store.postgres_schema import drop_schema, schema_of

        with translated(), connect(url.reveal()) as connection:
            drop_schema(connection, schema_of(name))


def reclaim_store(url: StoreURL | None, name: str, claim: str) -> None:
    """Take back what was made under this claim outside the ledger's folder, if it never became a ledger's.

    What is anyone else's, or has been used, stays. Raises ``StoreError``.
    """
    if url is not None:
        from ledger.store.postgres_datastore import connect, translated
        from ledger.store.postgres_schema import reclaim_schema, schema_of

        with translated(), connect(url.reveal()) as connection:
            reclaim_schema(connection, schema_of(name), claim)
