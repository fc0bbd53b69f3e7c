"""Well-meaning clients: the public CloudEvents SDK, many at once, slow ones, and those that wait for a go-ahead."""

import datetime as dt
import json
import signal
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.v1.event import CloudEvent

from ledger.log import Log
from tests.integration.api.conftest import serve
from tests.support.events import requested
from tests.support.http import BATCH, ONE, make_ledger


def sdk_event(number: int) -> CloudEvent:
    attributes = {
        "id": f"sdk-{number}",
        "source": "urn:example:portal",
        "type": "reservation.requested",
        "subject": f"reservation:SDK-{number}",
        "time": dt.datetime(2026, 3, 2, 9, 5, 12, 345678, tzinfo=dt.UTC),
        "datacontenttype": "application/json",
        "dataschema": "https://example.org/schema",
        "member": "M-1",
        "actorrole": "client",
    }
    data = {"firing_type": "bisque", "half_shelves": 2, "window": {"earliest": "2026-03-03", "latest": "2026-03-05"}}
    return CloudEvent(attributes=attributes, data=data)


def test_what_the_public_sdk_writes_is_taken_as_it_is(server):
    with server.client("service") as client:
        message = to_structured_event(sdk_event(1))
        answer = client.post("/events", content=message.body, headers=message.headers)
        assert answer.status_code == 201, answer.text
        both = b"[" + b",".join(to_structured_event(sdk_event(number)).body for number in (2, 3)) + b"]"
        assert client.post("/events", content=both, headers={"Content-Type": BATCH}).status_code == 201
        position = answer.json()["receipts"][0]["position"]
        shown = client.get(f"/events/{position}").json()["entry"]["event"]
        assert (shown["time"], shown["actor"]["role"]) == ("2026-03-02T09:05:12.345678Z", "client")
        back = client.get(f"/events/{position}", headers={"Accept": ONE})
        CloudEvent(attributes={k: v for k, v in back.json().items() if k not in ("data", "time")} | {
            "time": dt.datetime.fromisoformat(back.json()["time"])}, data=back.json()["data"])  # fmt: skip


def test_two_hundred_single_posts_at_once_are_all_recorded(server):
    events = [requested(f"P-{number}") for number in range(200)]

    def post(event: bytes) -> tuple[int, int]:
        with server.client("service") as client:
            answer = client.post("/events", content=event, headers={"Content-Type": ONE})
            return answer.status_code, answer.json()["receipts"][0]["position"]

    with ThreadPoolExecutor(40) as pool:
        first = list(pool.map(post, events))
        again = list(pool.map(post, events))
    assert Counter(status for status, _ in first) == {201: 200}
    assert Counter(status for status, _ in again) == {200: 200}
    assert [position for _, position in first] == [position for _, position in again]
    assert len({position for _, position in first}) == 200


def test_the_same_event_posted_by_many_at_once_is_recorded_once(server):
    event = requested("once", id="posted-once")

    def post(_: int) -> tuple[int, int]:
        with server.client("service") as client:
            answer = client.post("/events", content=event, headers={"Content-Type": ONE})
            return answer.status_code, answer.json()["receipts"][0]["position"]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(post, range(60)))
    assert len({position for _, position in answers}) == 1
    assert Counter(status for status, _ in answers) == {201: 1, 200: 59}


def test_many_requests_go_over_one_connection(server):
    first, second = requested("K-1"), requested("K-2")
    requests = b"".join(server.post_head(len(event)) + event for event in (first, second))
    assert server.raw(requests).count(b"HTTP/1.1 201") == 2


def test_a_body_in_small_chunks_is_put_together(server):
    event = requested("C-1")
    chunks = [b"%x\r\n%b\r\n" % (len(event[at : at + 40]), event[at : at + 40]) for at in range(0, len(event), 40)]
    answer = server.raw(server.post_head(), *chunks, b"0\r\n\r\n", pause=0.01)
    assert answer.startswith(b"HTTP/1.1 201")


def test_a_client_that_waits_for_a_go_ahead_gets_it_or_the_refusal(server):
    event = requested("E-1")
    head = server.post_head(len(event)).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    answer = server.raw(head, event, pause=0.2)
    assert answer.startswith(b"HTTP/1.1 100")
    assert b"HTTP/1.1 201" in answer
    huge = server.post_head(10**9).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    assert server.raw(huge).startswith(b"HTTP/1.1 413")


def test_a_head_request_gives_the_headers_alone(server):
    with server.client() as client:
        full, bare = client.get("/events/0"), client.head("/events/0")
    assert (bare.status_code, bare.content) == (200, b"")
    assert bare.headers["etag"] == full.headers["etag"]


def test_a_client_that_goes_away_loses_nothing_that_was_whole(server):
    event = requested("gone", id="gone-1")
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(server.post_head(len(event)) + event)
    with server.client() as client:
        answer = client.post("/events", content=event, headers={"Content-Type": ONE})
        assert answer.status_code in (200, 201)
        assert client.get("/reservations/gone").json()["version"] == 1
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(server.post_head(5000) + requested("half"))
        assert client.get("/reservations/half").status_code == 404, "half a body is nothing"


def test_a_server_that_is_stopped_has_committed_what_it_acknowledged(tmp_path):
    data = tmp_path / "data"
    acknowledged: list[str] = []
    with serve(data, make_ledger(data)) as server:

        def post(number: int) -> None:
            with server.client("service") as client:
                try:
                    answer = client.post("/events", content=requested(f"S-{number}"), headers={"Content-Type": ONE})
                except Exception:  # noqa: BLE001 - the server may be gone already
                    return
                if answer.status_code == 201:
                    acknowledged.append(f"reservation:S-{number}")
                if len(acknowledged) == 50:
                    server.process.send_signal(signal.SIGTERM)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(post, range(300)))
        server.process.wait(60)
    assert len(acknowledged) >= 50
    with Log.open(data, "studio") as log:
        assert set(acknowledged) <= {row.content().event.stream for row in log.scan()}
        assert log.checkpoint()[0].size == log.head().size
        assert json.loads(log.row(0).entry)["event"]["type"] == "ledger.created"
