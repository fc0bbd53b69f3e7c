"""The key folder of a ledger: signing seeds and epoch keys, outside the database.

Owns the files' names, forms and permissions: the folder is 0700, each file 0600, and anything looser is refused. Never
writes a key anywhere else, logs one, or shows one in a repr. Layout::

    keys/ed25519.seed     64 hex digits      keys/ml-dsa-44.seed     64 hex digits
    keys/epoch-000001.key 64 hex digits      keys/last-checkpoint    the signer's memory (see ledger.signer)
    keys/credentials.json API keys, hashed (see ledger.credentials)
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import KeyFileError, StoreFull
from ledger.note import Ed25519Signer, MLDSA44Signer, VerifierKey
from ledger.privacy import KEY_SIZE

_ED25519 = "ed25519.seed"
_ML_DSA_44 = "ml-dsa-44.seed"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_EPOCH = re.compile(r"epoch-(\d{6})\.key")


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


class Keys:
    """The opened key folder of one ledger. ``folder`` is its path; nothing secret is shown by ``repr``."""

    def __init__(self, folder: Path, origin: str) -> None:
        """Open an existing folder. Raises ``KeyFileError`` when it is missing, damaged or accessible to others."""
        self.folder = folder
        if not folder.is_dir():
            raise KeyFileError(f"{folder} is missing", advice="restore the key folder from its own backup")
        if folder.stat().st_mode & 0o077:
            raise KeyFileError(f"{folder} is accessible to others", advice=f"chmod 700 {folder}")
        self.signers = (
            Ed25519Signer(origin, self._secret(_ED25519)),
            MLDSA44Signer(origin, self._secret(_ML_DSA_44)),
        )
        self._epochs: dict[int, AESGCM] = {}

    @classmethod
    def create(cls, folder: Path, origin: str) -> Keys:
        """Make the folder with fresh signing seeds and the key of epoch 1. The folder must not exist."""
        folder.mkdir(mode=0o700)
        for name in (_ED25519, _ML_DSA_44, "epoch-000001.key"):
            write_private(folder / name, secrets.token_bytes(KEY_SIZE).hex().encode() + b"\n")
        return cls(folder, origin)

    @property
    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """The public keys of the signers, in the order in which they sign."""
        return tuple(signer.key for signer in self.signers)

    def epoch_key(self, epoch: int) -> AESGCM:
        """The key of an epoch. Raises ``KeyFileError`` when it was destroyed or never was."""
        if (key := self._epochs.get(epoch)) is None:
            key = self._epochs[epoch] = AESGCM(self._secret(f"epoch-{epoch:06d}.key"))
        return key

    def epochs(self) -> list[int]:
        """The epochs whose keys are present, ascending."""
        return sorted(int(match[1]) for path in self.folder.iterdir() if (match := _EPOCH.fullmatch(path.name)))

    def _secret(self, name: str) -> bytes:
        return read_secret(self.folder / name)

    def __repr__(self) -> str:
        return f"Keys({str(self.folder)!r})"
