"""Events in: what each content type holds, what is answered, and what is refused."""

import json
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.routes import events as events_route
from ledger import private_files
from tests.support import http
from tests.support.events import cloud, estimate_changed, plain, requested
from tests.support.http import BATCH, NDJSON, ONE, Service, batch, slug


def receipts(answer):
    return answer.json()["receipts"]


def test_a_single_event_gets_its_receipt_and_its_place(service: Service):
    answer = service.post(requested("R-1", id="first"))
    assert answer.status_code == 201
    (receipt,) = receipts(answer)
    assert receipt["id"] == "first"
    assert (receipt["stream"], receipt["position"], receipt["version"]) == ("reservation:R-1", 1, 1)
    assert receipt["duplicate"] is False
    assert answer.headers["ledger-position"] == "1"
    assert answer.headers["location"] == f"{http.BASE}/events/1"
    entry = service.client.get(answer.headers["location"], headers=service.as_role("owner")).json()
    assert entry["leaf_hash"] == receipt["leaf_hash"]
    assert entry["entry"]["seal"]["recorded"] == receipt["recorded"]
    assert entry["entry"]["seal"]["by"] == "owner"


@pytest.mark.parametrize(
    "content_type",
    [
        BATCH,
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
    ],
)
def test_an_array_is_taken_whole_and_in_order(service: Service, content_type):
    body = batch(requested("R-1"), plain("confirmed", "R-1"), requested("R-2"))
    answer = service.post(b" \n" + body, content_type)
    assert answer.status_code == 201, answer.text
    assert [(one["stream"], one["version"]) for one in receipts(answer)] == [
        ("reservation:R-1", 1),
        ("reservation:R-1", 2),
        ("reservation:R-2", 1),
    ]
    assert answer.headers["ledger-position"] == "3"
    assert "location" not in answer.headers


def test_application_json_takes_one_object_as_one_event(service: Service):
    assert len(receipts(service.post(b"\n " + requested("R-1"), "application/json"))) == 1


def test_lines_may_end_either_way_and_empty_ones_do_not_count(service: Service):
    body = b"\n" + requested("R-1") + b"\r\n\n  \n" + requested("R-2") + b"\n" + requested("R-3")
    answer = service.post(body, NDJSON)
    assert answer.status_code == 201
    assert [one["position"] for one in receipts(answer)] == [1, 2, 3]


def test_a_repeated_request_gets_200_and_the_first_receipts_again(service: Service):
    body = batch(requested("R-1"), requested("R-2"))
    first, second = service.post(body, BATCH), service.post(body, BATCH)
    assert (first.status_code, second.status_code) == (201, 200)
    assert receipts(second) == [{**one, "duplicate": True} for one in receipts(first)]
    assert second.headers["ledger-position"] == "2"
    assert service.log.head().size == 3


def test_a_request_with_something_new_beside_a_repeat_gets_201(service: Service):
    known = requested("R-1")
    service.post(known)
    answer = service.post(batch(requested("R-2"), known), BATCH)
    assert answer.status_code == 201
    assert [one["duplicate"] for one in receipts(answer)] == [False, True]
    assert answer.headers["ledger-position"] == "2", "the highest position, not the last"


def test_one_bad_event_keeps_a_whole_request_out_and_is_named(service: Service):
    answer = service.post(batch(requested("R-1"), requested("R-2", data={"half_shelves": "two"})), BATCH)
    assert (answer.status_code, slug(answer)) == (400, "invalid-event")
    assert (answer.json()["index"], answer.json()["path"]) == (1, "$.data.half_shelves")
    assert service.log.head().size == 1


def test_each_event_stands_for_itself_when_asked(service: Service):
    good, bad, late = requested("R-1"), requested("R-2", data={"half_shelves": 0}), plain("confirmed", "R-9")
    answer = service.post(batch(good, bad, late), BATCH, query="?mode=each")
    assert answer.status_code == 201
    first, second, third = receipts(answer)
    assert first["position"] == 1
    assert (second["index"], second["problem"]["path"]) == (1, "$.data.half_shelves")
    assert (third["index"], third["problem"]["status"]) == (2, 422)
    again = service.post(batch(good, bad), BATCH, query="?mode=each")
    assert again.status_code == 200, "nothing new was recorded, something was known"


@pytest.mark.parametrize("count", [1, 2])
def test_each_refused_event_is_listed_when_none_was_taken(service: Service, count):
    answer = service.post(b"\n".join([plain("confirmed", "R-9")] * count), NDJSON, query="?mode=each")
    assert (answer.status_code, slug(answer)) == (422, "all-rejected")
    rejected = answer.json()["rejected"]
    assert [one["index"] for one in rejected] == list(range(count))
    assert {one["problem"]["state"] for one in rejected} == {"not begun"}


def test_the_catalogue_lists_every_refusal_with_its_status(service: Service):
    service.post(batch(requested("R-1", id="known"), plain("confirmed", "R-1")), BATCH)
    huge = "x" * 70_000
    cases = {
        b"{": (400, "malformed-event"),
        b"[]": (400, "invalid-event"),
        b"\xff": (400, "malformed-event"),
        b'{"id":"\xed\xa0\x80"}': (400, "malformed-event"),
        b" \n": (400, "bad-request"),
        cloud("reservation.lost", "reservation:R-1"): (400, "invalid-event"),
        requested("R-2", actorrole="system"): (403, "role-denied"),
        requested("R-1", id="known", member="M-2"): (409, "id-conflict"),
        estimate_changed("R-1", expectedversion=1): (409, "version-conflict"),
        requested("R-3", data={"notes": huge}): (413, "oversized-event"),
        requested("R-1"): (422, "lifecycle-refused"),
    }
    for body, expected in cases.items():
        answer = service.post(body)
        assert (answer.status_code, slug(answer)) == expected, body[:80]
    assert service.log.head().size == 3


@pytest.mark.parametrize(
    ("attributes", "path", "words"),
    [
        ({"id": "two words"}, "$.id", "expected 1 to 256 visible ASCII characters, no spaces"),
        ({"member": "Wilhelmina Ö"}, "$.member", "expected an id: 1 to 128 of A-Z, a-z, 0-9 and ._-"),
        ({"tags": "a  b"}, "$.tags", "expected 1 to 32 tags, a space between"),
        (
            {"data": {"window": {"earliest": "2026-03-02", "latest": "2026-03-09"}, "kiln": "No Kiln"}},
            "$.data.kiln",
            "",
        ),
    ],
)
def test_a_value_of_another_form_is_told_in_words_what_it_may_be(service: Service, attributes, path, words):
    problem = service.post(requested("R-1", **attributes)).json()
    assert problem["path"] == path
    assert words in problem["detail"]
    assert "regex" not in problem["detail"]


def test_a_conflict_tells_what_was_expected_and_what_is_there(service: Service):
    service.post(requested("R-1", id="known"))
    version = service.post(estimate_changed("R-1", expectedversion=7)).json()
    assert (version["expected"], version["actual"], version["index"]) == (7, 1, 0)
    identity = service.post(requested("R-1", id="known", member="M-2")).json()
    assert (identity["position"], identity["index"], identity["path"]) == (1, 0, "$.id")
    state = service.post(requested("R-1")).json()
    assert state["state"].startswith("status requested")
    assert state["event"] == "reservation.requested"
    assert all(problem["advice"] for problem in (version, identity))


@pytest.mark.parametrize("body", [b"[]", b" [ ] "])
def test_an_empty_batch_is_refused(service: Service, body):
    answer = service.post(body, BATCH)
    assert (answer.status_code, slug(answer)) == (400, "bad-request")


@pytest.mark.parametrize("body", [b"[", b"[{]", b"[{}", b"{}", b"[" * 100_000, b""])
def test_a_batch_that_is_no_array_is_malformed_and_names_no_event(service: Service, body):
    answer = service.post(body, BATCH)
    assert (answer.status_code, slug(answer)) == (400, "malformed-event")
    assert answer.json()["path"] == "$"
    assert "index" not in answer.json()


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "", "application/json; charset=latin-1", "application/cloudevents"],
)
def test_another_content_type_is_refused_with_those_taken(service: Service, content_type):
    answer = service.post(requested("R-1"), content_type)
    assert (answer.status_code, slug(answer)) == (415, "unsupported-media-type")
    assert answer.json()["accepted"] == [ONE, BATCH, "application/json", NDJSON]


def test_a_compressed_body_is_refused(service: Service):
    headers = service.as_role("owner") | {"Content-Type": ONE, "Content-Encoding": "gzip"}
    answer = service.client.post(f"{http.BASE}/events", content=b"\x1f\x8b", headers=headers)
    assert answer.status_code == 415


def test_a_large_body_is_checked_off_the_loop_with_the_same_answers(service: Service):
    many = [requested(f"R-{number}") for number in range(100)]
    assert len(batch(*many)) > events_route.INLINE_BYTES
    answer = service.post(batch(*many), BATCH)
    assert answer.status_code == 201
    assert len(receipts(answer)) == 100
    many[63] = requested("R-63")
    refused = service.post(batch(*many), BATCH)
    assert (refused.status_code, refused.json()["index"]) == (422, 63)


def test_limits_on_bytes_and_events_answer_413(tmp_path):
    with http.service(tmp_path, body_limit=4096, body_events=3) as service:
        large = service.post(b" " * 5000)
        assert (large.status_code, slug(large), large.json()["limit"]) == (413, "body-too-large", 4096)
        assert large.headers["connection"] == "close"
        many = service.post(b"{}\n" * 4, NDJSON)
        assert (many.status_code, slug(many), many.json()["limit"]) == (413, "body-too-large", 3)
        assert service.post(requested("R-1")).status_code == 201


def test_a_ledger_that_takes_no_events_says_so_and_when_to_ask_again(service: Service):
    service.post(requested("R-1"))
    service.log._writer.close()
    for body, content_type in ((requested("R-2"), ONE), (batch(requested("R-3"), requested("R-4")), BATCH)):
        answer = service.post(body, content_type)
        assert (answer.status_code, slug(answer)) == (503, "read-only")
        assert int(answer.headers["retry-after"]) > 0
    assert service.get("/events/1").status_code == 200, "reading goes on"


def test_a_full_queue_answers_503_with_a_time_to_wait(service: Service, monkeypatch):
    service.post(requested("R-1"))
    monkeypatch.setattr("ledger.writer.MAX_QUEUED", 0)
    service.log._writer._queued = 1
    answer = service.post(requested("R-2"))
    service.log._writer._queued = 0
    assert (answer.status_code, slug(answer)) == (503, "busy")
    assert answer.headers["retry-after"] == "1"


def test_a_failing_store_answers_503_and_tells_the_caller_no_paths(service: Service, monkeypatch):
    service.post(requested("R-1"))

    def fail(units):
        raise OSError("/secret/path is full")

    monkeypatch.setattr(service.log._writer, "_commit", fail)
    answer = service.post(requested("R-2"))
    assert (answer.status_code, slug(answer)) == (503, "store-failed")
    assert "secret" not in answer.text


def test_what_was_posted_is_what_a_command_line_append_would_record(service: Service):
    service.post(requested("R-1", id="a", data={"notes": "a person's words"}))
    row = service.log.row(1)
    assert b"a person's words" not in row.entry
    assert json.loads(row.entry)["event"]["actor"] == {"id": "owner", "role": "admin"}
    assert service.log.disclose([row]) == [{"notes": "a person's words"}]


@contextmanager
def held(file: Path) -> Iterator[None]:
    """While it lasts, nobody else writes to a database."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@pytest.mark.parametrize("count", [1, 3, 100])
def test_who_posts_while_the_store_is_locked_hears_in_bounded_time_and_the_retry_gets_the_receipts(tmp_path, count):
    body = batch(*(requested(f"R-{number}", id=f"e-{number}") for number in range(count)))
    with http.service(tmp_path, append_seconds=0.2) as service:
        assert service.post(requested("first")).status_code == 201
        with held(tmp_path / "studio" / "ledger.db"):
            answer = service.post(body, BATCH)
            assert (answer.status_code, slug(answer), answer.headers["retry-after"]) == (503, "unrecorded", "5")
        until = time.monotonic() + 20
        while (again := service.post(body, BATCH)).status_code == 503 and time.monotonic() < until:
            time.sleep(0.05)
        assert again.status_code in (200, 201), again.text
        assert [one["position"] for one in receipts(again)] == list(range(2, 2 + count))
        assert service.log.head().size == 2 + count


def test_what_the_first_append_has_to_read_does_not_hold_other_requests(tmp_path):
    with http.service(tmp_path) as service, ThreadPoolExecutor() as pool:
        with held(tmp_path / "studio" / "index.db"):  # as by a process that makes it anew
            posted = pool.submit(service.post, requested("R-1"))
            with pytest.raises(TimeoutError):
                posted.result(0.5)
            assert pool.submit(service.client.get, "/healthz").result(5).status_code == 200
        assert posted.result(30).status_code == 201


def test_a_process_that_holds_the_signer_s_lock_holds_no_reader_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(private_files, "LOCK_SECONDS", 0.2)
    with http.service(tmp_path) as service:
        with private_files.locked(tmp_path / "studio" / "keys" / ".signer.lock"):
            assert service.post(requested("R-1")).status_code == 201
            answer = service.get("/checkpoint")
            assert (answer.status_code, slug(answer)) == (503, "store-locked")
            assert service.get("/events").status_code == 200
        assert service.get("/checkpoint").status_code == 200
