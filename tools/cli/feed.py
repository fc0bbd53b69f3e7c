"""Events from a file or a pipe: lines of NDJSON or the elements of one JSON array, either also compressed with gzip.

Owns decompression, splitting and line numbers. Never reads an event's content: that is ``ledger.event``'s to judge.
NDJSON streams in bounded memory, batch by batch, as soon as the source gives something; a line above ``MAX_LINE`` is
reported without being held. An array is read whole, up to ``MAX_WHOLE`` bytes. Blank lines and a UTF-8 byte order mark
at the very start are skipped (RFC 8259 section 8.1 lets a reader ignore it).
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple, cast

import msgspec

from ledger.errors import EventError, LedgerError, OversizedEvent
from ledger.event import MAX_EVENT_BODY, fault

MAX_LINE = MAX_EVENT_BODY
"""Bytes of one line of NDJSON."""
MAX_WHOLE = 128 * 1024 * 1024
"""Bytes of an input that has to be held as a whole: a JSON array, or anything atomic."""
BATCH = 1_000
"""Events that are handed on together, at most."""
_CHUNK = 512 * 1024
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_BYTE = re.compile(r" \(byte (\d+)\)$")


class Item(NamedTuple):
    """One event of the input: its bytes, or what is wrong with them; ``line`` counts from 1, where it begins.

    ``root`` is the JSON path of the event in its document: ``$`` on a line of its own, ``$[2]`` in an array.
    """

    line: int
    content: bytes | EventError
    root: str = "$"


def batches(source: BinaryIO) -> Iterator[list[Item]]:
    """The events of a source in order, in batches of 1 to ``BATCH``.

    Raises ``LedgerError`` when the source can't be decompressed; a fault of one event is an item.
    """
    chunks = _chunks(source)
    line, head = 1, b""
    for chunk in chunks:
        head = chunk.lstrip(_SPACE)
        line += chunk.count(b"\n", 0, len(chunk) - len(head))
        if head:
            break
    split = _elements if head.startswith(b"[") else _lines
    return split(line, chain([head], chunks))


def whole(parts: Iterable[list[Item]]) -> list[Item]:
    """All items at once, for an atomic request. Raises ``OversizedEvent`` above ``MAX_WHOLE`` bytes."""
    items: list[Item] = []
    size = 0
    for batch in parts:
        size += sum(len(item.content) for item in batch if isinstance(item.content, bytes))
        if size > MAX_WHOLE:
            raise _too_large("an atomic request")
        items += batch
    return items


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    """The bytes of a source, decompressed if need be, without a byte order mark, as soon as there are any."""
    try:
        start = source.read(len(_BYTE_ORDER_MARK))
        if start.startswith(_GZIP):
            rest = io.BufferedReader(_Rejoined(start, source), _CHUNK)
            source = cast("BinaryIO", gzip.GzipFile(fileobj=rest))
            start = source.read(len(_BYTE_ORDER_MARK))
        yield start.removeprefix(_BYTE_ORDER_MARK)
        while chunk := cast("io.BufferedReader", source).read1(_CHUNK):
            yield chunk
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise LedgerError(
            f"the input is damaged or cut off, it does not decompress: {error}",
            advice="what was read until there has been appended; repair it and run again, nothing is counted twice",
        ) from None


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes were read already, and are given again."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._start or cast("io.BufferedReader", self._rest).read1(len(buffer))
        given = data[: len(buffer)]
        self._start = data[len(given) :]
        buffer[: len(given)] = given
        return len(given)


class _Unfinished:
    """The part of a line that was read already; let go of, but counted, above ``MAX_LINE``."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        self.size += len(part)
        if self.size <= MAX_LINE:
            self._parts.append(part)
        else:
            self._parts.clear()

    def end(self, line: int) -> Item | None:
        """The line as an item, or None if it is blank; begins the next one."""
        content: bytes | EventError = b"".join(self._parts)
        if self.size > MAX_LINE:
            content = OversizedEvent(
                f"the line takes {self.size:,} bytes, of at most {MAX_LINE:,}", advice="put one event on each line"
            )
        elif not cast("bytes", content).strip(_SPACE):
            content = b""
        self.size = 0
        self._parts.clear()
        return Item(line, content) if content else None


def _lines(line: int, chunks: Iterable[bytes]) -> Iterator[list[Item]]:
    unfinished = _Unfinished()
    for chunk in chunks:
        items: list[Item] = []
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            unfinished.add(part)
            if (item := unfinished.end(line)) is not None:
                items.append(item)
            line += 1
        unfinished.add(rest)
        yield from _parts(items)
    if (item := unfinished.end(line)) is not None:
        yield [item]


def _elements(line: int, chunks: Iterable[bytes]) -> Iterator[list[Item]]:
    document = bytearray()
    for chunk in chunks:
        document += chunk
        if len(document) > MAX_WHOLE:
            raise _too_large("a JSON array")
    data = bytes(document)
    document.clear()
    try:
        elements = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        at = _BYTE.search(str(error))
        yield [Item(line + data.count(b"\n", 0, int(at[1]) if at else 0), fault(error))]
        return
    items: list[Item] = []
    end = 0
    for index, element in enumerate(elements):
        raw = bytes(element)
        start = data.index(raw, end)  # only space and commas lie between, so this is the place
        line += data.count(b"\n", end, start)
        items.append(Item(line, raw, f"$[{index}]"))
        end = start + len(raw)
        line += raw.count(b"\n")
    yield from _parts(items)


def _parts(items: list[Item]) -> Iterator[list[Item]]:
    return (items[at : at + BATCH] for at in range(0, len(items), BATCH))


def _too_large(what: str) -> OversizedEvent:
    return OversizedEvent(
        f"{what} is held in memory, and so may take at most {MAX_WHOLE:,} bytes",
        advice="send lines of NDJSON without --atomic: those are read one by one",
    )
