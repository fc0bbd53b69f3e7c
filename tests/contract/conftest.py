"""One fixture for every kind of store: a test that takes ``kind`` or ``store`` runs once for each."""

import pytest

from tests.contract.stores import KINDS


@pytest.fixture(params=KINDS)
def kind(request, tmp_path):
    """How stores of this kind are made, in a folder of the test's own."""
    return KINDS[request.param](tmp_path)


@pytest.fixture
def store(kind):
    """An empty store."""
    store = kind.create()
    yield store
    store.close()
