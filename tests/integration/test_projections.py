"""Projections on a real log: equal to a rebuild however they came about, and made anew when code or log changed."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading

import msgspec
import pytest

from ledger.errors import InvalidEvent, NotFound, StoreError
from ledger.log import Log
from projections import queries
from projections.read_models import READ_MODELS
from projections.runner import Runner, Standing
from tests.support.events import ORIGIN, cloud, requested, stage_changed
from tests.support.hotel import hotel_ledger


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


def rows_of(runner):
    """All rows of all read models, by table, and how far they are."""
    with runner.store.reading() as reads:
        rows = {table.name: reads.all(table) for model in READ_MODELS for table in model.tables}
    return rows, runner.standings()


def rebuilt(log, path):
    """All rows as a fresh file has them."""
    with Runner(log, path) as runner:
        runner.catch_up()
        return rows_of(runner)


def standing(position):
    return [Standing(model.name, model.version, position) for model in READ_MODELS]


def history(rng, reservations, count):
    """Events that may or may not be accepted: the ledger says."""
    for _ in range(count):
        name = f"R-{rng.randrange(reservations)}"
        yield rng.choice(
            [
                requested(name),
                cloud("reservation.confirmed", f"reservation:{name}", {"station": rng.choice("AB"), "notes": "n"}),
                cloud("reservation.cancelled", f"reservation:{name}", {"reason": "by-client"}),
                stage_changed(rng.choice(["drying", "stored", "picked_up"]), name),
                cloud(
                    "reservation.estimate_changed", f"reservation:{name}", {"sla": rng.choice(["on_track", "delayed"])}
                ),
                cloud("member.registered", f"member:M-{rng.randrange(10**9)}", {"email": "a@example.org"}),
            ]
        )


# --- Equal, however they came about -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_catching_up_after_every_batch_equals_a_rebuild_from_nothing(log, tmp_path, seed):
    rng = random.Random(seed)
    with Runner(log, tmp_path / "p.db", batch=rng.choice([1, 7, 1000])) as runner:
        for turn in range(12):
            log.append(list(history(rng, 8, rng.randrange(1, 40))), atomic=False)
            assert runner.catch_up() == log.head().size
            assert rows_of(runner) == rebuilt(log, tmp_path / f"fresh-{turn}.db")
        runner.rebuild()
        assert rows_of(runner) == rebuilt(log, tmp_path / "last.db")


def test_progress_rises_to_the_size_of_the_log(hotel_log, tmp_path):
    told = []
    with Runner(hotel_log, tmp_path / "p.db", batch=500) as runner:
        size = runner.catch_up(lambda done, total: told.append((done, total)))
        assert size == hotel_log.head().size
        assert [total for _, total in told] == [size] * len(told)
        done = [done for done, _ in told]
        assert done == sorted(set(done))
        assert done[-1] == size
        told.clear()
        runner.catch_up(lambda done, total: told.append((done, total)))
        assert told == [(size, size)]


def test_one_projection_is_rebuilt_and_the_other_stays_as_it_is(hotel_log, tmp_path):
    with Runner(hotel_log, tmp_path / "p.db") as runner:
        runner.catch_up()
        whole = rows_of(runner)
        with sqlite3.connect(tmp_path / "p.db") as other:
            other.execute("UPDATE reservations SET station = 'wrong'")
            other.execute("UPDATE stage_history SET reason = 'wrong' WHERE version = 1")
        other.close()
        runner.rebuild(["reservations"])
        rows, standings = rows_of(runner)
        assert (rows["reservations"], standings) == (whole[0]["reservations"], whole[1])
        assert rows["stage_history"] != whole[0]["stage_history"]


def test_a_projection_there_isnt_is_refused_with_the_nearest_name(log, tmp_path):
    with Runner(log, tmp_path / "p.db") as runner, pytest.raises(NotFound) as refused:
        runner.rebuild(["reservation"])
    assert refused.value.advice == "did you mean reservations?"


# --- Crashes and company ----------------------------------------------------------------------------------------------

CATCH_UP = """
import os, pathlib, signal, sys
import msgspec
from ledger.log import Log
from projections.read_models import READ_MODELS
from projections.runner import Runner

data, path, batch, fatal = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

def die(entries, loaded):
    if entries and entries[-1].seal.position >= fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return READ_MODELS[1].fold(entries, loaded)

models = READ_MODELS if fatal < 0 else (READ_MODELS[0], msgspec.structs.replace(READ_MODELS[1], fold=die))
with Log.open(data, "hotel") as log, Runner(log, path, projections=models, batch=batch) as runner:
    runner.catch_up(lambda done, total: print(done, flush=True))
"""


def catching_up(hotel, path, batch, fatal=-1):
    """Another process that catches up; it dies by its own hand in the fold of position ``fatal``."""
    command = [sys.executable, "-c", CATCH_UP, str(hotel), str(path), str(batch), str(fatal)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def test_killed_between_two_projections_of_a_batch_it_goes_on_as_if_nothing_was(hotel, hotel_log, tmp_path):
    path = tmp_path / "p.db"
    for fatal in (3, 1500, 4000):
        with catching_up(hotel, path, 400, fatal) as child:
            assert child.wait() == -signal.SIGKILL
            child.stdout.read()
        with Runner(hotel_log, path) as runner:
            (first, second) = (one.position for one in runner.standings())
            assert first == second < fatal
    with Runner(hotel_log, path) as runner:
        runner.catch_up()
        assert rows_of(runner) == rebuilt(hotel_log, tmp_path / "fresh.db")


def test_killed_at_any_moment_it_goes_on_as_if_nothing_was(hotel, hotel_log, tmp_path):
    path, rng, size, cut_short = tmp_path / "p.db", random.Random(7), hotel_log.head().size, 0
    for _ in range(6):
        with catching_up(hotel, path, 60) as child:
            for _ in range(rng.randrange(1, 12)):
                line = child.stdout.readline()
            child.kill()
            child.stdout.read()
        with Runner(hotel_log, path) as runner:
            reached = {one.position for one in runner.standings()}
            assert min(reached) >= int(line) - 1
            cut_short += max(reached) < size - 1
    assert cut_short
    with Runner(hotel_log, path) as runner:
        runner.catch_up()
        assert rows_of(runner) == rebuilt(hotel_log, tmp_path / "fresh.db")


def test_runners_in_two_processes_and_two_threads_at_once_make_the_rows_of_one(hotel, hotel_log, tmp_path):
    path = tmp_path / "p.db"
    children = [catching_up(hotel, path, 83) for _ in range(2)]
    with Runner(hotel_log, path, batch=97) as runner:
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


def test_a_fold_that_fails_leaves_no_trace_and_says_where(log, tmp_path):
    def refuse(entries, loaded):
        raise InvalidEvent("a thing unheard of", "$.data")

    log.append([requested()])
    bad = msgspec.structs.replace(READ_MODELS[1], fold=refuse)
    with Runner(log, tmp_path / "p.db", projections=(READ_MODELS[0], bad)) as runner:
        with pytest.raises(StoreError, match=r"stage_history can't fold the entries from 1 to 1: .* unheard of"):
            runner.catch_up()
        assert {one.position for one in runner.standings()} == {-1}


# --- Rows of other code, or of another log ----------------------------------------------------------------------------


def test_changed_projection_code_is_rebuilt_by_itself_and_alone(hotel_log, tmp_path):
    path = tmp_path / "p.db"
    with Runner(hotel_log, path) as runner:
        runner.catch_up()
        whole = rows_of(runner)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE reservations SET station = 'old code'")
        other.execute("UPDATE stage_history SET reason = 'kept' WHERE version = 1")
    other.close()
    newer = msgspec.structs.replace(READ_MODELS[0], version=READ_MODELS[0].version + 1)
    with Runner(hotel_log, path, projections=(newer, READ_MODELS[1])) as runner:
        runner.catch_up()
        rows, _ = rows_of(runner)
        assert rows["reservations"] == whole[0]["reservations"]
        assert rows["stage_history"] != whole[0]["stage_history"]
        assert runner.standings()[0].version == READ_MODELS[0].version + 1


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
    with Runner(log, tmp_path / "p.db") as runner:
        runner.catch_up()
        assert queries.reservation(runner.store, "R-4")
    with Log.open(tmp_path / "old", "studio") as old:
        if grown_past:
            old.append([requested(f"R-{number}") for number in range(5, 12)])
        with Runner(old, tmp_path / "p.db") as runner:
            runner.catch_up()
            assert rows_of(runner) == rebuilt(old, tmp_path / "fresh.db")
            with pytest.raises(NotFound):
                queries.reservation(runner.store, "R-4")


def test_a_file_that_is_no_database_is_refused_with_what_to_do(log, tmp_path):
    (tmp_path / "p.db").write_bytes(b"no database at all, " * 100)
    with pytest.raises(StoreError) as refused:
        Runner(log, tmp_path / "p.db")
    assert "delete that file" in refused.value.advice


def test_reading_before_anything_was_built_says_how_to_build(log, tmp_path):
    with Runner(log, tmp_path / "p.db") as runner:
        assert runner.standings() == standing(-1)
        with pytest.raises(StoreError) as refused:
            queries.reservation(runner.store, "R-1")
    assert refused.value.advice == "build them: continuity rebuild"
