import errno

import pytest

from tools.files import written


def half_written(path):
    with written(path) as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_with_the_name_of_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "some.file"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left") as raised:
        half_written(path)
    assert raised.value.filename == str(path)
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"old"]
