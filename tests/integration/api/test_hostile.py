"""Ill-meaning clients: too much, too slow, too crooked. Each gets its answer, and the next one is served."""

import time

import pytest

from tests.support.events import requested
from tests.support.http import ONE

MEBIBYTE = 1024 * 1024


@pytest.fixture(autouse=True)
def _still_serves(server):
    yield
    with server.client() as client:
        assert client.get("/events?limit=1").status_code == 200
    assert server.process.poll() is None


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_twenty_megabytes_in_chunks_are_refused_and_not_held(server):
    chunk = b"%x\r\n%b\r\n" % (MEBIBYTE, b" " * MEBIBYTE)
    before = server.memory()
    answers = [server.raw(server.post_head(), *([chunk] * 20), b"0\r\n\r\n") for _ in range(3)]
    assert [status(answer) for answer in answers] == [413] * 3
    assert all(b"body-too-large" in answer for answer in answers)
    assert server.memory() - before < 60


def test_a_body_without_end_is_cut_off(server):
    chunk = b"%x\r\n%b\r\n" % (MEBIBYTE, b" " * MEBIBYTE)
    answer = server.raw(server.post_head(), *([chunk] * 200))
    assert answer == b"" or status(answer) == 413, "the answer, or a reset of a connection that is still sending"


@pytest.mark.parametrize("length", [33 * MEBIBYTE, 10**12, 10**18])
def test_a_length_far_beyond_the_limit_is_refused_before_any_of_it(server, length):
    assert status(server.raw(server.post_head(length))) == 413


def test_a_body_that_never_comes_is_waited_for_only_so_long(server):
    began = time.monotonic()
    answer = server.raw(server.post_head(1000), b"{")
    assert (status(answer), b"too-slow" in answer) == (408, True)
    assert time.monotonic() - began < 6


def test_a_body_that_trickles_is_waited_for_only_so_long(server):
    answer = server.raw(server.post_head(1000), *([b" "] * 20), pause=0.15)
    assert status(answer) == 408


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b"\x00", b"[" * 500_000, b'{"a":' * 200_000, b"{}{}", b"NaN", b"1e999", b'{"id":"\\ud800"}',
     b"\xef\xbb\xbf{}", requested("R")[:-1], requested("R") + b"}", b'"\xc3"'],
)  # fmt: skip
@pytest.mark.parametrize("content_type", [ONE, "application/json", "application/x-ndjson"])
def test_crooked_bodies_are_malformed_or_no_events(server, body, content_type):
    answer = server.raw(server.post_head(len(body), content_type) + body)
    assert status(answer) == 400, answer[:300]
    assert b"malformed-event" in answer or b"invalid-event" in answer


@pytest.mark.parametrize(
    "line",
    ["X-Request-Id: a\r\n b", "X-Request-Id: a\x00b", "X-Request-Id: \u00e9", "X-Request-Id: a\rSet-Cookie: b=c",
     "Authorization: Bearer \x01", "Accept: " + "a/b," * 4000, "If-None-Match: " + '"x",' * 3000],
)  # fmt: skip
def test_crooked_headers_never_come_back(server, line):
    answer = server.raw(f"GET /healthz HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n".encode("latin-1"))
    assert status(answer) in (200, 400, 431)
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"set-cookie" not in head
    assert b"\x00" not in head


@pytest.mark.parametrize(
    "target",
    ["/v1/ledgers/../../etc/passwd", "/v1/ledgers/..%2f..%2fetc/events", "/v1/ledgers/studio%2f..%2fstudio/events",
     "/v1/ledgers/studio/tile/../../../keys/credentials.json", "/v1/ledgers/studio/tile/%2e%2e/%2e%2e/keys/epoch",
     "/v1/ledgers/studio/tile/entries/..%5c..%5ckeys", "//v1/ledgers/studio/events", "/v1/ledgers/studio/./events",
     "/v1/ledgers/.studio.new/events", "/v1/ledgers/%00/events", "*", "http://elsewhere.example/v1/ledgers/studio/keys"],
)  # fmt: skip
def test_crooked_paths_lead_nowhere(server, target):
    head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.keys['owner']}\r\n\r\n"
    answer = server.raw(head.encode())
    assert status(answer) in (400, 401, 404)
    assert b"sha256" not in answer
    assert str(server.data).encode() not in answer


CROOKED_QUERIES = (
    "limit=" + "9" * 4000, "after=-" + "9" * 30, "from=%00", "cursor=%ff%fe", "cursor=" + "A" * 5000, "%ff=%ff",
    "&&&==",
    "stream=reservation:%27%20OR%201=1--", "to=9999-12-31T23:59:59.999999999%2B00:00", "limit=1;drop", "a=1" * 2000,
)  # fmt: skip


@pytest.mark.parametrize("query", CROOKED_QUERIES)
def test_crooked_queries_are_refused(server, query):
    with server.client() as client:
        answer = client.get(f"/events?{query}")
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.json()["type"].endswith(":bad-parameter")


def test_smuggled_lengths_are_refused(server):
    event = requested("smuggled")
    head = server.post_head(len(event)).replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert status(server.raw(head + event)) == 400
