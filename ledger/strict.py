"""Strict readers of the pieces that signed texts are made of: lines, decimals, base64.

Owns the rule that a value has one spelling, which Python's own readers don't keep: ``int()`` takes ``+7``, ``1_000``
and ``٧``, ``b64decode()`` takes needless padding and non-zero pad bits, ``splitlines()`` divides at ten other
characters. Never guesses or repairs. Every reader raises ``ValueError`` with the fault; its caller gives that an error
of its own.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode

MAX_INTEGER = (1 << 63) - 1
"""Largest size, index or time that a text may hold."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_FORBIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")


def read_lines(text: str) -> list[str]:
    """Lines of a text, without their newlines (U+000A alone); the last one has to end in one too."""
    if not text.endswith("\n"):
        raise ValueError("the last line does not end in a newline")
    return text[:-1].split("\n")


def read_decimal(text: str) -> int:
    """A number in ASCII digits, without sign or leading zeros, at most ``MAX_INTEGER``."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_INTEGER:
        raise ValueError(f"{_excerpt(text)} is not a decimal number from 0 to {MAX_INTEGER}")
    return int(text)


def read_base64(text: str) -> bytes:
    """Bytes of their one spelling in base64 (RFC 4648 section 4): padded, pad bits zero, nothing between."""
    try:
        data = b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # ValueError for what is not ASCII
        raise ValueError(f"{_excerpt(text)} is not base64") from None
    if write_base64(data) != text:
        raise ValueError(f"{_excerpt(text)} is not the one base64 spelling of its bytes")
    return data


def write_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return b64encode(data).decode("ascii")


def check_no_control(text: str) -> None:
    """Refuse characters below U+0020 other than the newline (signed-note, "Format"), and lone surrogates."""
    found = _FORBIDDEN.search(text)
    if found:
        raise ValueError(f"it holds U+{ord(found[0]):04X}, a control character or lone surrogate")


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
