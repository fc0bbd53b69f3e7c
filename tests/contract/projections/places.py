"""The kinds of projection store that the contract suite runs against. A new kind is one class here and one name.

Owns how stores of each kind are made under a name, opened a second time and reached behind their backs.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg

from projections.store.postgres import PostgresProjections
from projections.store.protocol import ProjectionStore
from projections.store.sqlite import SQLiteProjections


class SQLitePlaces:
    """SQLite files in one folder."""

    place = "tmp_path"

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self.folder = folder
        self._opened: list[ProjectionStore] = []

    def open(self, name: str) -> ProjectionStore:
        """The store of that name, made if it isn't there; closed with all others."""
        store = SQLiteProjections(self.folder / f"{name}.db")
        self._opened.append(store)
        return store

    def execute(self, name: str, statement: str) -> list[Any]:
        """Run a statement on a connection that is none of the store's, and commit it."""
        connection = sqlite3.connect(self.folder / f"{name}.db")
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def tables(self, name: str) -> list[str]:
        """The names of all tables, views and indexes but the catalogue's."""
        found = self.execute(name, "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
        return [table for (table,) in found if not table.startswith("generation")]

    def close(self) -> None:
        """Close the stores that were opened."""
        for store in self._opened:
            store.close()


class PostgresPlaces:
    """Schemas in one database, their names beginning with ``prefix``."""

    place = "shared_database"

    def __init__(self, url: str, prefix: str = "") -> None:
        self.url = url
        self.prefix = prefix
        self._opened: list[ProjectionStore] = []

    def open(self, name: str) -> ProjectionStore:
        """The store of that name, made if it isn't there; closed with all others."""
        store = PostgresProjections(self.url, f"ledger_{self.prefix}{name}")
        self._opened.append(store)
        return store

    def execute(self, name: str, statement: str) -> list[Any]:
        """Run a statement on a connection that is none of the store's, and commit it."""
        with psycopg.connect(self.url) as connection:
            connection.execute(f"SET search_path = state_{self.prefix}{name}")
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def tables(self, name: str) -> list[str]:
        """The names of all tables, views and indexes but the catalogue's and those of keys."""
        found = self.execute(
            name,
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v', 'i')"
            f" AND relnamespace = 'state_{self.prefix}{name}'::regnamespace ORDER BY relname COLLATE \"C\"",
        )
        return [
            table
            for (table,) in found
            if not table.startswith(("generation", "layout")) and not table.endswith("_pkey")
        ]

    def close(self) -> None:
        """Close the stores that were opened."""
        for store in self._opened:
            store.close()


PLACES: dict[str, Any] = {"sqlite": SQLitePlaces, "postgresql": PostgresPlaces}
