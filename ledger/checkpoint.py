"""Signed checkpoints: what a log says of its tree, and how far it may be believed.

Owns signing and opening a checkpoint as a note. Never decides whether a tree may be signed: that sizes only grow and
trees agree is for the holder of the key to check, beforehand. Never reads a clock: the caller gives the time.

Invariant: a checkpoint that is opened was signed by a trusted key whose name is the checkpoint's origin.

Source: https://c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.cosignature import Checkpoint
from ledger.errors import SignatureError, UnknownKey
from ledger.note import Note, Signer, VerifierKey, format_note, open_note

__all__ = ["Checkpoint", "open_checkpoint", "sign_checkpoint"]


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer], time: int = 0) -> bytes:
    """The checkpoint as a note signed by all ``signers``, in their order, with ``time`` in POSIX seconds.

    Raises ``SignatureError`` unless there is a signer and all go by the checkpoint's origin, or if the checkpoint has
    extension lines.
    """
    if checkpoint.extensions:
        raise SignatureError("a checkpoint with extension lines is not signed: what they say belongs into entries")
    for signer in signers:
        if signer.key.name != checkpoint.origin:
            raise SignatureError(
                f"the key {signer.key.name} can't sign for {checkpoint.origin}",
                advice="use the keys that were made with this ledger",
            )
    text = checkpoint.body()
    return format_note(Note(text, tuple(signer.sign(text, time) for signer in signers)))


def open_checkpoint(note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Verify a signed checkpoint. ``keys`` are those of the log, and of witnesses if their cosignatures matter.

    Raises ``MalformedNote`` or ``BadSignature`` as ``open_note`` does; ``UnknownKey`` if no trusted key that goes by
    the checkpoint's origin has signed, however many witnesses have.
    """
    opened = open_note(note, keys)
    checkpoint = Checkpoint.parse(opened.text)
    if all(key.name != checkpoint.origin for key in opened.verified):
        names = ", ".join(key.name for key in opened.verified)
        raise UnknownKey(
            f"the checkpoint is of {checkpoint.origin}, but signed only by {names}",
            advice="give the verifier key of that log, or fetch the checkpoint of the log you mean",
        )
    return checkpoint
