"""Projections while the log grows, and while their processes are killed, on both stores: always as a fold at rest."""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson
import pytest

from projections.models import READ_MODELS, TABLES
from projections.runner import Runner
from projections.snapshots import Snapshots
from projections.store.protocol import Reads
from projections.tail import Tail
from tests.integration.children import start
from tests.support.events import Place, plain, requested, stage_changed
from tests.support.histories import fill, history
from tests.support.naive import facts_of, tables
from tests.support.projecting import all_rows
from tests.support.rooted import fresh_roots, live_roots, projections_of

LOGGER = logging.getLogger(__name__)


def life_of(number: int) -> list[bytes]:
    """The events of a reservation from its request to its end on the shelf."""
    name = f"L-{number}"
    moves = [stage_changed(stage, name, id=f"{name}-{stage}") for stage in ("drying", "loaded", "ready_for_pickup")]
    return [requested(name, id=f"{name}-r"), plain("confirmed", name, id=f"{name}-c"), *moves]


# --- What a naive model says ------------------------------------------------------------------------------------------


def held(reads: Reads) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    """All rows of all read models, by table and key, as the naive model words them."""
    found = {}
    for name, table in TABLES.items():
        rows = [
            {
                column.name: orjson.loads(str(value)) if column.type == "json" else value
                for column, value in zip(table.columns, values, strict=True)
                if value is not None
            }
            for values in all_rows(reads, table, page=500)
        ]
        found[name] = {tuple(row[column.name] for column in table.key): row for row in rows}
    return found


def told(entries: list[bytes]) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    """The rows that the naive model makes of entries."""
    said = tables(facts_of(entries))
    found = {}
    for name, table in TABLES.items():
        rows = [{column: value for column, value in row.items() if value is not None} for row in said[name]]
        found[name] = {tuple(row[column.name] for column in table.key): row for row in rows}
    return found


def test_ten_random_moments_of_a_ledger_are_what_a_naive_model_makes_of_its_entries(place: Place) -> None:
    rng = random.Random(11)
    with place.create() as log:
        fill(log, history(11, 400))
        entries = [row.entry for row in log.scan()]
        with Runner(log, projections_of(place), batch=50) as runner:
            runner.catch_up()
            with runner.store.reading() as reads:
                assert held(reads) == told(entries)
        kept = Snapshots(place.data / "replays", log, keep=4)
        for position in rng.sample(range(len(entries)), 10):
            with kept.at(position) as reads:
                assert held(reads) == told(entries[: position + 1]), position


# --- While the log grows ----------------------------------------------------------------------------------------------


def test_a_rebuild_during_a_load_of_writes_ends_equal_to_one_at_rest(place: Place, tmp_path: Path) -> None:
    rebuilt, told_of, posted = 0, [], 0
    with place.create() as log:
        fill(log, history(3, 800))
        tail = Tail(log, lambda: projections_of(place), told_of.append)
        writing = threading.Event()

        def post() -> None:
            nonlocal posted
            while not writing.is_set():
                log.append(life_of(posted))
                posted += 1

        writer = threading.Thread(target=post)
        writer.start()
        try:
            with Runner(log, projections_of(place), batch=100, stride=3) as runner:
                began = log.head().size
                while rebuilt < 3:
                    runner.rebuild()
                    rebuilt += 1
                assert log.head().size > began
        finally:
            writing.set()
            writer.join()
            tail.close()
        assert posted > 3
        assert told_of == []
        under_load = live_roots(log, place)
        with Runner(log, projections_of(place)) as runner:
            runner.rebuild()
        assert under_load == live_roots(log, place) == fresh_roots(log, tmp_path / "fresh.db")


# --- While their processes are killed ---------------------------------------------------------------------------------


def project_until_killed(pipe: Connection, place: Place, life: int) -> None:
    """Keep projections up as the service does, rebuild them again and again, and post meanwhile, until killed."""
    with place.open() as log:
        pipe.send("up")
        tail = Tail(log, lambda: projections_of(place), lambda problem: pipe.send(f"problem: {problem}"))
        runner = Runner(log, projections_of(place), batch=100, stride=3)

        def rebuild() -> None:
            while True:
                pipe.send("rebuilding")
                runner.rebuild(progress=lambda done, total: pipe.send("in a rebuild"))
                pipe.send("rebuilt")

        threading.Thread(target=rebuild, daemon=True).start()
        for number in range(1_000_000):
            log.append(life_of(life * 1_000_000 + number))
            time.sleep(0.02)  # a ledger that is too long makes the test slow
        tail.close()


def run_and_kill(place: Place, life: int, seconds: float) -> list[str]:
    """One life and death; what was told until then."""
    process, pipe = start(project_until_killed, place, life)
    said = [pipe.recv()]
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if pipe.poll(left):
            said.append(pipe.recv())
    process.kill()
    process.join(30)
    assert process.exitcode == -9
    with suppress(EOFError, OSError):
        while pipe.poll(0):
            said.append(pipe.recv())
    pipe.close()
    return said


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_killed_during_rebuild_and_tail_the_state_is_that_of_a_fold_at_rest(
    place: Place, tmp_path: Path, kills: int
) -> None:
    rng, said = random.Random(kills), []
    with place.create() as log:
        fill(log, history(5, 1_500 if kills > 2 else 300))
    cut_short = 0
    for life in range(kills):
        words = run_and_kill(place, life, rng.uniform(0.05, 1.2))
        cut_short += words[-1] in ("rebuilding", "in a rebuild")
        said += words
        if life % 10 == 9 or life == kills - 1:
            with place.open() as log:
                assert live_roots(log, place) == fresh_roots(log, tmp_path / f"fresh{life}.db"), life
    assert [word for word in said if word.startswith("problem")] == []
    with place.open() as log, Runner(log, projections_of(place)) as runner:
        size = log.head().size
        with runner.store.reading() as reads:
            states = {one.state for one in reads.generations()}
        assert states <= {"live", "previous"}
        LOGGER.info(
            "%d kills, %d in a rebuild, %d rebuilds done, %d entries", kills, cut_short, said.count("rebuilt"), size
        )
        assert cut_short > kills // 4 or kills < 10
        assert {one.name for one in READ_MODELS} == set(live_roots(log, place))
