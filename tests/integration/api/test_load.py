"""More than the service can take: it refuses in time, holds little, answers what it took, and keeps ledgers apart."""

import itertools
import signal
import sqlite3
import statistics
import time
from collections import Counter
from contextlib import contextmanager

import psycopg

from ledger.audit import audit
from tests.integration.api.conftest import serve
from tests.integration.api.flood import Flood, batches, flood_until_told
from tests.integration.children import start
from tests.support.events import Place, requested
from tests.support.http import NDJSON, ONE, make_ledger
from tests.support.whole import check_whole

LARGE = 60
"""Events of a body that is too large to be checked on the event loop."""


@contextmanager
def held_up(place):
    """While it lasts, no writer gets the head's lock."""
    if place.database is None:
        other = sqlite3.connect(place.data / "studio" / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
    else:
        other = psycopg.connect(place.database)
        other.execute("SELECT * FROM ledger_studio.head FOR UPDATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextmanager
def serving(place):
    """The service over a new ledger at a place."""
    keys = make_ledger(place.data, store=place.store)
    settings = {} if place.database is None else {"CONTINUITY_STORE": place.database}
    with serve(place.data, keys, **settings) as server, server.client() as client:
        assert client.post("/events", content=requested("first"), headers={"Content-Type": ONE}).status_code == 201
        yield server


def test_a_flood_is_refused_with_a_time_to_wait_and_not_held(tmp_path):
    place = Place(tmp_path)
    with serving(place) as server, Flood(server.port) as flood:
        before = peak = server.memory()
        bodies = list(itertools.islice(batches("f", 5_000, letters=1_000), 4))
        with held_up(place):
            for body in bodies * 25:
                flood.send(server.post_head(len(body), NDJSON) + body)
            answered = -1
            while answered < len(flood.answers) or answered < 50:  # until those that are left wait for the writer
                answered = len(flood.answers)
                for _ in range(5):
                    flood.run(0.1)
                    peak = max(peak, server.memory())
            assert {answer.status for answer in flood.answers} == {503}
            assert all(answer.retry_after == "1" for answer in flood.answers)
            waited = flood.under_way
        flood.run(60)
        assert flood.under_way == 0
        assert 1 <= waited < 30
        assert {answer.status for answer in flood.answers[-waited:]} <= {200, 201}
        sent = sum(map(len, bodies)) * 25 // 2**20
        assert peak - before < sent / 2, f"{peak - before} MiB more, of {sent} that were sent"
        with server.client() as client:
            again = client.post("/events", content=bodies[0], headers={"Content-Type": NDJSON})
            assert again.status_code in (200, 201)


def test_a_service_that_is_stopped_answers_what_it_has_taken(place):
    with serving(place) as server, Flood(server.port) as flood:
        with held_up(place):
            for size, count in ((1, 30), (5, 10), (LARGE, 10)):
                for _, body in zip(range(count), batches(f"drain-{size}", size), strict=False):
                    flood.send(server.post_head(len(body), NDJSON) + body)
            flood.run(1.5)
            assert not flood.answers
            server.process.send_signal(signal.SIGTERM)
            flood.run(0.5)
            assert server.process.poll() is None, "it waits for what it has taken"
        flood.run(30)
        assert Counter(answer.status for answer in flood.answers) == {201: 50}
        assert server.process.wait(30) in (0, -signal.SIGTERM)
    with place.open() as log:
        assert len(check_whole(log)) == 2 + 30 + 10 * 5 + 10 * LARGE
        assert audit(log.store, log.verifier_keys).ok


def test_a_ledger_that_is_flooded_does_not_hold_up_another(tmp_path):
    noisy, quiet = make_ledger(tmp_path, "noisy"), make_ledger(tmp_path, "quiet")
    number = 0

    def took(client, size):
        nonlocal number
        number += 1
        body = b"\n".join(requested(f"q-{number}-{part}", id=f"q-{number}-{part}") for part in range(size))
        began = time.perf_counter()
        answer = client.post("/events", content=body, headers={"Content-Type": NDJSON})
        assert answer.status_code == 201, answer.text
        seen = client.get(f"/events?limit=100&min_position={answer.headers['Ledger-Position']}")
        assert seen.status_code == 200
        return time.perf_counter() - began

    with serve(tmp_path, quiet) as server:
        head = server._replace(ledger="noisy", keys=noisy).post_head(0, NDJSON)
        head = head.replace(b"Content-Length: 0", b"Content-Length: %d")
        with server._replace(ledger="quiet").client() as client:
            for size in (1, LARGE) * 3:
                took(client, size)
            alone = {size: statistics.median(took(client, size) for _ in range(15)) for size in (1, LARGE)}
            process, pipe = start(flood_until_told, server.port, head, 60)
            time.sleep(2)
            beside = {size: statistics.median(took(client, size) for _ in range(15)) for size in (1, LARGE)}
            pipe.send("end")
            answers = pipe.recv()
            process.join(30)
        assert sum(answer.status == 201 for answer in answers) > 20, "the flood came through as well"
        assert {answer.status for answer in answers} <= {201, 503}
        for size, median in beside.items():
            assert median < 20 * alone[size] + 0.25, (
                f"{size} events: {median:.3f} s beside a flood, {alone[size]:.3f} s"
            )
