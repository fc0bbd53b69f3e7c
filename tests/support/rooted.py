"""State roots of live rows beside those of a fold from nothing, on any store. Owns no fixtures and no assertions."""

from __future__ import annotations

from pathlib import Path

from ledger.log import Log
from projections.attest import roots
from projections.models import READ_MODELS
from projections.replay import replay
from projections.roots import StateRoot
from projections.runner import Runner
from projections.store.opening import open_projections
from projections.store.protocol import ProjectionStore
from projections.store.sqlite import SQLiteProjections
from tests.support.events import Place


def projections_of(place: Place) -> ProjectionStore:
    """The projections of the ledger ``studio`` at a place, opened once more."""
    return open_projections(place.store, "studio", place.data / "studio")


def live_roots(log: Log, place: Place) -> dict[str, StateRoot]:
    """The roots of all read models' live rows, brought up to the log."""
    with Runner(log, projections_of(place)) as runner:
        runner.catch_up()
        return _roots(runner.store)


def fresh_roots(log: Log, path: Path) -> dict[str, StateRoot]:
    """The roots of all read models as a fresh file at ``path`` has them."""
    replay(log, log.head().size - 1, path)
    store = SQLiteProjections(path)
    try:
        return _roots(store)
    finally:
        store.close()


def _roots(store: ProjectionStore) -> dict[str, StateRoot]:
    with store.reading() as reads:
        live = {one.projection: one for one in reads.generations() if one.state == "live"}
        return roots(reads, READ_MODELS, {name: one.number for name, one in live.items()})
