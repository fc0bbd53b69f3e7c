"""Epoch keys: the keys that wrap data keys, kept outside the database, and the one thing that an erasure destroys.

Owns where they come from: files in the key folder (``epoch-000001.key``), which this program makes and destroys; and,
where the file ``epoch-keys`` there names one, an environment variable or a command of the operator's, who then makes
and destroys them. Never writes a key anywhere else, and shows none. The file ``epoch-keys`` holds one line::

    env VARIABLE              whose value is 1:HEX,2:HEX,...
    command PROGRAM ARGS...   run with the epoch's number added: prints 64 hex digits, or nothing where there is no key
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import KeyFileError
from ledger.privacy import KEY_SIZE
from ledger.private_files import destroy, read_private, read_secret, write_private

SOURCE = "epoch-keys"
"""The file in the key folder that names another source than files."""
COMMAND_SECONDS = 30
_FILE = re.compile(r"epoch-(\d{6})\.key")
_HEX = re.compile(rf"[0-9a-fA-F]{{{KEY_SIZE * 2}}}")


class EpochKeys:
    """The epoch keys of one ledger. Those once had are kept in memory until ``held`` finds them gone. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()  # guards replacing the mapping, which itself is never changed
        self._opened: Mapping[int, AESGCM] = {}

    def key(self, epoch: int) -> AESGCM:
        """The key of an epoch. Raises ``KeyFileError`` when it is destroyed, never was, or can't be had."""
        if (key := self._opened.get(epoch)) is None:
            key = self._load(epoch)
            with self._lock:
                self._opened = {**self._opened, epoch: key}
        return key

    def held(self) -> Mapping[int, AESGCM]:
        """All keys that are there now, and from now on no other in memory.

        Had before a view of the store begins, they open whatever that view shows: a key is destroyed only when nothing
        is wrapped under it any more. Of a command's keys, only those had before are among them.
        """
        opened = self._opened
        kept = {epoch: opened.get(epoch) or self._load_if_sound(epoch) for epoch in self.present()}
        held = {epoch: key for epoch, key in kept.items() if key is not None}
        if held != opened:
            with self._lock:
                self._opened = held
        return held

    def present(self) -> list[int]:
        """The epochs whose keys are known to be there, ascending: of a command's, those had before."""
        found = set(self._files())
        match self._source():
            case ("env", variable):
                found |= self._in_environment(variable).keys()
            case ("command", _):
                found |= self._opened.keys()
        return sorted(found)

    def is_there(self, epoch: int) -> bool:
        """Whether the key of an epoch can be had. Raises ``KeyFileError`` when that can't be told."""
        if epoch in self._files():
            return True
        match self._source():
            case ("env", variable):
                return epoch in self._in_environment(variable)
            case ("command", line):
                return self._printed(line, epoch) is not None
        return False

    def before(self, epoch: int) -> list[int]:
        """All earlier epochs whose keys can still be had, ascending; asks a command for each."""
        source = self._source()
        if source is not None and source[0] == "command":
            return [one for one in range(1, epoch) if self.is_there(one)]
        return [one for one in self.present() if one < epoch]

    def make(self, epoch: int) -> None:
        """See that there is a key of an epoch, durably.

        One in a file is made. One of the operator's has to be there; raises ``KeyFileError`` when it is not.
        """
        if self.is_there(epoch):
            return
        if self._source() is not None:
            raise KeyFileError(
                f"there is no key of epoch {epoch} yet where {self._folder / SOURCE} leads",
                advice=f"make one of {KEY_SIZE * 2} random hex digits, keep it there for epoch {epoch}, and repeat",
            )
        write_private(self._file(epoch), secrets.token_bytes(KEY_SIZE).hex().encode() + b"\n")

    def destroy(self, epoch: int) -> bool:
        """Destroy the key of an epoch; False when it is the operator's to destroy, and not done yet.

        Raises ``KeyFileError`` when it can't be done.
        """
        destroy(self._file(epoch))
        with self._lock:
            self._opened = {other: key for other, key in self._opened.items() if other != epoch}
        return not self.is_there(epoch)

    def _file(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:06d}.key"

    def _files(self) -> list[int]:
        return [int(match[1]) for path in self._folder.iterdir() if (match := _FILE.fullmatch(path.name))]

    def _load(self, epoch: int) -> AESGCM:
        path = self._file(epoch)
        source = None if path.exists() else self._source()
        if source is None:
            return AESGCM(read_secret(path))
        kind, detail = source
        found = self._in_environment(detail).get(epoch) if kind == "env" else self._printed(detail, epoch)
        if found is None:
            raise KeyFileError(
                f"the key of epoch {epoch} is missing where {self._folder / SOURCE} leads",
                advice="if it was not destroyed on purpose, bring it back from its own backup",
            )
        return AESGCM(found)

    def _load_if_sound(self, epoch: int) -> AESGCM | None:
        try:
            return self._load(epoch)
        except KeyFileError:
            return None  # whoever needs it hears why

    def _source(self) -> tuple[str, str] | None:
        """The kind and the rest of the line in ``epoch-keys``, or None. Raises ``KeyFileError``."""
        path = self._folder / SOURCE
        if not path.exists():
            return None
        kind, _, detail = read_private(path).decode("utf-8", "replace").strip().partition(" ")
        if kind not in ("env", "command") or not detail.strip():
            raise KeyFileError(f"{path} is neither 'env VARIABLE' nor 'command PROGRAM ARGS...'")
        return kind, detail.strip()

    @staticmethod
    def _in_environment(variable: str) -> dict[int, bytes]:
        keys: dict[int, bytes] = {}
        for part in os.environ.get(variable, "").replace(",", " ").split():
            epoch, _, text = part.partition(":")
            if not epoch.isdecimal() or not _HEX.fullmatch(text):
                raise KeyFileError(f"{variable} is not of the form 1:HEX,2:HEX with {KEY_SIZE * 2} hex digits each")
            keys[int(epoch)] = bytes.fromhex(text)
        return keys

    @staticmethod
    def _printed(line: str, epoch: int) -> bytes | None:
        """What the command prints for an epoch, or None for nothing. Its output is never shown."""
        words = [*shlex.split(line), str(epoch)]
        try:
            ran = subprocess.run(  # noqa: S603 - the line is the operator's, in a file that only they can write
                words, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=COMMAND_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KeyFileError(f"{words[0]}, which prints epoch keys, does not run: {type(error).__name__}") from None
        text = ran.stdout.decode("ascii", "replace").strip()
        if ran.returncode != 0 or (text and not _HEX.fullmatch(text)):
            raise KeyFileError(
                f"{words[0]} printed no key of epoch {epoch}: exit code {ran.returncode}",
                advice=f"it has to print {KEY_SIZE * 2} hex digits, or nothing for a key that is destroyed",
            )
        return bytes.fromhex(text) if text else None
