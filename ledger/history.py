"""A member's history: all entries about them, and about the accounts that were merged into theirs.

Owns which accounts a history follows (docs/adr/0012-account-changes.md), the form of the file it is handed out as
(docs/format.md, "Histories"), and its verification with the ledger's verifier keys alone. Reads and writes streams, one
entry at a time. Never opens a store, and never decides which private values go along.

A merge makes two accounts one person's, so a history follows it; a transfer goes to somebody else, so it does not. An
account that was erased after it was merged ends with that, whoever bears its id later.

Invariant: what is handed out as proven is complete. Of each account it has the entries of member versions 1 to n, each
proven to be in the tree, and the last of them says that it is the last: ``export.issued``, or ``member.erased``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from msgspec import Struct, field

from ledger import handout
from ledger.annex import Redaction
from ledger.cosignature import Checkpoint
from ledger.entry import Entry
from ledger.errors import ProofError, VerificationError
from ledger.handout import Record, Tally, read_line, read_number
from ledger.joined import Side, side_of
from ledger.key_history import Trust, open_by
from ledger.merkle import HASH_SIZE, leaf_hash, verify_inclusion
from ledger.store.protocol import Row

_HEADER = "continuity-history/v1"
_MAX_PROOF = 63
ISSUED, ERASED = "export.issued", "member.erased"

OfStream = Callable[[str], Iterable[Row]]
"""The rows of a stream, in order."""


class Account(NamedTuple):
    """An account of a history: the member's id, and the position of the erasure it ends with, if it does."""

    member: str
    ended: int | None


def accounts_of(member: str, rows: OfStream) -> list[Account]:
    """The accounts that a member's history follows: their own first, then those that were merged into one of them."""
    found = {member: Account(member, None)}
    pending = [member]
    while pending:
        receiver = pending.pop(0)
        for at, side in _merges(receiver, rows):
            if side.received and side.giver not in found and _other_side(side, rows):
                found[side.giver] = Account(side.giver, _erased_after(side.giver, at, rows))
                pending.append(side.giver)
    return list(found.values())


def heirs_of(member: str, rows: OfStream) -> list[str]:
    """The members whose histories follow this account: the one it was merged into, and so on; nearest first."""
    found: list[str] = []
    pending = [member]
    while pending:
        giver = pending.pop(0)
        for at, side in _merges(giver, rows):
            new = not side.received and side.receiver not in (member, *found)
            if new and _other_side(side, rows) and _erased_after(giver, at, rows) is None:
                found.append(side.receiver)
                pending.append(side.receiver)
    return found


def _merges(member: str, rows: OfStream) -> Iterator[tuple[int, Side]]:
    for row in rows(f"member:{member}"):
        side = side_of(row.content().event)
        if side is not None and side.change == "merged":
            yield row.position, side


def _other_side(side: Side, rows: OfStream) -> bool:
    """Whether the other member's stream tells of it too: what an admin forced on one alone links nothing."""
    other = side._replace(received=not side.received)
    return any(found == other for _, found in _merges(side.giver if side.received else side.receiver, rows))


def _erased_after(member: str, position: int, rows: OfStream) -> int | None:
    found = (row.position for row in rows(f"member:{member}") if row.content().event.type == ERASED)
    return next((at for at in found if at > position), None)


class Header(NamedTuple):
    """What stands before the entries: whose history, how many entries, by which redaction, under which checkpoint."""

    member: str
    entries: int
    redaction: Redaction | None
    checkpoint: bytes


class Item(NamedTuple):
    """An entry of a history, its inclusion proof under the checkpoint, and its annex."""

    record: Record
    proof: tuple[bytes, ...]


class Told(Struct):
    """What a history tells of one account, as far as it was read."""

    entries: int = 0
    last: str = ""
    export: str | None = None
    """Of its last entry, where that is an export: the correlation that joins it with those of the other accounts."""
    sides: list[tuple[Side, bool]] = field(default_factory=list)
    """The merges it tells of, each with whether it was forced."""


class ProvenHistory(NamedTuple):
    """That a file holds the whole history of ``member`` up to its last entry, of ``entries`` by account.

    It was recorded at ``recorded``. ``redaction`` and ``tally`` say by which policy private values go along.
    """

    member: str
    entries: dict[str, int]
    recorded: str
    checkpoint: Checkpoint
    redaction: Redaction | None
    tally: Tally


def write_history(file: BinaryIO, header: Header, items: Iterable[Item]) -> None:
    """Write a history. Raises ``ValueError`` unless there are as many items as the header says."""
    file.write(f"{_HEADER}\nmember {header.member}\nentries {header.entries}\n".encode("ascii"))
    handout.write_grounds(file, header.redaction, header.checkpoint)
    count = 0
    for item in items:
        file.write(bytes([len(item.proof)]) + b"".join(item.proof) + handout.framed(item.record, header.redaction))
        count += 1
    if count != header.entries:
        raise ValueError(f"a history of {header.entries} entries has that many, not {count}")


def is_history(file: BinaryIO) -> bool:
    """Whether the file, which is at its start and stays there, says that it is a history."""
    found = file.read(len(_HEADER)) == _HEADER.encode("ascii")
    file.seek(0)
    return found


def read_header(file: BinaryIO) -> Header:
    """The header of the history that ``file`` is at the start of. Raises ``VerificationError``."""
    try:
        if read_line(file) != _HEADER:
            raise ValueError(f"the first line is not {_HEADER}")
        line = read_line(file)
        if not line.startswith("member ") or len(line) == 7:
            raise ValueError("there is no line 'member' where it belongs")
        return Header(line[7:], read_number(file, "entries "), *handout.read_grounds(file))
    except ValueError as fault:
        advice = "make it anew with: continuity slice --member MEMBER"
        raise VerificationError(f"not a history: {fault}", advice=advice) from None


def read_items(file: BinaryIO, header: Header) -> Iterator[tuple[Item, Entry]]:
    """The items after the header, each with its entry read; not proven yet. Raises ``VerificationError``."""
    for number in range(1, header.entries + 1):
        place = f"number {number}"
        count = int.from_bytes(file.read(1), "big")
        hashes = file.read(count * HASH_SIZE) if count <= _MAX_PROOF else b""
        if len(hashes) != count * HASH_SIZE:
            raise VerificationError(f"the proof of the entry {place} is cut short, or none")
        proof = tuple(hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE))
        record, content = handout.read_record(file, header.redaction, place)
        yield Item(record, proof), content
    if file.read(1):
        raise VerificationError(f"the history goes on after its {header.entries} entries")


def verify_history(file: BinaryIO, keys: Trust) -> ProvenHistory:
    """Read a whole history and check it: signature, each entry's proof and disclosures, and that none is missing.

    Raises ``SignatureError`` (a child of it) if its checkpoint isn't to be believed, ``ProofError`` for an entry that
    is not in the tree, ``VerificationError`` for a damaged file and for a history that is not whole.
    """
    header = read_header(file)
    checkpoint = open_by(keys, header.checkpoint)
    tally, accounts, last, recorded = Tally(), {header.member: Told()}, -1, ""
    for item, entry in read_items(file, header):
        position = entry.seal.position
        place = f"at position {position}"
        if position <= last:
            raise VerificationError(f"the entry {place} stands after that at position {last}")
        last, recorded = position, entry.seal.recorded
        try:
            verify_inclusion(position, checkpoint.size, leaf_hash(item.record.entry), item.proof, checkpoint.root)
        except ProofError as error:
            raise ProofError(f"the entry {place} is not proven: {error}") from None
        _take(accounts, entry, place)
        tally.add(handout.opened(item.record, entry, header.redaction, place))
    _check_whole(header.member, accounts)
    counts = {member: account.entries for member, account in accounts.items()}
    return ProvenHistory(header.member, counts, recorded, checkpoint, header.redaction, tally)


def _take(accounts: dict[str, Told], entry: Entry, place: str) -> None:
    """Take in what an entry tells of its account, of which it has to be the next. Raises ``VerificationError``."""
    event = entry.event
    account = accounts.setdefault(event.member or "", Told())
    account.entries += 1
    if not event.member or entry.seal.member_version != account.entries:
        raise VerificationError(
            f"the entry {place} is number {entry.seal.member_version or 0} about {event.member or 'nobody'}, "
            f"where number {account.entries} belongs"
        )
    account.last = event.type
    account.export = event.correlation or None if event.type == ISSUED else None
    side = side_of(event)
    if side is not None and side.change == "merged":
        account.sides.append((side, bool(event.forced)))


def _check_whole(member: str, accounts: dict[str, Told]) -> None:
    """Check that each account is followed rightly, none is missing, and each ends with an entry that says so."""
    linked = {member}
    pending = [member]
    while pending:
        for side, forced in accounts[pending.pop()].sides:
            if not side.received or side.giver in linked:
                continue
            giver = accounts.get(side.giver)
            if giver is None or not any(found == side._replace(received=False) for found, _ in giver.sides):
                if forced:
                    continue  # told from one side alone: it links nothing
                raise VerificationError(
                    f"the history lacks the account {side.giver}, which was merged into {side.receiver}"
                )
            linked.add(side.giver)
            pending.append(side.giver)
    if strangers := accounts.keys() - linked:
        raise VerificationError(f"the history holds entries of {min(strangers)}, which is none of its accounts")
    export = accounts[member].export
    for name, account in accounts.items():
        ended = account.last == ERASED and name != member
        if not ended and (export is None or account.export != export):
            raise VerificationError(f"the history of {name} has no end: its last entry is no export of it all")
