"""What was promised, held against what is in the log.

Owns the receipts of all writers, in little memory, and the verdict. Knows nothing of processes and stores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256

import orjson

from ledger.store.protocol import Row
from tests.soak.workload import size_of

_PLACE = 8 + 32
"""Bytes of a receipt as we keep it: position and leaf."""
Receipts = list[tuple[int, bytes, bool]]


class Judge:
    """Collects promises with ``promised``; ``hold_against`` then counts how the log kept them."""

    def __init__(self) -> None:
        self._held: dict[str, dict[int, bytes]] = {}
        self.receipts = 0
        """Receipts held, of different events."""
        self.duplicates = 0
        """Answers that said an event had been recorded before."""
        self.lost = 0
        """Promised events that are not in the log."""
        self.doubled = 0
        """Events that are in it twice."""
        self.false = 0
        """Receipts that do not say what is in the log, or that differ from the first for the same event."""
        self.halves = 0
        """Batches of which a part is in the log; one nobody had an answer for may be there as a whole."""

    def next_of(self, writer: str) -> int:
        """The first batch of a writer that it has no answer for."""
        return max(self._held.get(writer, {}), default=-1) + 1

    def promised(self, writer: str, number: int, receipts: Receipts) -> None:
        """Take the answer to a batch."""
        held = self._held.setdefault(writer, {})
        places = b"".join(position.to_bytes(8, "big") + leaf for position, leaf, _ in receipts)
        self.duplicates += sum(duplicate for *_, duplicate in receipts)
        if number not in held:
            held[number] = places
            self.receipts += len(receipts)
        elif held[number] != places:
            self.false += 1

    def hold_against(self, rows: Iterable[Row]) -> None:
        """Count what is lost, doubled, false or half in a log."""
        found: dict[str, dict[int, int]] = {writer: {} for writer in self._held}
        shared: Counter[str] = Counter()
        for row in rows:
            event = orjson.loads(row.entry)["event"]
            writer, number, part = _parts(event["id"])
            if writer not in found:
                shared[event["id"]] += 1
                continue
            bit = 1 << part
            seen = found[writer].get(number, 0)
            self.doubled += bool(seen & bit)
            found[writer][number] = seen | bit
            self._compare(row, self._held[writer].get(number), part)
        self.doubled += sum(count - 1 for count in shared.values())
        for writer, held in self._held.items():
            for number in held:
                self.lost += size_of(number) - found[writer].get(number, 0).bit_count()
            for number, seen in found[writer].items():
                self.halves += seen.bit_count() != size_of(number)

    def _compare(self, row: Row, places: bytes | None, part: int) -> None:
        if places is None:
            return
        promised = places[part * _PLACE : (part + 1) * _PLACE]
        leaf = sha256(b"\x00" + row.entry).digest()
        self.false += promised != row.position.to_bytes(8, "big") + leaf

    @property
    def content(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.doubled or self.false or self.halves)


def _parts(event_id: str) -> tuple[str, int, int]:
    """Writer, batch and place of an event; a shared one has a writer of its own."""
    writer, _, rest = event_id.partition("-")
    number, _, part = rest.partition("-")
    return writer, int(number or 0) if number.isdigit() else 0, int(part) if part.isdigit() else 0
