"""The witness protocol: what a log asks of a witness, and when a witness cosigns.

Owns the request and the answers of ``add-checkpoint``, byte by byte, and the decision. Pure: the caller holds the
witness's memory, and persists a new checkpoint before it answers; ``tools.witness`` does.

Invariant: a witness that follows ``decide`` never cosigns two trees of one log that don't extend each other.

Source: https://c2sp.org/tlog-witness.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from ledger import strict
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import LedgerError, MalformedNote, ProofError, SignatureError
from ledger.merkle import HASH_SIZE, verify_consistency
from ledger.note import Note, Signature, Signer, VerifierKey, format_note, parse_note

MAX_PROOF = 63
"""Hashes of a proof in a request."""

MAX_REQUEST = 256 * 1024
"""Bytes of a request that are read: room for a whole proof, and for more than the 16 signatures that everybody takes,
of the largest kinds."""

SIZE_TYPE = "text/x.tlog.size"
"""The media type of the answer 409 that tells the size last cosigned."""


class Request(NamedTuple):
    """A request to cosign ``checkpoint``, a signed note: its tree extends the one of ``old`` leaves by this proof."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


class Refused(LedgerError):
    """The witness does not cosign: ``status`` is the HTTP status that says why.

    ``size``: that of the tree it cosigned last, where the log has to begin from there (409), else None.
    """

    def __init__(self, status: HTTPStatus, message: str, size: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.size = size


def format_request(request: Request) -> bytes:
    """The body of a request."""
    lines = [f"old {request.old}", *map(strict.write_base64, request.proof), "", ""]
    return "\n".join(lines).encode("ascii") + request.checkpoint


def parse_request(body: bytes) -> Request:
    """Read the body of a request; the inverse of ``format_request``. Raises ``Refused`` (400)."""
    head, divider, checkpoint = body.partition(b"\n\n")
    try:
        if not divider:
            raise ValueError("there is no empty line before the checkpoint")
        first, *lines = head.decode("ascii").split("\n")
        if not first.startswith("old "):
            raise ValueError("the first line does not say the old size")
        old = strict.read_decimal(first.removeprefix("old "))
        if len(lines) > MAX_PROOF:
            raise ValueError(f"the proof has {len(lines)} lines, at most {MAX_PROOF} are read")
        proof = tuple(map(strict.read_base64, lines))
        if any(len(each) != HASH_SIZE for each in proof):
            raise ValueError(f"a hash of the proof has not {HASH_SIZE} bytes")
    except ValueError as fault:
        raise Refused(HTTPStatus.BAD_REQUEST, f"not a request to a witness: {fault}") from None
    return Request(old, proof, checkpoint)


def origin_of(checkpoint: bytes) -> str:
    """The origin that a checkpoint claims, unverified: it tells whose keys to verify with.

    Raises ``Refused``: 400 for what is no checkpoint, 422 for size 0 with a root that is not the empty tree's.
    """
    lines: list[str] = []
    try:
        lines = parse_note(checkpoint).text.split("\n")
        return Checkpoint.parse("\n".join(lines)).origin
    except SignatureError as fault:
        status = HTTPStatus.UNPROCESSABLE_ENTITY if lines[1:2] == ["0"] else HTTPStatus.BAD_REQUEST
        raise Refused(status, f"not a checkpoint: {fault}") from None


def decide(request: Request, keys: Sequence[VerifierKey], last: Checkpoint | None) -> Checkpoint:
    """The checkpoint to cosign, once it is persisted in the place of ``last``, which was cosigned last for its origin.

    ``keys`` are those trusted for the origin. Raises ``Refused`` as ``verified`` and ``check_extends`` do.
    """
    checkpoint = verified(request, keys)
    check_extends(request, checkpoint, last)
    return checkpoint


def verified(request: Request, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint of a request, signed by one of ``keys``, those trusted for its origin.

    Raises ``Refused``: 404 for an origin without keys, 403 without a good signature, 400 for extension lines or an old
    size above the new.
    """
    origin = origin_of(request.checkpoint)
    if not keys:
        raise Refused(HTTPStatus.NOT_FOUND, f"the log {origin} is not known here")
    try:
        checkpoint = open_checkpoint(request.checkpoint, keys)
    except SignatureError as fault:
        raise Refused(HTTPStatus.FORBIDDEN, str(fault)) from None
    if checkpoint.extensions:
        raise Refused(HTTPStatus.BAD_REQUEST, "a checkpoint with extension lines is not cosigned")
    if request.old > checkpoint.size:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the old size {request.old} is above the new, {checkpoint.size}")
    return checkpoint


def check_extends(request: Request, checkpoint: Checkpoint, last: Checkpoint | None) -> None:
    """See that a verified checkpoint extends ``last``, by the proof in the request.

    Raises ``Refused``: 409 for another old size than that of ``last``, 422 for a proof that does not prove.
    """
    size = last.size if last is not None else 0
    if request.old != size:
        raise Refused(HTTPStatus.CONFLICT, f"cosigned last was size {size}, not {request.old}", size)
    if last is None or request.old == 0:
        if request.proof:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "from size 0 there is nothing to prove: send no proof")
        return
    try:
        verify_consistency(last.size, checkpoint.size, last.root, checkpoint.root, request.proof)
    except ProofError as fault:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(fault)) from None


def cosign(checkpoint: Checkpoint, signers: Sequence[Signer], time: int) -> bytes:
    """The answer to a request: a signature line of each signer. ``time`` is POSIX seconds."""
    note = format_note(Note(checkpoint.body(), tuple(signer.sign(checkpoint.body(), time) for signer in signers)))
    return note[len(checkpoint.body().encode()) + 1 :]


def parse_cosignatures(answer: bytes) -> tuple[Signature, ...]:
    """The signatures of an answer, verified by nobody yet. Raises ``MalformedNote``."""
    return parse_note(b"answer\n\n" + answer).signatures


def with_cosignatures(checkpoint: bytes, cosignatures: Sequence[Signature]) -> bytes:
    """A signed checkpoint with further signatures after its own; one that is there already is not repeated.

    Of two by one key the later is kept. Raises ``MalformedNote``.
    """
    note = parse_note(checkpoint)
    new = {(one.name, one.key_id): one for one in cosignatures}
    kept = [one for one in note.signatures if (one.name, one.key_id) not in new]
    if not kept:
        raise MalformedNote("no signature of the log's own would be left")
    return format_note(Note(note.text, (*kept, *new.values())))
