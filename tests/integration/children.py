"""What other processes do in these tests: append, follow nothing, and report over a pipe.

Each function here is the whole life of one process; a test starts it with ``start`` and ends it by itself or by kill.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import msgspec

from ledger.errors import EventError, IdConflict, VersionConflict
from ledger.flush import Receipt
from ledger.log import Log
from tests.support.events import Place, estimate_changed, requested

SPAWN = multiprocessing.get_context("spawn")  # a forked child would share the parent's threads' locks


def start(life: Any, *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Start a process that lives ``life(pipe, *arguments)``; returns it and our end of the pipe."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=life, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def append_requests(pipe: Connection, place: Place, tag: str, count: int, size: int) -> None:
    """Append ``count`` new reservations in batches of ``size``, once told to; report the receipts."""
    with place.open() as log:
        events = [requested(f"{tag}-{number}", id=f"{tag}-{number}", member=None) for number in range(count)]
        pipe.send("ready")
        pipe.recv()
        receipts = []
        for at in range(0, count, size):
            receipts += log.append(events[at : at + size])
        pipe.send(receipts)


def append_for_ever(pipe: Connection, place: Place, tag: str) -> None:
    """Append small batches until killed; report each receipt once it is had."""
    with place.open() as log:
        for number in range(1_000_000):
            batch = [requested(f"{tag}-{number}-{part}", id=f"{tag}-{number}-{part}") for part in range(3)]
            pipe.send(log.append(batch))


class Mixed(NamedTuple):
    """What a process that wrote to mixed streams has been told: receipts of events of its own, of events that all post,
    of versions that it won, the (expected, actual) of those it lost, and how often it was told what it knew."""

    own: list[Receipt]
    common: list[Receipt]
    won: list[Receipt]
    lost: list[tuple[int, int]]
    repeated: int


ROUNDS_A_CHAPTER = 40
"""After so many rounds all go over to new streams, as reservations do: one that goes on for ever is nobody's."""
SHARED = 6


def append_mixed(pipe: Connection, place: Place, tag: str, seconds: float) -> None:
    """Append for a while to streams and members of its own, and to some that others append to as well."""
    told = Mixed([], [], [], [], 0)
    with place.open() as log:
        pipe.send("ready")
        pipe.recv()
        until = time.monotonic() + seconds
        for number in itertools.count():
            if time.monotonic() > until:
                break
            told = _append_round(log, tag, number, told)
    pipe.send(told)


def _append_round(log: Log, tag: str, number: int, told: Mixed) -> Mixed:
    """New events, events that all post, a bet on a version, and now and then what was appended before."""
    generator = random.Random(f"{tag} {number}")
    chapter = number // ROUNDS_A_CHAPTER
    if number % ROUNDS_A_CHAPTER == 0:
        told.own.extend(log.append([requested(f"{tag}-{chapter}", f"M-{tag}", id=f"{tag}-{chapter}")]))
        names = [f"S-{chapter}-{stream}" for stream in range(SHARED)] + [f"race-{chapter}"]
        told.common.extend(log.append([requested(name, "M-all", id=f"begin-{name}") for name in names]))
    told.own.extend(log.append(_batch(tag, number)))
    told.common.extend(
        log.append([estimate_changed(f"S-{chapter}-0", "M-0", id=f"common-{number}", data={"notes": f"c{number}"})])
    )
    (outcome,) = log.append([_bet(tag, number, told)], atomic=False)
    if isinstance(outcome, VersionConflict):
        told.lost.append((outcome.expected, outcome.actual))
    elif isinstance(outcome, EventError):
        raise outcome
    else:
        told.won.append(outcome)
    if number % 5:
        return told
    earlier = generator.randrange(number + 1)
    again = log.append(_batch(tag, earlier))
    first = {receipt.id: receipt for receipt in told.own}
    assert again == [msgspec.structs.replace(first[receipt.id], duplicate=True) for receipt in again]
    (refused,) = log.append([_batch("another", earlier, id_of=tag)[0]], atomic=False)
    assert isinstance(refused, IdConflict)
    return told._replace(repeated=told.repeated + len(again))


def _batch(tag: str, number: int, id_of: str | None = None) -> list[bytes]:
    """The batch of a round, the same whenever it is asked for: two events on a shared stream, two on one's own."""
    generator = random.Random(f"batch {id_of or tag} {number}")
    chapter, ids = number // ROUNDS_A_CHAPTER, f"{id_of or tag}-{number}"
    shared, member = f"S-{chapter}-{generator.randrange(SHARED)}", f"M-{generator.randrange(5)}"
    own, ours = f"{id_of or tag}-{chapter}", f"M-{id_of or tag}"
    notes = {"notes": f"{tag} {number}"}
    return [
        estimate_changed(stream, of, id=f"{ids}-{part}", data=notes)
        for part, (stream, of) in enumerate([(shared, member), (own, ours)] * 2)
    ]


def _bet(tag: str, number: int, told: Mixed) -> bytes:
    """An event that expects the version which its stream had when we last heard of it."""
    chapter = number // ROUNDS_A_CHAPTER
    known = [one.version for one in told.won if one.stream == f"reservation:race-{chapter}"]
    known += [actual for _, actual in told.lost[-1:]] if number % ROUNDS_A_CHAPTER else []
    return estimate_changed(f"race-{chapter}", "M-race", id=f"{tag}-race-{number}", expectedversion=max([1, *known]))


def checkpoint_again(pipe: Connection, place: Place, tag: str, rounds: int) -> None:
    """Append a little and sign, again and again; report every note given out."""
    with place.open() as log:
        pipe.send("ready")
        pipe.recv()
        notes = []
        for number in range(rounds):
            log.append([requested(f"{tag}-{number}", id=f"{tag}-{number}")])
            notes.append(log.checkpoint()[1])
        pipe.send(notes)
