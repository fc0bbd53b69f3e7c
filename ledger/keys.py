"""The key folder of a ledger: signing seeds and epoch keys, outside the database.

Owns the files' names, forms and permissions: the folder is 0700, each file 0600, and anything looser is refused. Never
writes a key anywhere else, logs one, or shows one in a repr. Layout::

    keys/ed25519.seed     64 hex digits      keys/ml-dsa-44.seed     64 hex digits
    keys/epoch-000001.key 64 hex digits      keys/last-checkpoint    the signer's memory (see ledger.signer)
    keys/credentials.json API keys, hashed (see ledger.credentials)
    keys/epoch-keys       where epoch keys come from if not from files here (see ledger.epoch_keys)
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.epoch_keys import EpochKeys
from ledger.errors import KeyFileError
from ledger.note import Ed25519Signer, MLDSA44Signer, VerifierKey
from ledger.privacy import KEY_SIZE
from ledger.private_files import read_secret, write_private

_ED25519 = "ed25519.seed"
_ML_DSA_44 = "ml-dsa-44.seed"


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
        self.of_epochs = EpochKeys(folder)

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
        return self.of_epochs.key(epoch)

    def epochs(self) -> list[int]:
        """The epochs whose keys are present, ascending."""
        return self.of_epochs.present()

    def _secret(self, name: str) -> bytes:
        return read_secret(self.folder / name)

    def __repr__(self) -> str:
        return f"Keys({str(self.folder)!r})"
