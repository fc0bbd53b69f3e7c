"""Canonical JSON: the one byte form of a value (RFC 8785, restricted).

Owns the restriction and its checks: no floats (decimals travel as strings), integers below 2^53 in size, ASCII keys, no
duplicate keys, valid Unicode, at most ``MAX_DEPTH`` levels. Under it ``orjson`` with sorted keys writes what RFC 8785
asks for; ``rfc8785`` is the oracle in the tests. Never hashes, never re-serialises stored bytes to verify them.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from ledger.errors import InvalidEvent, MalformedEvent

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32


def dumps(value: Any) -> bytes:
    """The canonical bytes of a JSON value (RFC 8785 section 3.2).

    Raises ``InvalidEvent`` with the JSON path of the first part that the restriction refuses.
    """
    check(value, "$")
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def loads(raw: bytes) -> Any:
    """The value of one JSON text, under the restriction. Accepts any spacing and key order.

    Raises ``MalformedEvent`` for what is not JSON or repeats a key, ``InvalidEvent`` for what the restriction refuses.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedEvent(f"not JSON: {error}") from None
    check(value, "$")  # before the other, which encodes the value again: orjson reads deeper than it writes
    refuse_duplicates(raw, orjson.dumps(value))
    return value


def check(value: Any, path: str, depth: int = 0) -> None:
    """Refuse what the restriction excludes, with the JSON path of the first fault; ``depth`` counts levels above.

    Raises ``InvalidEvent``.
    """
    if value is None or value is True or value is False:
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise InvalidEvent(f"expected an integer between -2^53 and 2^53, exclusive, got {value}", path)
    elif isinstance(value, float):
        raise InvalidEvent("expected no float", path, advice="send a decimal as a string")
    elif depth >= MAX_DEPTH:
        raise InvalidEvent(f"expected at most {MAX_DEPTH} levels", path)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not (isinstance(key, str) and key.isascii()):
                raise InvalidEvent(f"expected ASCII keys, got {key!r}", path)
            check(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check(item, f"{path}[{index}]", depth + 1)
    else:
        raise InvalidEvent(f"expected a JSON value, got {type(value).__name__}", path)


def _check_text(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidEvent("expected valid Unicode, got a lone surrogate", path) from None


def refuse_duplicates(raw: bytes, parsed: bytes) -> None:
    """Refuse ``raw`` if it repeats a key in an object; ``parsed`` is any re-encoding of what a parser made of it.

    Parsers keep one of two equal keys, so the re-encoding then holds fewer strings. Without escapes each string is two
    quotes, and counting them is exact; with escapes the text is parsed again by a slower parser that shows the pairs.
    Raises ``MalformedEvent`` with the path.
    """
    if raw.count(b'"') == parsed.count(b'"') and b"\\" not in raw:
        return
    path = _duplicate_path(json.loads(raw, object_pairs_hook=_Pairs), "$")
    if path is not None:
        raise MalformedEvent("this key stands twice in its object", path)


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, in order, duplicates kept."""


def _duplicate_path(value: Any, path: str) -> str | None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            here = f"{path}.{key}"
            if key in seen:
                return here
            seen.add(key)
            if (found := _duplicate_path(item, here)) is not None:
                return found
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if (found := _duplicate_path(item, f"{path}[{index}]")) is not None:
                return found
    return None
