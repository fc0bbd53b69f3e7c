"""Every error that the ledger raises on purpose, in one tree.

Owns the names, fields and default advice of failures. Never formats them for HTTP or a terminal (``api.problems`` and
``tools.cli.exit_codes`` hold the one table each). A message states the fault and its place; ``advice`` says what to do.

::

    LedgerError
    ├── EventError               one event of a request is at fault (path, index)
    │   ├── MalformedEvent       not JSON, bad UTF-8, a duplicate key
    │   ├── InvalidEvent         unknown type or field, wrong type, impossible time
    │   ├── OversizedEvent       an entry or a disclosure above 65,535 bytes
    │   ├── RoleDenied           the credential may not claim that role or post that type
    │   ├── LifecycleRefused     the stream's state does not allow the event
    │   ├── VersionConflict      the expected version is not the stream's version
    │   └── IdConflict           (source, id) is known with other content
    ├── NotFound                 no such ledger, stream, position or tile
    ├── Conflict                 exists already, or locked by another
    │   └── Held                 a hold forbids that it is destroyed
    ├── Denied                   the credential lacks the role for this
    ├── Busy                     the queue is full; try again
    ├── ReadOnly                 the ledger accepts no appends now
    ├── StoreError               the store failed or its content is unusable
    │   ├── StoreDamaged         the database can't read what it holds
    │   ├── StoreFull            there is no room left to write
    │   ├── StoreLocked          another program holds the database
    │   └── StoreUnreachable     the database server does not answer
    ├── KeyFileError             a key file is missing, damaged or readable by others
    └── VerificationError        bytes do not prove what they should
        ├── ProofError           an inclusion or consistency proof fails or does not parse
        ├── ForkError            two histories of one ledger
        ├── QuorumMissed         a checkpoint is cosigned by too few witnesses
        └── SignatureError
            ├── MalformedNote    not a signed note, checkpoint or verifier key
            ├── MalformedPolicy  not a trust policy
            ├── MalformedRotation not a rotation of signing keys, or one that does not follow
            ├── UnknownKey       no signature by a known key
            ├── RetiredKey       a signature by a key that did not hold at that size of the tree
            └── BadSignature     a known key's signature does not verify
"""

from __future__ import annotations


class LedgerError(Exception):
    """Root of the tree. ``str(error)`` is the fault; ``advice`` is what to do about it, or empty."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class EventError(LedgerError):
    """One event is at fault: ``path`` is the JSON path in it, ``index`` its place in the request, from 0."""

    def __init__(self, detail: str, path: str = "$", index: int | None = None, *, advice: str = "") -> None:
        super().__init__(f"{path}: {detail}", advice=advice)
        self.detail = detail
        self.path = path
        self.index = index


class MalformedEvent(EventError):
    """The bytes are not one JSON value: bad syntax, bad UTF-8, a lone surrogate or a duplicate key."""


class InvalidEvent(EventError):
    """Well-formed JSON that is no event of the catalogue: unknown type or field, wrong type or range."""


class OversizedEvent(EventError):
    """An entry or a disclosure would exceed 65,535 bytes, or a body its limit."""


class RoleDenied(EventError):
    """The credential may not claim that actor role, or may not post that type."""


class LifecycleRefused(EventError):
    """The stream's ``state`` does not allow ``event``; the detail names both and what would be allowed."""

    def __init__(self, detail: str, path: str = "$.type", *, state: str, event: str, advice: str = "") -> None:
        super().__init__(detail, path, advice=advice)
        self.state = state
        self.event = event


class VersionConflict(EventError):
    """``expectedversion`` was ``expected``, the stream is at ``actual``; nothing was written."""

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(
            f"expected version {expected}, but the stream is at version {actual}",
            "$.expectedversion",
            advice="read the stream again and decide anew",
        )
        self.expected = expected
        self.actual = actual


class IdConflict(EventError):
    """(source, id) stands at ``position`` with other content, so this is no retry of it."""

    def __init__(self, position: int, differs: str) -> None:
        super().__init__(
            f"this source and id stand at position {position} with another {differs}",
            "$.id",
            advice="give a new event a new id; repeat a retry byte for byte",
        )
        self.position = position


class NotFound(LedgerError):
    """No such ledger, stream, position, tile or checkpoint."""


class Conflict(LedgerError):
    """What should be made exists already, or another process holds it."""


class Held(Conflict):
    """Holds forbid that this is destroyed; ``holds`` are their streams."""

    def __init__(self, what: str, holds: list[str]) -> None:
        super().__init__(
            f"{what} is under {'a hold' if len(holds) == 1 else 'holds'}: {', '.join(holds)}",
            advice="an owner releases a hold with hold.released, when its reason is gone",
        )
        self.holds = holds


class Denied(LedgerError):
    """The credential is known, but lacks the role for this."""


class Busy(LedgerError):
    """The append queue is full. ``retry_after`` is in seconds; nothing of the request was taken."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message, advice=f"try again in {retry_after:g} s")
        self.retry_after = retry_after


class ReadOnly(LedgerError):
    """The ledger accepts no appends: ``reason`` says why, ``advice`` who lifts it and how."""

    def __init__(self, reason: str, *, advice: str = "") -> None:
        super().__init__(f"the ledger is read-only: {reason}", advice=advice)
        self.reason = reason


class StoreError(LedgerError):
    """The store failed (disk, lock, corruption) or holds what no version of this program writes."""


class StoreDamaged(StoreError):
    """The database can't read what it holds: a damaged page, file or schema. Another attempt will fail too."""


class StoreFull(StoreError):
    """The disk has no room for what was to be written, and nothing of it was; reading goes on."""


class StoreLocked(StoreError):
    """Another program holds a lock, the database's or one in the key folder, and did not let go in time.

    Nothing was written.
    """


class StoreUnreachable(StoreError):
    """The database server does not answer, or went away.

    If it was committing and does not come back in time, the outcome is unknown; a retry tells.
    """


class KeyFileError(LedgerError):
    """A key file is missing, damaged, or readable by others."""


class VerificationError(LedgerError):
    """Bytes do not prove what they should."""


class ProofError(VerificationError):
    """An inclusion or consistency proof fails, or is not one."""


class ForkError(VerificationError):
    """Two histories of one ledger: a tree that is smaller than, or inconsistent with, a signed one."""


class QuorumMissed(VerificationError):
    """A checkpoint is signed by a known log, but not cosigned by as many witnesses as the policy asks for."""


class SignatureError(VerificationError):
    """A signed note, checkpoint or verifier key is unusable."""


class MalformedNote(SignatureError):
    """Not a signed note, a checkpoint or a verifier key, by its form."""


class MalformedPolicy(SignatureError):
    """Not a trust policy (c2sp.org/tlog-policy); the message names the line."""


class MalformedRotation(SignatureError):
    """Not a rotation of signing keys, or none that follows from the keys before it."""


class RetiredKey(SignatureError):
    """A signature by a key of the log on a tree of a size for which that key did not hold."""


class UnknownKey(SignatureError):
    """No signature on the note is by a key that the verifier knows."""


class BadSignature(SignatureError):
    """A signature that claims a known key does not verify."""
