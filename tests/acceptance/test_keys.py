"""An operator looks at the keys of a ledger and turns its epoch, through the command line."""

import pytest

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
