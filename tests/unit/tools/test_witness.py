"""A witness's folder: who may read it, and what gets into it."""

import pytest

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import KeyFileError, MalformedNote
from ledger.merkle import EMPTY_ROOT
from ledger.note import Ed25519Cosigner, Ed25519Signer
from ledger.private_files import locked
from ledger.witness import Refused, Request, format_request
from tools.witness import Witness


@pytest.fixture
def witness(tmp_path):
    return Witness.create(tmp_path / "w", "witness.example/w")


@pytest.mark.parametrize("name", ["ed25519.seed", "ml-dsa-44.seed", "name"])
def test_a_file_that_others_may_read_is_refused_with_the_way_out(witness, name):
    (witness.folder / name).chmod(0o644)
    with pytest.raises(KeyFileError, match=name) as raised:
        Witness(witness.folder)
    assert raised.value.advice.startswith("chmod 600")


def test_a_folder_that_others_may_enter_is_refused(witness):
    witness.folder.chmod(0o750)
    with pytest.raises(KeyFileError, match="accessible to others"):
        Witness(witness.folder)


@pytest.mark.parametrize("name", ["ed25519.seed", "ml-dsa-44.seed"])
def test_a_damaged_or_missing_seed_is_refused_and_not_made_anew(witness, name):
    (witness.folder / name).write_text("00")
    with pytest.raises(KeyFileError, match="damaged"):
        Witness(witness.folder)
    (witness.folder / name).unlink()
    with pytest.raises(KeyFileError, match="missing"):
        Witness(witness.folder)


def test_all_files_are_the_owners_alone_whatever_the_umask(tmp_path):
    witness = Witness.create(tmp_path / "w", "witness.example/w")
    witness.add_log(Ed25519Signer("ledger.example/studio", bytes(32)).key)
    assert witness.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in witness.folder.iterdir()} == {0o600}


def test_names_too_long_to_be_cosigned_are_refused_before_anything_is_made(witness, tmp_path):
    with pytest.raises(MalformedNote, match="too long"):
        Witness.create(tmp_path / "long", "ñ" * 128)
    assert not (tmp_path / "long").exists()
    with pytest.raises(MalformedNote, match="too long"):
        witness.add_log(Ed25519Signer("l" * 256, bytes(32)).key)
    assert witness.logs() == []
    assert Witness.create(tmp_path / "fits", "w" * 255).name == "w" * 255


def test_keys_that_are_retired_while_a_request_waits_are_not_cosigned_for(witness, monkeypatch):
    log = Ed25519Signer("ledger.example/studio", bytes(32))
    witness.add_log(log.key)
    note = sign_checkpoint(Checkpoint(log.key.name, 0, EMPTY_ROOT), [log])

    def late(path):
        (witness.folder / "logs").write_text(f"{Ed25519Signer(log.key.name, bytes([1] * 32)).key}\n")
        return locked(path)

    monkeypatch.setattr("tools.witness.locked", late)
    with pytest.raises(Refused) as refused:
        witness.add_checkpoint(format_request(Request(0, (), note)))
    assert refused.value.status == 403
    assert not list(witness.folder.glob("*.checkpoint"))


def test_the_key_of_a_witness_is_no_logs(witness):
    with pytest.raises(MalformedNote, match="is a witness's"):
        witness.add_log(Ed25519Cosigner("witness.example/v", bytes(32)).key)
