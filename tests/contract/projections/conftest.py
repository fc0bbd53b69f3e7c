"""One fixture for every kind of projection store: a test that takes ``places`` or ``store`` runs once for each."""

import itertools

import pytest

from tests.contract.projections.places import PLACES
from tests.support.events import new_log

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def shared_database(postgres):
    """A database for all tests of a module: making one takes longer than most of them."""
    with postgres.database() as url:
        yield url


@pytest.fixture(params=PLACES)
def places(request):
    """Where stores of this kind are made, each under a name, in a folder or database of the test's own."""
    kind = PLACES[request.param]
    places = kind(request.getfixturevalue(kind.place), f"p{next(NUMBERS)}_")
    yield places
    places.close()


@pytest.fixture
def store(places):
    """An empty store."""
    return places.open("store")


@pytest.fixture
def log(tmp_path):
    """A ledger to fold; it is the same whatever keeps the projections."""
    with new_log(tmp_path / "data") as log:
        yield log
