"""What becomes of an event that a projection can't fold: it stops just before it, until somebody decides.

Owns the finding of that event, also where only the database refused the rows of a batch, and the rule of what is left
out: an event that somebody said is to be skipped, and only where it fails, so that mended handlers fold it after all.
Rows and mark up to the event before it are kept. Never touches another projection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import NamedTuple

from projections.fold import Failure, Part, fold
from projections.projection import Folded
from projections.store.protocol import Fault, RowsRefused, Writes
from projections.work import Work

_LONGEST_REASON = 500


class Settled(NamedTuple):
    """How many entries of the batch are folded and written, and where it stopped if these are not all."""

    folded: int
    fault: Fault | None


class _TakenBack(Exception):
    """Ends an attempt that was only to see whether it would succeed."""


def put(writes: Writes, part: Part) -> bool:
    """Write the changes of a part; says whether the database took them. If not, nothing of them is written."""
    try:
        _put(writes, part)
    except RowsRefused:
        return False
    return True


def settle(
    writes: Writes,
    part: Part,
    batch: Sequence[Folded],
    fresh: Callable[[], Work],
    skipped: Callable[[], AbstractSet[int]],
) -> Settled:
    """Fold and write a batch of which an event has failed, up to before the first that fails and is not to be skipped.

    ``fresh`` gives a work that knows nothing; ``skipped`` the positions that this projection is to leave out.
    """
    left_out: set[int] = set()
    while True:
        failure = _attempt(writes, part, batch, left_out, fresh)
        if failure is None:
            return Settled(len(batch), None)
        position = batch[failure.at].seal.position
        if position in skipped():
            left_out.add(failure.at)
            continue
        if again := _attempt(writes, part, batch[: failure.at], left_out, fresh):  # it answered otherwise before
            return Settled(0, Fault(batch[again.at].seal.position, describe(again.error)))
        return Settled(failure.at, Fault(position, describe(failure.error)))


def describe(error: Exception) -> str:
    """The reason of a fault: an error in words, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:_LONGEST_REASON].rstrip(" :")


def _put(writes: Writes, part: Part) -> None:
    taken = part.work.take()
    if not taken:
        return
    with writes.attempt():
        for table, changes in taken.items():
            writes.put(table, part.generation.number, changes)


def _attempt(
    writes: Writes, part: Part, batch: Sequence[Folded], left_out: AbstractSet[int], fresh: Callable[[], Work]
) -> Failure | None:
    """Fold these entries but for those left out, and write; or tell which of them fails, having written nothing."""
    part.work = fresh()
    kept = [index for index in range(len(batch)) if index not in left_out]
    if failures := fold([part], [batch[index] for index in kept]):
        return failures[0]._replace(at=kept[failures[0].at])
    try:
        _put(writes, part)
    except RowsRefused as error:
        return Failure(part, kept[_first_refused(writes, part, [batch[index] for index in kept], fresh)], error)
    return None


def _first_refused(writes: Writes, part: Part, batch: Sequence[Folded], fresh: Callable[[], Work]) -> int:
    """The entry with which the database begins to refuse the rows, by halving."""
    taken, refused = 0, len(batch)
    while refused - taken > 1:
        middle = (taken + refused) // 2
        part.work = fresh()
        fold([part], batch[:middle])
        try:
            with suppress(_TakenBack), writes.attempt():
                _put(writes, part)
                raise _TakenBack
        except RowsRefused:
            refused = middle
        else:
            taken = middle
    return refused - 1
