"""A vault that is a part of an S3 bucket.

Owns the client's settings (endpoint, credentials, region, time limits), the translation of its errors, and the header
that keeps an object from being replaced where the server heeds it. The ``minio`` SDK signs and sends. Never makes or
changes a bucket, and never shows a secret.

Credentials are read from the environment at each start: ``CONTINUITY_S3_ACCESS_KEY`` and ``CONTINUITY_S3_SECRET_KEY``,
else those that AWS's own tools use (``AWS_ACCESS_KEY_ID`` and so on, or the profile in ``~/.aws/credentials``).
"""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider, Provider, StaticProvider
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from tools.vaults.protocol import (
    Kind,
    Oversized,
    VaultDenied,
    VaultError,
    VaultFull,
    VaultMissing,
    VaultUnreachable,
    check_key,
)

ENDPOINT = "https://s3.amazonaws.com"
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
"""A server whose disks are full may not answer a put at all."""
CONNECTIONS = 16
_PART = 64 * 1024 * 1024
"""Above this size the SDK would send an object in parts. None that is made here is as large, and one request is all or
nothing."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RETRIES = urllib3.Retry(
    total=3, read=0, backoff_factor=0.3, status_forcelist=[500, 502, 503, 504], raise_on_status=False
)

_DENIED = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    }
)
_AGAIN = frozenset({"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling"})
_NOT_THERE = frozenset({"NoSuchKey", "NoSuchObject"})
_FULL = frozenset({"QuotaExceeded", "StorageFull", "XMinioStorageFull"})


class S3Access(NamedTuple):
    """How an S3 server is reached: the URL of its endpoint, its region, and who vouches for the requests."""

    endpoint: str
    region: str | None
    credentials: Provider

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, endpoint: str | None = None) -> S3Access:
        """Read the environment; an ``endpoint`` given wins over the one there. Raises ``ValueError``."""
        of = environment.get
        url = endpoint or of("CONTINUITY_S3_ENDPOINT") or of("AWS_ENDPOINT_URL_S3") or of("AWS_ENDPOINT_URL")
        key, secret = of("CONTINUITY_S3_ACCESS_KEY"), of("CONTINUITY_S3_SECRET_KEY")
        if bool(key) != bool(secret):
            raise ValueError("CONTINUITY_S3_ACCESS_KEY and CONTINUITY_S3_SECRET_KEY must both be set, or neither")
        providers: list[Provider] = [EnvAWSProvider(), AWSConfigProvider()]
        if key and secret:
            providers = [StaticProvider(key, secret)]
        region = of("CONTINUITY_S3_REGION") or of("AWS_REGION") or of("AWS_DEFAULT_REGION")
        return cls(_checked_endpoint(url or ENDPOINT), region, ChainedProvider(providers))


class S3Vault:
    """What lies under a prefix of a bucket, as a vault."""

    def __init__(self, bucket: str, prefix: str, access: S3Access) -> None:
        """``prefix`` is empty or names a folder, without slashes at its ends. Raises ``ValueError``."""
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(f"not the name of a bucket: {bucket!r}")
        if prefix:
            check_key(prefix)
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = access.endpoint
        parts = urlsplit(access.endpoint)
        self._pool = _Pool(
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            maxsize=CONNECTIONS,
            retries=_RETRIES,
        )
        self._client = Minio(
            parts.netloc,
            secure=parts.scheme == "https",
            region=access.region,
            credentials=access.credentials,
            http_client=self._pool,
        )

    @property
    def place(self) -> str:
        """Its URL, and the server."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def get(self, key: str, most: int) -> bytes | None:
        """An object's content."""
        with self._told():
            try:
                answer = self._client.get_object(self._bucket, self._name(key))
            except S3Error as error:
                if error.code in _NOT_THERE:
                    return None
                raise
            try:
                content: bytes = answer.read(most + 1)
            finally:
                answer.close()  # and with it the connection, if there is more on it
                answer.release_conn()
        if len(content) > most:
            raise Oversized(self.place, key, most)
        return content

    def head(self, key: str) -> int | None:
        """An object's size."""
        with self._told():
            try:
                return self._client.stat_object(self._bucket, self._name(key)).size
            except S3Error as error:
                if error.code in _NOT_THERE:
                    return None
                raise

    def list(self, prefix: str) -> Iterator[str]:
        """The objects whose key begins so."""
        with self._told():
            for found in self._client.list_objects(self._bucket, prefix=self._prefix + prefix, recursive=True):
                name = found.object_name
                if name is not None and not name.endswith("/"):  # which some tools make as if it were a folder
                    yield name.removeprefix(self._prefix)

    def put(self, key: str, content: bytes, kind: Kind) -> None:
        """Store an object; an older version stays where the bucket keeps versions."""
        with self._told():
            self._put(key, content, kind)

    def add(self, key: str, content: bytes, kind: Kind) -> bool:
        """Store an object unless there is one: looked up first, and asked of the server, which not every one heeds."""
        if self.head(key) is not None:
            return False
        with self._told(), self._pool.only_new():
            try:
                self._put(key, content, kind)
            except S3Error as error:
                if error.code in ("PreconditionFailed", "ConditionalRequestConflict"):
                    return False
                raise
        return True

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects, a thousand at a time."""
        objects = [DeleteObject(self._name(key)) for key in keys]
        with self._told():
            for fault in self._client.remove_objects(self._bucket, objects):
                if fault.code not in _NOT_THERE:
                    raise VaultError(f"{self.place}: {fault.name} can't be removed: {fault.code}")

    def _name(self, key: str) -> str:
        check_key(key)
        return self._prefix + key

    def _put(self, key: str, content: bytes, kind: Kind) -> None:
        self._client.put_object(
            self._bucket,
            self._name(key),
            io.BytesIO(content),
            len(content),
            content_type=kind.content_type,
            metadata={"Cache-Control": kind.cache_control},
            part_size=_PART,
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the SDK and the network raise, as errors of a vault that say what to do."""
        try:
            yield
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise self._error(error) from None
        except ValueError as error:
            if "providers fail" not in str(error):
                raise
            raise VaultDenied(
                f"{self.place}: there are no credentials for it",
                advice="set CONTINUITY_S3_ACCESS_KEY and CONTINUITY_S3_SECRET_KEY",
            ) from None

    def _error(self, error: Exception) -> VaultError:
        at = f"{self.place} at {self._endpoint}"
        if isinstance(error, S3Error):
            return self._refusal(error, at)
        if isinstance(error, InvalidResponseError | ServerError):
            return VaultUnreachable(
                f"{at}: what answers there is no S3 server, or it failed", advice="see that the endpoint is right"
            )
        return VaultUnreachable(
            f"{at} can't be reached: {_reason(error)}",
            advice="see that the endpoint (CONTINUITY_S3_ENDPOINT) is right and the network is there",
        )

    def _refusal(self, error: S3Error, at: str) -> VaultError:
        code = error.code or "without a reason"
        if code == "NoSuchBucket":
            return VaultMissing(f"{at}: there is no bucket {self._bucket}", advice="make the bucket, or name another")
        if code in _DENIED:
            return VaultDenied(
                f"{at}: refused: {code}",
                advice="check access key and secret, and the rights ListBucket, GetObject, PutObject and DeleteObject",
            )
        if code in _FULL:
            return VaultFull(f"{at}: there is no room: {code}", advice="make room in the vault, or raise its quota")
        kind = VaultUnreachable if code in _AGAIN else VaultError
        return kind(f"{at}: refused: {code}: {error.message}")


class _Pool(urllib3.PoolManager):
    """Sends what the SDK signed and, where asked to, ``If-None-Match``, which the SDK has no way to add."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._conditions = threading.local()

    @contextmanager
    def only_new(self) -> Iterator[None]:
        """Within the context, this thread's puts replace nothing."""
        self._conditions.only_new = True
        try:
            yield
        finally:
            self._conditions.only_new = False

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> Any:  # type: ignore[override]
        """Send a request; the signature is the pool's own, not that of its base."""
        if method == "PUT" and getattr(self._conditions, "only_new", False):
            options["headers"] = {**options.get("headers", {}), "If-None-Match": "*"}
        return super().urlopen(method, url, redirect, **options)


def _checked_endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise ValueError(f"not the endpoint of an S3 server, such as https://s3.example: {url[:200]!r}")
    if parts.username is not None:
        raise ValueError("the endpoint of an S3 server holds no credentials: set CONTINUITY_S3_ACCESS_KEY instead")
    return f"{parts.scheme}://{parts.netloc}"


def _reason(error: Exception) -> str:
    """What went wrong beneath a failure of the connection, without the objects that it went through."""
    return str(getattr(error, "reason", None) or error).rpartition(": ")[2]
