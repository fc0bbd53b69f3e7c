"""The audit as an auditor runs it: what a tampered store, a cut one and a rolled back one come to."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from ledger.log import Log
from tests.acceptance.conftest import Result, Run
from tests.support.events import requested


def tamper(data: Path, *statements: str) -> None:
    """Change the store as somebody would who has the file: without its triggers."""
    connection = sqlite3.connect(data / "studio" / "ledger.db")
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def fault(result: Result) -> tuple[int, int, str]:
    """Exit code, position and kind of the fault that was found."""
    first = result.json["first_fault"]
    assert list(first) == ["position", "kind", "detail"]
    assert result.json["ok"] is False
    assert first["detail"]
    return result.code, first["position"], first["kind"]


def keep_checkpoint(run: Run, tmp_path: Path) -> Path:
    kept = tmp_path / "kept.checkpoint"
    kept.write_bytes(run("checkpoint").out)
    return kept


def test_an_untouched_ledger_is_ok(week: Run, tmp_path: Path) -> None:
    told = week("audit", "--json")
    assert list(told.json) == ["ok", "size", "root", "entries_per_second", "first_fault"]
    assert (told.code, told.json["ok"], told.json["size"], told.json["first_fault"]) == (0, True, 41, None)
    assert told.json["root"] == week("append", "--json").json["root"]
    assert told.json["entries_per_second"] > 0
    kept = keep_checkpoint(week, tmp_path)
    assert week("append", stdin=requested("R-9")).code == 0
    assert week("audit", "--since", kept).out.startswith(b"ok: 42 entries")


def test_a_changed_entry_is_named(week: Run, data: Path) -> None:
    tamper(data, "UPDATE entries SET entry = replace(entry, 'M-1001', 'M-1009') WHERE rowid = 8")
    code, position, _ = fault(week("audit", "--json"))
    assert (code, position) == (20, 7)
    people = week("audit")
    assert (people.code, people.out.startswith(b"FAULT at position 7")) == (20, True)


def test_a_deleted_row_is_named(week: Run, data: Path) -> None:
    tamper(data, "DELETE FROM entries WHERE rowid = 18")
    assert fault(week("audit", "--json")) == (20, 17, "missing")


def test_a_store_that_was_rolled_back_as_a_whole_is_noticed_without_since_by_what_this_machine_signed(
    week: Run, data: Path, tmp_path: Path
) -> None:
    store = data / "studio" / "ledger.db"
    shutil.copy(store, tmp_path / "old.db")
    assert week("append", stdin=requested("R-9")).code == 0
    kept = keep_checkpoint(week, tmp_path)
    shutil.copy(tmp_path / "old.db", store)
    assert fault(week("audit", "--json")) == (20, 41, "missing")
    assert fault(week("audit", "--json", "--since", kept)) == (20, 41, "missing")
    (data / "studio" / "keys" / "last-checkpoint").unlink()
    assert week("audit").code == 0, "what is left agrees with itself; only a checkpoint from elsewhere tells"
    assert fault(week("audit", "--json", "--since", kept)) == (20, 41, "missing")


def test_an_older_checkpoint_from_elsewhere_does_not_hide_what_the_signer_remembers(
    week: Run, data: Path, tmp_path: Path
) -> None:
    kept = keep_checkpoint(week, tmp_path)
    store = data / "studio" / "ledger.db"
    shutil.copy(store, tmp_path / "old.db")
    assert week("append", stdin=requested("R-9")).code == 0
    shutil.copy(tmp_path / "old.db", store)
    assert fault(week("audit", "--json", "--since", kept)) == (20, 41, "missing")


def test_another_history_of_the_same_length_is_noticed(week: Run, data: Path, tmp_path: Path) -> None:
    store = data / "studio" / "ledger.db"
    shutil.copy(store, tmp_path / "old.db")
    assert week("append", stdin=requested("R-9")).code == 0
    kept = keep_checkpoint(week, tmp_path)
    shutil.copy(tmp_path / "old.db", store)
    (data / "studio" / "keys" / "last-checkpoint").unlink()
    assert week("append", stdin=requested("R-10")).code == 0
    code, _, kind = fault(week("audit", "--json", "--since", kept))
    assert (code, kind) == (20, "checkpoint")


def test_a_copy_of_the_file_and_the_verifier_keys_are_enough(week: Run, data: Path, tmp_path: Path) -> None:
    keys = json.loads(week("log", "--to", 0, "--jsonl").out)["data"]["verifier_keys"]
    (tmp_path / "studio.vkey").write_text("\n".join(keys))
    copy = tmp_path / "copy" / "studio"
    copy.mkdir(parents=True)
    shutil.copy(data / "studio" / "ledger.db", copy)
    here = ("--data", tmp_path / "copy", "audit", "--json")
    assert week(*here).code == 12, "there is no key folder"
    assert week(*here, "--key", tmp_path / "studio.vkey").json["ok"] is True
    assert week(*here, "--key", tmp_path / "studio.vkey", "--ledger", "none").code == 10
    assert week(*here, "--key", tmp_path / "studio.vkey", "--ledger", "../copy/studio").code == 10


def test_a_checkpoint_of_somebody_else_is_no_measure(week: Run, tmp_path: Path) -> None:
    assert week("init", "other", "--origin", "other.example").code == 0
    (tmp_path / "foreign").write_bytes(week("checkpoint", "--ledger", "other").out)
    (tmp_path / "noise").write_bytes(b"\x00noise")
    assert week("audit", "--since", tmp_path / "foreign").code == 22
    assert week("audit", "--since", tmp_path / "noise").code == 22
    assert week("audit", "--since", tmp_path / "none").code == 2
    assert week("audit", "--since", tmp_path).code == 2


def test_a_fault_is_told_by_the_exit_code_even_if_nobody_reads_it(
    week: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tools.cli import output

    def gone(_: bytes) -> None:
        raise BrokenPipeError

    tamper(data, "DELETE FROM entries WHERE rowid = 18")
    monkeypatch.setattr(output, "write", gone)
    monkeypatch.setattr("tools.cli.main._abandon_stdout", lambda: None)
    assert week("audit").code == 20


def test_the_audit_changes_nothing(week: Run, data: Path) -> None:
    with Log.open(data, "studio") as log:
        before = [row.entry for row in log.scan()]
    assert week("audit").code == 0
    with Log.open(data, "studio") as log:
        assert [row.entry for row in log.scan()] == before


def test_the_audit_needs_no_index(week: Run, data: Path) -> None:
    index = data / "studio" / "index.db"
    for path in index.parent.glob("index.db-*"):
        path.unlink()
    index.write_bytes(b"no index at all")
    assert week("audit", "--json").json["ok"] is True
    damaged = week("log", "--stream", "ledger:main")
    assert (damaged.code, "delete index.db" in damaged.err) == (1, True)
    index.unlink()
    assert week("log", "--stream", "ledger:main").code == 0


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_any_number_of_processes_find_the_same(week: Run, data: Path, jobs: int) -> None:
    assert week("audit", "--jobs", jobs, "--json").json["ok"] is True
    tamper(data, "UPDATE entries SET entry = replace(entry, 'M-1001', 'M-1009') WHERE rowid = 8")
    code, position, _ = fault(week("audit", "--jobs", jobs, "--json"))
    assert (code, position) == (20, 7)


def test_an_audit_takes_a_process_at_least(week: Run) -> None:
    assert week("audit", "--jobs", 0).code == 2
