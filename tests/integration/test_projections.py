"""Projections on a real log: equal to a rebuild however they came about, and made anew when the log is another."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest

from ledger.errors import NotFound, StoreError
from ledger.log import Log
from projections.models import READ_MODELS
from projections.queries import questions as queries
from projections.runner import Runner
from projections.store.protocol import Unready
from projections.store.sqlite import SQLiteProjections
from tests.support.events import ORIGIN, plain, requested, stage_changed
from tests.support.hotel import hotel_ledger
from tests.support.projecting import all_rows


@pytest.fixture(scope="module")
def hotel(shared, tmp_path_factory):
    """The folder of a ledger with real bookings."""
    return hotel_ledger(shared, tmp_path_factory.mktemp("hotel"))


@pytest.fixture
def hotel_log(hotel):
    with Log.open(hotel, "hotel") as log:
        yield log


@pytest.fixture
def log(tmp_path):
    with Log.create(tmp_path / "data", "studio", ORIGIN).log as log:
        yield log


def runner_at(log, path, **options):
    return Runner(log, SQLiteProjections(path), **options)


def rows_of(runner):
    """All rows of all read models, by table, and how far they are."""
    with runner.store.reading() as reads:
        rows = {table.name: all_rows(reads, table, page=1_000) for model in READ_MODELS for table in model.tables}
        return rows, {one.position for one in reads.generations() if one.state == "live"}


def rebuilt(log, path):
    """All rows as a fresh file has them."""
    with runner_at(log, path) as runner:
        runner.catch_up()
        return rows_of(runner)


# --- Crashes and company ----------------------------------------------------------------------------------------------

CATCH_UP = """
import pathlib, sys
from ledger.log import Log
from projections.runner import Runner
from projections.store.sqlite import SQLiteProjections

data, path, batch = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
with Log.open(data, "hotel") as log, Runner(log, SQLiteProjections(path), batch=batch) as runner:
    runner.catch_up(lambda done, total: print(done, flush=True))
"""


def catching_up(hotel, path, batch):
    """Another process that catches up."""
    command = [sys.executable, "-c", CATCH_UP, str(hotel), str(path), str(batch)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def test_killed_at_any_moment_it_goes_on_as_if_nothing_was(hotel, hotel_log, tmp_path):
    path, rng, size, cut_short = tmp_path / "p.db", random.Random(7), hotel_log.head().size, 0
    for _ in range(6):
        with catching_up(hotel, path, 60) as child:
            for _ in range(rng.randrange(1, 12)):
                line = child.stdout.readline()
            child.kill()
            child.stdout.read()
        with runner_at(hotel_log, path) as runner, runner.store.reading() as reads:
            reached = {one.position for one in reads.generations()}
            assert min(reached) >= int(line) - 1
            cut_short += max(reached) < size - 1
    assert cut_short
    with runner_at(hotel_log, path) as runner:
        runner.catch_up()
        assert rows_of(runner) == rebuilt(hotel_log, tmp_path / "fresh.db")


def test_runners_in_two_processes_and_two_threads_at_once_make_the_rows_of_one(hotel, hotel_log, tmp_path):
    path = tmp_path / "p.db"
    children = [catching_up(hotel, path, 83) for _ in range(2)]
    with runner_at(hotel_log, path, batch=97) as runner:
        threads = [threading.Thread(target=runner.catch_up) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for child in children:
            with child:
                child.stdout.read()
                assert child.wait() == 0
        assert rows_of(runner) == rebuilt(hotel_log, tmp_path / "fresh.db")


# --- Rows of another log ---------------------------------------------------------------------------------------------


def copied(log, data, to):
    """A copy of a ledger as it is now, as a backup would hold it."""
    with sqlite3.connect(data / "studio" / "ledger.db") as source:
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    source.close()
    shutil.copytree(data / "studio", to / "studio")


@pytest.mark.parametrize("grown_past", [False, True])
def test_a_log_that_was_rolled_back_is_folded_anew(log, tmp_path, grown_past):
    log.append([requested("R-1"), requested("R-2")])
    copied(log, tmp_path / "data", tmp_path / "old")
    log.append([requested("R-3"), requested("R-4")])
    with runner_at(log, tmp_path / "p.db") as runner:
        runner.catch_up()
        with runner.store.reading() as reads:
            assert queries.reservation(reads, "R-4")["status"] == "requested"
    with Log.open(tmp_path / "old", "studio") as old:
        if grown_past:
            old.append([requested(f"R-{number}") for number in range(5, 12)])
        with runner_at(old, tmp_path / "p.db") as runner:
            runner.catch_up()
            assert rows_of(runner) == rebuilt(old, tmp_path / "fresh.db")
            with runner.store.reading() as reads, pytest.raises(NotFound):
                queries.reservation(reads, "R-4")


@pytest.mark.parametrize("content", [b"no database at all, " * 100, "another layout"])
def test_a_file_that_is_not_ours_is_refused_with_what_to_do(tmp_path, content):
    path = tmp_path / "p.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE projections (name TEXT)")
        other.close()
    with pytest.raises(StoreError) as refused:
        SQLiteProjections(path)
    assert "delete that file" in refused.value.advice


def test_what_is_read_of_a_reservation_is_its_row_and_its_transitions(log, tmp_path):
    log.append([requested("R-1"), plain("confirmed", "R-1"), stage_changed("drying", "R-1")])
    with runner_at(log, tmp_path / "p.db") as runner:
        with runner.store.reading() as reads, pytest.raises(Unready) as refused:
            queries.reservation(reads, "R-1")
        assert refused.value.advice == "build it: continuity rebuild"
        runner.catch_up()
        with runner.store.reading() as reads:
            row = queries.reservation(reads, "R-1")
            assert (row["status"], row["stage"], row["version"]) == ("confirmed", "drying", 3)
            assert "rate" not in row
            assert [one["to_stage"] for one in queries.history(reads, "R-1")] == ["intake", "intake", "drying"]
            assert queries.history(reads, "R-9") == []
