"""A witness over HTTP, before anything is decided: limits, paths and faults."""

import asyncio
import logging

import pytest
from starlette.testclient import TestClient

from api import witness as over_http
from api.witness import create_app
from ledger.witness import MAX_REQUEST
from tools.witness import Witness


@pytest.fixture
def app(tmp_path):
    return create_app(Witness.create(tmp_path / "witness", "witness.example/w1"))


def test_a_request_above_the_limit_is_refused_and_not_read_to_its_end(app):
    answer = TestClient(app).post("/add-checkpoint", content=b"x" * (MAX_REQUEST + 1))
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def test_a_request_that_does_not_come_is_waited_for_only_so_long(app, monkeypatch):
    monkeypatch.setattr(over_http, "BODY_SECONDS", 0.05)
    sent = []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/add-checkpoint", "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.parametrize("name", ["0" * 64, "0" * 63, "A" * 64, "%CE%B1" * 64, "..%2f..%2fname", "%00" * 64])
def test_there_is_no_checkpoint_of_a_log_that_was_never_cosigned(app, name):
    assert TestClient(app).get(f"/{name}/checkpoint").status_code == 404


def test_a_fault_of_its_own_is_told_to_its_operator_alone(app, tmp_path, caplog):
    (tmp_path / "witness" / "logs").chmod(0o644)
    note = b"log.example\n1\n" + b"A" * 43 + b"=\n\n\xe2\x80\x94 log.example AAAAAAAA\n"
    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        answer = TestClient(app).post("/add-checkpoint", content=b"old 0\n\n" + note)
    assert (answer.status_code, str(tmp_path) in answer.text) == (503, False)
    assert "chmod 600" in caplog.text or "accessible to others" in caplog.text
