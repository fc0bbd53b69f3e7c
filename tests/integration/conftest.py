"""A ledger's place in each kind of store: a test that takes ``place`` runs once for each."""

import pytest

from tests.support.events import Place


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where the test's ledger is to be, in a folder and database of the test's own."""
    return Place(tmp_path, request.getfixturevalue("database") if request.param == "postgresql" else None)
