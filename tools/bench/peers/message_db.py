"""message-db: SQL functions in PostgreSQL that write one message a call, called here by the driver that we use.

A request of several events is one transaction of as many calls, pipelined, which is faster than one statement that
calls it over arrays. Its roles, views and grants are left out, as is the
extension pgcrypto, which none of its functions needs since PostgreSQL 13.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import psycopg
from psycopg import Connection

from tools.bench.clients import drive
from tools.bench.measure import Contestant
from tools.bench.peers.cell import Cell
from tools.bench.peers.driver import FETCHED
from tools.bench.postgres import Server
from tools.bench.workload import Posted

NAME = "message-db, PostgreSQL"
_PLACE = FETCHED / "node_modules" / "@eventide" / "message-db" / "database"
_FILES = re.compile(r"\$base/((?:types|functions|indexes)/\S+\.sql)")
_WRITE = "SELECT write_message(%s, %s, %s, %s::jsonb, %s::jsonb)"

Message = tuple[str, str, str, str, str]


class MessageDB:
    """message-db's tables in a database of their own, emptied before each run."""

    def __init__(self, server: Server, url: str | None) -> None:
        self._server = server
        self._url = url

    def contestant(self, cell: Cell, seconds: float) -> Contestant:
        """As one of those who append."""
        if self._url is None:
            return Contestant(NAME, None)
        url = self._url
        requests = [[[_message(event) for event in request] for request in one] for one in cell.requests]

        def run() -> float:
            connections = [_connect(url) for _ in requests]
            try:
                connections[0].execute("TRUNCATE messages RESTART IDENTITY")
                self._server.rest()
                return drive(requests, lambda client, request: _write(connections[client], request), seconds)
            finally:
                for connection in connections:
                    connection.close()

        return Contestant(NAME, run)


def _message(event: Posted) -> Message:
    """The arguments of a call: the data as such, all else as metadata. Its streams are named category-id."""
    content = msgspec.json.decode(event.body)
    data = msgspec.json.encode(content.pop("data")).decode()
    stream = content["subject"].replace(":", "-", 1)
    return str(uuid.UUID(event.id)), stream, content["type"], data, msgspec.json.encode(content).decode()


def _connect(url: str) -> Connection:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("SET search_path = message_store")
    return connection


def _write(connection: Connection, request: list[Message]) -> int:
    if len(request) == 1:
        connection.execute(_WRITE, request[0])
    else:
        with connection.transaction():
            connection.cursor().executemany(_WRITE, request)
    return len(request)


@contextmanager
def message_db(server: Server) -> Iterator[MessageDB]:
    """message-db, installed into a database if it is on this machine."""
    if not _PLACE.is_dir():
        yield MessageDB(server, None)
        return
    files = ["schema/message-store.sql", "tables/messages.sql"]
    for script in ("install-functions.sh", "install-indexes.sh"):
        files += _FILES.findall((_PLACE / script).read_text(encoding="utf-8"))
    with server.database("continuity_bench_message_db") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET search_path = message_store, public")
            connection.execute("SET client_min_messages = warning")
            for file in files:
                connection.execute((_PLACE / file).read_bytes())
        yield MessageDB(server, url)
