"""Reading the log for a caller: which rows, how they are paged, and what of them this caller may see.

Owns cursors, the filter by who posted, and the shapes of entries in answers. Runs on reader threads, never on the
event loop. An entry's bytes are spliced into an answer as they are stored, never re-serialised.
"""

from __future__ import annotations

import asyncio
import binascii
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from starlette.requests import Request

from api.problems import BadParameter, NotReached
from api.queries import EventsQuery
from api.room import Threads
from api.security import Access
from api.settings import Settings
from ledger import catalog, merkle, redaction
from ledger.canonical import MAX_INTEGER
from ledger.entry import decode
from ledger.errors import Denied, InvalidEvent, NotFound
from ledger.event import to_cloudevent
from ledger.log import Log
from ledger.ranges import is_turned_round
from ledger.redaction import Redacted
from ledger.store.protocol import PAGE, Row, Selection

READERS = 8
"""Threads that read at once; a store's pool has more connections than that."""
_POLL_SECONDS = 0.05
_DIGEST = 8
T = TypeVar("T")


class Item(Struct, kw_only=True):
    """One entry in an answer. ``entry`` is its exact bytes; ``disclosed`` holds private values by name.

    ``withheld`` names the private fields that are not shown, each with the redaction rule that withheld it.
    """

    position: int
    leaf_hash: str
    entry: Raw
    disclosed: dict[str, Any] | UnsetType = UNSET
    withheld: dict[str, str] | UnsetType = UNSET


class Page(NamedTuple):
    """Rows that the caller may see, their private values if asked for, and the cursor of the next page, if any."""

    rows: list[Row]
    disclosed: list[Redacted | None]
    next: str | None


async def in_thread(request: Request, work: Callable[..., T], *arguments: Any) -> T:
    """Run blocking work on one of a few reader threads, of which the ledger in the path uses a part."""
    readers: Threads = request.app.state.readers
    return await readers.run(request.path_params.get("ledger", ""), work, *arguments)


async def reach(request: Request, log: Log, wanted: int | None) -> None:
    """Wait until the log holds a position, without holding a thread. Raises ``NotReached``."""
    if wanted is None:
        return
    settings: Settings = request.app.state.settings
    until = time.monotonic() + settings.wait_seconds
    while (size := (await in_thread(request, log.head)).size) <= wanted:
        if time.monotonic() >= until:
            raise NotReached(wanted, size)
        await asyncio.sleep(_POLL_SECONDS)


def bound(log: Log, name: str, text: str, *, end: bool) -> int:
    """The position that an inclusive bound means. Raises ``BadParameter``."""
    try:
        found = log.bound(text, end=end)
    except ValueError as error:
        raise BadParameter(name, f"no position, date or time: {error}") from None
    if found > MAX_INTEGER:
        raise BadParameter(name, "expected a position of at most 2^53 - 1")
    return found


def read_page(access: Access, query: EventsQuery) -> Page:
    """A page of the log as the caller may see it. Raises ``BadParameter``, and ``Denied`` as ``disclose`` does.

    For a caller who sees only some entries, a page may hold fewer than ``limit`` (or none) and still have a next one:
    at most ``PAGE`` rows are looked at.
    """
    selection = _selection(access.log, query)
    whole = access.sees("")
    scanned = access.log.page(selection, query.limit + 1 if whole else PAGE)
    more = not whole and len(scanned) == PAGE
    rows = [row for row in scanned if whole or access.sees(posted_by(row))]
    end = scanned[-1].position if scanned else -1
    if len(rows) > query.limit:
        rows, more = rows[: query.limit], True
        end = rows[-1].position
    following = _cursor(query, end) if more else None
    disclosed: list[Redacted | None] = disclose(access, rows) if query.disclose else [None] * len(rows)
    return Page(rows, disclosed, following)


def read_row(access: Access, position: int) -> Row:
    """The row at a position. Raises ``NotFound`` alike for one that is not there and one that is not the caller's."""
    rows = access.log.page(Selection(position, position))
    if not rows or not access.sees(posted_by(rows[0])):
        raise NotFound(f"there is no entry at position {position} for you to read")
    return rows[0]


def disclose(access: Access, rows: Sequence[Row]) -> list[Redacted | None]:
    """The private values of rows, as the policy of the caller's role has it.

    Raises ``Denied`` unless the caller may read those of each.
    """
    if not all(access.sees_private(posted_by(row)) for row in rows) or access.credential.role == "auditor":
        raise Denied(
            f"credential {access.credential.id} has the role {access.credential.role}, which reads no private values",
            advice="leave out disclose",
        )
    chosen = redaction.policy(redaction.ROLES[access.credential.role])
    events = [decode(row.entry).event for row in rows]
    return [
        redaction.redact(chosen, event.type, event.commitments(), values)
        for event, values in zip(events, access.log.disclose(rows), strict=True)
    ]


def posted_by(row: Row) -> str:
    """The id of the credential that posted an entry, from its seal."""
    return decode(row.entry).seal.by


def leaf_hash(row: Row) -> str:
    """The leaf hash of an entry, in hex."""
    return merkle.leaf_hash(row.entry).hex()


def item(row: Row, disclosed: Redacted | None) -> Item:
    """An entry as our own JSON shows it."""
    return Item(
        position=row.position,
        leaf_hash=leaf_hash(row),
        entry=Raw(row.entry),
        disclosed=UNSET if disclosed is None else disclosed.shown,
        withheld=disclosed.withheld if disclosed is not None and disclosed.withheld else UNSET,
    )


def cloudevent(row: Row, disclosed: Redacted | None) -> dict[str, Any]:
    """An entry as a CloudEvent."""
    return to_cloudevent(row.entry, *(disclosed or ()))


def _selection(log: Log, query: EventsQuery) -> Selection:
    first = 0 if query.from_ is None else bound(log, "from", query.from_, end=False)
    last = None if query.to is None else bound(log, "to", query.to, end=True)
    if query.from_ is not None and query.to is not None and is_turned_round(log, query.from_, query.to):
        raise BadParameter("from", f"{query.from_} is after to={query.to}", advice="turn them round")
    if query.after is not None:
        first = max(first, query.after + 1)
    if query.cursor is not None:
        first = max(first, _resume(query) + 1)
    if query.type is not None:
        try:
            catalog.get(query.type)
        except InvalidEvent as error:
            raise BadParameter("type", error.detail, advice=error.advice) from None
    return Selection(first, last, query.stream, query.member, query.type)


def _asked(query: EventsQuery) -> str:
    """A digest of what a cursor belongs to: everything asked that decides which entries come, and in which order."""
    asked = (query.after, query.from_, query.to, query.stream, query.member, query.type)
    return sha256(msgspec.json.encode(asked)).hexdigest()[:_DIGEST]


def _cursor(query: EventsQuery, last: int) -> str:
    return urlsafe_b64encode(f"{last}.{_asked(query)}".encode()).rstrip(b"=").decode()


def _resume(query: EventsQuery) -> int:
    """The position after which the cursor of a query resumes."""
    text = query.cursor or ""
    try:
        plain = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode("ascii")
    except (UnicodeError, binascii.Error):
        raise BadParameter("cursor", "not a cursor of this service") from None
    position, _, asked = plain.partition(".")
    if not position.isdigit() or int(position[:20]) > MAX_INTEGER:
        raise BadParameter("cursor", "not a cursor of this service")
    if asked != _asked(query):
        raise BadParameter("cursor", "it belongs to another query", advice="repeat the query that gave it, unchanged")
    return int(position)
