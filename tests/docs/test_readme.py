"""The pages that a newcomer pastes from are run as they stand, through the installed command."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.log import Log
from ledger.store.postgres_schema import GRANTS
from tests.docs.shell_page import check_page

# What a how-to page takes for granted: the ledger and the key file of the README's tour.
TOUR_LEDGER = """
continuity init studio --origin localhost/studio > init.txt
grep -o 'localhost/studio+.*' init.txt > studio.vkey
continuity append examples/studio-week.ndjson 2>/dev/null
"""
HOW_TO = (
    "audit",
    "check-a-proof",
    "erase",
    "give-access",
    "look-back",
    "post-events",
    "projections",
    "publish",
    "rotate-keys",
    "share-a-history",
    "witnesses",
)
RUNBOOKS = ("compromised-key",)
FOR_SERVERS = ("postgresql", "scale-out")
"""Pages about servers of the reader's own."""
FOR_BUILDERS = ("test-faults",)
"""Pages about the tests themselves."""
FOR_PROGRAMS = ("embed",)
"""Pages whose Python is run, not their shell."""


@pytest.fixture(autouse=True)
def _command_is_installed() -> None:
    if shutil.which("continuity") is None and not (Path(sys.executable).parent / "continuity").exists():
        pytest.skip("the command is not installed here; make setup installs it")


def section(page: str, title: str) -> str:
    """The part of a page under one second-level heading."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no section {title}"
    return found[1]


def test_the_tour_of_the_readme_runs_and_shows_what_it_says(repository: Path, tmp_path: Path) -> None:
    page = section((repository / "README.md").read_text(), "A tour")
    outputs = check_page(page, tmp_path, cwd=repository)
    assert "Ada" not in outputs[-3], "the entry's bytes name no person"


@pytest.mark.parametrize("name", HOW_TO)
def test_the_how_to_page_runs_and_shows_what_it_says(name: str, repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "examples", tmp_path / "examples")
    page = (repository / "docs" / "how-to" / f"{name}.md").read_text()
    check_page(page, tmp_path, cwd=tmp_path, prepare=TOUR_LEDGER)


@pytest.mark.parametrize("name", RUNBOOKS)
def test_the_runbook_runs_and_shows_what_it_says(name: str, repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "examples", tmp_path / "examples")
    page = (repository / "docs" / "runbooks" / f"{name}.md").read_text()
    check_page(page, tmp_path, cwd=tmp_path, prepare=TOUR_LEDGER)


def test_every_runbook_is_run(repository: Path) -> None:
    assert {path.stem for path in (repository / "docs" / "runbooks").glob("*.md")} == set(RUNBOOKS)


def test_every_how_to_page_is_run(repository: Path) -> None:
    assert {path.stem for path in (repository / "docs" / "how-to").glob("*.md")} == {
        *HOW_TO,
        *FOR_SERVERS,
        *FOR_BUILDERS,
        *FOR_PROGRAMS,
    }


@pytest.mark.parametrize("name", FOR_PROGRAMS)
def test_the_python_of_the_how_to_page_appends(name: str, repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / "how-to" / f"{name}.md").read_text()
    (program,) = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    Log.create(tmp_path / "data", "studio", "localhost/studio")[0].close()
    event = (repository / "examples" / "studio-week.ndjson").read_bytes().splitlines()[0]
    given = f"event = {event!r}\n{program}print([receipt.position for receipt in receipts])\n"
    command = [sys.executable, "-W", "error", "-c", given]
    shown = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (shown.stdout, shown.stderr) == ("[1]\n", "")


def test_the_page_on_postgresql_lists_the_grants_that_init_makes(repository: Path) -> None:
    page = (repository / "docs" / "how-to" / "postgresql.md").read_text()
    (listed,) = [block for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) if "GRANT" in block]
    names = {"schema": "ledger_studio", "state": "state_studio", "role": "continuity_service"}
    made = GRANTS.format(**names)
    assert listed.split() == made.split()
