"""Signing keys of tests, and rotations from one generation of them to the next. Owns no assertions."""

from __future__ import annotations

from hashlib import sha256

from ledger.entry import LEDGER_STREAM
from ledger.note import Ed25519Signer, MLDSA44Signer, Signer
from ledger.rotation import TYPE, Rotation
from tests.support.events import ORIGIN
from tests.support.forgery import canonical


def signers(name: str, origin: str = ORIGIN) -> tuple[Signer, ...]:
    """An Ed25519 and an ML-DSA-44 signer of that name, the same each time."""
    return (
        Ed25519Signer(origin, sha256(b"test ed25519 " + name.encode()).digest()),
        MLDSA44Signer(origin, sha256(b"test ml-dsa " + name.encode()).digest()),
    )


def keys(name: str, origin: str = ORIGIN):
    """The verifier keys of these signers."""
    return tuple(signer.key for signer in signers(name, origin))


def rotation(old: str, new: str, size: int = 10, root: bytes = b"\x05" * 32, origin: str = ORIGIN) -> Rotation:
    """A rotation from the signers of one name to those of another, signed by all of them."""
    unsigned = Rotation(size, root, "scheduled", keys(old, origin), keys(new, origin))
    return unsigned.signed((*signers(old, origin), *signers(new, origin)))


def entry_of(made: Rotation) -> bytes:
    """An entry that states it, its seal following nothing."""
    event = {
        "actor": {"id": "local", "role": "system"},
        "data": made.data(),
        "id": f"rotated-{made.size}",
        "source": "urn:continuity-ledger",
        "stream": LEDGER_STREAM,
        "time": "2026-03-01T09:30:00Z",
        "type": TYPE,
        "v": 1,
    }
    seal = {
        "by": "local",
        "position": made.size,
        "prev": "0" * 64,
        "recorded": "2026-03-01T09:30:00.000000Z",
        "version": 2,
    }
    return canonical({"event": event, "seal": seal})


def created(*names: str, origin: str = ORIGIN) -> bytes:
    """The entry that begins a log with the keys of these names."""
    listed = [str(key) for name in names for key in keys(name, origin)]
    event = {
        "actor": {"id": "ledger", "role": "system"},
        "data": {"format": 1, "origin": origin, "verifier_keys": listed},
        "id": "created",
        "source": "urn:continuity-ledger",
        "stream": LEDGER_STREAM,
        "time": "2026-03-01T09:30:00Z",
        "type": "ledger.created",
        "v": 1,
    }
    seal = {"by": "local", "position": 0, "prev": "0" * 64, "recorded": "2026-03-01T09:30:00.000000Z", "version": 1}
    return canonical({"event": event, "seal": seal})
