"""58,148 events of real bookings, through a pipe, twice."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from tests.acceptance.conftest import Run

EVENTS = 58_148


def test_all_real_events_are_taken_and_the_second_time_all_are_known(
    studio: Run, program: Callable[..., CompletedProcess[bytes]], shared: Path
) -> None:
    source = f"{shlex.quote(sys.executable)} {shlex.quote(str(shared / 'tools' / 'hotel_events.py'))}"
    line = f"{source} | continuity append - --json"
    first, second = program(line), program(line)
    assert (first.returncode, first.stderr, second.returncode) == (0, b"", 0)
    one, two = json.loads(first.stdout), json.loads(second.stdout)
    assert (one["accepted"], one["duplicates"], one["rejected"]) == (EVENTS, 0, 0)
    assert (two["accepted"], two["duplicates"], two["rejected"]) == (0, EVENTS, 0)
    assert (one["size"], one["root"]) == (two["size"], two["root"]) == (EVENTS + 1, one["root"])

    audit = studio("audit", "--json").json
    assert (audit["ok"], audit["size"], audit["root"]) == (True, one["size"], one["root"])
    assert len(studio("log", "--stream", "reservation:H0-000002", "--raw").out.splitlines()) > 1

    state = studio("show", "reservation:H0-000002", "--json").json
    events = [json.loads(row) for row in studio("log", "--stream", "reservation:H0-000002", "--jsonl").out.splitlines()]
    assert state["version"] == len(events)
    assert state["position"] == events[-1]["ledgerposition"]
    assert state["window"] == events[0]["data"]["window"]
    earlier = studio("show", "reservation:H0-000002", "--at", events[0]["ledgerposition"], "--json").json
    assert (earlier["status"], earlier["version"]) == ("requested", 1)
    assert earlier["notes"] == events[0]["data"]["notes"]
