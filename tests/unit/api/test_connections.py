"""Bounds on what a client may send before there is a request."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import uvicorn

from api import connections
from api.connections import HEAD_BYTES

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def _app(scope, receive, send):
    """Reads the body, and answers with how many headers and bytes there were."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    content = f"{len(scope['headers'])} {size}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]})
    await send({"type": "http.response.body", "body": content})


@pytest.fixture
def port(monkeypatch) -> Iterator[int]:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(_app, http="api.connections:Connection", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=(server.serve([listening]),))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(30)


def talk(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """What comes back until the server closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            while part := connection.recv(65_536):
                answer += part
        except (BrokenPipeError, ConnectionResetError):
            pass
    return answer


def endless(part: bytes) -> list[bytes]:
    """Far more than is ever taken."""
    return [part * (1024 * 1024 // len(part))] * 30


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (HEAD, b"X-A: " + b"a" * 100 + b"\r\n"),
        (HEAD + b"X-A: ", b"a"),
        (b"GET /", b"a"),
        (CHUNKED + b"1;", b"x"),
        (CHUNKED + b"1\r\na\r\n0\r\n", b"X-A: " + b"a" * 100 + b"\r\n"),
        (CHUNKED + b"1\r\na\r\n0\r\nX-A: ", b"a"),
    ],
    ids=["headers", "header", "path", "chunk", "trailers", "trailer"],
)
def test_a_head_without_end_is_cut_off(port, start, part):
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, suppress(OSError):
        connection.sendall(start)
        for one in endless(part):
            connection.sendall(one)
            sent += len(one)
            time.sleep(0.01)
    assert sent < 20 * 1024 * 1024


def test_heads_up_to_the_bound_are_served_one_after_the_other(port):
    large = HEAD + b"X-A: " + b"a" * (HEAD_BYTES - 200) + b"\r\n\r\n"
    answer = talk(port, large, large, HEAD + b"Connection: close\r\n\r\n", pause=0.05)
    assert answer.count(b"HTTP/1.1 200") == 3


def test_bodies_of_any_size_pass_in_any_pieces(port):
    close = CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert talk(port, close, *[b"1\r\na\r\n"] * 3, b"20000\r\n" + b"a" * 0x20000 + b"\r\n", b"0\r\n\r\n").endswith(
        b" 131075"
    )


def test_trailers_are_no_headers_of_the_request(port):
    close = CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert talk(port, close, b"1\r\na\r\n0\r\nAuthorization: Bearer x\r\n\r\n").endswith(b"\r\n\r\n3 1")


@pytest.mark.parametrize("parts", [[b""], [HEAD], [HEAD + b"\r\n", HEAD], [b"G"] + [b"x"] * 12], ids=range(4))
def test_a_head_that_does_not_come_is_waited_for_only_so_long(port, parts):
    began = time.monotonic()
    talk(port, *parts, pause=0.1)
    assert time.monotonic() - began < 3


def test_a_handler_may_take_its_time(port):
    part = b"1\r\na\r\n"
    close = CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert talk(port, close, *[part] * 8, b"0\r\n\r\n", pause=0.1).endswith(b" 8")
