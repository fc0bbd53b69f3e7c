"""One fixture for every kind of store: a test that takes ``kind`` or ``store`` runs once for each."""

import pytest

from tests.contract.stores import KINDS


@pytest.fixture(params=KINDS)
def kind(request):
    """How stores of this kind are made, in a folder or database of the test's own."""
    kind = KINDS[request.param]
    return kind(request.getfixturevalue(kind.place))


@pytest.fixture
def store(kind):
    """An empty store."""
    store = kind.create()
    yield store
    store.close()
