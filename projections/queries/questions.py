"""The questions that are asked of read models often: a reservation, a piece, notices, records, retention, statistics.

Owns which rows answer them. Never folds and never reads the log; whoever shows an answer opens its private values by
``rows.disclosed``. All of them raise ``Unready`` while a read model is being built for the first time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ledger.errors import NotFound
from projections.models.accounts import ACCOUNTS
from projections.models.holds import DUE, HELD
from projections.models.media import CONTENTS as MEDIA_CONTENTS
from projections.models.media import KINDS, MEDIA
from projections.models.members import FIELDS as MEMBER_FIELDS
from projections.models.pieces import PIECES
from projections.models.records import COLLECTIONS, RECORDS
from projections.models.records import CONTENTS as RECORD_CONTENTS
from projections.models.records import FIELDS as RECORD_FIELDS
from projections.models.reservations import RESERVATIONS, STAGE_HISTORY
from projections.models.statistics import DAYS, GROWTH, HOURS, RECORDED, TYPES
from projections.models.storage import ACTIONS, STORAGE
from projections.projection import Key, Table
from projections.queries.merges import heirs
from projections.queries.rows import Page, every, page, shown
from projections.store.protocol import PAGE, Reads

_OWNERS: dict[str, Table[Any]] = {"record": RECORDS, "media": MEDIA, "account": ACCOUNTS}
"""By the kind of a stream that may be destroyed: the table that knows whose it is."""


def reservation(reads: Reads, reservation_id: str) -> dict[str, Any]:
    """The row of a reservation. Raises ``NotFound``."""
    values = reads.row(RESERVATIONS, f"reservation:{reservation_id}")
    if values is None:
        raise NotFound(f"there is no reservation {reservation_id[:200]} among the projections")
    return shown(RESERVATIONS, values)


def history(reads: Reads, reservation_id: str) -> list[dict[str, Any]]:
    """The transitions of a reservation, in order; empty when there is no such reservation."""
    return list(every(reads, STAGE_HISTORY, {"stream": f"reservation:{reservation_id}"}))


def pieces(reads: Reads, code: str) -> list[dict[str, Any]]:
    """The pieces that go by a code: one, if the studio gives each once only."""
    return list(every(reads, PIECES, {"code": code}))


def pieces_of(reads: Reads, reservation_id: str) -> list[dict[str, Any]]:
    """The pieces of a reservation, by stream."""
    return list(every(reads, PIECES, {"reservation": reservation_id}))


def storage_of(reads: Reads, reservation_id: str) -> list[dict[str, Any]]:
    """How the shelf storage of a reservation stands; more than one where its work was put on the shelf in parts."""
    return list(every(reads, STORAGE, {"reservation": reservation_id}))


def notices(reads: Reads, reservation_id: str) -> list[dict[str, Any]]:
    """The notices, reminders, failures and bills of a reservation, by date."""
    return list(every(reads, ACTIONS, {"reservation": reservation_id}))


def records(
    reads: Reads, collection: str, *, status: str | None = None, after: Key | None = None, limit: int = PAGE
) -> Page:
    """A page of the records of a collection, by stream; only those of a status, if one is given."""
    where = {"collection": collection} if status is None else {"collection": collection, "status": status}
    return page(reads, RECORDS, where, after=after, limit=limit)


def retention(reads: Reads, until: str | None = None) -> list[dict[str, Any]]:
    """What may be destroyed, the first due first, each with ``held``: how many holds keep it from that.

    A hold on a member covers what was once about them, or about an account that was merged into theirs (docs/adr/0012).
    ``until`` leaves out what is due after that moment, in the form of ``recorded``; without it, also what can't be said
    yet comes along, at the end.
    """
    due = [row for row in every(reads, DUE) if until is None or row.get("due", "~") <= until]
    due.sort(key=lambda row: (row.get("due", "~"), row["stream"]))
    return [row | {"held": _held(reads, row)} for row in due]


def _held(reads: Reads, row: dict[str, Any]) -> int:
    """How many holds cover what a row of ``due_retention`` is about."""
    stream: str = row["stream"]
    keys = [("everything", ""), ("stream", stream)]
    if "collection" in row:
        keys.append(("collection", row["collection"]))
    owner = reads.row(table := _OWNERS[stream.partition(":")[0]], stream)
    owned = {} if owner is None else shown(table, owner)
    members = [owned["member"], *owned.get("earlier_members", ())] if "member" in owned else []
    covering = dict.fromkeys(each for member in members for each in (member, *heirs(reads, member)))
    keys += [("member", each) for each in covering]
    found = (reads.row(HELD, key) for key in keys)
    return sum(int(values[2] or 0) for values in found if values is not None)


def statistics(reads: Reads) -> dict[str, Any]:
    """Counts of events by type, day, weekday and hour; growth; room by kind of media; completeness; doubles.

    Weekdays are 1 (Monday) to 7, hours 0 to 23, in UTC. ``completeness`` tells for each collection, and for members,
    how many there are and how many of them were ever given each field. ``doubles`` are contents that are kept, and
    public fields that stand, more than once.
    """
    hours = list(every(reads, HOURS))
    by_type = {row["type"]: row["events"] for row in every(reads, TYPES)}
    growth = list(every(reads, GROWTH))
    return {
        "events": sum(by_type.values()),
        "by_type": by_type,
        "by_day": {row["day"]: row["events"] for row in every(reads, DAYS)},
        "by_weekday": _sums(hours, "weekday"),
        "by_hour": _sums(hours, "hour"),
        "by_weekday_and_hour": hours,
        "growth": growth,
        "recorded": list(every(reads, RECORDED)),
        "media": list(every(reads, KINDS)),
        "completeness": {
            "members": {
                "members": sum(row["streams"] for row in growth if row["kind"] == "member"),
                "fields": {row["field"]: row["members"] for row in every(reads, MEMBER_FIELDS)},
            },
            "collections": dict(_collections(reads)),
        },
        "doubles": {
            "media": list(every(reads, MEDIA_CONTENTS, {"doubled": 1})),
            "records": list(every(reads, RECORD_CONTENTS, {"doubled": 1})),
        },
    }


def _sums(rows: list[dict[str, Any]], column: str) -> dict[int, int]:
    sums: Counter[int] = Counter()
    for row in rows:
        sums[row[column]] += row["events"]
    return dict(sorted(sums.items()))


def _collections(reads: Reads) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in every(reads, COLLECTIONS):
        name = row["collection"]
        fields = {one["field"]: one["records"] for one in every(reads, RECORD_FIELDS, {"collection": name})}
        yield name, {"records": row["active"] + row["trashed"] + row["purged"], "fields": fields}
