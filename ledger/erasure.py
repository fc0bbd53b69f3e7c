"""Destroying private values: those of a member in every stream, or those of one record. Entries and proofs stay.

With a member go the accounts that were merged into theirs, since they are the same person's, and a hold on a member
reaches those accounts too; a transfer leads to somebody else, so nothing follows it (docs/adr/0012-account-changes.md).

Owns what belongs to a member or a record, which holds forbid that it goes, and the order of effects: survey, make the
key of the next epoch, then in one transaction check the holds again, append ``member.erased`` or ``record.purged``,
delete the disclosures and wrapped keys, and turn the epoch; at last settle it, so that whatever other copies still hold
of them can't be opened. A crash before the commit leaves all as it was; after it, only settling is left to be done,
which repeating the erasure does. Never changes an entry: commitments stay, so hashes, proofs and state roots do too.
"""

from __future__ import annotations

import secrets
from collections.abc import Container, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ledger import moment
from ledger.datakeys import Pair, pair_of
from ledger.entry import EventBody
from ledger.epochs import Damaged, Progress, Settled
from ledger.errors import Conflict, Denied, EventError, Held, NotFound
from ledger.event import LOCAL, Credential
from ledger.history import OfStream, accounts_of, heirs_of
from ledger.joined import ACCOUNT_CHANGED
from ledger.log import Log, system_clock
from ledger.merkle import leaf_hash
from ledger.store.protocol import PAGE, Batch, Reads, Row, Selection, Writes

HOLDS = ("hold.placed", "hold.released")


class Target(NamedTuple):
    """What is to go: the private values of ``member``, or of the ``record``, which is given by its stream."""

    member: str | None = None
    record: str | None = None

    @property
    def selection(self) -> Selection:
        """The entries that belong to it."""
        return Selection(member=self.member, stream=self.record)

    @property
    def type(self) -> str:
        """The type of the event that says it is gone."""
        return "member.erased" if self.record is None else "record.purged"

    @property
    def stream(self) -> str:
        """The stream that the event goes to."""
        return f"member:{self.member}" if self.record is None else self.record

    def __str__(self) -> str:
        return f"member {self.member}" if self.record is None else self.record


class Hold(Struct, frozen=True):
    """A hold that stands: its stream, how far it reaches, and why."""

    stream: str
    scope: str
    target: str | None
    reason: str


class Part(Struct):
    """What of one stream goes: so many disclosures and data keys."""

    stream: str
    disclosures: int = 0
    keys: int = 0


class Plan(Struct, frozen=True, kw_only=True):
    """What an erasure would destroy now, stream by stream, and the holds that forbid it.

    ``accounts`` are the members that go along: those that were merged into the one that is erased.
    """

    streams: list[Part]
    holds: list[Hold]
    accounts: list[str]


class ErasedAccount(Struct, frozen=True, kw_only=True):
    """Proof that the account of a member who was merged into the erased one went along."""

    member: str
    entry: str
    position: int
    leaf_hash: str
    proof: str


class ErasureReceipt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Proof that private values were destroyed: the entry that says so, byte for byte, and its proof of inclusion.

    ``effective`` once no key is left that opens what other copies may still hold: from ``epoch`` on. ``awaited`` are
    older epochs whose keys are the operator's to destroy first; ``damaged`` data keys keep one from being destroyed.
    ``unscrubbed`` while a long reader keeps the bytes of what was deleted in the store's files: that is tried again.
    ``accounts`` went along.
    """

    member: str | UnsetType = UNSET
    record: str | UnsetType = UNSET
    entry: str
    position: int
    leaf_hash: str
    proof: str
    effective: bool
    epoch: int
    awaited: list[int] = []
    damaged: list[Damaged] = []
    unscrubbed: bool = False
    accounts: list[ErasedAccount] = []


def plan(log: Log, target: Target) -> Plan:
    """What destroying the target would take now. Raises ``NotFound`` when the log knows nothing of it."""
    survey = _surveyed(log, target)
    return Plan(streams=survey.parts(log), holds=survey.covering(), accounts=survey.accounts)


def erase(
    log: Log,
    target: Target,
    reason: str,
    credential: Credential = LOCAL,
    progress: Progress = lambda done, total: None,
) -> ErasureReceipt:
    """Destroy the private values of the target, for a ``reason`` given by its code; for owners only.

    Repeated, it finishes what was interrupted and gives the receipt of what is erased already. Raises ``Held``,
    ``NotFound``, ``Denied``, ``EventError`` (a record that is not in the trash for long enough, a frozen ledger, a
    malformed reason), ``KeyFileError``, and what ``Log.append`` raises.
    """
    if credential.role != "owner":
        raise Denied(f"only an owner erases, and credential {credential.id} has the role {credential.role}")
    survey = _surveyed(log, target)
    position = survey.last_erased
    if position is None or survey.accounts or any(part.disclosures or part.keys for part in survey.parts(log)):
        survey.refuse_held()
        position = _append(log, survey, reason, credential)
    return _receipt(log, target, position, log.epochs.settle(progress))


def _append(log: Log, survey: _Survey, reason: str, credential: Credential) -> int:
    """Append the event and delete, in one transaction, which is the first of a new epoch."""
    with log.epochs.turning() as epoch:

        def within(writes: Writes, batch: Batch) -> None:
            if writes.head().epoch != epoch - 1:
                raise Conflict("another process turned the epoch", advice="let all share one key folder")
            survey.go_on(writes)  # with what was appended since; the log stands still now
            survey.refuse_held()
            writes.erase(sorted(survey.positions), sorted(survey.pairs))
            batch.head = batch.head._replace(epoch=epoch)

        events = _events(survey, reason)
        outcome = log.submit(events, credential.as_system(), within=within).result()[0]
    if isinstance(outcome, EventError):
        raise outcome
    return outcome.position


def _events(survey: _Survey, reason: str) -> list[bytes]:
    """The event that says that the target is gone, and one for each account that goes along, under one correlation."""
    target, name = survey.target, secrets.token_hex(16)
    streams = [target.stream, *(f"member:{member}" for member in survey.accounts)]
    event: dict[str, Any] = {
        "specversion": "1.0",
        "source": "urn:continuity-ledger",
        "type": target.type,
        "time": moment.recorded(system_clock()),
        "data": {"reason": reason},
    }
    if target.record is not None and survey.collection is not None:
        event["data"]["collection"] = survey.collection
    if survey.accounts:
        event["correlationid"] = f"erasure-{name}"
    return [
        msgspec.json.encode(event | {"id": f"erased-{name}{f'-{number}' if number else ''}", "subject": stream})
        for number, stream in enumerate(streams)
    ]


def _receipt(log: Log, target: Target, position: int, settled: Settled) -> ErasureReceipt:
    row = log.row(position)
    return ErasureReceipt(
        member=UNSET if target.member is None else target.member,
        record=UNSET if target.record is None else target.record,
        entry=row.entry.decode(),
        position=position,
        leaf_hash=leaf_hash(row.entry).hex(),
        proof=log.prove(position).decode(),
        effective=settled.effective,
        epoch=settled.epoch,
        awaited=settled.awaited,
        damaged=settled.damaged,
        unscrubbed=not settled.scrubbed,
        accounts=[
            ErasedAccount(
                member=other.content().event.stream.partition(":")[2],
                entry=other.entry.decode(),
                position=other.position,
                leaf_hash=leaf_hash(other.entry).hex(),
                proof=log.prove(other.position).decode(),
            )
            for other in _beside(log, row)
        ],
    )


def _beside(log: Log, row: Row) -> Iterator[Row]:
    """The erasures that were recorded together with one: they follow it, under its correlation.

    Whoever reads that may give it to an event of theirs, but not this type, which is the ledger's own.
    """
    first = row.content().event
    for other in log.scan(Selection(first=row.position + 1)) if first.correlation else ():
        event = other.content().event
        if (event.type, event.correlation) != (first.type, first.correlation):
            return
        yield other


def _surveyed(log: Log, target: Target) -> _Survey:
    """A survey of the log as it stands, in short reads. Raises ``NotFound``."""
    size = log.head().size

    def rows(stream: str) -> Iterator[Row]:
        return log.scan(Selection(last=size - 1, stream=stream))

    merged = [] if target.member is None else accounts_of(target.member, rows)[1:]
    survey = _Survey(target, [account.member for account in merged if account.ended is None])
    for kind in HOLDS:
        survey.add_holds(log.scan(Selection(last=size - 1, type=kind)))
    for selection in survey.selections:
        survey.add(log.scan(selection._replace(last=size - 1)))
    survey.add_heirs(rows)
    survey.size = size
    if not survey.streams:
        raise NotFound(f"the log knows nothing of {target}")
    return survey


class _Survey:
    """What belongs to a target, and the holds that stand, as of a size of the log."""

    def __init__(self, target: Target, accounts: list[str]) -> None:
        self.target = target
        self.accounts = accounts
        """The members whose accounts were merged into the target's, and go along."""
        self.size = 0
        self.positions: list[int] = []
        self.pairs: set[Pair] = set()
        self.streams: dict[str, list[int]] = {}
        self.collection: str | None = None
        self.last_erased: int | None = None
        self._members: set[str] = set()
        self._heirs: set[str] = set()
        self._collections: set[str] = set()
        self._holds: dict[int, tuple[str, Hold | None]] = {}  # by position, since they come type by type

    @property
    def selections(self) -> list[Selection]:
        """The entries that belong to the target, and to the accounts that go along."""
        return [self.target.selection, *(Selection(member=member) for member in self.accounts)]

    def go_on(self, reads: Reads) -> None:
        """Take in what was appended since the size of the survey. Raises ``Conflict`` if accounts changed since."""
        if reads.rows(Selection(self.size, type=ACCOUNT_CHANGED), 1):
            raise Conflict("an account was changed meanwhile", advice="repeat it")
        for kind in HOLDS:
            self.add_holds(_all(reads, Selection(self.size, type=kind)))
        for selection in self.selections:
            self.add(_all(reads, selection._replace(first=self.size)))
        self.size = reads.head().size

    def add_heirs(self, rows: OfStream) -> None:
        """Take in the members into which those of the target were merged: holds on them reach it."""
        for member in self._members:
            self._heirs.update(heirs_of(member, rows))

    def add(self, rows: Iterable[Row]) -> None:
        """Take in entries that belong to the target."""
        for row in rows:
            event = row.content().event
            at = self.streams.setdefault(event.stream, [])
            if event.member:
                self._members.add(event.member)
            if event.type.startswith("record."):
                self.collection = event.public()["collection"]
                self._collections.add(self.collection)
            if event.type == self.target.type and event.stream == self.target.stream:
                self.last_erased = row.position
            if event.private:
                at.append(row.position)
                self.positions.append(row.position)
                self.pairs.add(pair_of(event))

    def add_holds(self, rows: Iterable[Row]) -> None:
        """Take in holds that were placed or released."""
        for row in rows:
            event = row.content().event
            self._holds[row.position] = (event.stream, _hold(event) if event.type == "hold.placed" else None)

    def covering(self) -> list[Hold]:
        """The holds that stand on anything of the target."""
        standing = {stream: hold for _, (stream, hold) in sorted(self._holds.items())}
        return [hold for hold in standing.values() if hold is not None and self._covers(hold)]

    def _covers(self, hold: Hold) -> bool:
        covered: dict[str, Container[str | None]] = {
            "member": self._members | self._heirs,
            "stream": self.streams,
            "collection": self._collections,
        }
        return hold.scope == "everything" or hold.target in covered[hold.scope]

    def refuse_held(self) -> None:
        """Raise ``Held`` when a hold stands on anything of the target."""
        if holds := self.covering():
            raise Held(str(self.target), [hold.stream for hold in holds])

    def parts(self, log: Log) -> list[Part]:
        """What of each stream is still there."""
        parts = {stream: Part(stream) for stream in sorted(self.streams)}
        with log.store.reading() as reads:
            for stream, positions in self.streams.items():
                for start in range(0, len(positions), PAGE):
                    parts[stream].disclosures += len(reads.disclosures(positions[start : start + PAGE]))
            for _, stream in reads.data_keys(sorted(self.pairs)):
                parts[stream].keys += 1
        return list(parts.values())


def _hold(event: EventBody) -> Hold:
    data = event.public()
    return Hold(event.stream, data["scope"], data.get("target"), data["reason"])


def _all(reads: Reads, selection: Selection) -> Iterable[Row]:
    """All rows of a selection within one view."""
    while rows := reads.rows(selection):
        yield from rows
        if len(rows) < PAGE:
            return
        selection = selection._replace(first=rows[-1].position + 1)
