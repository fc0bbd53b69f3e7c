"""Epoch keys from each source: which are there, who makes and who destroys them, and what is said when one is not."""

import shlex
import sys

import pytest

from ledger.epoch_keys import EpochKeys
from ledger.errors import KeyFileError
from ledger.keys import Keys
from ledger.private_files import write_private
from tests.support.events import ORIGIN

HEX = {number: f"{number:x}" * 64 for number in range(1, 6)}
NONCE = bytes(12)


@pytest.fixture
def folder(tmp_path):
    return Keys.create(tmp_path / "keys", ORIGIN).folder


@pytest.fixture
def variable(folder, monkeypatch):
    """Set the variable that holds the keys of these epochs, in place of the first one's file."""
    (folder / "epoch-000001.key").unlink()
    write_private(folder / "epoch-keys", b"env STUDIO_EPOCH_KEYS\n")

    def hold(*epochs):
        monkeypatch.setenv("STUDIO_EPOCH_KEYS", ",".join(f"{epoch}:{HEX[epoch]}" for epoch in epochs))

    return hold


@pytest.fixture
def command(folder, tmp_path):
    """A program that prints what the file of that number holds."""
    (folder / "epoch-000001.key").unlink()
    program = tmp_path / "keys.py"
    program.write_text(
        "import pathlib, sys\n"
        "at = pathlib.Path(sys.argv[1], sys.argv[2])\n"
        "print(at.read_text() if at.exists() else '')\n"
    )
    shelf = tmp_path / "a shelf"
    shelf.mkdir()
    line = shlex.join([sys.executable, str(program), str(shelf)])
    write_private(folder / "epoch-keys", f"command {line}\n".encode())
    return shelf


def same(one, other):
    return one.encrypt(NONCE, b"x", b"") == other.encrypt(NONCE, b"x", b"")


def test_files_are_made_and_destroyed_here_and_what_they_held_is_gone_with_them(folder):
    keys = EpochKeys(folder)
    keys.make(2)
    made = (folder / "epoch-000002.key").read_text()
    assert len(bytes.fromhex(made)) == 32
    keys.make(2)
    assert (folder / "epoch-000002.key").read_text() == made, "a key that is there is not made anew"
    old = keys.key(1)
    assert keys.before(2) == [1]
    assert keys.destroy(1)
    assert keys.present() == [2]
    assert keys.before(2) == []
    assert keys.destroy(1), "again, and nothing is to be done"
    with pytest.raises(KeyFileError, match="epoch-000001"):
        keys.key(1)
    assert not same(old, keys.key(2))


def test_a_destroyed_file_is_overwritten_before_it_is_removed(folder):
    path = folder / "epoch-000001.key"
    (folder / "link").hardlink_to(path)
    assert EpochKeys(folder).destroy(1)
    assert set((folder / "link").read_bytes()) == {0}


def test_keys_are_held_in_memory_until_they_are_found_gone(folder):
    keys, other = EpochKeys(folder), EpochKeys(folder)
    before = keys.held()
    assert list(before) == [1]
    other.destroy(1)
    assert keys.key(1) is before[1]
    assert keys.held() == {}
    with pytest.raises(KeyFileError):
        keys.key(1)
    assert list(before) == [1], "whoever had them before keeps them"


def test_a_file_that_others_may_read_is_not_held_but_refused_when_it_is_needed(folder):
    (folder / "epoch-000001.key").chmod(0o640)
    keys = EpochKeys(folder)
    assert keys.held() == {}
    assert keys.is_there(1)
    with pytest.raises(KeyFileError, match="accessible"):
        keys.key(1)


def test_keys_in_the_environment_are_the_operator_s_to_make_and_destroy(folder, variable):
    variable(1)
    keys = EpochKeys(folder)
    assert keys.present() == [1]
    with pytest.raises(KeyFileError, match="no key of epoch 2") as caught:
        keys.make(2)
    assert "64 random hex digits" in caught.value.advice
    variable(1, 2)
    keys.make(2)
    assert not same(keys.key(1), keys.key(2))
    assert keys.destroy(1) is False
    variable(2)
    assert keys.destroy(1) is True
    with pytest.raises(KeyFileError, match="key of epoch 1 is missing"):
        EpochKeys(folder).key(1)
    assert not list(folder.glob("epoch-0*")), "no key of the operator's is written to a file"


def test_keys_in_files_stay_in_use_while_new_ones_come_from_elsewhere(folder, monkeypatch):
    write_private(folder / "epoch-keys", b"env STUDIO_EPOCH_KEYS\n")
    monkeypatch.setenv("STUDIO_EPOCH_KEYS", f"2:{HEX[2]}")
    keys = EpochKeys(folder)
    keys.make(2)
    assert keys.before(3) == [1, 2]
    assert keys.destroy(1)
    assert not (folder / "epoch-000001.key").exists()


@pytest.mark.parametrize("value", ["1", "one:" + HEX[1], "1:abc", f"1:{HEX[1]}0", f"1:{'x' * 64}"])
def test_a_variable_of_another_form_is_refused_without_showing_it(folder, variable, monkeypatch, value):
    monkeypatch.setenv("STUDIO_EPOCH_KEYS", value)
    with pytest.raises(KeyFileError, match="STUDIO_EPOCH_KEYS") as caught:
        EpochKeys(folder).key(1)
    assert value.partition(":")[2] == "" or value.partition(":")[2] not in str(caught.value)


def test_a_command_is_asked_by_number_and_prints_nothing_for_a_key_that_is_gone(folder, command):
    (command / "1").write_text(HEX[1])
    keys = EpochKeys(folder)
    first = keys.key(1)
    assert keys.present() == [1]
    with pytest.raises(KeyFileError, match="no key of epoch 2"):
        keys.make(2)
    (command / "2").write_text(HEX[2])
    keys.make(2)
    assert not same(first, keys.key(2))
    assert EpochKeys(folder).before(3) == [1, 2]
    assert keys.destroy(1) is False
    (command / "1").unlink()
    assert keys.destroy(1) is True
    assert EpochKeys(folder).before(3) == [2]


@pytest.mark.parametrize("line", ["false", "/nonexistent/program", "echo not-a-key"])
def test_a_command_that_fails_is_not_taken_for_a_destroyed_key(folder, line):
    (folder / "epoch-000001.key").unlink()
    write_private(folder / "epoch-keys", f"command {line}\n".encode())
    for ask in (EpochKeys(folder).key, EpochKeys(folder).is_there):
        with pytest.raises(KeyFileError, match="print"):
            ask(1)


@pytest.mark.parametrize("line", [b"", b"env", b"file /somewhere", b"\xff"])
def test_a_source_of_another_form_is_refused(folder, line):
    write_private(folder / "epoch-keys", line)
    with pytest.raises(KeyFileError, match="env VARIABLE"):
        EpochKeys(folder).key(9)


def test_a_source_that_others_may_write_is_refused(folder):
    write_private(folder / "epoch-keys", b"command cat /etc/hostname")
    (folder / "epoch-keys").chmod(0o622)
    with pytest.raises(KeyFileError, match="accessible"):
        EpochKeys(folder).key(9)
