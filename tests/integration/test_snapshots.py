"""Past states kept ready are right whatever was in the folder before."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import NotFound
from ledger.log import Log
from projections import snapshots
from projections.models import READ_MODELS, TABLES
from projections.projection import Projection
from projections.skipping import skip
from projections.snapshots import Snapshots
from projections.store.protocol import Unready
from tests.support.events import ORIGIN, requested, stage_changed
from tests.support.projecting import STEPS, projection

TABLE = TABLES["reservations"]


@pytest.fixture
def log(tmp_path: Path) -> Any:
    with Log.create(tmp_path / "data", "studio", ORIGIN).log as made:
        made.append([requested("R-1"), requested("R-2"), stage_changed("queued", "R-1"), requested("R-3")])
        yield made


def seen(kept: Snapshots, position: int) -> dict[str, str]:
    names = [column.name for column in TABLE.columns]
    with kept.at(position) as reads:
        rows = [dict(zip(names, row, strict=True)) for row in reads.rows(TABLE)]
    return {row["stream"].partition(":")[2]: row["stage"] for row in rows}


STATES = {
    -1: {},
    0: {},
    1: {"R-1": "intake"},
    2: {"R-1": "intake", "R-2": "intake"},
    3: {"R-1": "queued", "R-2": "intake"},
    4: {"R-1": "queued", "R-2": "intake", "R-3": "intake"},
}


@pytest.mark.parametrize("order", [(4, 1, 3, 2, 0), (0, 1, 2, 3, 4), (3, 3, 1, 4, -1)])
def test_each_moment_is_right_in_whatever_order_it_is_asked_for(
    log: Log, tmp_path: Path, order: tuple[int, ...]
) -> None:
    kept = Snapshots(tmp_path / "replays", log)

    assert [seen(kept, position) for position in order] == [STATES[position] for position in order]


def test_a_moment_is_replayed_once_and_then_kept(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, Path | None]] = []
    really = snapshots.replay

    def counted(source: Any, last: int, path: Path, **more: Any) -> Any:
        made.append((last, more["start"]))
        return really(source, last, path, **more)

    monkeypatch.setattr(snapshots, "replay", counted)
    folder = tmp_path / "replays"

    for position in (2, 2, 4, 2, 4):
        assert seen(Snapshots(folder, log), position) == STATES[position]

    assert made == [(2, None), (4, folder / "2.db")]


def test_only_so_many_are_kept_and_the_one_asked_for_longest_ago_goes(log: Log, tmp_path: Path) -> None:
    kept = Snapshots(tmp_path / "replays", log, keep=2)

    for position in (1, 2, 1, 3):
        seen(kept, position)

    assert sorted(path.name for path in (tmp_path / "replays").glob("*.db")) == ["1.db", "3.db"]


def test_a_moment_is_replayed_from_nothing_where_the_one_to_begin_from_goes_away(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, really = Snapshots(tmp_path / "replays", log), snapshots.replay
    seen(kept, 2)

    def deleted_just_now(*arguments: Any, start: Path | None, **more: Any) -> Any:
        if start is not None:
            start.unlink()  # by another process that makes room
        return really(*arguments, start=start, **more)

    monkeypatch.setattr(snapshots, "replay", deleted_just_now)
    assert seen(kept, 4) == STATES[4]


def test_what_a_killed_replay_left_is_deleted_once_it_is_old(log: Log, tmp_path: Path) -> None:
    kept, folder = Snapshots(tmp_path / "replays", log), tmp_path / "replays"
    seen(kept, 1)
    files = {name: folder / f".7.db.99999.new{name}" for name in ("", "-wal", "-shm")}
    other = folder / ".8.db.99999.new"
    for file in (*files.values(), other):
        file.write_bytes(b"half made")
    an_hour_ago = time.time() - snapshots.ABANDONED_SECONDS - 1
    for file in (*files.values(), other):
        os.utime(file, (an_hour_ago, an_hour_ago))
    os.utime(other)  # somebody is at it

    seen(kept, 2)

    assert [path.name for path in folder.glob(".*")] == [".8.db.99999.new"]
    assert seen(kept, 1) == STATES[1]


def test_a_damaged_file_is_made_anew(log: Log, tmp_path: Path) -> None:
    kept = Snapshots(tmp_path / "replays", log)
    seen(kept, 3)
    (tmp_path / "replays" / "3.db").write_bytes(b"nonsense" * 1000)

    assert seen(kept, 3) == STATES[3]


def test_rows_of_other_code_are_made_anew(log: Log, tmp_path: Path) -> None:
    older = [
        Projection(one.name, version=one.version + 1, tables=one.tables) if one.name == "reservations" else one
        for one in READ_MODELS
    ]
    with Snapshots(tmp_path / "replays", log, projections=older).at(3) as reads:
        assert reads.rows(TABLE) == []  # that version has no handlers

    assert seen(Snapshots(tmp_path / "replays", log), 3) == STATES[3]


def test_a_replay_of_another_log_is_made_anew(log: Log, tmp_path: Path) -> None:
    with Log.create(tmp_path / "other", "studio", ORIGIN).log as other:
        other.append([requested("R-9"), requested("R-8"), requested("R-7")])
        assert set(seen(Snapshots(tmp_path / "replays", other), 3)) == {"R-9", "R-8", "R-7"}

        assert seen(Snapshots(tmp_path / "replays", log), 3) == STATES[3]


def test_a_moment_that_is_not_there_yet_is_not_found(log: Log, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no entry at position 5"), Snapshots(tmp_path / "replays", log).at(5):
        pass


def test_many_threads_may_ask_at_once(log: Log, tmp_path: Path) -> None:
    kept, wrong = Snapshots(tmp_path / "replays", log, keep=2), []

    def ask(number: int) -> None:
        for step in range(6):
            position = (number + step) % 5
            if seen(kept, position) != STATES[position]:
                wrong.append(position)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert wrong == []


def test_what_was_skipped_later_is_left_out_of_earlier_moments_too(log: Log, tmp_path: Path) -> None:
    def fails_at_two(work: Any, event: Any, seal: Any) -> None:
        if seal.position == 2:
            raise ValueError("no good")

    tally = projection("reservations", before=fails_at_two)
    kept = Snapshots(tmp_path / "replays", log, projections=[tally])
    with kept.at(4) as reads:
        (stopped,) = reads.generations()
        with pytest.raises(Unready):
            reads.rows(STEPS)
    assert (stopped.position, stopped.fault and stopped.fault.position) == (1, 2)

    skip(log, tally, [stopped], 2, "known-fault", "local")  # at position 5
    with kept.at(4) as reads:
        assert [row[0] for row in reads.rows(STEPS)] == [1, 3, 4]
