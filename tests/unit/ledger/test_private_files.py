"""Lock files: one holder at a time, and nobody waits for one who does not let go."""

import threading
import time

import pytest

from ledger import private_files
from ledger.errors import StoreLocked
from ledger.private_files import locked


def test_a_lock_has_one_holder_at_a_time(tmp_path):
    inside, most = [], []

    def hold():
        for _ in range(20):
            with locked(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (80, 1)


def test_a_holder_who_does_not_let_go_is_not_waited_for_for_ever_and_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(private_files, "LOCK_SECONDS", 0.1)
    with locked(tmp_path / "lock"):
        with pytest.raises(StoreLocked, match=r"lock was locked for 0\.1 s") as caught, locked(tmp_path / "lock"):
            pytest.fail("both hold it")
        assert "which process holds it" in caught.value.advice
    with locked(tmp_path / "lock"):
        pass
