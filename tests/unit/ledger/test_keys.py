import errno
import os
import pickle

import pytest

from ledger import private_files
from ledger.errors import KeyFileError, StoreFull
from ledger.keys import Keys
from ledger.private_files import read_private, write_private
from tests.support.events import ORIGIN

FILES = ["ed25519.seed", "ml-dsa-44.seed", "epoch-000001.key"]
OTHERS = ["last-checkpoint", "credentials.json", "epoch-keys", "next-ed25519.seed", "anything-else"]


@pytest.fixture
def folder(tmp_path):
    Keys.create(tmp_path / "keys", ORIGIN)
    return tmp_path / "keys"


def modes(folder):
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


class TestFolder:
    def test_is_made_for_its_owner_alone_whatever_the_umask(self, tmp_path):
        before = os.umask(0)
        try:
            Keys.create(tmp_path / "keys", ORIGIN)
        finally:
            os.umask(before)
        assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
        assert modes(tmp_path / "keys") == dict.fromkeys(FILES, 0o600)

    def test_opens_again_with_the_same_keys(self, folder):
        one, two = Keys(folder, ORIGIN), Keys(folder, ORIGIN)
        assert one.verifier_keys == two.verifier_keys
        assert [key.name for key in one.verifier_keys] == [ORIGIN, ORIGIN]
        nonce, bound = bytes(12), b"x"
        assert two.epoch_key(1).decrypt(nonce, one.epoch_key(1).encrypt(nonce, b"secret", bound), bound) == b"secret"

    def test_is_never_made_over_another(self, folder):
        with pytest.raises(FileExistsError):
            Keys.create(folder, ORIGIN)

    def test_holds_different_keys_each_time(self, tmp_path, folder):
        Keys.create(tmp_path / "other", ORIGIN)
        secrets = [(each / name).read_bytes() for each in (folder, tmp_path / "other") for name in FILES]
        assert len(set(secrets)) == 6

    @pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o770, 0o704])
    def test_is_refused_when_others_may_enter(self, folder, mode):
        folder.chmod(mode)
        with pytest.raises(KeyFileError, match="accessible to others") as caught:
            Keys(folder, ORIGIN)
        assert "chmod 700" in caught.value.advice

    def test_is_refused_when_it_is_missing_or_a_file(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        for name in ("nowhere", "file"):
            with pytest.raises(KeyFileError, match="missing"):
                Keys(tmp_path / name, ORIGIN)


class TestFiles:
    @pytest.mark.parametrize("name", FILES[:2])
    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601, 0o666])
    def test_are_refused_when_others_may_touch_them(self, folder, name, mode):
        (folder / name).chmod(mode)
        with pytest.raises(KeyFileError, match="accessible to others"):
            Keys(folder, ORIGIN)

    @pytest.mark.parametrize("name", FILES[:2])
    @pytest.mark.parametrize(
        "content", [b"", b"\n", b"00" * 31, b"00" * 33, b"zz" * 32, b"\xff" * 64, b"0" * 63, b"\0" * 64]
    )
    def test_are_refused_when_damaged_without_showing_their_content(self, folder, name, content):
        (folder / name).write_bytes(content)
        with pytest.raises(KeyFileError, match="damaged") as caught:
            Keys(folder, ORIGIN)
        assert name in str(caught.value)
        assert caught.value.__cause__ is None
        assert len(content) < 3 or content.decode("latin-1") not in f"{caught.value}{caught.value.advice}"

    @pytest.mark.parametrize("name", FILES[:2])
    def test_are_refused_when_missing(self, folder, name):
        (folder / name).unlink()
        with pytest.raises(KeyFileError, match="missing"):
            Keys(folder, ORIGIN)

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o602])
    @pytest.mark.parametrize("name", [*FILES, *OTHERS])
    def test_of_any_kind_are_looked_at_when_the_folder_is_opened(self, folder, name, mode):
        write_private(folder / name, (folder / name).read_bytes() if name in FILES else b"{}")
        (folder / name).chmod(mode)
        with pytest.raises(KeyFileError, match=f"{name} is accessible to others") as caught:
            Keys(folder, ORIGIN)
        assert caught.value.advice == f"chmod 600 {folder / name}"
        (folder / name).chmod(0o400)
        assert Keys(folder, ORIGIN).verifier_keys

    @pytest.mark.parametrize("name", [*FILES, *OTHERS])
    def test_that_are_links_are_refused_whatever_they_lead_to(self, folder, tmp_path, name):
        write_private(tmp_path / "elsewhere", (folder / name).read_bytes() if name in FILES else b"{}")
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(KeyFileError, match=f"{name} is a symbolic link"):
            Keys(folder, ORIGIN)
        with pytest.raises(KeyFileError, match="symbolic link"):
            read_private(folder / name)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    @pytest.mark.parametrize("name", [".", *FILES, *OTHERS])
    def test_of_somebody_else_are_refused(self, folder, name):
        if name not in (".", *FILES):
            write_private(folder / name, b"{}")
        os.chown(folder / name, 12_345, -1)
        with pytest.raises(KeyFileError, match="belongs to the user 12345, and this runs as 0") as caught:
            Keys(folder, ORIGIN)
        assert f"chown 0 {folder / name}" in caught.value.advice

    def test_in_folders_within_are_left_alone_if_the_folder_is_closed(self, folder):
        (folder / "old").mkdir(mode=0o755)
        with pytest.raises(KeyFileError, match="old is accessible to others") as caught:
            Keys(folder, ORIGIN)
        assert caught.value.advice == f"chmod 700 {folder / 'old'}"
        (folder / "old").chmod(0o700)
        Keys(folder, ORIGIN)

    def test_of_a_missing_epoch_are_missed_when_it_is_used(self, folder):
        keys = Keys(folder, ORIGIN)
        with pytest.raises(KeyFileError, match="epoch-000002"):
            keys.epoch_key(2)
        (folder / "epoch-000001.key").chmod(0o644)
        with pytest.raises(KeyFileError, match="accessible"):
            keys.epoch_key(1)

    def test_epochs_are_those_whose_files_are_there(self, folder):
        for name in (
            "epoch-000012.key",
            "epoch-1.key",
            "epoch-000003.key.bak",
            "xepoch-000004.key",
            ".epoch-000005.key.1.ab",
        ):
            write_private(folder / name, b"00" * 32)
        assert Keys(folder, ORIGIN).epochs() == [1, 12]

    def test_secrets_show_in_no_repr(self, folder):
        keys = Keys(folder, ORIGIN)
        shown = f"{keys!r} {keys} {keys.signers!r} {keys.verifier_keys!r} {vars(keys)!r}"
        for name in FILES:
            secret = (folder / name).read_text().strip()
            assert secret not in shown
            assert repr(bytes.fromhex(secret)) not in shown

    def test_keys_do_not_travel_by_pickle(self, folder):
        keys = Keys(folder, ORIGIN)
        keys.epoch_key(1)
        with pytest.raises(TypeError):
            pickle.dumps(keys)


class TestPrivateFiles:
    def test_come_back_as_written_and_private(self, tmp_path):
        write_private(tmp_path / "x", b"one")
        write_private(tmp_path / "x", b"two")
        assert read_private(tmp_path / "x") == b"two"
        assert modes(tmp_path) == {"x": 0o600}

    def test_replace_an_open_one_with_a_private_one(self, tmp_path):
        (tmp_path / "x").write_bytes(b"old")
        (tmp_path / "x").chmod(0o666)
        write_private(tmp_path / "x", b"new")
        assert modes(tmp_path) == {"x": 0o600}

    @pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StoreFull), (errno.EIO, KeyFileError)])
    def test_stay_whole_when_writing_fails(self, tmp_path, monkeypatch, number, kind):
        write_private(tmp_path / "x", b"one")
        monkeypatch.setattr(private_files.os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(number, "no")))
        with pytest.raises(kind, match="x"):
            write_private(tmp_path / "x", b"two")
        assert read_private(tmp_path / "x") == b"one"
        assert list(modes(tmp_path)) == ["x"]

    def test_that_are_missing_say_so(self, tmp_path):
        with pytest.raises(KeyFileError, match="missing"):
            read_private(tmp_path / "x")
