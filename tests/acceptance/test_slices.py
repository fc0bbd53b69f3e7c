"""Slices as their users cut and check them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ledger.log import Log
from tests.acceptance.conftest import Run


@pytest.fixture
def keys(week: Run, data: Path) -> Path:
    """The verifier keys that an auditor was given."""
    kept = data.parent / "studio.vkey"
    with Log.open(data, "studio") as log:
        kept.write_text("\n".join(map(str, log.verifier_keys)))
    return kept


def test_a_slice_of_everything_proves_itself_without_the_ledger(week: Run, keys: Path, tmp_path: Path) -> None:
    out = tmp_path / "studio.slice"

    made = week("slice", "--out", out, "--json")

    assert made.json == {"file": str(out), "first": 0, "entries": 41, "bytes": out.stat().st_size}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    checked = week("--data", tmp_path / "nowhere", "check-slice", out, "--key", keys, "--json")
    assert (checked.code, checked.json["ok"], checked.json["first"], checked.json["entries"]) == (0, True, 0, 41)
    assert checked.json["root"] == week("checkpoint", "--json").json["root"]


def test_a_slice_from_the_middle_proves_itself(week: Run, keys: Path, tmp_path: Path) -> None:
    out = tmp_path / "some.slice"

    told = week("slice", "--from", 7, "--to", 20, "--out", out)

    assert told.out.decode().startswith(f"{out}: 14 entries from position 7, ")
    assert week("check-slice", out, "--key", keys).out == (
        b"proven: 14 entries from position 7 are those of ledger.example/studio, size 41\n"
    )


def test_a_changed_slice_is_not_proven(week: Run, keys: Path, tmp_path: Path) -> None:
    out = tmp_path / "studio.slice"
    week("slice", "--out", out)
    out.write_bytes(out.read_bytes().replace(b"M-1001", b"M-1009", 1))

    refused = week("check-slice", out, "--key", keys)

    assert refused.code == 20
    assert "error:" in refused.err


def test_another_ledgers_keys_prove_nothing(week: Run, tmp_path: Path) -> None:
    out = tmp_path / "studio.slice"
    week("slice", "--out", out)
    others = week("init", "other", "--origin", "ledger.example/studio", "--json").json["verifier_keys"]
    (tmp_path / "other.vkey").write_text("\n".join(others))

    assert week("check-slice", out, "--key", tmp_path / "other.vkey").code == 22


def test_entries_that_are_not_there_are_not_sliced_and_no_file_is_left(week: Run, tmp_path: Path) -> None:
    out = tmp_path / "studio.slice"

    refused = week("slice", "--from", 30, "--to", 99, "--out", out)

    assert (refused.code, list(tmp_path.glob("*.slice*")), list(tmp_path.glob(".studio*"))) == (10, [], [])
    assert "there are no entries from 30 to 99; the log holds 41" in refused.err
