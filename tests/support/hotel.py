"""The real bookings of the hotel: as a ledger, and as the rows of their source. Owns no fixtures and no assertions."""

from __future__ import annotations

import csv
import gzip
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ledger.log import Log
from tests.support.events import ORIGIN

BOOKINGS = 3000


def hotel_ledger(shared: Path, data: Path) -> Path:
    """Make the ledger ``hotel`` of the first bookings in the folder ``data``; returns that folder."""
    tool = shared / "tools" / "hotel_events.py"
    made = subprocess.run([sys.executable, tool, "--rows", str(BOOKINGS)], capture_output=True, check=True)
    events = made.stdout.splitlines()
    with Log.create(data, "hotel", ORIGIN).log as log:
        for start in range(0, len(events), 1000):
            log.append(events[start : start + 1000])
    return data


def bookings(shared: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The same bookings as they stand in the source: (index, row)."""
    with gzip.open(shared / "data" / "hotel_bookings.csv.gz", "rt", encoding="utf-8-sig", newline="") as handle:
        yield from enumerate(islice(csv.DictReader(handle), BOOKINGS))
