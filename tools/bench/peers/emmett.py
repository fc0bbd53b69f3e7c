"""Emmett on PostgreSQL, driven in Node by its own store. An append of Emmett is to one stream."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from tools.bench.measure import Contestant
from tools.bench.peers.cell import Cell
from tools.bench.peers.driver import FETCHED, SCRIPTS, Driver
from tools.bench.postgres import Server

NAME = "Emmett, PostgreSQL"
_PACKAGE = FETCHED / "node_modules" / "@event-driven-io" / "emmett-postgresql"


class Emmett:
    """Emmett's tables in a database of their own, emptied before each run."""

    def __init__(self, server: Server, url: str, driver: Driver | None) -> None:
        self._server = server
        self._url = url
        self._driver = driver

    def contestant(self, cell: Cell, seconds: float) -> Contestant:
        """As one of those who append."""
        driver = self._driver
        if driver is None:
            return Contestant(NAME, None)

        def run() -> float:
            rate = driver.run(cell, self._url, seconds)
            self._server.rest()
            return rate

        return Contestant(NAME, run)


@contextmanager
def emmett(server: Server) -> Iterator[Emmett]:
    """Emmett, with what it needs, if it is installed."""
    node = shutil.which("node")
    if node is None or not _PACKAGE.is_dir():
        yield Emmett(server, "", None)
        return
    with server.database("continuity_bench_emmett") as url:
        driver = Driver([node, str(SCRIPTS / "emmett_driver.mjs"), str(FETCHED / "package.json")], {})
        try:
            yield Emmett(server, url, driver)
        finally:
            driver.close()
