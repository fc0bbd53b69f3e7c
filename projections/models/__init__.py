"""Every read model there is, by name: one module of this package each, with its declaration as ``PROJECTION``.

Owns the look-up. A read model is found by being here; so adding one is adding a module. Never folds and never reads a
store. Modules whose names begin with an underscore are shared by the others.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Final

from projections.projection import Projection, Table

READ_MODELS: Final[tuple[Projection, ...]] = tuple(
    importlib.import_module(f"{__name__}.{module.name}").PROJECTION
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name)
    if not module.name.startswith("_")
)
"""In the order of their names."""

TABLES: Final[dict[str, Table[Any]]] = {table.name: table for model in READ_MODELS for table in model.tables}
"""Every table of every read model, by name."""

MODELS: Final[dict[str, Projection]] = {table.name: model for model in READ_MODELS for table in model.tables}
"""The read model of each table, by the table's name."""
