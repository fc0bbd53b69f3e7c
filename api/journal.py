"""The server's own log: JSON lines on standard error, with no personal data in them.

Owns what a line may hold. A request is told by its route's template, never by its path or query, where ids stand; an
error by its class and the places it passed, never by its message, which may quote a value.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from ledger.errors import LedgerError

_FRAMES = 8


def make_journal() -> FilteringBoundLogger:
    """A logger that writes one JSON object a line, with a UTC timestamp and a level."""
    journal: FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(sys.stderr.buffer),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=lambda line, **_: orjson.dumps(line)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        cache_logger_on_first_use=True,
    )
    return journal


def fault_of(error: BaseException) -> dict[str, Any]:
    """What a line may say of an error: class, where it passed, and the message only where it is ours."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    told: dict[str, Any] = {
        "error": type(error).__name__,
        "passed": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, LedgerError):
        told["message"] = str(error)
    return told
