"""The service in this process, over a ledger of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import http


@pytest.fixture
def service(tmp_path: Path) -> Iterator[http.Service]:
    with http.service(tmp_path / "data") as running:
        yield running
