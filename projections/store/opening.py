"""Where a ledger's projections are: a file in its folder, or a schema of the database that holds its entries.

Owns that choice and the file's name. The modules for PostgreSQL are loaded only when they are needed.
"""

# ruff: noqa: PLC0415
from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger.store.opening import StoreURL
from projections.store.protocol import ProjectionStore
from projections.store.sqlite import SQLiteProjections

FILE: Final = "projections.db"
"""Name of the projections' file in a ledger's folder."""


def open_projections(url: StoreURL | None, name: str, folder: Path) -> ProjectionStore:
    """The projections of the ledger ``name`` in ``folder`` or in the database at ``url``, made if they are missing.

    Raises ``StoreError``.
    """
    if url is None:
        return SQLiteProjections(folder / FILE)
    from ledger.store.postgres_schema import schema_of
    from projections.store.postgres import PostgresProjections

    return PostgresProjections(url.reveal(), schema_of(name))
