"""Who takes part, in which version, and what each does and doesn't do with an event. Read beside every figure.

A peer that does less has less to do: a figure without this says little. Owns what is known of peers; states only what
their own code or documentation shows for the calls that are measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from msgspec import Struct

from tools.bench.peers import emmett, message_db, umadb, vanilla
from tools.bench.peers.driver import FETCHED
from tools.bench.session import STORES
from tools.bench.work import http

YES, NO = "yes", "–"


class Profile(Struct, kw_only=True):
    """What a contestant does in the measured calls, by the words that head the report's columns."""

    name: str
    version: str
    """Empty where it isn't installed."""
    how: str
    """How it is reached, and how it makes an append durable."""
    types: str = NO
    versions: str = NO
    ids: str = NO
    streams: str = YES
    chain: str = NO
    proofs: str = NO
    encryption: str = NO


COLUMNS = {
    "types": "checks types and transitions",
    "versions": "gapless versions in a stream",
    "ids": "an id twice",
    "streams": "one request, many streams",
    "chain": "hash chain",
    "proofs": "tree and proofs",
    "encryption": "encrypts private fields",
}
"""What a profile tells, and the heading of its column."""


def profiles(sqlite: str, postgresql: str) -> Iterator[Profile]:
    """Everybody who takes part, installed or not, given the versions of the two databases."""
    durable = {"SQLite": f"SQLite {sqlite}, synchronous=FULL", "PostgreSQL": f"PostgreSQL {postgresql}"}
    for store in STORES:
        yield Profile(
            name=f"Continuity Ledger, {store}",
            version=metadata.version("continuity-ledger"),
            how=f"called in process; {durable[store]}",
            types=YES,
            versions="given, and checked on request",
            ids="same receipt",
            chain=YES,
            proofs=YES,
            encryption=YES,
        )
    for name, store in ((vanilla.SQLITE, "SQLite"), (vanilla.POSTGRES, "PostgreSQL")):
        yield Profile(
            name=name,
            version=metadata.version("eventsourcing"),
            how=f"recorder called in process with ready-made rows; {durable[store]}",
            versions="a double is refused",
        )
    yield Profile(
        name=umadb.NAME,
        version=_wheel("umadb"),
        how="its client by gRPC, without a condition; its own file, fdatasync twice a commit",
        versions="by conditions, not used here",
        ids="by conditions, not used here",
    )
    yield Profile(
        name=emmett.NAME,
        version=_package("@event-driven-io/emmett-postgresql"),
        how=f"its store in Node; {durable['PostgreSQL']}",
        types="when compiled",
        versions=YES,
        streams="– (a request of many goes to one stream)",
    )
    yield Profile(
        name=message_db.NAME,
        version=_package("@eventide/message-db"),
        how=f"its function, calls pipelined in a transaction; {durable['PostgreSQL']}",
        versions=YES,
        ids="refused",
    )
    yield Profile(
        name=http.PEER, version=metadata.version("fastapi"), how="parses the body; stores nothing", streams=NO
    )


def _wheel(name: str) -> str:
    found = list(metadata.distributions(name=name, path=[str(FETCHED / "python")]))
    return found[0].version if found else ""


def _package(name: str) -> str:
    described = Path(FETCHED, "node_modules", name, "package.json")
    return str(json.loads(described.read_bytes())["version"]) if described.is_file() else ""
