"""An operator looks at the keys of a ledger, rotates them and turns its epoch, through the command line."""

import json
import shutil
import sqlite3
import urllib.request
from contextlib import closing

import pytest

from ledger.log import Log
from ledger.note import parse_note
from tests.acceptance.conftest import ORIGIN
from tests.support.events import requested
from tests.support.serving import request_to, serving

EPOCH_1, EPOCH_2 = "epoch-000001.key", "epoch-000002.key"


@pytest.fixture
def folder(data):
    return data / "studio" / "keys"


def test_keys_are_listed_without_a_secret(week, folder):
    for shown in (week("keys", "list").out, week("keys", "list", "--json").out):
        for name in ("ed25519.seed", "ml-dsa-44.seed", EPOCH_1):
            assert (folder / name).read_bytes().strip() not in shown
    listed = week("keys", "list", "--json").json
    (epoch,) = listed["epochs"]
    assert (listed["epoch"], listed["settled"], epoch["epoch"], epoch["present"]) == (1, True, 1, True)
    assert epoch["data_keys"] > 3
    assert len(listed["verifier_keys"]) == 2
    assert b"epoch 1: %d data keys; current" % epoch["data_keys"] in week("keys", "list").out


def test_a_rewrap_leaves_all_readable_and_the_old_key_destroyed(week, folder):
    before = week("log", "--jsonl").out
    done = week("keys", "rewrap", "--json")
    assert (done.code, done.json["epoch"], done.json["destroyed"], done.json["effective"]) == (0, 2, [1], True)
    assert not (folder / EPOCH_1).exists()
    assert (folder / EPOCH_2).exists()
    assert week("log", "--jsonl").out == before
    assert week("audit").code == 0
    assert b"the key of epoch 2 is destroyed" in week("keys", "rewrap").out


def test_keys_of_the_operator_s_own_are_asked_for_and_told_of_until_they_are_destroyed(week, folder, monkeypatch):
    (folder / "epoch-keys").write_text("env STUDIO_KEYS\n")
    (folder / "epoch-keys").chmod(0o600)
    monkeypatch.setenv("STUDIO_KEYS", f"1:{(folder / EPOCH_1).read_text().strip()}")
    (folder / EPOCH_1).unlink()
    refused = week("keys", "rewrap")
    assert refused.code == 12
    assert "no key of epoch 2" in refused.err
    monkeypatch.setenv("STUDIO_KEYS", f"1:{(folder / 'ed25519.seed').read_text().strip()},2:{'5' * 64}")
    assert week("keys", "rewrap").code != 0, "another key for epoch 1 opens nothing"


def test_a_damaged_data_key_is_named_and_the_old_epoch_key_kept_until_it_is_given_up(week, data, folder):
    with closing(sqlite3.connect(data / "studio" / "ledger.db")) as connection, connection:
        changed = "UPDATE data_keys SET wrapped = zeroblob(60) WHERE stream = 'reservation:R-2102'"
        assert connection.execute(changed).rowcount == 1
    told = week("keys", "rewrap")
    assert told.code == 3
    assert "the data key of M-1002 in reservation:R-2102, epoch 1 is damaged" in told.err
    assert "keys rewrap --give-up-damaged" in told.err
    receipt = week("erase", "M-1001", "--reason", "requested", "--yes", "--json")
    assert (receipt.code, receipt.json["effective"]) == (3, False)
    assert receipt.json["damaged"] == [{"epoch": 1, "member": "M-1002", "stream": "reservation:R-2102"}]
    assert (folder / EPOCH_1).exists()
    done = week("keys", "rewrap", "--give-up-damaged", "--json")
    assert (done.code, done.json["effective"], done.json["lost"]) == (0, True, {"1": 1})
    assert not (folder / EPOCH_1).exists()
    again = week("erase", "M-1001", "--reason", "requested", "--yes", "--json")
    assert (again.code, again.json["effective"]) == (0, True)


def test_a_turn_waits_for_the_operator_to_destroy_what_is_theirs(week, folder, monkeypatch):
    first = (folder / EPOCH_1).read_text().strip()
    (folder / "epoch-keys").write_text("env STUDIO_KEYS\n")
    (folder / "epoch-keys").chmod(0o600)
    (folder / EPOCH_1).unlink()
    monkeypatch.setenv("STUDIO_KEYS", f"1:{first},2:{'5' * 64}")
    done = week("keys", "rewrap", "--json")
    assert (done.code, done.json["awaited"], done.json["effective"]) == (3, [1], False)
    again = week("keys", "rewrap")
    assert again.code == 3
    assert "the key of epoch 1 is yours to destroy" in again.err
    monkeypatch.setenv("STUDIO_KEYS", f"2:{'5' * 64}")
    listed = week("keys", "list", "--json").json
    assert (listed["epoch"], listed["settled"]) == (2, True)
    assert week("audit").code == 0


# --- Rotation ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(week, tmp_path):
    """An entry, its proof and the first keys, in files."""
    (tmp_path / "genesis.vkey").write_bytes(week("keys", "export-public").out)
    (tmp_path / "entry").write_bytes(week("log", "--raw", "--from", 3, "--to", 3).out)
    (tmp_path / "before").write_bytes(week("prove", 3).out)
    return tmp_path


def test_whoever_has_the_first_keys_alone_follows_to_those_that_hold(week, files, data):
    before = week("keys", "export-public").out
    done = week("keys", "rotate", "--reason", "scheduled", "--yes", "--json")
    assert (done.code, done.json["position"]) == (0, 41)
    assert done.json["retired_keys"] == before.decode().split()
    assert week("keys", "export-public").out.decode().split() == done.json["verifier_keys"]
    assert week("keys", "rotate", "--reason", "scheduled", "--yes").code == 0
    (files / "after").write_bytes(week("prove", 3).out)
    (files / "rotations").write_bytes(week("keys", "export-public", "--history").out)
    assert week("slice", "--out", files / "slice").code == 0
    trusted, followed = ("--key", files / "genesis.vkey"), ("--rotations", files / "rotations")
    for proof, size in (("before", 41), ("after", 43)):
        checked = week("check-proof", files / proof, files / "entry", *trusted, *followed, "--json")
        assert (checked.code, checked.json["size"]) == (0, size)
    assert week("check-proof", files / "after", files / "entry", *trusted).code == 22
    assert week("check-slice", files / "slice", *trusted).code == 22
    assert week("check-slice", files / "slice", *trusted, *followed).code == 0
    replay = ("replay", "--slice", files / "slice", *trusted, "--out", files / "then.db")
    assert week(*replay).code == 22
    assert week(*replay, *followed).code == 0
    assert week("replay", *followed, "--out", files / "other.db").code == 2
    assert week("audit", *trusted).code == week("audit").code == 0
    (files / "rotations").write_bytes(
        week("keys", "export-public", "--history").out.replace(b"scheduled", b"schedulex")
    )
    assert week("check-proof", files / "after", files / "entry", *trusted, *followed).code in (20, 22)
    (files / "rotations").write_bytes(b"noise")
    refused = week("check-proof", files / "after", files / "entry", *trusted, *followed)
    assert (refused.code, "not the rotations of a ledger's keys" in refused.err) == (22, True)


def test_rotating_asks_for_the_ledgers_name(week):
    before = week("keys", "export-public").out
    for typed in (b"other\n", b"\n", b""):
        assert week("keys", "rotate", "--reason", "scheduled", stdin=typed).code == 130
    assert week("keys", "export-public").out == before
    assert week("keys", "rotate", "--reason", "scheduled", stdin=b"studio\n").code == 0
    assert week("keys", "export-public").out != before
    assert week("keys", "rotate", "--yes").code == 2, "there is no rotation without a reason"
    assert week("keys", "rotate", "--reason", "Not a code", "--yes").code == 2


def test_public_keys_come_from_a_copy_of_the_log_without_any_key(week, data, tmp_path):
    week("keys", "rotate", "--reason", "scheduled", "--yes")
    public, history = week("keys", "export-public").out, week("keys", "export-public", "--history").out
    (tmp_path / "copy" / "studio").mkdir(parents=True)
    shutil.copy(data / "studio" / "ledger.db", tmp_path / "copy" / "studio")
    copied = ("--data", tmp_path / "copy")
    assert week("keys", "export-public", *copied).out == public
    assert week("keys", "export-public", "--history", *copied).out == history
    told = week("keys", "export-public", "--history", "--json", *copied).json
    assert (told["origin"], told["rotations"]) == (ORIGIN, history.decode())
    assert [(one["first_size"], one["last_size"]) for one in told["generations"]] == [(0, 42), (42, None)]
    for seed in (data / "studio" / "keys").glob("*.seed"):
        assert seed.read_bytes().strip() not in public + history
    assert week("keys", "export-public", "--ledger", "nowhere").code == 10
    assert week("keys", "export-public", "--ledger", "../x").code == 10


def signers_at(address, token):
    request = request_to(address, token, "checkpoint")
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return [one.key_id.hex() for one in parse_note(answer.read()).signatures]


def test_a_running_service_signs_with_the_new_keys_and_publishing_goes_on(run, data, tmp_path):
    token = run("init", "studio", "--origin", ORIGIN, "--json").json["api_key"]
    assert run("publish", tmp_path / "www").code == 0
    with serving("serve", "--data", data) as address:
        first = signers_at(address, token)
        rotated = run("keys", "rotate", "--reason", "scheduled", "--yes", "--json").json["verifier_keys"]
        assert signers_at(address, token)[-2:] == [key.split("+")[1] for key in rotated], "of the bridge, old and new"
        body = b"[" + requested("R-1") + b"]"
        request = request_to(address, token, "events", body)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            assert json.loads(answer.read())
        now = signers_at(address, token)
        assert now == [key.split("+")[1] for key in rotated]
        assert not set(first) & set(now)
    assert run("publish", tmp_path / "www").code == 0
    assert run("audit").code == 0


def test_a_witness_follows_the_rotation_and_cosigns_nothing_that_only_a_retired_key_signed(week, files, data, tmp_path):
    witness, stolen = tmp_path / "w", tmp_path / "stolen"
    made = week("witness", "init", witness, "--name", "witness.example/w", "--json").json
    assert week("witness", "add-log", witness, "--key", files / "genesis.vkey", "--json").json["added"] == 2
    policy = files / "policy"
    collect = ("witness", "collect", "--policy", policy, "--json")
    with serving("witness", "serve", witness) as address:
        policy.write_text(f"witness w {made['verifier_keys'][0]} {address}\nquorum w\n")
        assert week(*collect).code == 0
        shutil.copytree(data, stolen)
        week("keys", "rotate", "--reason", "compromised", "--yes")
        assert week(*collect).code == 0, "the bridge is signed by the old keys too"
        with Log.open(data, "studio") as log:
            log.append([requested("R-new")])
        refused = week(*collect)
        assert (refused.code, "403" in refused.json["witnesses"][0]["detail"]) == (20, True)
        (files / "rotations").write_bytes(week("keys", "export-public", "--history").out)
        followed = week("witness", "add-log", witness, "--rotations", files / "rotations", "--json").json
        assert followed == {"added": 2, "removed": 2, "logs": [ORIGIN]}
        assert week(*collect).code == 0
        with Log.open(stolen, "studio") as log:  # a thief goes on with the old keys, from before the rotation
            log.append([requested(f"R-stolen-{number}") for number in range(9)])
        refused = week(*collect, "--data", stolen)
        assert (refused.code, "403" in refused.json["witnesses"][0]["detail"]) == (20, True)
    assert week("witness", "add-log", witness).code == 2
    again = week("witness", "add-log", witness, "--rotations", files / "rotations", "--json").json
    assert (again["added"], again["removed"]) == (0, 0)


def test_a_key_that_others_may_read_is_refused_by_every_verb_and_by_the_service(week, folder, data):
    for name in ("credentials.json", "ed25519.seed", EPOCH_1, "last-checkpoint"):
        (folder / name).chmod(0o644)
        for verb in (("keys", "list"), ("checkpoint",), ("log",), ("serve", "--port", "0")):
            refused = week(*verb)
            assert refused.code == 12
            assert f"{folder / name} is accessible to others" in refused.err
            assert f"chmod 600 {folder / name}" in refused.err
        (folder / name).chmod(0o600)
    assert week("keys", "list").code == 0


def test_a_key_that_does_not_read_is_named_by_file_and_line(week, tmp_path):
    keys = tmp_path / "studio.vkey"
    keys.write_bytes(week("keys", "export-public").out.splitlines()[0] + b"\n\nno key at all\n")
    refused = week("audit", "--key", str(keys))
    assert (refused.code, f"{keys}, line 3: not a verifier key" in refused.err) == (22, True), refused.err


def test_a_reason_is_refused_as_a_wrong_option_by_every_verb_that_takes_one(week):
    size = week("checkpoint", "--json").json["size"]
    for line in ("keys rotate --yes", "erase M-1002 --yes", "purge record:x --yes", "credentials revoke owner"):
        refused = week(*line.split(), "--reason", "He left us")
        assert (refused.code, "'He left us' is no code" in refused.err) == (2, True), refused.err
    assert week("checkpoint", "--json").json["size"] == size
