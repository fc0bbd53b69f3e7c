"""An init that is killed at any of its steps can be repeated, and takes nothing of anyone else's away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ledger import making
from ledger.audit import audit
from ledger.credentials import Credentials
from ledger.errors import Conflict
from ledger.keys import Keys
from ledger.log import Log
from ledger.store.opening import StoreURL
from tests.support.events import ORIGIN, requested
from tests.support.postgres import Server

BEFORE, AFTER = "before", "after"
STEPS: dict[str, tuple[Any, str, str]] = {
    "keys made": (Keys, "create", AFTER),
    "claim written": (making, "write_private", AFTER),
    "store about to be made": (making, "create_store", BEFORE),
    "store made": (making, "create_store", AFTER),
    "owner's key made": (Credentials, "issue", AFTER),
    "first entry appended": (Log, "_append_created", AFTER),
    "log closed": (Log, "close", AFTER),
    "about to be renamed": (Path, "rename", BEFORE),
}
"""Each step by what it calls, and whether the kill comes before that or after it."""


def killed_at(owner: Any, name: str, when: str, make: Callable[[], Any]) -> None:
    """Run something in a process that is killed where it calls ``name``."""
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        return
    try:
        step = getattr(owner, name)

        def stepped(*arguments: Any, **options: Any) -> None:
            if when == AFTER:
                step(*arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, stepped)
        make()
    finally:
        os._exit(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> StoreURL | None:
    return StoreURL(request.getfixturevalue("database")) if request.param == "postgresql" else None


def schemas(database: str) -> list[str]:
    with psycopg.connect(database) as owner:
        found = owner.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^(ledger|state)_' ORDER BY 1")
        return [name for (name,) in found]


def test_an_init_killed_at_any_step_is_repeated_as_if_it_had_not_been(tmp_path: Path, store: StoreURL | None) -> None:
    def make() -> None:
        Log.create(tmp_path, "studio", ORIGIN, store=store)

    for step in STEPS.values():
        killed_at(*step, make)
        assert not (tmp_path / "studio").exists()
    with Log.create(tmp_path, "studio", "ledger.example/another", store=store).log as log:
        assert log.append([requested()])[0].position == 1
        assert audit(log.store, log.verifier_keys).ok
    if store is not None:
        assert schemas(store.reveal()) == ["ledger_studio", "state_studio"]
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".new")]


def test_an_init_killed_once_it_is_a_ledger_has_made_one(tmp_path: Path, store: StoreURL | None) -> None:
    killed_at(Path, "rename", AFTER, lambda: Log.create(tmp_path, "studio", ORIGIN, store=store))
    with pytest.raises(Conflict, match="exists already"):
        Log.create(tmp_path, "studio", ORIGIN, store=store)
    with Log.open(tmp_path, "studio", store=store) as log:
        assert log.append([requested()])[0].position == 1


def left_by_a_kill(folder: Path, database: str) -> Path:
    """What an init leaves that is killed after its first entry; the folder with its claim."""
    store = StoreURL(database)
    killed_at(Log, "close", AFTER, lambda: Log.create(folder, "studio", ORIGIN, store=store))
    return folder / ".studio.new"


def test_a_schema_that_another_init_made_is_not_taken_away(tmp_path: Path, database: str) -> None:
    store = StoreURL(database)
    left = left_by_a_kill(tmp_path / "one", database)
    (left / "claim").write_text("0" * 32)
    for data in (tmp_path / "one", tmp_path / "two"):
        with pytest.raises(Conflict, match="schema ledger_studio already") as refused:
            Log.create(data, "studio", ORIGIN, store=store)
        assert "DROP SCHEMA ledger_studio, state_studio CASCADE" in (refused.value.advice or "")
    assert schemas(database) == ["ledger_studio", "state_studio"]


def test_a_schema_of_which_a_ledger_came_is_not_taken_away_whatever_claims_it(tmp_path: Path, database: str) -> None:
    store = StoreURL(database)
    left = left_by_a_kill(tmp_path, database)
    claim = (left / "claim").read_text()
    left.rename(tmp_path / "studio")  # as somebody might who finds it
    with Log.open(tmp_path, "studio", store=store) as log:
        log.append([requested()])
    (tmp_path / "two" / ".studio.new").mkdir(parents=True)
    (tmp_path / "two" / ".studio.new" / "claim").write_text(claim)
    (tmp_path / "two" / ".studio.new" / "claim").chmod(0o600)
    with pytest.raises(Conflict):
        Log.create(tmp_path / "two", "studio", ORIGIN, store=store)
    with Log.open(tmp_path, "studio", store=store) as log:
        assert audit(log.store, log.verifier_keys).ok


@pytest.mark.parametrize("elsewhere", ["on this machine", "in another database"])
def test_an_init_that_was_killed_with_one_store_is_not_repeated_with_another(
    tmp_path: Path, database: str, postgres: Server, elsewhere: str
) -> None:
    left = left_by_a_kill(tmp_path, database)
    with ExitStack() as stack:
        other = StoreURL(stack.enter_context(postgres.database())) if elsewhere == "in another database" else None
        with pytest.raises(Conflict, match="an init of studio was interrupted that made its store in") as refused:
            Log.create(tmp_path, "studio", ORIGIN, store=other)
        assert str(StoreURL(database)) in str(refused.value)
        assert str(left) in (refused.value.advice or "")
    with Log.create(tmp_path, "studio", ORIGIN, store=StoreURL(database)).log as log:
        assert log.append([requested()])[0].position == 1


def test_an_init_that_was_killed_on_this_machine_can_be_repeated_with_a_database(tmp_path: Path, database: str) -> None:
    killed_at(Log, "close", AFTER, lambda: Log.create(tmp_path, "studio", ORIGIN))
    with Log.create(tmp_path, "studio", ORIGIN, store=StoreURL(database)).log as log:
        assert log.append([requested()])[0].position == 1
