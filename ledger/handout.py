"""What every file of entries that is handed out is made of: its grounds, and records of an entry with its annex.

Owns these parts' form (docs/format.md, "Slices") and their reading, each part before the next, never more of a file
than what was read allows. Never says which entries belong into a file or what proves them: ``ledger.slice`` and
``ledger.history`` do.
"""

from __future__ import annotations

from collections import Counter
from typing import BinaryIO, NamedTuple

from ledger import annex, strict
from ledger.annex import Annex, Redaction
from ledger.entry import MAX_ENTRY, Entry, decode
from ledger.errors import StoreError, VerificationError
from ledger.note import MAX_NOTE_BYTES

_MAX_LINE = 256
_LENGTH = 2  # bytes that state an entry's length, as in an entry bundle of C2SP tlog-tiles


class Record(NamedTuple):
    """An entry as a file holds it, and the bytes of its annex, empty where there is none."""

    entry: bytes
    annex: bytes = b""


class Tally:
    """How many private values a file discloses, and how many each rule withheld, as far as it was read."""

    def __init__(self) -> None:
        self.disclosed = 0
        self.withheld: Counter[str] = Counter()

    def add(self, opened: Annex) -> None:
        """Count those of one entry."""
        self.disclosed += len(opened.disclosed)
        self.withheld.update(opened.withheld.values())


def write_grounds(file: BinaryIO, redaction: Redaction | None, checkpoint: bytes) -> None:
    """Write what entries are given out by, and what proves them: the redaction and the signed checkpoint."""
    file.write(b"redaction %b\n%d\n%b" % (annex.write_redaction(redaction), len(checkpoint), checkpoint))


def read_grounds(file: BinaryIO) -> tuple[Redaction | None, bytes]:
    """What ``write_grounds`` wrote. Raises ``ValueError``."""
    line = file.readline(annex.MAX_REDACTION)
    if not line.startswith(b"redaction ") or not line.endswith(b"\n"):
        raise ValueError("there is no line 'redaction' where it belongs")
    redaction = annex.read_redaction(line[10:-1])
    length = read_number(file)
    checkpoint = file.read(min(length, MAX_NOTE_BYTES + 1))
    if len(checkpoint) != length:
        raise ValueError("its checkpoint is cut short")
    return redaction, checkpoint


def framed(record: Record, redaction: Redaction | None) -> bytes:
    """A record as it stands in a file: the entry after its length, and its annex where there is a redaction."""
    tail = b"" if redaction is None else annex.frame(record.annex)
    return len(record.entry).to_bytes(_LENGTH, "big") + record.entry + tail


def read_record(file: BinaryIO, redaction: Redaction | None, place: str) -> tuple[Record, Entry]:
    """The record that a file is at. Raises ``VerificationError`` if it is cut short or its entry does not read."""
    length = int.from_bytes(file.read(_LENGTH), "big")
    entry = file.read(length)
    if not 0 < len(entry) == length <= MAX_ENTRY:
        raise VerificationError(f"the file ends within the entry {place}")
    try:
        content = decode(entry)
    except StoreError as error:
        raise VerificationError(f"the entry {place}: {error}") from None
    if redaction is None:
        return Record(entry), content
    try:
        return Record(entry, annex.read_annex(file, content.event)), content
    except VerificationError as error:
        raise VerificationError(f"the entry {place}: {error}") from None


def opened(record: Record, content: Entry, redaction: Redaction | None, place: str) -> Annex:
    """The annex of a record, checked against the commitments of its entry. Raises ``VerificationError``."""
    if redaction is None:
        return annex.NOTHING
    try:
        return annex.open_annex(record.annex, content.event, redaction)
    except VerificationError as error:
        raise VerificationError(f"the entry {place}: {error}") from None


def read_line(file: BinaryIO) -> str:
    """A line of a header, without its newline. Raises ``ValueError`` for one that is cut, too long or not ASCII."""
    line = file.readline(_MAX_LINE)
    if not line.endswith(b"\n"):
        raise ValueError("its header is cut short or has too long a line")
    return line[:-1].decode("ascii")


def read_number(file: BinaryIO, name: str = "") -> int:
    """The number on a line of a header, after ``name``. Raises ``ValueError``."""
    line = read_line(file)
    if not line.startswith(name):
        raise ValueError(f"there is no line {name.strip()!r} where it belongs")
    return strict.read_decimal(line.removeprefix(name))
