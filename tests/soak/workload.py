"""What a writer of the soak does: batches to streams of its own and to shared ones, until it is told to end or killed.

Owns the events: the same batch of the same writer is the same bytes whenever it is asked for, so that whoever comes
after a kill repeats what got no answer. Each batch is reported as (number, receipts), each refusal as (number, error).
"""

from __future__ import annotations

import itertools
import random
import time
from multiprocessing.connection import Connection

from ledger.errors import StoreLocked, StoreUnreachable
from ledger.log import Log
from tests.support.events import Place, estimate_changed, requested

CHAPTER = 50
"""Batches after which a writer goes over to new streams, as reservations do."""
SHARED = 4
SIZES = (1, 3, 1, 20, 2, 90, 1, 8)
"""Events of a batch, in turn; PostgreSQL takes the large ones by COPY."""
LONGEST_PAUSE = 0.02
REFUSED_PAUSE = 0.1


def size_of(number: int) -> int:
    """How many events a batch has."""
    return SIZES[number % len(SIZES)]


def batch(writer: str, number: int) -> list[bytes]:
    """A batch: new reservations, changes to the writer's own, and changes to those that all write to."""
    chapter = number // CHAPTER
    events = []
    for part in range(size_of(number)):
        name = f"{writer}-{number}-{part}"
        notes = {"notes": f"{name} is private"}
        if part % 3 == 0:
            events.append(requested(name, f"M-{writer}-{number % 50}", id=name, data=notes))
        elif part % 3 == 1:
            shared = f"S-{chapter}-{(number + part) % SHARED}"
            events.append(estimate_changed(shared, f"M-{part % 7}", id=name, data=notes))
        else:
            events.append(estimate_changed(f"{writer}-{number}-0", f"M-{writer}-{number % 50}", id=name, data=notes))
    return events


def begin(chapter: int) -> list[bytes]:
    """The first events of a chapter's shared streams: all writers post them, and one is the first."""
    return [requested(f"S-{chapter}-{stream}", "M-all", id=f"begin-{chapter}-{stream}") for stream in range(SHARED)]


def write(pipe: Connection, place: Place, writer: str, first: int, seed: int) -> None:
    """The life of a writer, from batch ``first`` on; ends when anything comes over the pipe."""
    generator = random.Random(seed)
    with place.open() as log:
        pipe.send("up")
        for number in itertools.count(first):
            if pipe.poll():
                return
            if number == first or number % CHAPTER == 0:
                _append(log, pipe, number, begin(number // CHAPTER))
            pipe.send((number, _append(log, pipe, number, batch(writer, number))))
            if number % 10 == 0:  # what was answered long ago is answered alike
                earlier = generator.randrange(number + 1)
                pipe.send((earlier, _append(log, pipe, number, batch(writer, earlier))))
            time.sleep(generator.uniform(0, LONGEST_PAUSE))


def _append(log: Log, pipe: Connection, number: int, events: list[bytes]) -> list[tuple[int, bytes, bool]]:
    """Append until there is an answer: (position, leaf, duplicate) of each event."""
    while True:
        try:
            receipts = log.append(events)
        except (StoreUnreachable, StoreLocked) as error:
            pipe.send((number, type(error).__name__))
            time.sleep(REFUSED_PAUSE)
        else:
            return [(one.position, bytes.fromhex(one.leaf_hash), one.duplicate) for one in receipts]
