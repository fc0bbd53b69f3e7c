"""A publication as a web server serves it: what is there, what is not, and a server that is in the way."""

import time
from contextlib import suppress

import pytest

from tests.support.web import Quiet, folder_on_the_web, serving
from tools.vaults import web
from tools.vaults.opening import open_reader
from tools.vaults.protocol import Oversized, VaultDenied, VaultError, VaultUnreachable


class Answering(Quiet):
    """Answers as its class says."""

    status, body, pause, sent = 200, b"", 0.0, ()

    def do_GET(self):  # noqa: N802 - the library's name
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        for name, value in self.sent:
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # whoever reads has had enough
            for at in range(len(self.body)):
                self.wfile.write(self.body[at : at + 1])
                self.wfile.flush()
                time.sleep(self.pause)


def answering(**how):
    return serving(type("Handler", (Answering,), how))


def test_what_a_web_server_serves_is_read_like_the_folder_that_it_serves(tmp_path):
    (tmp_path / "tile" / "0").mkdir(parents=True)
    (tmp_path / "tile" / "0" / "000").write_bytes(bytes(8192))
    with folder_on_the_web(tmp_path) as url:
        reader = open_reader(f"{url}/")
        assert reader.place == url
        assert reader.get("tile/0/000", 8192) == bytes(8192)
        assert reader.get("tile/0/001", 8192) is None
        with pytest.raises(Oversized, match="tile/0/000 has more than 8,191 bytes"):
            reader.get("tile/0/000", 8191)
        with pytest.raises(ValueError, match="not a key"):
            reader.get("../secret", 10)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_is_not_to_be_had_is_not_there(status):
    with answering(status=status) as url:
        assert open_reader(url).get("checkpoint", 10) is None


@pytest.mark.parametrize(
    ("status", "error"), [(401, VaultDenied), (418, VaultError), (500, VaultUnreachable), (503, VaultUnreachable)]
)
def test_a_server_that_is_in_the_way_is_told(status, error, monkeypatch):
    monkeypatch.setattr(web, "_RETRIES", web._RETRIES.new(backoff_factor=0))
    with answering(status=status) as url, pytest.raises(error) as raised:
        open_reader(url).get("checkpoint", 10)
    assert url in str(raised.value)
    assert raised.value.advice


def test_nobody_there_and_a_body_that_is_cut_off_are_unreachable(monkeypatch):
    monkeypatch.setattr(web, "_RETRIES", web._RETRIES.new(backoff_factor=0))
    with answering(body=b"x") as url:
        pass
    with pytest.raises(VaultUnreachable, match="refused"):
        open_reader(url).get("checkpoint", 10)
    with answering(sent=[("Content-Length", "5")]) as url, pytest.raises(VaultUnreachable):
        open_reader(url).get("checkpoint", 10)


def test_a_body_that_comes_byte_by_byte_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(web, "OBJECT_SECONDS", 0.2)
    with answering(body=bytes(100), pause=0.02) as url:
        began = time.monotonic()
        with pytest.raises(VaultUnreachable, match="took more than"):
            open_reader(url).get("checkpoint", 100)
        assert time.monotonic() - began < 1, "all of it takes two seconds"


def test_a_server_that_asks_to_be_waited_for_is_not(monkeypatch):
    monkeypatch.setattr(web, "_RETRIES", web._RETRIES.new(backoff_factor=0))
    began = time.monotonic()
    with answering(status=503, sent=[("Retry-After", "5")]) as url, pytest.raises(VaultUnreachable):
        open_reader(url).get("checkpoint", 10)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "https://log.example/x?signature=secret",
        "https://log.example/#x",
        "https://me:secret@log.example/x",
        "https://me:secret@log.example/x?y=1",
    ],
)
def test_what_is_no_url_of_a_publication_is_refused_and_no_secret_shown(url):
    with pytest.raises(ValueError, match="the URL of a publication") as raised:
        open_reader(url)
    assert "secret" not in str(raised.value)
