"""A ledger from its making to a proof of one entry, as an operator and an auditor go through it."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from ledger.checkpoint import open_checkpoint
from ledger.errors import ProofError
from ledger.merkle import leaf_hash, root_of, verify_consistency
from ledger.note import VerifierKey
from projections.models import READ_MODELS
from tests.acceptance.conftest import ORIGIN, Run


def test_init_prints_each_key_on_a_line_and_the_api_key_once(run: Run, data: Path) -> None:
    result = run("init", "studio", "--origin", ORIGIN)
    lines = result.out.decode().splitlines()
    keys = [VerifierKey.parse(line) for line in lines if line.startswith(f"{ORIGIN}+")]
    assert (result.code, len(keys)) == (0, 2)
    (api_key,) = [line for line in lines if line.startswith("ck_owner_")]
    assert stat.S_IMODE((data / "studio").stat().st_mode) == 0o700
    stored = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert api_key.rpartition("_")[2].encode() not in stored


def test_init_speaks_json(run: Run) -> None:
    made = run("init", "studio", "--origin", ORIGIN, "--json").json
    assert list(made) == ["ledger", "origin", "verifier_keys", "api_key"]
    assert (made["ledger"], made["origin"]) == ("studio", ORIGIN)
    assert [VerifierKey.parse(key).name for key in made["verifier_keys"]] == [ORIGIN, ORIGIN]


def test_init_refuses_a_name_that_is_taken(studio: Run) -> None:
    result = studio("init", "studio", "--origin", ORIGIN)
    assert (result.code, result.out) == (11, b"")
    assert "exists already" in result.err


@pytest.mark.parametrize(
    ("name", "origin"),
    [("Studio", ORIGIN), ("../up", ORIGIN), ("", ORIGIN), ("studio", "https://x/y"), ("studio", "a b"), ("studio", "")],
)
def test_init_refuses_an_impossible_name_or_origin_and_makes_nothing(
    run: Run, data: Path, name: str, origin: str
) -> None:
    assert run("init", name, "--origin", origin).code == 2
    assert not data.exists() or not list(data.iterdir())


def test_an_appended_file_is_counted_once_however_often_it_is_sent(studio: Run, repository: Path) -> None:
    events = repository / "examples" / "studio-week.ndjson"
    first, second = studio("append", events, "--json"), studio("append", events, "--json")
    assert list(first.json) == ["accepted", "duplicates", "rejected", "size", "root", "seconds"]
    assert (first.code, first.json["accepted"], first.json["size"]) == (0, 40, 41)
    assert (second.code, second.json["accepted"], second.json["duplicates"]) == (0, 0, 40)
    assert (second.json["size"], second.json["root"]) == (first.json["size"], first.json["root"])


def test_the_root_that_append_tells_is_that_of_the_raw_bytes_and_of_the_checkpoint(week: Run) -> None:
    raw = week("log", "--raw").out
    root = root_of([leaf_hash(line) for line in raw.splitlines()])
    told = week("append", "--json").json
    signed = week("checkpoint").out.decode().splitlines()
    assert base64.b64decode(told["root"]) == root
    assert signed[:3] == [ORIGIN, "41", told["root"]]


def test_show_tells_how_a_stream_stands_and_stood(week: Run) -> None:
    now, then = (week("show", "reservation:R-2101", *at, "--json").json for at in ((), ("--at", "12")))
    assert (now["stream"], now["kind"], now["stage"]) == ("reservation:R-2101", "reservation", "picked_up")
    assert (then["stage"], then["position"] <= 12) == ("queued", True)
    assert "notes" in then, "private values are disclosed to the local owner"
    people = week("show", "reservation:R-2101").out.decode()
    assert "picked_up" in people


def test_show_at_the_moment_of_an_entry_includes_it(week: Run) -> None:
    recorded = week("show", "reservation:R-2101", "--at", "12", "--json").json["recorded"]
    at = week("show", "reservation:R-2101", "--at", recorded, "--json").json
    assert at["recorded"] == recorded


@pytest.mark.parametrize(
    "arguments",
    [
        ("reservation:none",),
        ("nothing",),
        ("reservation:R-2101", "--at", "0"),
        ("reservation:R-2101", "--at", "2001-01-01"),
    ],
)
def test_show_finds_nothing_where_there_is_nothing(week: Run, arguments: tuple[str, ...]) -> None:
    result = week("show", *arguments, "--json")
    assert (result.code, result.out, result.error["exit_code"]) == (10, b"", 10)


@pytest.mark.parametrize("at", ["yesterday", "-1", "2026-02-30", "2026-03-01T10:00:00", "1e3", "٣", ""])
def test_a_moment_that_is_none_is_a_fault_of_usage(week: Run, at: str) -> None:
    assert week("show", "reservation:R-2101", "--at", at).code == 2
    assert week("log", "--from", at).code == 2


def test_a_proof_convinces_somebody_with_nothing_but_keys_entry_and_proof(week: Run, tmp_path: Path) -> None:
    for name, arguments in {"p": ("prove", 3), "e": ("log", "--raw", "--from", 3, "--to", 3)}.items():
        (tmp_path / name).write_bytes(week(*arguments).out)
    made = week("init", "other", "--origin", "other.example", "--json").json
    keys = json.loads(week("log", "--to", "0", "--jsonl").out)["data"]["verifier_keys"]
    (tmp_path / "k").write_text("\n".join(keys) + "\n")
    (tmp_path / "foreign").write_text("\n".join(made["verifier_keys"]))

    def check(proof: str, entry: str, key: str, *more: str) -> tuple[int, bytes]:
        result = week(
            "--data",
            tmp_path / "nowhere",
            "check-proof",
            tmp_path / proof,
            tmp_path / entry,
            "--key",
            tmp_path / key,
            *more,
        )
        return result.code, result.out

    assert check("p", "e", "k")[0] == 0
    verdict = json.loads(check("p", "e", "k", "--json")[1])
    assert (verdict["ok"], verdict["origin"], verdict["position"], verdict["size"]) == (True, ORIGIN, 3, 41)

    entry = (tmp_path / "e").read_bytes()
    (tmp_path / "bare").write_bytes(entry.removesuffix(b"\n"))
    (tmp_path / "longer").write_bytes(entry + b"\n")
    (tmp_path / "changed").write_bytes(entry.replace(b"reservation", b"Reservation", 1))
    assert check("p", "bare", "k")[0] == 0
    assert check("p", "longer", "k")[0] == 20
    assert check("p", "changed", "k") == (20, b"")
    refused = week("check-proof", tmp_path / "p", tmp_path / "changed", "--key", tmp_path / "k").err
    assert refused.startswith(f"error: not proven: these bytes are not shown to stand at position 3 of {ORIGIN}")
    assert check("p", "e", "foreign") == (22, b"")


def test_a_proof_file_of_garbage_proves_nothing_and_a_key_file_of_garbage_is_no_key(week: Run, tmp_path: Path) -> None:
    files = {"p": week("prove", 3).out, "e": week("log", "--raw", "--from", 3, "--to", 3).out, "empty": b""}
    files |= {
        "noise": bytes(range(256)),
        "cut": files["p"][:-20],
        "k": week("init", "k", "--origin", "k", "--json").out,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    key = tmp_path / "key"
    key.write_text("\n".join(json.loads(week("log", "--to", "0", "--jsonl").out)["data"]["verifier_keys"]))

    def code(proof: str, key: Path) -> int:
        return week("check-proof", tmp_path / proof, tmp_path / "e", "--key", key).code

    assert [code(name, key) for name in ("p", "empty", "noise", "cut", "e")] == [0, 20, 20, 20, 20]
    assert [code("p", tmp_path / name) for name in ("empty", "noise", "k")] == [22, 22, 22]
    assert code("p", tmp_path) == 2
    (tmp_path / "huge").write_bytes(b"\0" * 2_000_001)
    assert code("huge", key) == 2


def test_there_is_no_proof_of_what_is_not_there(week: Run) -> None:
    assert week("prove", 41).code == 10
    assert week("prove", 10**30).code == 10
    assert week("prove", "--", "-1").code == 2
    assert week("prove", "three").code == 2


def test_consistency_is_proven_between_any_two_sizes(week: Run) -> None:
    told = week("consistency", 12, 41, "--json").json
    proof = [base64.b64decode(each) for each in told["proof"]]
    old, new = base64.b64decode(told["old_root"]), base64.b64decode(told["new_root"])
    verify_consistency(12, 41, old, new, proof)
    with pytest.raises(ProofError):
        verify_consistency(12, 41, new, old, proof)
    assert week("consistency", 12, 41).out.decode().split() == told["proof"]
    assert week("consistency", 41, 41).out == b""
    assert [week("consistency", *sizes).code for sizes in ((0, 41), (41, 12), (12, 42), ("a", 1))] == [2, 2, 10, 2]


def test_a_checkpoint_is_a_signed_note_that_stays_the_same_while_nothing_is_appended(week: Run) -> None:
    first, second, json_form = week("checkpoint"), week("checkpoint"), week("checkpoint", "--json").json
    keys = json.loads(week("log", "--to", "0", "--jsonl").out)["data"]["verifier_keys"]
    opened = open_checkpoint(first.out, [VerifierKey.parse(key) for key in keys])
    assert opened.size == 41
    assert first.out == second.out == json_form["note"].encode()


def test_a_rebuild_makes_the_projections_anew_from_the_log(week: Run, data: Path) -> None:
    told = week("rebuild", "--json").json
    assert [one["name"] for one in told["projections"]] == [model.name for model in READ_MODELS]
    assert {(one["position"], one["lag"], one["state"], one["fault"]) for one in told["projections"]} == {
        (40, 0, "live", None)
    }
    assert (data / "studio" / "projections.db").is_file()
    assert b"reservations" in week("rebuild", "reservations").out
    assert week("rebuild", "reservation").code == 10


def test_reading_appends_nothing(week: Run) -> None:
    before = week("log", "--raw").out
    for line in (
        "checkpoint",
        "prove 3",
        "show reservation:R-2101",
        "consistency 1 41",
        "rebuild",
        "query reservations",
        "log --jsonl",
        "log",
    ):
        assert week(*line.split()).code == 0
    assert week("log", "--raw").out == before
