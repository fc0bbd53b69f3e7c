"""What other processes do in these tests: append, follow nothing, and report over a pipe.

Each function here is the whole life of one process; a test starts it with ``start`` and ends it by itself or by kill.
"""

from __future__ import annotations

import multiprocessing
import random
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from ledger.errors import EventError, VersionConflict
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


def append_mixed(pipe: Connection, place: Place, tag: str, seed: int, rounds: int, streams: int) -> None:
    """Append to streams and members that others append to as well: new, retried and conditional events.

    Reports (receipts of our own events, receipts of events all processes post, versions won, versions lost).
    """
    generator = random.Random(seed)
    own, common, won, lost = [], [], [], []
    version = 1
    with place.open() as log:
        pipe.send("ready")
        pipe.recv()
        for number in range(rounds):
            stream = generator.randrange(streams)
            member = f"M-{generator.randrange(5)}"
            notes = {"notes": f"{tag} {number}"}
            batch = [
                estimate_changed(f"S-{stream}", member, id=f"{tag}-{number}-{part}", data=notes) for part in range(3)
            ]
            own += log.append(batch)
            common += log.append([estimate_changed("S-0", "M-0", id=f"common-{number}", data={"notes": f"c{number}"})])
            bet = estimate_changed("race", "M-race", id=f"{tag}-race-{number}", expectedversion=version)
            (outcome,) = log.append([bet], atomic=False)
            if isinstance(outcome, VersionConflict):
                lost.append((outcome.expected, outcome.actual))
                version = outcome.actual
            elif isinstance(outcome, EventError):
                raise outcome
            else:
                won.append(outcome)
                version = outcome.version
        pipe.send((own, common, won, lost))


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
