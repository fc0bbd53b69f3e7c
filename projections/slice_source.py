"""A slice as a source of entries to replay.

Owns the verification of the file before anything is taken from it, and an index of where its entries stand. Takes the
entries and never a disclosure that goes with them: what was erased since stays so. Holds the file open, and no entry in
memory. Only a slice from position 0 on can be folded: state has no other beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, Self

from ledger.errors import VerificationError
from ledger.key_history import Trust
from ledger.merkle import leaf_hash
from ledger.slice import Proven, read_header, read_records, verify_slice
from ledger.store.protocol import PAGE, Head, Row, Selection

_EVERY: Final = 256
"""Entries between two that the index knows the place of."""


class SliceSource:
    """The entries of a proven slice, by position. Close it, or use it in ``with``. Not safe for several threads."""

    def __init__(self, path: Path, keys: Trust) -> None:
        """Open and verify. Raises what ``verify_slice`` raises, and ``VerificationError`` unless it begins at 0."""
        self._file = path.open("rb")
        try:
            self.proven: Proven = verify_slice(self._file, keys)
            if self.proven.first != 0:
                raise VerificationError(
                    f"the slice begins at position {self.proven.first}: state can only be replayed from 0 on",
                    advice="cut one from the beginning: continuity slice --out FILE",
                )
            self._file.seek(0)
            self._header = read_header(self._file)
            self._places: list[int] = []
            self._last = b""
            at = self._file.tell()
            for position, (record, _) in enumerate(read_records(self._file, self._header)):
                if position % _EVERY == 0:
                    self._places.append(at)
                at = self._file.tell()
                self._last = record.entry
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def head(self) -> Head:
        """The end of the slice. It says nothing of ``recorded`` and of epochs, which no fold asks for."""
        return Head(self.proven.end, leaf_hash(self._last) if self._last else b"", "", 0)

    def page(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position."""
        chosen = (row for row in self._rows(selection.first, selection.last) if _matches(row, selection))
        return list(islice(chosen, limit))

    def _rows(self, first: int, last: int | None) -> Iterator[Row]:
        end = self.proven.end if last is None else min(last + 1, self.proven.end)
        if first >= end:
            return
        start = first // _EVERY * _EVERY
        self._file.seek(self._places[start // _EVERY])
        records = read_records(self._file, self._header._replace(first=start))
        for position, (record, _) in islice(enumerate(records, start), first - start, end - start):
            yield Row(position, record.entry)


def _matches(row: Row, selection: Selection) -> bool:
    if selection.stream is selection.member is selection.type is None:
        return True
    event = row.content().event
    wanted = ((selection.stream, event.stream), (selection.member, event.member or None), (selection.type, event.type))
    return all(asked is None or asked == found for asked, found in wanted)
