"""A read of standard input is ended by an interrupt, also by one that interrupts no system call of the reader."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import pytest

from tools.cli.input import interruptible

TOO_LONG = 20


class Pipe(NamedTuple):
    reads: BinaryIO
    write: int


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reads:
        yield Pipe(reads, write)
    os.close(write)


def signal_elsewhere(number: int) -> None:
    """A signal that arrives in another thread: like one that comes before the read, it interrupts none of ours."""
    thread = threading.Timer(0.05, lambda: signal.pthread_kill(threading.get_ident(), number))
    thread.start()


def test_an_interrupt_ends_a_read_whose_system_call_it_does_not_interrupt(pipe: Pipe) -> None:
    late = threading.Timer(TOO_LONG, os.write, (pipe.write, b"late"))
    late.start()
    try:
        with interruptible(pipe.reads) as source:

            def interrupted() -> None:
                signal_elsewhere(signal.SIGINT)  # however slow we are, it can't come before it is expected
                source.read(4)

            with pytest.raises(KeyboardInterrupt):
                interrupted()
        assert late.is_alive(), "the read ended only when something came"
    finally:
        late.cancel()
        late.join()


def test_a_signal_that_ends_nothing_is_handled_and_the_read_goes_on(pipe: Pipe) -> None:
    came = []

    def handle(number: int, _: object) -> None:
        came.append(number)
        os.write(pipe.write, b"after it")

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with interruptible(pipe.reads) as source:
            signal_elsewhere(signal.SIGUSR1)
            assert source.read(8) == b"after it"
        assert came == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_is_read_is_what_was_written_up_to_its_end() -> None:
    read, write = os.pipe()

    def write_and_close() -> None:
        with os.fdopen(write, "wb") as writes:
            writes.write(bytes(1_000_000) + b"end")

    writer = threading.Thread(target=write_and_close)
    writer.start()
    with os.fdopen(read, "rb") as reads, interruptible(reads) as source:
        assert source.read() == bytes(1_000_000) + b"end"
    writer.join()


def test_it_leaves_the_stream_open_and_the_signals_as_they_were(pipe: Pipe) -> None:
    with interruptible(pipe.reads):
        pass
    os.write(pipe.write, b"x")
    assert pipe.reads.read(1) == b"x"
    assert signal.set_wakeup_fd(-1) == -1


def test_a_stream_without_a_descriptor_is_read_as_it_is() -> None:
    stream = io.BytesIO(b"abc")
    with interruptible(stream) as source:
        assert source is stream
