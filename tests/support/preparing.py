"""A process that prepares, ready for the requests of a test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ledger import preparer
from ledger.event import LOCAL
from ledger.preparer import WORTH, Preparer
from tests.support.events import requested

SECONDS = 20


@contextmanager
def started_preparer() -> Iterator[Preparer]:
    """One that is ready. It is asked for nothing before it is there."""
    made = Preparer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparer, "START_AFTER", 1)
        assert made.ask([requested()] * WORTH, LOCAL) is None
        until_ready(made)
    yield made
    made.close()


def until_ready(made: Preparer) -> None:
    """Wait until its process has said that it works."""
    for _ in range(SECONDS * 100):
        if made._process._usable:
            return
        threading.Event().wait(0.01)
    raise AssertionError("the process did not get ready")
