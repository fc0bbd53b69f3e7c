"""What a web server serves of a vault: read by anybody, with no credentials, and never written.

Owns the client's settings (time limits, retries) and the translation of its errors. A server that tells nobody whether
an object is there, as a public bucket that may not be listed, answers 403 for one that is not: that is taken so.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from urllib.parse import urlsplit

import urllib3

from tools.vaults.protocol import Oversized, VaultDenied, VaultError, VaultUnreachable, check_key

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
OBJECT_SECONDS = 120.0
"""For one object in all, however slowly it comes."""
CONNECTIONS = 16
_PART = 64 * 1024
_RETRIES = urllib3.Retry(
    total=3,
    redirect=3,
    backoff_factor=0.3,
    status_forcelist=[429, 500, 502, 503, 504],
    raise_on_status=False,
    respect_retry_after_header=False,  # a server may ask for hours: whoever waits decides that, not it
)
_NOT_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN)


class WebReader:
    """Objects below a URL. Safe for use from several threads."""

    def __init__(self, url: str) -> None:
        """Nothing is asked of the server yet. Raises ``ValueError``."""
        parts = urlsplit(url)
        if parts.username is not None:
            raise ValueError("the URL of a publication holds no credentials: it is read as anybody reads it")
        if parts.query or parts.fragment:  # neither is shown: a query may be a signature that grants access
            raise ValueError(f"the URL of a publication holds no ? and no #: that of {parts.hostname} does")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not the URL of a publication, such as https://log.example/studio: {url[:200]!r}")
        self.place = url.rstrip("/")
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), maxsize=CONNECTIONS, retries=_RETRIES
        )

    def get(self, key: str, most: int) -> bytes | None:
        """An object's content; None when there is none to be had. Raises as ``Reader.get`` does."""
        check_key(key)
        try:
            answer = self._pool.request("GET", f"{self.place}/{key}", preload_content=False)
            try:
                if answer.status in _NOT_THERE:
                    return None
                if answer.status != HTTPStatus.OK:
                    raise self._refusal(key, answer.status)
                return self._read(answer, key, most)
            finally:
                answer.close()  # and with it the connection, if there is more on it
                answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            reason = str(getattr(error, "reason", None) or error).rpartition(": ")[2]
            raise VaultUnreachable(
                f"{self.place} can't be reached: {reason}", advice="see that the URL is right and the network is there"
            ) from None

    def _read(self, answer: urllib3.BaseHTTPResponse, key: str, most: int) -> bytes:
        until = time.monotonic() + OBJECT_SECONDS
        content = b""
        # What has come, not all of a part: a server that sends a byte now and then would hold one for days.
        while part := answer.read1(min(_PART, most + 1 - len(content))):
            content += part
            if len(content) > most:
                raise Oversized(self.place, key, most)
            if time.monotonic() > until:
                raise VaultUnreachable(
                    f"{self.place}: {key} took more than {OBJECT_SECONDS:g} s", advice="try again when it is less busy"
                )
        return content

    def _refusal(self, key: str, status: int) -> VaultError:
        if status == HTTPStatus.UNAUTHORIZED:
            return VaultDenied(
                f"{self.place}: {key} is not for anybody to read", advice="ask its operator, or use s3://"
            )
        kind = VaultUnreachable if status >= HTTPStatus.INTERNAL_SERVER_ERROR else VaultError
        return kind(f"{self.place}: {key}: the server answers {status}", advice="see that the URL is right")
