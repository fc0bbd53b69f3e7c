"""Annexes: what goes with an entry that is handed out, of its private values. Disclosures kept, the rest accounted for.

Owns the form (docs/format.md, "Annexes") and the check that an annex is its entry's own: every private field of the
entry is either disclosed, by the disclosure that its commitment covers, or named with the rule that withheld it. Pure,
but for reading a stream. Never decides what is disclosed (``ledger.redaction`` does), never opens what is encrypted.

Invariants: an annex has one spelling; nothing of a disclosure is believed before its commitment is compared; no more of
a file is read than the commitments of the entry account for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from ledger import canonical, privacy
from ledger.entry import EventBody
from ledger.errors import LedgerError, StoreError, VerificationError

LENGTH = 4
"""Bytes that state an annex's length."""
_MOST_OF_A_FIELD = privacy.MAX_DISCLOSURE + 512
MAX_REDACTION = 16_384
"""Bytes of the line that tells of the redaction."""
_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Redaction(Struct, frozen=True, forbid_unknown_fields=True):
    """By which policy private values were left out, and in words what each of its rules that withhold is for."""

    policy: str
    rules: dict[str, str]


class _Annex(Struct, frozen=True, forbid_unknown_fields=True):
    disclosed: list[str]
    withheld: dict[str, str]


class Annex(Struct, frozen=True):
    """The private values of an entry as they are handed out, by name, and the rule that withheld each of the others."""

    disclosed: dict[str, Any]
    withheld: dict[str, str]


NOTHING = Annex({}, {})
"""The annex of an entry that has no private fields."""


def write_redaction(redaction: Redaction | None) -> bytes:
    """The line that tells of a redaction, without its newline: ``none``, or canonical JSON."""
    return b"none" if redaction is None else canonical.dumps(msgspec.to_builtins(redaction))


def read_redaction(line: bytes) -> Redaction | None:
    """The redaction that a line tells of. Raises ``ValueError`` for another form or another spelling."""
    if line == b"none":
        return None
    try:
        redaction = msgspec.json.decode(line, type=Redaction)
        if write_redaction(redaction) != line:
            raise ValueError
    except (ValueError, LedgerError, RecursionError):
        raise ValueError("the line that tells of the redaction is not canonical JSON of one") from None
    if not all(map(_CODE.fullmatch, (redaction.policy, *redaction.rules))):
        raise ValueError("a redaction policy and its rules are named by codes")
    return redaction


def write_annex(disclosures: Mapping[str, bytes], withheld: Mapping[str, str]) -> bytes:
    """The annex of an entry: its kept disclosures, by name, and the rule that withheld each other private field.

    Empty where the entry has no private fields.
    """
    if not disclosures and not withheld:
        return b""
    kept = [disclosures[name].decode("ascii") for name in sorted(disclosures)]
    return canonical.dumps({"disclosed": kept, "withheld": dict(withheld)})


def frame(annex: bytes) -> bytes:
    """An annex after its length, as it stands in a file."""
    return len(annex).to_bytes(LENGTH, "big") + annex


def read_annex(file: BinaryIO, body: EventBody) -> bytes:
    """The bytes of the annex that a file is at, for an entry with this event; not checked yet.

    Raises ``VerificationError`` for one that is cut short, or longer than that of this entry can be: before reading it.
    """
    size = int.from_bytes(length := file.read(LENGTH), "big")
    if len(length) != LENGTH or size > 64 + _MOST_OF_A_FIELD * len(body.commitments()):
        raise VerificationError("its annex is cut short, or larger than that of this entry can be")
    annex = file.read(size)
    if len(annex) != size:
        raise VerificationError("its annex is cut short")
    return annex


def open_annex(annex: bytes, body: EventBody, redaction: Redaction) -> Annex:
    """The private values in an annex, each checked against its commitment in the entry with this event.

    Raises ``VerificationError`` unless it accounts for each private field of the entry, once, and for nothing else.
    """
    commitments = body.commitments()
    if not annex and not commitments:
        return NOTHING
    try:
        parts = msgspec.json.decode(annex, type=_Annex)
        if canonical.dumps(msgspec.to_builtins(parts)) != annex:
            raise ValueError
    except (ValueError, LedgerError, RecursionError):
        raise VerificationError("its annex is not canonical JSON of one") from None
    disclosed: dict[str, Any] = {}
    for text in parts.disclosed:
        name, value = _opened(text, commitments)
        if disclosed and name <= next(reversed(disclosed)):
            raise VerificationError(f"its annex discloses {name!r} twice or out of order")
        disclosed[name] = value
    told = disclosed.keys() | parts.withheld.keys()
    if told != commitments.keys() or disclosed.keys() & parts.withheld.keys():
        odd = min((told ^ commitments.keys()) or (disclosed.keys() & parts.withheld.keys()))
        raise VerificationError(f"its annex does not tell once what became of each private field: see {odd[:100]!r}")
    if unknown := set(parts.withheld.values()) - redaction.rules.keys():
        raise VerificationError(f"its annex names a rule that {redaction.policy} has not: {min(unknown)[:100]!r}")
    return Annex(disclosed, parts.withheld)


def _opened(text: str, commitments: Mapping[str, str]) -> tuple[str, Any]:
    """The name and value of a disclosure that one of the commitments covers. Raises ``VerificationError``."""
    try:
        disclosure = text.encode("ascii")
        if len(disclosure) > privacy.MAX_DISCLOSURE:
            raise VerificationError("its annex holds a disclosure that is too large")
        name, value = privacy.open_disclosure(disclosure)
    except (UnicodeEncodeError, StoreError):
        raise VerificationError("its annex holds what is no disclosure") from None
    if commitments.get(name) != privacy.commitment_of(disclosure):
        raise VerificationError(f"its annex discloses {name[:100]!r}, and no commitment of the entry covers that")
    return name, value
