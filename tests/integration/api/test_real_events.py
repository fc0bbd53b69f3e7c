"""Real bookings over HTTP end where the same bookings end on the command line's way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.entry import decode
from ledger.log import Log
from projections.show import show
from tests.integration.api.conftest import serve
from tests.support.events import new_log
from tests.support.http import make_ledger

ROWS = 1500


@pytest.fixture(scope="module")
def lines(shared: Path) -> list[bytes]:
    tool = shared / "tools" / "hotel_events.py"
    done = subprocess.run([sys.executable, tool, "--rows", str(ROWS)], capture_output=True, check=True)
    return done.stdout.splitlines()


def facts(log: Log) -> list[tuple]:
    """Per entry what does not depend on when and by whom it was posted."""
    found = []
    for row in log.scan():
        entry = decode(row.entry)
        if row.position:
            event, seal = entry.event, entry.seal
            stated = (event.id, event.source, bytes(event.data), sorted(event.commitments()))
            found.append(
                (row.position, event.stream, seal.version, event.type, event.member, seal.member_version, stated)
            )
    return found


def test_batches_over_http_give_the_states_and_versions_of_an_append(lines, tmp_path):
    with new_log(tmp_path / "local") as local:
        for start in range(0, len(lines), 1000):
            local.append(lines[start : start + 1000])
        expected = facts(local)
        streams = sorted({row.content().event.stream for row in local.scan()} - {"ledger:main"})
        states = {stream: show(local, stream) for stream in streams[::7]}
    data = tmp_path / "served"
    with serve(data, make_ledger(data)) as server, server.client("service") as client:
        for start in range(0, len(lines), 500):
            part = lines[start : start + 500]
            kind, body = [
                ("application/x-ndjson", b"\n".join(part)),
                ("application/cloudevents-batch+json", b"[" + b",".join(part) + b"]"),
                ("application/json", b"[" + b",".join(part) + b"]"),
            ][start // 500 % 3]
            answer = client.post("/events", content=body, headers={"Content-Type": kind})
            assert answer.status_code == 201, answer.text
            assert len(answer.json()["receipts"]) == len(part)
        again = client.post(
            "/events", content=b"\n".join(lines[:500]), headers={"Content-Type": "application/x-ndjson"}
        )
        assert again.status_code == 200
        shown = {}
        for stream in states:
            kind, _, identity = stream.partition(":")
            if kind == "reservation":
                shown[stream] = client.get(f"/reservations/{identity}").json()
    with Log.open(data, "studio") as log:
        assert facts(log) == expected
    assert shown
    for stream, state in shown.items():
        wanted = json.loads(json.dumps(states[stream]))
        assert {**state, "recorded": ""} == {**wanted, "recorded": ""}
