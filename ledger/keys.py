"""The key folder of a ledger: signing seeds and epoch keys, outside the database.

Owns the files' names, forms and permissions: the folder is 0700, each file 0600, and anything looser is refused. Never
writes a key anywhere else, logs one, or shows one in a repr. Layout::

    keys/ed25519.seed     64 hex digits      keys/ml-dsa-44.seed     64 hex digits
    keys/epoch-000001.key 64 hex digits      keys/last-checkpoint    the signer's memory (see ledger.signer)
    keys/credentials.json API keys, hashed (see ledger.credentials)
    keys/epoch-keys       where epoch keys come from if not from files here (see ledger.epoch_keys)
    keys/scrub-due        stands while the store's files are to be scrubbed (see ledger.epochs)

While signing keys are rotated there are ``next-`` files of both seeds too; ``ledger.succession`` says which of them
hold.
"""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.epoch_keys import EpochKeys
from ledger.note import Ed25519Signer, MLDSA44Signer, Signer, VerifierKey
from ledger.privacy import KEY_SIZE
from ledger.private_files import check_private_folder, destroy, overwrite, read_private, read_secret, write_private

_ED25519 = "ed25519.seed"
_ML_DSA_44 = "ml-dsa-44.seed"
SEEDS = (_ED25519, _ML_DSA_44)
_NEXT = "next-"
_RETIRED = "retired-"

Signers = tuple[Signer, ...]


class Keys:
    """The opened key folder of one ledger. ``folder`` is its path; nothing secret is shown by ``repr``."""

    def __init__(self, folder: Path, origin: str) -> None:
        """Open an existing folder. Raises ``KeyFileError`` when it is missing, damaged or accessible to others."""
        self.folder = folder
        self._origin = origin
        check_private_folder(folder)
        self._lock = threading.Lock()  # guards the two below, which are replaced together
        self._stamp: tuple[tuple[int, int], ...] = ()
        self._signers: Signers = ()
        self.refresh()
        self.of_epochs = EpochKeys(folder)

    @classmethod
    def create(cls, folder: Path, origin: str) -> Keys:
        """Make the folder with fresh signing seeds and the key of epoch 1. The folder must not exist."""
        folder.mkdir(mode=0o700)
        for name in (*SEEDS, "epoch-000001.key"):
            write_private(folder / name, _fresh())
        return cls(folder, origin)

    # --- Signing keys ------------------------------------------------------------------------------------------------

    @property
    def signers(self) -> Signers:
        """The signers as of the last ``refresh``, in the order in which they sign."""
        return self._signers

    @property
    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """The public keys of the signers, in the order in which they sign."""
        return tuple(signer.key for signer in self._signers)

    def refresh(self) -> None:
        """Take the seeds as they are now, if they were replaced since. Raises ``KeyFileError``."""
        with self._lock:
            stamp = tuple(_stamp(self.folder / name) for name in SEEDS)
            if stamp != self._stamp:
                self._signers = self._read("")
                self._stamp = stamp

    @property
    def turning(self) -> bool:
        """Whether next seeds stand aside: a rotation of the signing keys was begun, and has not ended."""
        return any((self.folder / f"{_NEXT}{name}").exists() for name in SEEDS)

    def make_next(self) -> Signers:
        """Make the next signing seeds, aside and durably; those that stand there are replaced."""
        for name in SEEDS:
            write_private(self.folder / f"{_NEXT}{name}", _fresh())
        return self._read(_NEXT)

    def next_signers(self) -> tuple[Signer | None, ...]:
        """The signers of the seeds that stand aside, None where there is none."""
        there = [(self.folder / f"{_NEXT}{name}").exists() for name in SEEDS]
        return tuple(
            make(self._origin, read_secret(self.folder / f"{_NEXT}{name}")) if found else None
            for make, name, found in zip(_SIGNERS, SEEDS, there, strict=True)
        )

    def discard_next(self) -> None:
        """Destroy the seeds that stand aside."""
        for name in SEEDS:
            destroy(self.folder / f"{_NEXT}{name}")

    def switch(self) -> None:
        """Let the seeds that stand aside take the places of those that hold, which are overwritten and so destroyed.

        A crash leaves some switched, or switched and still aside; repeat it then.
        """
        for name in SEEDS:
            following = self.folder / f"{_NEXT}{name}"
            if following.exists():
                overwrite(self.folder / name, read_private(following))
                destroy(following)
        self.refresh()

    # --- Epoch keys --------------------------------------------------------------------------------------------------

    def epoch_key(self, epoch: int) -> AESGCM:
        """The key of an epoch. Raises ``KeyFileError`` when it was destroyed or never was."""
        return self.of_epochs.key(epoch)

    def epochs(self) -> list[int]:
        """The epochs whose keys are present, ascending."""
        return self.of_epochs.present()

    def _read(self, prefix: str) -> Signers:
        return tuple(
            make(self._origin, read_secret(self.folder / f"{prefix}{name}"))
            for make, name in zip(_SIGNERS, SEEDS, strict=True)
        )

    def __repr__(self) -> str:
        return f"Keys({str(self.folder)!r})"


_SIGNERS = (Ed25519Signer, MLDSA44Signer)


def _fresh() -> bytes:
    return secrets.token_bytes(KEY_SIZE).hex().encode() + b"\n"


def _stamp(path: Path) -> tuple[int, int]:
    """What tells a file from the one that replaces it; zeros where there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_ino
