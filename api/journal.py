"""The server's own log: JSON lines, with no personal data in them.

Owns what a line may hold; ``api.outlet`` has them written, and nobody who tells something waits for that. A request is
told by its route's template, never by its path or query, where ids stand; an error by its class and the places it
passed, never by its message unless that is ours. Lines about requests are rendered and handed on in groups, at most a
fraction of a second late; all others at once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import traceback
from typing import Any

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from api.outlet import Outlet
from ledger.errors import LedgerError

_FRAMES = 8
_LATE_SECONDS = 0.2
_HELD = 256


class Journal:
    """Writes the log. ``request`` and ``flush`` belong to the event loop's thread; the rest may be called from any."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._held: list[dict[str, Any]] = []
        self._due = False
        self._logger: FilteringBoundLogger = structlog.wrap_logger(
            _Lines(outlet),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=lambda line, **_: orjson.dumps(line)),
            ],
            wrapper_class=structlog.make_filtering_bound_logger("info"),
            cache_logger_on_first_use=True,
        )

    def request(self, line: dict[str, Any]) -> None:
        """Tell of an answered request."""
        line["timestamp"] = dt.datetime.now(dt.UTC)
        self._held.append(line)
        if len(self._held) >= _HELD:
            self.flush()
        elif not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(_LATE_SECONDS, self.flush)

    def alarm(self, ledger: str, message: str) -> None:
        """Tell of something that a ledger's operator should look at."""
        self._logger.warning("alarm", ledger=ledger, message=message)

    def fault(self, request_id: str, error: BaseException) -> None:
        """Tell of a fault of ours: its class, where it passed, and its message only where that is ours."""
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        passed = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        told = {"message": str(error)} if isinstance(error, LedgerError) else {}
        self._logger.error("fault", request_id=request_id, error=type(error).__name__, **told, passed=passed)

    def flush(self) -> None:
        """Hand on the lines that are held."""
        self._due = False
        held, self._held = self._held, []
        if not held:
            return
        lines = b"".join([orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z) for line in held])
        self._outlet.write(lines, common=True)


class _Lines:
    """The end of structlog's chain: takes a rendered line."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    def msg(self, line: bytes) -> None:
        """Hand it on."""
        self._outlet.write(line + b"\n")

    warning = error = msg
