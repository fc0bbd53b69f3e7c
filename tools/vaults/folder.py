"""A vault that is a folder, local or mounted.

Owns the files below the folder: each object is one, written aside, synced and then moved into place. What is being
written has a name that begins with a dot, and is no object. Content types are for the web server that serves the
folder: files don't keep them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ledger.private_files import NO_ROOM
from tools.files import written
from tools.vaults.protocol import Kind, Oversized, VaultDenied, VaultError, VaultFull, check_key

_MODE = 0o644  # what goes into a vault is for others to read, or encrypted


class FolderVault:
    """A folder as a vault; it is made at the first write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def get(self, key: str, most: int) -> bytes | None:
        """A file's content."""
        with self._told(key) as path:
            try:
                with path.open("rb") as file:
                    content = file.read(most + 1)
            except (FileNotFoundError, NotADirectoryError):
                return None
        if len(content) > most:
            raise Oversized(self.place, key, most)
        return content

    def head(self, key: str) -> int | None:
        """A file's size."""
        with self._told(key) as path:
            try:
                return path.stat().st_size if path.is_file() else None
            except (FileNotFoundError, NotADirectoryError):
                return None

    def list(self, prefix: str) -> Iterator[str]:
        """The files whose path begins so."""
        top = prefix.rpartition("/")[0]
        with self._told(top or "any"):
            for folder, folders, names in os.walk(self._folder / top, onerror=_raise_unless_missing):
                folders[:] = [name for name in folders if not name.startswith(".")]
                within = Path(folder).relative_to(self._folder).as_posix()
                for name in names:
                    key = name if within == "." else f"{within}/{name}"
                    if not name.startswith(".") and key.startswith(prefix):
                        yield key

    def put(self, key: str, content: bytes, kind: Kind) -> None:
        """Write a file in place of what was there."""
        with self._told(key) as path:
            path.parent.mkdir(parents=True, exist_ok=True)
            with written(path, _MODE) as file:
                file.write(content)

    def add(self, key: str, content: bytes, kind: Kind) -> bool:
        """Write a file that is not there yet. Of two writers at once the later one's content stays."""
        if self.head(key) is not None:
            return False
        self.put(key, content, kind)
        return True

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files, and the folders that they leave empty."""
        for key in keys:
            with self._told(key) as path:
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # the first that others are in, or that is gone
                    for parent in path.relative_to(self._folder).parents[:-1]:
                        (self._folder / parent).rmdir()

    @contextlib.contextmanager
    def _told(self, key: str) -> Iterator[Path]:
        """The path of a key; what the file system refuses there as an error of a vault."""
        check_key(key)
        try:
            yield self._folder / key
        except PermissionError as error:
            advice = f"let this user write below {self._folder}"
            raise VaultDenied(f"{error.filename or self._folder}: {error.strerror}", advice=advice) from None
        except OSError as error:
            kind = VaultFull if error.errno in NO_ROOM else VaultError
            advice = "make room there" if kind is VaultFull else "see that the folder is mounted and its disk is sound"
            raise kind(f"{error.filename or self._folder}: {error.strerror}", advice=advice) from None


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
