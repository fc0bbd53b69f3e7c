"""Splitting an input into events: the same ones in whatever pieces it arrives, with the lines on which they begin."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import EventError, LedgerError, MalformedEvent, OversizedEvent
from tools.cli import feed
from tools.cli.feed import Item, batches, whole


class Dripping(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self._step)


def items(data: bytes, step: int = 1 << 20) -> list[Item]:
    return [item for batch in batches(Dripping(data, step)) for item in batch]


LINE = st.binary(max_size=12).map(lambda data: data.replace(b"\n", b" "))


@given(st.lists(LINE, max_size=8), st.integers(1, 9), st.booleans())
def test_lines_come_out_as_they_went_in_with_their_numbers(lines: list[bytes], step: int, packed: bool) -> None:
    data = b"{" + b"\n".join(lines)
    expected = [Item(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip(b" \t\r\n")]
    assert items(gzip.compress(data) if packed else data, step) == expected


@given(
    st.lists(st.recursive(st.text() | st.integers() | st.none(), st.lists), max_size=6), st.integers(1, 9), st.data()
)
def test_elements_of_an_array_come_out_with_their_lines_and_paths(
    values: list[object], step: int, draw: st.DataObject
) -> None:
    space = st.text(" \t\r\n", max_size=3)
    text, lines = draw.draw(space) + "[", []
    for number, value in enumerate(values):
        text += ("," if number else "") + draw.draw(space)
        lines.append(text.count("\n") + 1)
        text += json.dumps(value, indent=draw.draw(st.sampled_from([None, 1]))) + draw.draw(space)
    found = items((text + "]" + draw.draw(space)).encode(), step)
    assert [(item.line, item.root) for item in found] == [(line, f"$[{at}]") for at, line in enumerate(lines)]
    assert [json.loads(item.content) for item in found if isinstance(item.content, bytes)] == values


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_a_line_above_the_limit_is_named_and_the_next_one_is_read(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(feed, "MAX_LINE", 10)
    first, second, third = items(b"0123456789\n01234567890\nx", step)
    assert (first, third) == (Item(1, b"0123456789"), Item(3, b"x"))
    assert second.line == 2
    assert isinstance(second.content, OversizedEvent)
    assert "takes 11 bytes" in second.content.detail


def test_a_line_without_end_takes_no_memory() -> None:
    class Endless(io.RawIOBase):
        left = 64 * 1024 * 1024

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
            size = min(len(buffer), self.left)
            buffer[:size] = b"x" * size
            self.left -= size
            return size

    tracemalloc.start()
    (batch,) = list(batches(io.BufferedReader(Endless())))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(batch[0].content, OversizedEvent)
    assert peak < 8 * 1024 * 1024


def test_a_batch_is_given_as_soon_as_its_lines_have_come() -> None:
    read: list[bytes] = []

    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            read.append(line := self.readline())
            return line

    stream: Iterator[list[Item]] = batches(Slow(b'{"a":1}\n{"b":2}\n{"c":3}\n'))
    assert next(stream) == [Item(1, b'{"a":1}')]
    assert len(read) == 1


def test_batches_are_bounded() -> None:
    sizes = [len(batch) for batch in batches(io.BytesIO(b"x\n" * 2_500))]
    assert (max(sizes), sum(sizes)) == (feed.BATCH, 2_500)


@pytest.mark.parametrize("data", [b"[1,2", b"[1 2]", b"[1]]", b"[\xff]", b"[" * 100_000, b"[1]\n{}"])
def test_a_broken_array_is_one_fault(data: bytes) -> None:
    (item,) = items(data)
    assert isinstance(item.content, EventError)


def test_the_fault_of_an_array_stands_on_its_line() -> None:
    (item,) = items(b"\n\n[1,\n2,\n\n oops]")
    assert (item.line, type(item.content)) == (6, MalformedEvent)


@given(st.binary(max_size=40), st.integers(1, 60))
def test_damaged_gzip_is_one_error_and_no_other(noise: bytes, cut: int) -> None:
    for data in (b"\x1f\x8b" + noise, gzip.compress(b"x\n" * 40)[:-1][:cut]):
        try:
            items(data)
        except LedgerError as error:
            assert "does not decompress" in str(error)  # noqa: PT017 - both endings are right, nothing else is


def test_what_is_held_whole_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_WHOLE", 10)
    assert len(whole(batches(io.BytesIO(b"01234\n56789\n")))) == 2
    with pytest.raises(OversizedEvent):
        whole(batches(io.BytesIO(b"01234\n56789\n0")))
    with pytest.raises(OversizedEvent):
        items(b"[1,2,3,4,5,6]")
