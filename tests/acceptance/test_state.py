"""The state proven by the log: replayed to any moment, attested, checked, and caught where it is another."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger.log import Log
from tests.acceptance.conftest import Run
from tests.support.events import requested


def rows(database: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


def change(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def stored(data: Path, table: str) -> str:
    """The name of the stored table behind the view of a read model's table."""
    with closing(sqlite3.connect(data / "studio" / "projections.db")) as connection:
        (view,) = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?", (table,)
        ).fetchone()
    return str(view.rpartition("FROM ")[2])


# --- Replay ----------------------------------------------------------------------------------------------------------


def test_a_replay_holds_every_read_model_as_it_stood(week: Run, data: Path, tmp_path: Path) -> None:
    for at in (0, 11, 40):
        out = tmp_path / f"{at}.db"
        told = week("replay", "--at", at, "--out", out, "--json").json
        assert (told["file"], told["position"], told["faults"]) == (str(out), at, [])
        with Log.open(data, "studio") as log:
            for stream, status in [(row[0], row) for row in rows(out, "reservations")]:
                shown = week("show", stream, "--at", at, "--json").json
                with closing(sqlite3.connect(out)) as connection:
                    connection.row_factory = sqlite3.Row
                    found = connection.execute("SELECT * FROM reservations WHERE stream = ?", (stream,)).fetchone()
                assert (found["status"], found["stage"]) == (shown["status"], shown["stage"]), status
            began = {row.content().event.stream for row in log.scan() if row.position <= at}
        assert {row[0] for row in rows(out, "reservations")} == {one for one in began if one.startswith("reservation:")}


def test_a_replay_is_one_file_and_replaces_what_was_there_whole(week: Run, tmp_path: Path) -> None:
    out = tmp_path / "then.db"
    out.write_text("an older file")

    assert week("replay", "--out", out).code == 0

    assert [path.name for path in tmp_path.iterdir() if path.name != "data"] == ["then.db"]
    assert len(rows(out, "reservations")) > 3


@pytest.mark.parametrize("file", ["ledger.db", "projections.db", "then.db", "keys/then.db", "../studio/./index.db"])
def test_no_file_of_a_ledger_is_written_over(week: Run, data: Path, file: str) -> None:
    before = (data / "studio" / "ledger.db").read_bytes()
    for verb in ("replay", "slice"):
        refused = week(verb, "--out", data / "studio" / file)
        assert (refused.code, "in the folder of the ledger 'studio'" in refused.err) == (2, True)
    assert (data / "studio" / "ledger.db").read_bytes() == before
    assert not list((data / "studio").rglob("*then.db*"))


def test_a_moment_before_the_first_entry_is_not_there(week: Run, tmp_path: Path) -> None:
    assert week("replay", "--at", "2001-01-01", "--out", tmp_path / "then.db").code == 0
    assert rows(tmp_path / "then.db", "reservations") == []


def test_a_replay_of_a_slice_needs_no_ledger_and_gives_the_same(week: Run, data: Path, tmp_path: Path) -> None:
    with Log.open(data, "studio") as log:
        (tmp_path / "studio.vkey").write_text("\n".join(map(str, log.verifier_keys)))
    week("slice", "--out", tmp_path / "studio.slice")
    week("replay", "--at", 23, "--out", tmp_path / "here.db")
    shutil.rmtree(data)
    of = ("--slice", tmp_path / "studio.slice", "--key", tmp_path / "studio.vkey")

    told = week("replay", *of, "--at", 23, "--out", tmp_path / "there.db", "--json")

    assert told.json["position"] == 23
    for table in ("reservations", "stage_history", "members"):
        assert rows(tmp_path / "there.db", table) == rows(tmp_path / "here.db", table)


def test_a_position_longer_than_any_number_is_a_fault_of_usage(week: Run, data: Path, tmp_path: Path) -> None:
    with Log.open(data, "studio") as log:
        (tmp_path / "studio.vkey").write_text("\n".join(map(str, log.verifier_keys)))
    week("slice", "--out", tmp_path / "studio.slice")
    of = ("--slice", tmp_path / "studio.slice", "--key", tmp_path / "studio.vkey")

    refused = week("replay", *of, "--at", "9" * 5_000, "--out", tmp_path / "then.db")

    assert (refused.code, "is no position" in refused.err) == (2, True)


def test_a_damaged_slice_is_not_replayed(week: Run, data: Path, tmp_path: Path) -> None:
    with Log.open(data, "studio") as log:
        (tmp_path / "studio.vkey").write_text("\n".join(map(str, log.verifier_keys)))
    cut = tmp_path / "studio.slice"
    week("slice", "--out", cut)
    cut.write_bytes(cut.read_bytes().replace(b"M-1001", b"M-1009", 1))
    of = ("--slice", cut, "--key", tmp_path / "studio.vkey", "--out", tmp_path / "out.db")

    assert week("replay", *of).code == 20
    week("slice", "--from", 3, "--out", cut)
    later = week("replay", *of)
    assert (later.code, "only be replayed from 0 on" in later.err) == (20, True)
    assert week("replay", "--slice", cut, "--out", tmp_path / "out.db").code == 2
    assert not (tmp_path / "out.db").exists()


# --- Attesting and checking ------------------------------------------------------------------------------------------


def test_what_was_attested_is_confirmed_by_the_log_alone(week: Run, data: Path) -> None:
    told = week("attest", "--json").json
    assert (told["entry"], told["position"]) == (41, 40)
    names = [one["name"] for one in told["projections"]]
    assert {"reservations", "members"} <= set(names)
    assert week("append", stdin=requested("R-91")).code == 0
    (data / "studio" / "projections.db").unlink()

    checked = week("check-state", "--json")

    assert checked.code == 0
    assert (checked.json["ok"], checked.json["position"], checked.json["first_fault"]) == (True, 40, None)
    assert [one["name"] for one in checked.json["projections"]] == names
    assert all(one["ok"] and one["against"] == "attested" for one in checked.json["projections"])


def test_live_rows_that_were_changed_are_named(week: Run, data: Path) -> None:
    week("attest")
    change(
        data / "studio" / "projections.db",
        f"UPDATE {stored(data, 'reservations')} SET stage = 'glaze' WHERE stream = 'reservation:R-2101'",
    )

    checked = week("check-state", "--json")

    assert checked.code == 20
    fault = checked.json["first_fault"]
    assert (fault["position"], fault["kind"]) == (40, "state")
    assert "reservations: the row 'reservation:R-2101' has stage 'glaze', by the log" in fault["detail"]
    assert "FAULT at position 40, state: reservations" in week("check-state").out.decode()
    assert week("rebuild").code == 0
    assert week("check-state").code == 0


def test_live_rows_that_are_missing_or_made_up_are_named(week: Run, data: Path) -> None:
    week("rebuild")
    table = stored(data, "reservations")
    change(data / "studio" / "projections.db", f"DELETE FROM {table} WHERE stream = 'reservation:R-2101'")
    assert "the row 'reservation:R-2101' is missing" in week("check-state").out.decode()
    week("rebuild")
    table = stored(data, "reservations")
    change(
        data / "studio" / "projections.db",
        f"UPDATE {table} SET stream = 'reservation:A' WHERE stream = 'reservation:R-2101'",
    )
    assert "the row 'reservation:A' is not what any entry says" in week("check-state").out.decode()


def test_an_earlier_attestation_can_be_checked_by_its_position(week: Run) -> None:
    week("attest")
    week("append", stdin=requested("R-91"))
    week("attest")

    checked = week("check-state", "--at", 40, "--json").json

    assert (checked["ok"], checked["position"]) == (True, 40)
    assert {one["against"] for one in checked["projections"]} == {"attested"}
    nothing = week("check-state", "--at", 7)
    assert (nothing.code, "it was attested at 40, 42" in nothing.err) == (10, True)


def test_without_any_state_there_is_nothing_to_check(week: Run) -> None:
    refused = week("check-state")

    assert (refused.code, "continuity rebuild" in refused.err) == (10, True)


def test_an_attestation_can_not_be_posted(week: Run) -> None:
    event = {
        "specversion": "1.0",
        "id": "x",
        "source": "urn:x",
        "type": "state.attested",
        "subject": "state:main",
        "time": "2026-01-01T00:00:00Z",
        "data": {"position": 3, "roots": []},
    }

    assert week("append", stdin=json.dumps(event).encode()).code == 3


def test_nothing_is_left_beside_the_ledger_after_a_check(week: Run, data: Path) -> None:
    week("attest")
    before = {path.name for path in (data / "studio").iterdir()}
    week("check-state")

    assert {path.name for path in (data / "studio").iterdir()} == before


@pytest.mark.parametrize("line", ["replay --at nonsense --out x.db", "check-state --at nonsense", "replay"])
def test_a_wrong_command_line_is_refused(week: Run, line: str) -> None:
    assert week(*line.split()).code == 2
