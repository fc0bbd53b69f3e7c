"""Posting to a witness that does not answer as one."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tools import witnessing
from tools.witnessing import HTTPAnswer, post


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request and then answers it as it likes; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                with suppress(OSError):  # whoever asked has gone
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/add-checkpoint"
        thread.join(10)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_answer_of_http_is_an_error_of_the_system(text):
    """So that one broken witness costs no cosignature of the others."""
    with answering(lambda connection: connection.sendall(text)) as url, pytest.raises(OSError, match=r"."):
        post(url, b"old 0\n\n")


@pytest.mark.parametrize("url", ["http://[::1/x", "http://a b/x", "http://127.0.0.1:port/x", "ftp://127.0.0.1/x"])
def test_what_is_no_url_of_http_is_an_error_of_the_system(url):
    with pytest.raises(OSError, match=r"."):
        post(url, b"old 0\n\n")


def test_an_answer_is_its_status_and_body_whatever_the_status():
    def refuse(connection):
        connection.sendall(b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n7\n")

    with answering(refuse) as url:
        assert post(url, b"old 0\n\n") == HTTPAnswer(409, b"7\n")


def test_an_answer_that_comes_byte_by_byte_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(witnessing, "TIMEOUT", 0.3)

    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    with answering(drip) as url, pytest.raises(TimeoutError):
        post(url, b"old 0\n\n")


def test_an_answer_that_is_cut_after_its_status_is_still_a_refusal():
    with answering(lambda connection: connection.sendall(b"HTTP/1.1 422 No\r\nContent-Length: 10\r\n\r\nabc")) as url:
        assert post(url, b"x").status == 422


def test_redirects_are_not_followed():
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    with answering(lambda connection: connection.sendall(moved)) as url:
        assert post(url, b"x").status == 302


def test_of_an_endless_answer_only_the_beginning_is_read():
    with answering(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000)) as url:
        assert len(post(url, b"x").body) == 100_000


def test_a_silent_server_is_given_up(monkeypatch):
    monkeypatch.setattr(witnessing, "TIMEOUT", 0.1)
    with answering(lambda connection: time.sleep(0.5)) as url, pytest.raises(OSError, match="timed out"):
        post(url, b"x")
