"""What this server publishes: each of its ledgers in a place of its own, at an interval and when asked to.

Owns the publishings of the open ledgers, and the look for ledgers that nobody has asked for yet: what another process
appends to them is to be published too. What a publication is, ``tools.publishing`` knows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from api.settings import PREFIX, Settings
from ledger.errors import LedgerError, NotFound, ReadOnly
from ledger.log import Log
from ledger.trust_policy import TrustPolicy, parse_policy
from tools.publishing import Publication, Publishing
from tools.vaults.opening import below, open_vault


class Plan(NamedTuple):
    """Where and when the ledgers are published, and who has to cosign them."""

    place: str
    seconds: float
    policy: TrustPolicy | None
    entries: bool

    @classmethod
    def of(cls, settings: Settings) -> Plan | None:
        """The plan in the settings, if there is one. Raises ``ValueError`` naming the variable at fault."""
        if settings.publish_to is None:
            return None
        try:
            open_vault(below(settings.publish_to, "name"))
        except ValueError as error:
            raise ValueError(f"{PREFIX}PUBLISH_TO: {error}") from None
        return cls(
            settings.publish_to, settings.publish_seconds, _policy(settings.publish_policy), settings.publish_entries
        )


def _policy(path: Path | None) -> TrustPolicy | None:
    if path is None:
        return None
    try:
        return parse_policy(path.read_bytes())
    except (LedgerError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{PREFIX}PUBLISH_POLICY: {path}: {reason}") from None


class Publishers:
    """The publishings of one server, by ledger."""

    def __init__(self, plan: Plan | None, data: Path, alarm: Callable[[str, str], None]) -> None:
        self._plan = plan
        self._data = data
        self._alarm = alarm
        self._running: dict[str, Publishing] = {}
        self._closed = threading.Event()
        self._looking: threading.Thread | None = None

    def begin(self, name: str, log: Log) -> None:
        """Publish a ledger from now on, if the settings say so."""
        if self._plan is not None:
            made = Publishing(
                partial(self._make, self._plan, name, log), self._plan.seconds, partial(self._alarm, name)
            )
            self._running[name] = made
            made.start()

    def look(self, names: Callable[[], Iterable[str]], open_: Callable[[str], object], told: Iterable[str]) -> None:
        """Open every ledger that there is, now and later, so that it is published without anybody asking for it.

        ``told`` are those of which the operator knows that they can't be opened.
        """
        if self._plan is not None and not self._closed.is_set():
            arguments = (self._plan, names, open_, set(told))
            self._looking = threading.Thread(target=self._look, args=arguments, daemon=True)
            self._looking.start()

    def of(self, name: str) -> Publishing:
        """The publishing of an open ledger. Raises ``NotFound`` where nothing is published."""
        found = self._running.get(name)
        if found is None:
            raise NotFound("this service publishes nothing", advice=f"its operator may set {PREFIX}PUBLISH_TO")
        return found

    def close(self) -> None:
        """Stop them all, each between two objects. The ledgers are still open."""
        self._closed.set()
        if self._looking is not None:
            self._looking.join()
        closing = [threading.Thread(target=one.close) for one in self._running.values()]
        for each in closing:
            each.start()
        for each in closing:
            each.join()

    def _make(self, plan: Plan, name: str, log: Log, stopping: Callable[[], bool]) -> Publication:
        vault = open_vault(below(plan.place, name))
        return Publication(log, self._data / name, vault, policy=plan.policy, entries=plan.entries, stopping=stopping)

    def _look(
        self, plan: Plan, names: Callable[[], Iterable[str]], open_: Callable[[str], object], told: set[str]
    ) -> None:
        while not self._closed.is_set():
            for name in names():
                if name in self._running or self._closed.is_set():
                    continue
                try:
                    open_(name)
                except ReadOnly:  # the server is being stopped
                    return
                except LedgerError as error:
                    if name not in told:
                        self._alarm(name, f"can't be opened, and is not published: {error}")
                    told.add(name)
            self._closed.wait(plan.seconds)
