"""A web server on this machine, for tests of what reads from one. Owns no fixtures and no assertions."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and tells nobody of it."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def serving(handler: Any) -> Iterator[str]:
    """A server whose requests a handler answers; its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def folder_on_the_web(folder: Path) -> Iterator[str]:
    """A folder as a web server serves it; its URL."""
    with serving(partial(Quiet, directory=folder)) as url:
        yield url
