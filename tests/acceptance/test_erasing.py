"""An owner erases a member, or purges a record, through the command line, and has the proof of it."""

import json

import pytest

from tests.support.events import cloud


@pytest.fixture
def name(week):
    """The name of M-1002 as the log discloses it now."""
    lines = week("log", "--stream", "member:M-1002", "--jsonl").out.splitlines()
    return json.loads(lines[0])["data"]["name"]


def test_a_dry_run_shows_what_goes_and_changes_nothing(week):
    before = week("checkpoint").out
    shown = week("erase", "M-1002", "--reason", "requested", "--dry-run", "--json")
    assert shown.code == 0
    assert shown.json == {
        "streams": [
            {"stream": "member:M-1002", "disclosures": 2, "keys": 1},
            {"stream": "reservation:R-2102", "disclosures": 1, "keys": 1},
        ],
        "holds": [],
        "accounts": [],
    }
    assert b"member:M-1002: 2 entries with private values" in week("erase", "M-1002", "--reason", "r", "--dry-run").out
    assert week("checkpoint").out == before


def test_an_erasure_asks_for_the_name_and_gives_up_at_any_other(week, name):
    for answer in (b"M-1001\n", b"\n", b"yes\n", b""):
        refused = week("erase", "M-1002", "--reason", "requested", stdin=answer)
        assert refused.code == 130
    assert "3 entries with private values and 2 keys" in refused.err
    assert name.encode() in week("log", "--member", "M-1002", "--jsonl").out
    done = week("erase", "M-1002", "--reason", "requested", stdin=b"M-1002\n")
    assert done.code == 0
    assert b"effective, epoch 2" in done.out
    assert name.encode() not in week("log", "--member", "M-1002", "--jsonl").out


def test_the_receipt_proves_itself_offline(week, tmp_path):
    receipt = week("erase", "M-1002", "--reason", "requested", "--yes", "--json").json
    assert list(receipt) == ["member", "entry", "position", "leaf_hash", "proof", "effective", "epoch"]
    (tmp_path / "entry").write_text(receipt["entry"])
    (tmp_path / "proof").write_text(receipt["proof"])
    (tmp_path / "vkey").write_text("\n".join(week("keys", "list", "--json").json["verifier_keys"]))
    assert week("check-proof", tmp_path / "proof", tmp_path / "entry", "--key", tmp_path / "vkey").code == 0
    assert week("erase", "M-1002", "--reason", "requested", "--yes", "--json").json["position"] == receipt["position"]
    assert week("audit").code == 0


def test_a_hold_refuses_and_is_named(week, tmp_path):
    held = cloud("hold.placed", "hold:H-7", {"reason": "litigation", "scope": "stream", "target": "reservation:R-2102"})
    (tmp_path / "hold.json").write_bytes(held)
    assert week("append", tmp_path / "hold.json").code == 0
    refused = week("erase", "M-1002", "--reason", "requested", "--yes", "--json")
    assert refused.code == 11
    assert "hold:H-7" in refused.error["error"]
    shown = week("erase", "M-1002", "--reason", "requested", "--dry-run")
    assert shown.code == 11
    assert b"kept by hold:H-7: stream reservation:R-2102, litigation" in shown.out


def test_what_can_t_be_erased_is_refused_with_a_code_of_its_own(week):
    assert week("erase", "M-9999", "--reason", "requested", "--yes").code == 10
    assert week("erase", "M-1002", "--reason", "No Code!", "--yes").code == 2
    assert week("erase", "M-1002", "--yes").code == 2
    assert week("purge", "glaze-celadon-04", "--reason", "retention", "--yes").code == 2
    refused = week("purge", "record:glaze-celadon-04", "--reason", "retention", "--yes")
    assert refused.code == 3
    assert "status active" in refused.err
    assert week("keys", "list", "--json").json["epoch"] == 1


def test_an_erasure_is_not_effective_before_the_operator_s_own_key_is_destroyed(week, data, monkeypatch):
    folder = data / "studio" / "keys"
    first = (folder / "epoch-000001.key").read_text().strip()
    (folder / "epoch-000001.key").unlink()
    (folder / "epoch-keys").write_text("env STUDIO_KEYS\n")
    (folder / "epoch-keys").chmod(0o600)
    monkeypatch.setenv("STUDIO_KEYS", f"1:{first},2:{'5' * 64}")
    done = week("erase", "M-1002", "--reason", "requested", "--yes", "--json")
    assert (done.code, done.json["effective"], done.json["awaited"]) == (3, False, [1])
    monkeypatch.setenv("STUDIO_KEYS", f"2:{'5' * 64}")
    again = week("erase", "M-1002", "--reason", "requested", "--yes", "--json")
    assert (again.code, again.json["effective"], again.json["position"]) == (0, True, done.json["position"])
