"""Reading the read models: one reservation, and its history.

Owns the forms in which rows are given out. A row shows the state as of the runner's last batch; who needs the moment
itself asks ``projections.show``. Never folds and never reads the log.
"""

from __future__ import annotations

from typing import Any

from ledger.errors import NotFound
from projections.models.reservations import RESERVATIONS, STAGE_HISTORY
from projections.projection import Table, Values
from projections.store.protocol import Reads


def reservation(reads: Reads, reservation_id: str) -> dict[str, Any]:
    """The row of a reservation, by column name; values that don't apply are left out.

    Raises ``NotFound`` when there is none, ``Unready`` while the projection is not built.
    """
    values = reads.row(RESERVATIONS, f"reservation:{reservation_id}")
    if values is None:
        raise NotFound(f"there is no reservation {reservation_id[:200]} among the projections")
    return _named(RESERVATIONS, values)


def history(reads: Reads, reservation_id: str) -> list[dict[str, Any]]:
    """The transitions of a reservation, in order, by column name; values that don't apply are left out.

    Empty when there is no such reservation. Raises ``Unready`` while the projection is not built.
    """
    rows = reads.rows(STAGE_HISTORY, where={"stream": f"reservation:{reservation_id}"})
    return [_named(STAGE_HISTORY, values) for values in rows]


def _named(table: Table[Any], values: Values) -> dict[str, Any]:
    pairs = zip(table.columns, values, strict=True)
    return {column.name: value for column, value in pairs if value is not None}
