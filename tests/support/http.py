"""A ledger with a key for every role, and the service over it in this process. Owns no fixtures and no assertions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from ledger.log import Log
from ledger.store.opening import StoreURL
from tests.support.events import ORIGIN

ROLES = ("owner", "admin", "service", "auditor", "member")
BASE = "/v1/ledgers/studio"
ONE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"


def make_ledger(data: Path, name: str = "studio", store: StoreURL | None = None) -> dict[str, str]:
    """Make a ledger with one credential for each role, and a second service; the keys by role or id."""
    created = Log.create(data, name, ORIGIN, store=store)
    with created.log as log:
        keys = {role: log.credentials.issue(f"the-{role}", role) for role in ROLES if role != "owner"}
        keys["other"] = log.credentials.issue("the-other", "service")
    return {"owner": created.api_key, **keys}


class Service(NamedTuple):
    """The running service: its client, the keys by role, and the folder of its ledgers."""

    client: TestClient
    keys: dict[str, str]
    data: Path

    def as_role(self, role: str) -> dict[str, str]:
        """The headers of a caller with a role."""
        return {"Authorization": f"Bearer {self.keys[role]}"}

    def get(self, path: str, role: str = "owner", headers: dict[str, str] | None = None, **options: Any) -> Any:
        """GET a path below the ledger."""
        return self.client.get(BASE + path, headers=self.as_role(role) | (headers or {}), **options)

    def post(self, body: bytes, content_type: str = ONE, role: str = "owner", query: str = "") -> Any:
        """POST a body to the ledger's events."""
        headers = self.as_role(role) | {"Content-Type": content_type}
        return self.client.post(f"{BASE}/events{query}", content=body, headers=headers)

    @property
    def log(self) -> Log:
        """The log that the service has open."""
        opened: Log = self.client.app.state.ledgers._logs["studio"]  # type: ignore[attr-defined]
        return opened


@contextmanager
def service(data: Path, store: str | None = None, **settings: Any) -> Iterator[Service]:
    """The service over a new ledger in a folder, or with its store in a database."""
    url = None if store is None else StoreURL(store)
    keys = make_ledger(data, store=url)
    app = create_app(Settings(data=data, store=url, access_log="none", **settings))
    with TestClient(app, raise_server_exceptions=True) as client:
        yield Service(client, keys, data)


def slug(answer: Any) -> str:
    """The name of the problem type of an answer."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    return str(problem["type"].rpartition(":")[2])


def batch(*events: bytes) -> bytes:
    """Events as a CloudEvents batch."""
    return b"[" + b",".join(events) + b"]"
