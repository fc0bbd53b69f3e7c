"""What every test may use: the profiles of hypothesis, the folder of shared vectors, PostgreSQL and S3.

Owns nothing of the domain: fixtures of a ledger, a store or a client stand in the conftest.py of their own folder.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import Server, any_server

if TYPE_CHECKING:
    from tests.support.s3 import S3Server

REPOSITORY = Path(__file__).resolve().parents[1]

# No deadline: on a loaded machine it reports the load. "ci" draws the same examples each time, so that a red run can be
# repeated; "thorough" is for hunting: HYPOTHESIS_PROFILE=thorough make test TESTS=tests/unit/ledger
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=60,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=2000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# A shell starts what it runs in the background ("make test &") with Ctrl-C ignored, and programs inherit that: those
# that tests interrupt would never end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the working copy."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of public vectors and real data beside the repository; the test is skipped where there is none."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of public vectors, ../shared, is not there")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server, started when the first test asks for it."""
    with any_server() as server:
        yield server


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The URL of a database of the test's own, as the administrator."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def s3_server() -> Iterator["S3Server"]:
    """An S3 server, started when the first test asks for it."""
    from tests.support import s3  # the SDK takes its time

    with s3.any_server() as server:
        yield server
