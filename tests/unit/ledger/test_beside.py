"""A process that is started beside this one: what it serves, how it ends, and what is left when it can't begin."""

import subprocess
import sys
from pathlib import Path

import pytest

from ledger import beside

ECHO = """
from multiprocessing.connection import Connection

def serve(line):
    with Connection(line) as asked:
        while message := asked.recv_bytes():
            asked.send_bytes(message)
"""


@pytest.fixture
def echo(tmp_path, monkeypatch):
    """The name of a module whose ``serve`` answers what it is asked; an empty question ends it."""
    (tmp_path / "echo_beside.py").write_text(ECHO)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return "echo_beside"


def test_it_serves_on_its_line_and_ends_when_it_is_told_to(echo):
    line, process = beside.start(echo)
    with line:
        line.send_bytes(b"hello")
        assert line.recv_bytes() == b"hello"
        line.send_bytes(b"")
        beside.end(process)
    assert process.returncode == 0
    beside.end(process)


def test_one_that_does_not_end_is_ended(echo, monkeypatch):
    monkeypatch.setattr(beside, "END_SECONDS", 0.1)
    line, process = beside.start(echo)
    with line:
        beside.end(process)
    assert process.returncode < 0


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux lists the descriptors of a process there")
def test_where_there_is_no_room_for_it_nothing_is_left_open(monkeypatch):
    def refuse(*_, **__):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(BlockingIOError):
        beside.start("anything")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
