"""Slices as their users cut and check them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ledger.log import Log
from tests.acceptance.conftest import Run
from tests.support.traces import traces


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


def test_a_file_in_a_folder_that_is_not_there_is_refused_before_anything_is_made(week: Run, tmp_path: Path) -> None:
    size = week("checkpoint", "--json").json["size"]
    for verb in (("slice", "--member", "M-1002"), ("replay",), ("witness", "collect", "--policy", __file__)):
        refused = week(*verb, "--out", str(tmp_path / "gone" / "some.file"))
        assert (refused.code, f"there is no folder '{tmp_path / 'gone'}'" in refused.err) == (2, True), refused.err
    assert week("checkpoint", "--json").json["size"] == size, "no export was recorded"


def test_a_slice_by_a_policy_shows_what_it_discloses_and_accounts_for_the_rest(
    week: Run, keys: Path, tmp_path: Path
) -> None:
    shown, hidden = tmp_path / "staff.slice", tmp_path / "auditor.slice"
    assert week("slice", "--policy", "staff", "--out", shown).code == 0
    assert week("slice", "--policy", "auditor", "--out", hidden).code == 0

    told = week("check-slice", shown, "--key", keys, "--json").json["redaction"]
    assert told["policy"] == "staff"
    assert told["disclosed"] > 20
    assert set(told["withheld"]) <= {"secret"}
    told = week("check-slice", hidden, "--key", keys, "--json").json["redaction"]
    assert (told["policy"], told["disclosed"]) == ("auditor", 0)
    assert set(told["rules"]) == set(told["withheld"]) <= {"secret", "not-disclosed"}
    lines = week("check-slice", shown, "--key", keys).out.decode().splitlines()
    assert lines[0].startswith("proven: 41 entries from position 0")
    assert lines[1].startswith("private values, by the policy staff: ")

    entries = [json.loads(line) for line in week("check-slice", shown, "--key", keys, "--jsonl").out.splitlines()]
    events = [json.loads(line) for line in week("log", "--jsonl").out.splitlines()]
    assert len(entries) == len(events) == 41
    for one, event in zip(entries, events, strict=True):
        for name, value in one["disclosed"].items():
            assert value == event["data"].get("fields", event["data"])[name]


def test_a_slice_with_a_value_that_was_changed_is_refused(week: Run, keys: Path, tmp_path: Path) -> None:
    out = tmp_path / "staff.slice"
    week("slice", "--policy", "staff", "--from", 1, "--to", 1, "--out", out)
    data = out.read_bytes()
    at = data.index(b'{"disclosed":["') + 40
    out.write_bytes(data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :])

    refused = week("check-slice", out, "--key", keys)

    assert refused.code == 20
    assert "the entry at position 1: its annex" in refused.err


def test_a_members_history_is_whole_and_that_it_was_given_out_is_recorded(
    week: Run, keys: Path, tmp_path: Path
) -> None:
    out = tmp_path / "M-1002.history"

    made = week("slice", "--member", "M-1002", "--out", out, "--json").json

    own = week("log", "--member", "M-1002", "--raw").out.splitlines()
    assert (made["accounts"], made["entries"], made["position"]) == (["M-1002"], len(own), 41)
    checked = week("check-slice", out, "--key", keys, "--json").json
    assert (checked["member"], checked["accounts"]) == ("M-1002", {"M-1002": len(own)})
    assert checked["redaction"]["policy"] == "member"
    entries = [
        json.loads(line)["entry"] for line in week("check-slice", out, "--key", keys, "--jsonl").out.splitlines()
    ]
    assert entries == [json.loads(entry) for entry in own]
    assert entries[-1]["event"]["type"] == "export.issued"
    (row,) = week("query", "exports", "--json").json["rows"]
    assert (row["member"], row["redaction"], row["entries"]) == ("M-1002", "member", len(own) - 1)
    assert week("slice", "--member", "M-1002", "--from", 3, "--out", out).code == 2
    assert week("slice", "--member", "M-9999", "--out", out).code == 10
    assert week("slice", "--policy", "friends", "--out", out).code == 10


def test_a_replay_from_a_slice_made_before_an_erasure_brings_no_value_back(
    week: Run, keys: Path, tmp_path: Path
) -> None:
    name = json.loads(week("log", "--stream", "member:M-1002", "--jsonl").out.splitlines()[0])["data"]["name"]
    before, after = tmp_path / "before.slice", tmp_path / "after.slice"
    week("slice", "--policy", "staff", "--out", before)
    assert week("erase", "M-1002", "--reason", "requested", "--yes").code == 0

    shown = tmp_path / "shown"
    shown.mkdir()
    assert week("replay", "--slice", before, "--key", keys, "--out", shown / "replay.db").code == 0
    week("slice", "--policy", "staff", "--out", after)
    (shown / "after.jsonl").write_bytes(week("check-slice", after, "--key", keys, "--jsonl").out)

    assert name.encode() in week("check-slice", before, "--key", keys, "--jsonl").out  # what was given away is away
    assert traces(shown, name) == []
    assert week("check-slice", after, "--key", keys, "--json").json["redaction"]["withheld"]["gone"] >= 3


def test_every_verb_that_shows_values_follows_a_policy_and_names_the_rule(week: Run) -> None:
    name = json.loads(week("log", "--stream", "member:M-1002", "--jsonl").out.splitlines()[0])["data"]["name"]
    verbs = (
        ("show", "member:M-1002", "--json"),
        ("diff", "--from", "0", "--json"),
        ("log", "--jsonl"),
        ("query", "members", "--json"),
    )
    for verb in verbs:
        shown, hidden = week(*verb), week(*verb, "--policy", "auditor")
        assert name.encode() in shown.out, verb
        assert name.encode() not in hidden.out, verb
        assert week(*verb, "--policy", "friends").code == 10
        if verb[0] != "diff":
            assert b"not-disclosed" in hidden.out, verb
    state = week("show", "member:M-1002", "--policy", "auditor", "--json").json
    assert state["withheld_by"] == dict.fromkeys(state["withheld"], "not-disclosed")
    assert week("erase", "M-1002", "--reason", "requested", "--yes").code == 0
    state = week("show", "member:M-1002", "--json").json
    assert state["withheld_by"] == dict.fromkeys(state["withheld"], "gone")
    first = json.loads(week("log", "--stream", "member:M-1002", "--jsonl").out.splitlines()[0])
    assert set(first["ledgerwithheld"].split(" ")) == {f"{field}=gone" for field in state["withheld"]}
