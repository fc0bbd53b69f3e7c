"""From what a person typed to a vault."""

from __future__ import annotations

from pathlib import Path

from tools.vaults.folder import FolderVault
from tools.vaults.protocol import Reader, Vault

S3 = "s3://"


def open_vault(place: str, *, endpoint: str | None = None) -> Vault:
    """The vault at a place: a folder's path, or ``s3://BUCKET/PREFIX``. Nothing is asked of it yet.

    ``endpoint`` is the URL of an S3 server, in place of the environment's. Raises ``ValueError`` saying what is wrong.
    """
    if place.startswith(S3):
        from tools.vaults.s3 import S3Access, S3Vault  # noqa: PLC0415 - a fifth of the time that any command starts in

        bucket, _, prefix = place.removeprefix(S3).partition("/")
        return S3Vault(bucket, prefix.rstrip("/"), S3Access.from_environment(endpoint=endpoint))
    if not place or "://" in place:
        raise ValueError(f"not a vault: {place!r}; it is a folder, or s3://BUCKET/PREFIX")
    return FolderVault(Path(place))


def open_reader(place: str, *, endpoint: str | None = None) -> Reader:
    """What can be read at a place: a vault, or by ``http://`` or ``https://`` what a web server serves of one.

    Raises ``ValueError`` saying what is wrong.
    """
    if place.startswith(("http://", "https://")):
        from tools.vaults.web import WebReader  # noqa: PLC0415 - as above

        return WebReader(place)
    return open_vault(place, endpoint=endpoint)


def below(place: str, name: str) -> str:
    """The place of one name within another place."""
    return f"{place.rstrip('/')}/{name}"
