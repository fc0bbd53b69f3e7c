"""Files that only their owner may read: keys, memories, credentials.

Owns how such a file is written (whole or not at all, and durably), read (refused when others may read it, or when it is
somebody else's or a link), locked and destroyed. Never knows what one holds, but that a secret is 32 bytes in hex.
The order in which locks are taken, of files and all others, is that of docs/adr/0015-locks-and-their-order.md.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR, S_ISLNK

from ledger.errors import KeyFileError, StoreFull, StoreLocked
from ledger.privacy import KEY_SIZE

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
LOCK_SECONDS = 30.0
"""How long a lock file is waited for, as a store's lock is: who holds it longer is stopped, or waits for the store."""
_LOCK_PAUSES = (0.001, 0.02)
"""Seconds between two looks at a lock that is held: at first, and at most. The system knows no wait that ends."""


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


def check_private_folder(folder: Path) -> None:
    """See that a folder, and each file in it, belongs to who runs this and is accessible to nobody else.

    Raises ``KeyFileError`` that names the first which is not, and what to do; a symbolic link in it is refused too.
    """
    try:
        if not folder.is_dir():
            raise FileNotFoundError
        check_private(folder, folder.stat())
        for path in sorted(folder.iterdir()):
            with suppress(FileNotFoundError):  # a temporary file of another process, or one that was just replaced
                check_private(path, path.lstat())
    except FileNotFoundError:
        raise KeyFileError(f"{folder} is missing", advice="restore the key folder from its own backup") from None
    except PermissionError:
        raise KeyFileError(
            f"{folder} can't be read by this user", advice="run as the user whose ledger it is"
        ) from None


def check_private(path: Path, stat: os.stat_result) -> None:
    """See that what stands at a path is a file or folder of this user's alone. Raises ``KeyFileError``."""
    if S_ISLNK(stat.st_mode):
        raise KeyFileError(f"{path} is a symbolic link", advice=f"put the file itself there: rm {path}, and copy it")
    if stat.st_uid != os.geteuid():
        raise KeyFileError(
            f"{path} belongs to the user {stat.st_uid}, and this runs as {os.geteuid()}",
            advice=f"run as its owner, or if it is yours: chown {os.geteuid()} {path}",
        )
    if stat.st_mode & 0o077:
        raise KeyFileError(
            f"{path} is accessible to others", advice=f"chmod {700 if S_ISDIR(stat.st_mode) else 600} {path}"
        )


def read_private(path: Path) -> bytes:
    """The content of a private file. Raises ``KeyFileError`` when it is missing or others may read or write it."""
    try:
        check_private(path, path.lstat())
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
    """Hold the lock file ``path``, made if need be, against other threads and processes.

    Raises ``StoreLocked`` when somebody else holds it for longer than ``LOCK_SECONDS``.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    until = time.monotonic() + LOCK_SECONDS
    pause, longest = _LOCK_PAUSES
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise StoreLocked(
                    f"{path} was locked for {LOCK_SECONDS:g} s",
                    advice="see which process holds it (lsof, or /proc/locks): it is stopped, or waits for the store",
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, longest)
        else:
            return


def overwrite(path: Path, content: bytes) -> None:
    """Put content in the place of a private file's own, durably, so that the old is destroyed.

    What fits into one sector of the disk, such as a secret, is never left half old and half new. What a disk or file
    system keeps of old blocks is beyond reach from here. Raises ``KeyFileError``.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = f"{path} can't be overwritten: {error.strerror}"
        raise KeyFileError(reason, advice="see that its disk is sound") from error


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
