"""The columns that find entries, compared with what the entries state.

Owns the comparison of what a store keeps beside an entry's bytes (its stream, version, type, member, member version,
source and id) with those bytes. Readers trust these columns to find what they ask for, and unique keys over them keep
versions and ids from being given twice: whoever changes one misleads both. Pages are compared column by column; where
one differs, row by row. Never reads a store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.audit.faults import PLACE, Fault
from ledger.audit.form import Stated
from ledger.store.protocol import PLACE as COLUMNS
from ledger.store.protocol import Row, placed


def first_misplaced(
    first: int, entries: Sequence[bytes], stated: Stated, places: Sequence[Sequence[Any]]
) -> Fault | None:
    """The fault of the first of these good entries that a column beside it misplaces; None if there is none.

    ``stated`` is what they state, and perhaps others after them; ``places`` are the columns, in the order of ``PLACE``.
    """
    if len(entries) == len(stated.streams) and _agree(stated, places):
        return None
    for position, (entry, *found) in enumerate(zip(entries, *places, strict=False), first):
        wanted = placed(Row(position, entry))[2:]
        for column, value, right in zip(COLUMNS, found, wanted, strict=True):
            if type(value) is not type(right) or value != right:
                return Fault(position, PLACE, f"its column {column} holds {value!r}, the entry states {right!r}")
    return None


def _agree(stated: Stated, places: Sequence[Sequence[Any]]) -> bool:
    """Whether all columns hold what is stated. False at anything unusual too: it is looked at row by row."""
    streams, versions, types, members, member_versions, sources, ids = places
    return (
        list(versions) == list(stated.versions)
        and list(member_versions) == list(stated.member_versions)
        and list(members) == [None if member is None else member.decode() for member in stated.members]
        and all(
            _same(*texts)
            for texts in (
                (streams, stated.streams),
                (types, stated.types),
                (sources, stated.sources),
                (ids, stated.ids),
            )
        )
    )


def _same(found: Sequence[Any], stated: Sequence[bytes]) -> bool:
    """Whether these texts are those. Joined by a character that none of those has, they are compared at once."""
    text = b"\n".join(stated).decode()
    try:
        return text.count("\n") == len(stated) - 1 and "\n".join(found) == text
    except TypeError:  # a column of another type
        return False
