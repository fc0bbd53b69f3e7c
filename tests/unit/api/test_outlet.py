"""What a server tells never holds it: nobody waits for who reads, lines stay whole, and what is dropped is told."""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from api import outlet as outlets
from api.outlet import Handler, Outlet

PIPE = 64 * 1024
"""Bytes that a pipe holds, by Linux's default."""


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        os.close(end)


def read_all(reading: int, outlet: Outlet) -> bytes:
    """What comes out until all is written."""
    os.set_blocking(reading, False)
    read = b""
    while not outlet.drain(0.01):
        try:
            read += os.read(reading, PIPE)
        except BlockingIOError:
            continue
    try:
        while part := os.read(reading, PIPE):
            read += part
    except BlockingIOError:
        return read
    return read


def test_lines_come_out_whole_and_in_their_order(pipe):
    reading, writing = pipe
    outlet = Outlet(writing)
    for number in range(1000):
        outlet.write(b"%d\n" % number)
    assert outlet.drain(10)
    assert os.read(reading, PIPE) == b"".join(b"%d\n" % number for number in range(1000))


def test_of_threads_that_write_at_once_no_line_is_torn(pipe):
    reading, writing = pipe
    outlet = Outlet(writing)
    lines = [b"%d " % number * 500 + b"\n" for number in range(8)]

    def write(line: bytes) -> None:
        for _ in range(10):
            outlet.write(line)

    threads = [threading.Thread(target=write, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_all(reading, outlet).splitlines(keepends=True)) == sorted(lines * 10)


def test_nobody_waits_for_a_reader_who_stands_still_and_what_was_dropped_is_told_when_there_is_room(pipe):
    reading, writing = pipe
    outlet = Outlet(writing, room=PIPE)
    lines = [b"%06d %s\n" % (number, b"x" * 100) for number in range(3000)]  # twice what pipe and room hold together
    for line in lines:
        outlet.write(line)
    assert not outlet.drain(0)
    came = read_all(reading, outlet).splitlines(keepends=True)
    told = [json.loads(line) for line in came if line.startswith(b"{")]  # twice where the thread was late to begin
    read = [line for line in came if not line.startswith(b"{")]
    assert read == sorted(set(read) & set(lines))
    assert {(line["event"], line["level"]) for line in told} == {("dropped", "warning")}
    assert len(read) + sum(line["lines"] for line in told) == len(lines)
    assert read
    outlet.write(b"after\n")
    assert read_all(reading, outlet) == b"after\n"


def test_common_lines_leave_room_for_others(pipe):
    reading, writing = pipe
    outlet = Outlet(writing, room=PIPE)
    for _ in range(3000):
        outlet.write(b"common %s\n" % (b"x" * 100), common=True)
    outlet.write(b"alarm\n")
    assert b"\nalarm\n" in read_all(reading, outlet)


def test_one_that_is_larger_than_the_room_is_taken_when_nothing_else_waits(pipe):
    reading, writing = pipe
    outlet = Outlet(writing, room=10)
    outlet.write(b"x" * 100 + b"\n")
    assert read_all(reading, outlet) == b"x" * 100 + b"\n"


def test_a_pipe_that_does_not_block_gets_all_of_it(pipe):
    reading, writing = pipe
    os.set_blocking(writing, False)
    outlet = Outlet(writing)
    lines = b"x" * 99 + b"\n"
    outlet.write(lines * 3000)
    assert read_all(reading, outlet) == lines * 3000


def test_a_reader_who_is_gone_is_no_fault(pipe):
    _, writing = pipe
    mine, theirs = os.pipe()
    os.close(mine)
    outlet = Outlet(theirs)
    for _ in range(3):
        outlet.write(b"nobody hears\n")
        assert outlet.drain(10)
    os.dup2(writing, theirs)
    outlet.write(b"somebody\n")
    assert outlet.drain(10)
    first, told = os.read(pipe[0], PIPE).splitlines()
    assert (first, json.loads(told)["lines"]) == (b"somebody", 3)
    os.close(theirs)


def test_what_libraries_log_goes_the_same_way_with_its_traceback(pipe, monkeypatch):
    reading, writing = pipe
    outlet = Outlet(writing)
    monkeypatch.setattr(outlets, "standard_error", lambda: outlet)
    logger = logging.getLogger("tests.outlet")
    logger.propagate = False
    logger.addHandler(handler := Handler())
    try:
        raise ValueError("\udcff")  # as of a path that is no UTF-8
    except ValueError:
        logger.exception("it failed: %s", "why")
    finally:
        logger.removeHandler(handler)
    told = read_all(reading, outlet)
    assert told.startswith(b"it failed: why\nTraceback")
    assert told.endswith(b"ValueError: \\udcff\n")


def test_a_process_that_ends_has_told_everything():
    program = "from api.outlet import standard_error; [standard_error().write(b'%d\\n' % n) for n in range(9000)]"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, check=True, timeout=60
    )
    assert done.stderr == b"".join(b"%d\n" % number for number in range(9000))


def test_a_process_without_a_standard_error_writes_into_no_other_file(tmp_path):
    program = (
        "import os, sys; second = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY); assert second == 2;"
        "from api.outlet import standard_error; standard_error().write(b'told\\n'); assert standard_error().drain()"
    )
    command = ["sh", "-c", 'exec "$0" -c "$1" "$2" 2>&-', sys.executable, program, tmp_path / "key"]
    assert subprocess.run(command, cwd=Path(__file__).parents[3], check=False, timeout=60).returncode == 0
    assert (tmp_path / "key").read_bytes() == b""
