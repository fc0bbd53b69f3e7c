"""Where a ledger's projections are: a file in its folder.

Owns that choice and the file's name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from projections.store.protocol import ProjectionStore
from projections.store.sqlite import SQLiteProjections

FILE: Final = "projections.db"
"""Name of the projections' file in a ledger's folder."""


def open_projections(folder: Path) -> ProjectionStore:
    """The projections of the ledger in ``folder``, made if they are missing. Raises ``StoreError``."""
    return SQLiteProjections(folder / FILE)
