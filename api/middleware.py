"""What surrounds every request: an id, safe headers, a line in the log, and no unhandled fault.

Owns ``X-Request-Id``, the security headers and the access log. Plain ASGI: a request's body and answer pass through
untouched, and an answer that has begun is never replaced.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.journal import Journal
from api.security import CREDENTIAL
from api.settings import Settings

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_BOOT = os.urandom(8).hex()
_numbers = itertools.count(1)
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NO_STORE = (b"cache-control", b"no-store")
_NOBODY_THERE = 499
"""What the log says of a request whose caller went away before its body was whole."""


class Surroundings:
    """ASGI middleware; see the module. ``templates`` gives the path template of each handler, for the log."""

    def __init__(self, app: ASGIApp, settings: Settings, journal: Journal, templates: Mapping[Any, str]) -> None:
        self._app = app
        self._journal = journal
        self._templates = templates
        self._log_from = {"all": 0, "faults": 400, "none": 600}[settings.access_log]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; other scopes (lifespan) pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope)
        scope[problems.REQUEST_ID] = request_id
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                for name, _ in headers:
                    if name == b"cache-control":
                        break
                else:
                    headers.append(_NO_STORE)
                headers += SECURITY_HEADERS
                headers.append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = _NOBODY_THERE
        except Exception as error:  # noqa: BLE001 - the last place to answer in our own form
            self._journal.fault(request_id, error)
            if not status:
                await problems.response(error, request_id)(scope, receive, send_with_headers)
        if status >= self._log_from:
            self._write(scope, status, began, request_id)

    def _write(self, scope: Scope, status: int, began: float, request_id: str) -> None:
        self._journal.request(
            {
                "event": "request",
                "request_id": request_id,
                "method": scope["method"],
                "route": self._templates.get(scope.get("endpoint")),
                "status": status,
                "milliseconds": round((time.perf_counter() - began) * 1000, 2),
                "credential": scope.get(CREDENTIAL),
            }
        )


def _request_id(scope: Scope) -> str:
    """The caller's own id when it is harmless, else a fresh one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value).decode("ascii")
    return f"{_BOOT}-{next(_numbers)}"
