"""Reading the read models: one reservation, and its history.

Owns the forms in which rows are given out. A row shows the state as of the runner's last batch; who needs the moment
itself asks ``projections.show``. Never folds and never reads the log.
"""

from __future__ import annotations

from typing import Any

from ledger.errors import NotFound
from projections import reservations, stage_history
from projections.state import present
from projections.store_sqlite import ProjectionStore


def reservation(store: ProjectionStore, reservation_id: str) -> dict[str, Any]:
    """A reservation by its id, as ``show`` gives it, but without private values and their names.

    Raises ``NotFound`` when there is none, ``StoreError`` when the projections were never built.
    """
    stream = f"reservation:{reservation_id}"
    with store.reading() as reads:
        rows = reads.last(reservations.TABLE, [stream])
    if stream not in rows:
        raise NotFound(f"there is no reservation {reservation_id[:200]} among the projections")
    return present(reservations.state_of(rows[stream]))


def history(store: ProjectionStore, reservation_id: str) -> list[dict[str, Any]]:
    """The transitions of a reservation, in order, by column name; values that don't apply are left out.

    Empty when there is no such reservation. Raises ``StoreError`` when the projections were never built.
    """
    names = [column.name for column in stage_history.TABLE.columns]
    with store.reading() as reads:
        rows = reads.all(stage_history.TABLE, f"reservation:{reservation_id}")
    return [{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows]
