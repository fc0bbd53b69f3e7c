"""Files that only their owner may read: keys, memories, credentials.

Owns how such a file is written (whole or not at all, and durably), read (refused when others may read it), locked and
destroyed. Never knows what one holds, but that a secret is 32 bytes in hex.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.errors import KeyFileError, StoreFull
from ledger.privacy import KEY_SIZE

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, atomically and durably: temporary file, fsync, rename, fsync folder.

    A crash leaves the old file or the new one, never a part. Raises ``StoreFull`` where there is no room, else
    ``KeyFileError`` when it can't be written.
    """
    try:
        _write_private(path, content)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StoreFull(f"no room to write {path}", advice="make room on the disk of the key folder") from error
        raise KeyFileError(f"{path} can't be written: {error.strerror}", advice="see that its disk is sound") from error


def _write_private(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or creation in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """The content of a private file. Raises ``KeyFileError`` when it is missing or others may read or write it."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} is accessible to others", advice=f"chmod 600 {path}")
        return path.read_bytes()
    except FileNotFoundError:
        raise KeyFileError(f"{path} is missing", advice="restore the key folder from its own backup") from None
    except PermissionError:
        raise KeyFileError(f"{path} can't be read by this user") from None


def read_secret(path: Path) -> bytes:
    """The 32 bytes of a private file that holds them in hex. Raises ``KeyFileError``."""
    content = read_private(path)
    try:
        secret = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) != KEY_SIZE:
        raise KeyFileError(f"{path} is damaged: expected {KEY_SIZE * 2} hex digits")
    return secret


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, made if need be, against other threads and processes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def destroy(path: Path) -> None:
    """Overwrite a private file, and remove it durably; one that is gone already is left so.

    What a disk or file system keeps of old blocks is beyond reach from here. Raises ``KeyFileError``.
    """
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        sync_folder(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        reason = f"{path} can't be destroyed: {error.strerror}"
        raise KeyFileError(reason, advice="see that its disk is sound") from error
