"""Looks for a name in files, in every encoding in which it could stand there.

Owns no fixtures and no assertions. Plain, in hex, in base64 at each offset, in UTF-16 and others, and all of these
inside zlib and gzip streams.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LONGEST_STREAM = 4_000_000
"""Bytes of a compressed stream that are looked into."""


def spellings(name: str) -> dict[str, bytes]:
    """A name as bytes in every encoding in which it could stand somewhere."""
    found = {"hex": name.encode().hex().encode(), "json": json.dumps(name).encode()}
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "latin-1"):
        plain = name.encode(encoding, "replace")
        found[encoding] = plain
        found[f"{encoding}, hex"] = plain.hex().encode()
        found[f"{encoding}, HEX"] = plain.hex().upper().encode()
        for offset in range(3):
            for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
                coded = alphabet(b"\0" * offset + plain)
                found[f"{encoding}, {alphabet.__name__} at {offset}"] = coded[
                    4 if offset else 0 : len(coded) // 4 * 4 - 8
                ]
    return found


def inflated(content: bytes) -> Iterator[bytes]:
    """What every zlib, gzip or raw deflate stream in the content holds, wherever it begins."""
    for magic in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b\x08"):
        at = content.find(magic)
        while at >= 0:
            with suppress(zlib.error):
                yield zlib.decompressobj(47).decompress(content[at : at + LONGEST_STREAM])
            at = content.find(magic, at + 1)


def traces(folder: Path, name: str) -> list[tuple[str, str]]:
    """Where a name stands below a folder: (file, spelling)."""
    wanted = spellings(name)
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for part in (content, *inflated(content)):
                found += [(path.name, how) for how, spelled in wanted.items() if spelled in part]
    return found
