"""What an operator may set, read once from the environment.

Owns names, defaults and bounds of the settings. Never reads a file. Keys live in the ledgers' own folders; the one
secret that may stand here is a password in the store's URL, which shows itself to nobody.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from ledger.store.opening import StoreURL

PREFIX = "CONTINUITY_"
MEBIBYTE = 1024 * 1024


class Settings(Struct, frozen=True, kw_only=True):
    """Settings of one server. Each is read from the environment under its name in capitals after ``CONTINUITY_``."""

    data: Path = Path("data")
    """Folder of the ledgers: the keys of each, and ``ledger.db`` unless there is a ``store``."""
    store: StoreURL | None = None
    """Database that holds the ledgers' schemas; without it, each is a file in its folder."""
    body_limit: Annotated[int, Meta(ge=1024, le=256 * MEBIBYTE)] = 8 * MEBIBYTE
    """Bytes of a request body; more is refused with 413, while it arrives."""
    body_events: Annotated[int, Meta(ge=1, le=20_000)] = 10_000
    """Events of one request."""
    body_seconds: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    """Seconds in which a request body must have arrived."""
    append_seconds: Annotated[float, Meta(gt=0, le=3600)] = 40.0
    """Seconds that a post waits for its events to be recorded; more than the 30 that a store's lock is waited for."""
    body_memory: Annotated[int, Meta(ge=1024)] = 128 * MEBIBYTE
    """Bytes of request bodies held at once, over all ledgers, or twice ``body_limit`` if that is more; a body beyond is
    refused as busy. One ledger by itself uses half."""
    wait_seconds: Annotated[float, Meta(ge=0, le=60)] = 5.0
    """Seconds that a read with ``min_position`` waits for that position, and one with ``at`` for its replay."""
    replays: Annotated[int, Meta(ge=1, le=1000)] = 8
    """Past moments whose read models are kept ready on disk, of each ledger; each takes the room of one rebuild."""
    accept_clock: bool = False
    """An owner's word that logs far ahead of this machine's clock are right; without it they take no events."""
    publish_to: Annotated[str, Meta(min_length=1)] | None = None
    """Vault that the ledgers are published in, each below its own name: a folder, or ``s3://BUCKET/PREFIX``, with its
    server and credentials in variables that begin with ``CONTINUITY_S3_`` (``tools.vaults.s3``)."""
    publish_seconds: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    """Seconds from one publication to the next."""
    publish_policy: Path | None = None
    """File of the trust policy (c2sp.org/tlog-policy) whose witnesses have to cosign what is published."""
    publish_entries: bool = False
    """Publish the entry bundles too: everything but private values becomes public."""
    access_log: Literal["all", "faults", "none"] = "all"
    """Which requests are logged: all, those answered with 400 or above, or none. Faults of ours always are."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Settings from variables such as ``CONTINUITY_DATA``; what is unset keeps its default.

        Raises ``ValueError`` naming the variable when one has no such value.
        """
        given = {
            name: environment[key] for name in cls.__struct_fields__ if (key := PREFIX + name.upper()) in environment
        }
        try:
            return msgspec.convert(given, cls, strict=False, dec_hook=_decoded)
        except msgspec.ValidationError as error:
            detail, _, place = str(error).partition(" - at `$.")
            raise ValueError(f"{PREFIX}{place.rstrip('`').upper()}: {detail}") from None


def _decoded(kind: type, value: object) -> Path | StoreURL:
    if kind is StoreURL and isinstance(value, str):
        return StoreURL(value)
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError("expected a path")
