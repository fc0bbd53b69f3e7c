"""A witness's folder: who it is, which logs it knows, and what it cosigned last of each.

Owns the files and the order of effects: verify the log's signature, lock what is known of that log, read what was
cosigned last, decide, sign, persist the new checkpoint durably, unlock, answer. Whoever can't sign as a known log makes
no file and holds no lock. A crash before the write leaves the old checkpoint, and no signature was given out; after it,
a checkpoint that nobody was told of: the log learns its size by a 409 and goes on from there. Never serves HTTP by
itself. Layout::

    name                  the witness's name          logs       verifier keys of the logs it knows, one a line
    ed25519.seed          64 hex digits               ml-dsa-44.seed
    SHA-256.checkpoint    by the hash of its origin, in hex: the log's checkpoint with this witness's cosignatures
    .SHA-256.lock         held while that is read and replaced
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from ledger import witness
from ledger.checkpoint import Checkpoint
from ledger.errors import Conflict, MalformedNote, MalformedRotation, NotFound
from ledger.key_chain import Link, follow_chain
from ledger.note import (
    ED25519,
    ML_DSA_44,
    SEED_SIZE,
    Ed25519Cosigner,
    MLDSA44Signer,
    Note,
    Signer,
    VerifierKey,
    format_note,
    open_note,
    parse_note,
)
from ledger.private_files import check_private_folder, locked, read_private, read_secret, write_private
from ledger.rotation import Rotation

_ED25519 = "ed25519.seed"
_ML_DSA_44 = "ml-dsa-44.seed"
_MAX_NAME = 255
_HASH = re.compile(r"[0-9a-f]{64}")


class Witness:
    """An opened witness. Safe for use from several threads and processes on one folder."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Open a folder. Raises ``NotFound``, and ``KeyFileError`` when it is damaged or others may read it."""
        if not (folder / "name").is_file():
            raise NotFound(f"there is no witness in {folder}", advice="continuity witness init DIR --name NAME")
        check_private_folder(folder)
        self.folder = folder
        self.name = read_private(folder / "name").decode().strip()
        self._clock = clock
        self._signers: tuple[Signer, ...] = (
            Ed25519Cosigner(self.name, read_secret(folder / _ED25519)),
            MLDSA44Signer(self.name, read_secret(folder / _ML_DSA_44)),
        )

    @classmethod
    def create(cls, folder: Path, name: str) -> Witness:
        """Make a folder with fresh keys. Raises ``Conflict`` when it exists, ``MalformedNote`` for such a name."""
        _check_name(Ed25519Cosigner(name, bytes(SEED_SIZE)).key)  # refuses a name that no key can have
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            raise Conflict(f"{folder} exists already", advice="choose another folder") from None
        for seed in (_ED25519, _ML_DSA_44):
            write_private(folder / seed, secrets.token_bytes(SEED_SIZE).hex().encode() + b"\n")
        write_private(folder / "logs", b"")
        write_private(folder / "name", name.encode() + b"\n")  # last: a folder without it is no witness
        return cls(folder)

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """The public keys that verify its cosignatures."""
        return tuple(signer.key for signer in self._signers)

    def logs(self) -> list[VerifierKey]:
        """The keys of the logs it knows."""
        return [VerifierKey.parse(line) for line in read_private(self.folder / "logs").decode().split("\n") if line]

    def add_log(self, key: VerifierKey) -> bool:
        """Know a log by this key from now on; False when it is known already. Raises ``MalformedNote``."""
        if key.type not in (ED25519, ML_DSA_44):
            raise MalformedNote(f"{key.name}: a key of type {key.type} is a witness's, not a log's")
        _check_name(key)
        with locked(self.folder / ".lock"):
            known = self.logs()
            if key in known:
                return False
            write_private(self.folder / "logs", "".join(f"{one}\n" for one in (*known, key)).encode())
        return True

    def follow(self, links: Sequence[Link]) -> tuple[str, int, int]:
        """Follow a log's keys by their rotations: those that hold now take the places of those it is known by.

        From then on nothing is cosigned that a retired key alone has signed. Gives the origin and how many keys were
        added and removed. Raises ``NotFound`` for a log that is not known here, and as ``follow_chain`` does.
        """
        if not links:
            raise MalformedRotation("there is no rotation in the file: the log's keys are its first ones still")
        origin = Rotation.of_entry(links[-1].entry).origin
        with locked(self.folder / ".lock"), locked(self._lock(origin)):  # the second awaits what is being cosigned
            logs = self.logs()
            known = [key for key in logs if key.name == origin]
            if not known:
                raise NotFound(f"the log {origin} is not known here", advice="add it by its verifier keys first")
            keys = follow_chain(links, known).current.keys
            others = [key for key in logs if key.name != origin]
            write_private(self.folder / "logs", "".join(f"{one}\n" for one in (*others, *keys)).encode())
        return origin, len(set(keys) - set(known)), len(set(known) - set(keys))

    def add_checkpoint(self, body: bytes) -> bytes:
        """Answer a request of the witness protocol with cosignatures. Raises ``ledger.witness.Refused``."""
        request = witness.parse_request(body)
        origin = witness.origin_of(request.checkpoint)
        keys = self._keys_of(origin)
        checkpoint = witness.verified(request, keys)
        with locked(self._lock(origin)):
            if keys != (keys := self._keys_of(origin)):  # they were rotated meanwhile
                checkpoint = witness.verified(request, keys)
            witness.check_extends(request, checkpoint, self._last(origin, keys))
            answer = witness.cosign(checkpoint, self._signers, int(self._clock()))
            note = witness.with_cosignatures(_only(request.checkpoint, keys), witness.parse_cosignatures(answer))
            write_private(self._path(origin), note)
        return answer

    def checkpoint(self, origin_hash: str) -> bytes:
        """The checkpoint cosigned last of the log whose origin has this SHA-256, in hex. Raises ``NotFound``."""
        path = self.folder / f"{origin_hash}.checkpoint"
        if not _HASH.fullmatch(origin_hash) or not path.is_file():
            raise NotFound("no checkpoint of that log was cosigned here")
        return read_private(path)

    def _last(self, origin: str, keys: list[VerifierKey]) -> Checkpoint | None:
        """What was cosigned last, by this witness's own signature: the log's keys may be others by now."""
        path = self._path(origin)
        if not keys or not path.exists():
            return None
        return Checkpoint.parse(open_note(read_private(path), self.keys).text)

    def _keys_of(self, origin: str) -> list[VerifierKey]:
        return [key for key in self.logs() if key.name == origin]

    def _lock(self, origin: str) -> Path:
        return self.folder / f".{_hash_of(origin)}.lock"

    def _path(self, origin: str) -> Path:
        return self.folder / f"{_hash_of(origin)}.checkpoint"


def _hash_of(origin: str) -> str:
    return sha256(origin.encode()).hexdigest()


def _check_name(key: VerifierKey) -> None:
    """Names of logs and witnesses stand in what ML-DSA-44 signs, where they have a byte for their length."""
    if len(key.name.encode()) > _MAX_NAME:
        raise MalformedNote(f"the name {key.name[:40]}… is too long: at most {_MAX_NAME} bytes can be cosigned")


def _only(note: bytes, keys: list[VerifierKey]) -> bytes:
    """The note with the signatures of these keys alone: what others have signed on it was not looked at."""
    known = {(key.name, key.key_id) for key in keys}
    parsed = parse_note(note)
    kept = tuple(one for one in parsed.signatures if (one.name, one.key_id) in known)
    return format_note(Note(parsed.text, kept))
