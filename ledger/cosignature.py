"""The text of a checkpoint, and the messages that cosigners and ML-DSA-44 logs sign in its place.

Owns what is signed, byte by byte. Never signs, verifies or opens a note: ``ledger.note`` does, and so imports this
module; ``ledger.checkpoint`` is where callers find ``Checkpoint``.

Invariants: parsing and ``body`` are inverse to each other; a size, a root and an origin that could not be a log's are
refused when a ``Checkpoint`` is made, however it is made.

Sources: https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-cosignature.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger import strict
from ledger.errors import MalformedNote
from ledger.merkle import EMPTY_ROOT, HASH_SIZE

_SUBTREE_LABEL = b"subtree/v1\n\x00"
_MAX_OPAQUE = 255


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's claim: the tree of ``size`` leaves of the log named ``origin`` has this root.

    ``extensions`` are further lines, opaque and not trusted; they are read from others and never written by us.
    Raises ``MalformedNote`` for an impossible value.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            _check_line(line)
        if not 0 <= self.size <= strict.MAX_INTEGER:
            raise MalformedNote(f"checkpoint: there is no tree of {self.size} leaves")
        if len(self.root) != HASH_SIZE:
            raise MalformedNote(f"checkpoint: the root has {len(self.root)} bytes, expected {HASH_SIZE}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise MalformedNote("checkpoint: size 0 with a root that is not the empty tree's")

    def body(self) -> str:
        """The note text: origin, size, root and any extensions, a line each."""
        lines = (self.origin, str(self.size), strict.write_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note text; the inverse of ``body``. Raises ``MalformedNote`` if it is not a checkpoint's."""
        try:
            lines = strict.read_lines(text)
            if len(lines) < 3:
                raise ValueError(f"it has {len(lines)} lines, expected origin, size and root")
            size = strict.read_decimal(lines[1])
            root = strict.read_base64(lines[2])
        except ValueError as fault:
            raise MalformedNote(f"checkpoint: {fault}") from None
        return cls(lines[0], size, root, tuple(lines[3:]))


def cosigned_text(text: str, time: int) -> bytes:
    """What an Ed25519 cosigner signs: the whole note text behind a header and the POSIX time.

    It does not bind the cosigner's name, so each cosigner needs a key of its own.
    """
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def cosigned_tree(cosigner: str, checkpoint: Checkpoint, time: int) -> bytes:
    """What an ML-DSA-44 cosigner or log signs: its own name, the time, and the tree; never extension lines.

    Raises ``MalformedNote`` if a name does not fit its length byte, or if there are extension lines, which would seem
    signed without being so.
    """
    if checkpoint.extensions:
        raise MalformedNote("an ML-DSA-44 signature does not cover the extension lines of a checkpoint")
    return b"".join(
        (
            _SUBTREE_LABEL,
            _opaque(cosigner),
            time.to_bytes(8, "big"),
            _opaque(checkpoint.origin),
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def _opaque(name: str) -> bytes:
    encoded = name.encode()
    if len(encoded) > _MAX_OPAQUE:
        raise MalformedNote(f"a name of {len(encoded)} bytes can't be signed with ML-DSA-44, at most {_MAX_OPAQUE} can")
    return len(encoded).to_bytes(1, "big") + encoded


def _check_line(line: str) -> None:
    if not line or "\n" in line:
        raise MalformedNote("checkpoint: a line is empty or broken in two")
    try:
        strict.check_no_control(line)
    except ValueError as fault:
        raise MalformedNote(f"checkpoint: {fault}") from None
