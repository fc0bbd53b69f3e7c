"""Cutting slices and members' histories out of a ledger, and showing what is in them.

Owns which bytes, hashes and disclosures of a log go into such a file, and the entry that says that a history was handed
out. The forms and their verification are ``ledger.slice``'s and ``ledger.history``'s; what is disclosed is for
``ledger.redaction`` to say.
"""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import msgspec

from ledger import annex, handout, history, moment, proving, tiles
from ledger import slice as slices
from ledger.annex import Redaction
from ledger.cosignature import Checkpoint
from ledger.entry import Entry
from ledger.errors import Conflict, EventError, NotFound
from ledger.event import LOCAL, Credential
from ledger.handout import Record
from ledger.history import Account, Item
from ledger.log import Log, system_clock
from ledger.redaction import Policy, redact
from ledger.store.protocol import PAGE, Batch, Row, Selection, Writes

Progress = Callable[[int, int], None]
"""Told (entries written, entries to write)."""
_ATTEMPTS = 5


def cut(
    log: Log,
    file: BinaryIO,
    first: int,
    end: int | None,
    policy: Policy | None = None,
    progress: Progress | None = None,
) -> slices.Header:
    """Write the entries from position ``first`` to ``end`` (excluded; None: all) as a slice under a fresh checkpoint.

    A ``policy`` says which disclosures go along. Raises ``NotFound`` when the log doesn't hold them all, ``ForkError``
    when it is not what was signed before.
    """
    checkpoint, note = log.checkpoint()
    stop = checkpoint.size if end is None else end
    if not 0 <= first <= stop <= checkpoint.size:
        raise NotFound(f"there are no entries from {first} to {stop - 1}; the log holds {checkpoint.size:,}")
    with log.store.reading() as reads:
        left = tiles.range_hashes(reads.tile, 0, first)
        right = tiles.range_hashes(reads.tile, stop, checkpoint.size)
    redaction = None if policy is None else policy.statement()
    header = slices.Header(first, stop, tuple(left), tuple(right), note, redaction)
    rows = log.scan(Selection(first, stop - 1))
    slices.write_slice(file, header, _counted(_records(log, rows, policy), stop - first, progress))
    return header


def _records(log: Log, rows: Iterable[Row], policy: Policy | None) -> Iterator[Record]:
    """Each row with the annex that the policy makes of its disclosures."""
    if policy is None:
        yield from (Record(row.entry) for row in rows)
        return
    for page in _pages(rows):
        for row, disclosures in zip(page, log.disclosures(page), strict=True):
            event = row.content().event
            shown, withheld = redact(policy, event.type, event.commitments(), disclosures)
            yield Record(row.entry, annex.write_annex(shown, withheld))


def _pages(rows: Iterable[Row]) -> Iterator[list[Row]]:
    page: list[Row] = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def _counted(records: Iterable[Record], total: int, progress: Progress | None) -> Iterator[Record]:
    for count, record in enumerate(records, 1):
        yield record
        if progress is not None and count % PAGE == 0:
            progress(count, total)


class HandedOut(NamedTuple):
    """What came of handing a history out: the accounts in it, its number of entries, and where its end is recorded."""

    accounts: list[str]
    entries: int
    position: int


class _Survey(NamedTuple):
    """How much there is of an account: entries, private values that the policy withholds or that are gone."""

    account: Account
    entries: int
    withheld: int
    first: int
    last: int


def cut_history(log: Log, file: BinaryIO, member: str, policy: Policy, credential: Credential = LOCAL) -> HandedOut:
    """Write the whole history of a member, with the accounts that were merged into theirs, as a file that proves it.

    That it is handed out is recorded first, by an ``export.issued`` about each account, which is the last of its
    entries in the file. Raises ``NotFound`` when the log knows nothing of the member, ``Conflict`` when they have new
    entries faster than this can count them, and what ``Log.append`` raises.
    """
    for _ in range(_ATTEMPTS):
        accounts = history.accounts_of(member, lambda stream: log.scan(Selection(stream=stream)))
        surveys = [_surveyed(log, account, policy) for account in accounts]
        if not surveys[0].entries:
            raise NotFound(f"the log knows nothing of member {member}")
        try:
            issued = _issue(log, surveys, policy, credential)
            break
        except Conflict:
            continue  # an entry came in between: count again
    else:
        raise Conflict(f"member {member} has new entries again and again", advice="repeat it")
    checkpoint, note = log.checkpoint()
    count = sum(survey.entries for survey in surveys) + len(issued)
    header = history.Header(member, count, policy.statement(), note)
    history.write_history(file, header, _items(log, accounts, issued[0], policy, checkpoint))
    return HandedOut([account.member for account in accounts], count, issued[0])


def _rows(log: Log, account: Account, last: int | None) -> Iterator[Row]:
    ends = [end for end in (account.ended, last) if end is not None]
    return log.scan(Selection(last=min(ends, default=None), member=account.member))


def _surveyed(log: Log, account: Account, policy: Policy) -> _Survey:
    entries, withheld, first, last = 0, 0, -1, -1
    for page in _pages(_rows(log, account, None)):
        first = page[0].position if first < 0 else first
        last = page[-1].position
        entries += len(page)
        for row, disclosures in zip(page, log.disclosures(page), strict=True):
            event = row.content().event
            withheld += len(redact(policy, event.type, event.commitments(), disclosures).withheld)
    return _Survey(account, entries, withheld, first, last)


def _issue(log: Log, surveys: list[_Survey], policy: Policy, credential: Credential) -> list[int]:
    """Record that the accounts are handed out, and return where. Raises ``Conflict`` if one has grown since."""
    open_ones = [survey for survey in surveys if survey.account.ended is None]

    def within(writes: Writes, batch: Batch) -> None:
        counted = {survey.account.member: survey.entries for survey in open_ones}
        if any(row.member_version != counted[row.member or ""] + 1 for row in batch.rows):
            raise Conflict("an entry came in between")

    name = secrets.token_hex(8)
    checkpoint, _ = log.checkpoint()
    events = [
        _event(f"{name}-{number}" if number > 1 else name, name, survey, policy, checkpoint, credential)
        for number, survey in enumerate(open_ones, 1)
    ]
    outcomes = log.submit(events, credential.as_system(), within=within).result()
    return [outcome.position for outcome in outcomes if not isinstance(outcome, EventError)]


def _event(
    export: str, name: str, survey: _Survey, policy: Policy, checkpoint: Checkpoint, credential: Credential
) -> bytes:
    data: dict[str, Any] = {
        "anonymised": False,
        "entries": survey.entries,
        "first_position": survey.first,
        "format": "history",
        "last_position": survey.last,
        "redaction": policy.name,
        "requested_by": credential.actor,
        "root": checkpoint.root.hex(),
        "scope": "member",
        "tables": [],
        "tree_size": checkpoint.size,
        "values_withheld": survey.withheld,
    }
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"export-{export}",
            "source": "urn:continuity-ledger",
            "type": history.ISSUED,
            "subject": f"export:{export}",
            "member": survey.account.member,
            "correlationid": f"export-{name}",
            "time": moment.recorded(system_clock()),
            "data": data,
        }
    )


def _items(
    log: Log, accounts: list[Account], first_export: int, policy: Policy, checkpoint: Checkpoint
) -> Iterator[Item]:
    """All entries of the accounts up to their exports, which follow each other from ``first_export`` on, in order."""
    last = first_export + sum(1 for account in accounts if account.ended is None) - 1
    streams = [_rows(log, account, last) for account in accounts]
    merged = heapq.merge(*streams, key=lambda row: row.position)
    for page in _pages(merged):
        with log.store.reading() as reads:
            proofs = [tuple(proving.path(reads, row.position, checkpoint.size)) for row in page]
        yield from map(Item, _records(log, page, policy), proofs)


def contents(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """The entries of a slice or a history that was verified, each with what is disclosed of it and what is withheld."""
    file.seek(0)
    for record, content, redaction in _verified(file):
        told: dict[str, Any] = {"entry": msgspec.Raw(record.entry)}
        if redaction is not None:
            values = handout.opened(record, content, redaction, f"at position {content.seal.position}")
            told |= {"disclosed": values.disclosed, "withheld": values.withheld}
        yield told


def _verified(file: BinaryIO) -> Iterator[tuple[Record, Entry, Redaction | None]]:
    if history.is_history(file):
        whose = history.read_header(file)
        for item, content in history.read_items(file, whose):
            yield item.record, content, whose.redaction
        return
    header = slices.read_header(file)
    for record, content in slices.read_records(file, header):
        yield record, content, header.redaction
