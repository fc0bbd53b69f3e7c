"""What every contestant of the appends is given: the same events, cut into the same requests, by client."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from tools.bench.workload import Posted, batches, shares


class Cell:
    """Requests of ``batch`` events each, of so many clients at once."""

    def __init__(self, posted: Sequence[Posted], batch: int, clients: int, folder: Path) -> None:
        """``folder`` takes the requests as a file, for peers in processes of their own."""
        self.batch = batch
        self.clients = clients
        self.requests = [batches(share, batch) for share in shares(posted, clients)]
        self._folder = folder

    @cached_property
    def file(self) -> Path:
        """The requests as JSON: a list by client, of lists by request, of CloudEvents."""
        path = self._folder / f"{self.batch}x{self.clients}.json"
        lists = (
            b",".join(b"[" + b",".join(event.body for event in request) + b"]" for request in requests)
            for requests in self.requests
        )
        path.write_bytes(b"[" + b",".join(b"[" + each + b"]" for each in lists) + b"]")
        return path
