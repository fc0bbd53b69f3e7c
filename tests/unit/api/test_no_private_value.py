"""No private value reaches whom it is not for: every route of the application is walked, whatever it answers.

The routes come from the application itself and their parameters from its own document, so one that is new is walked
too. Every private field that there is, of every type, holds a marker in which nobody can be mistaken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from starlette.routing import Route

from api import openapi
from ledger import catalog
from ledger.errors import EventError
from ledger.log import Log
from projections.models import TABLES
from tests.support import http
from tests.support.events import cloud
from tests.support.histories import AUTHOR
from tests.support.http import BATCH, NDJSON, ONE, Service
from tests.support.traces import inflated, spellings
from tests.unit.ledger.catalog.examples import EXAMPLES, stream_of

MARKER = "Wilhelmina Überquark-Ōtsuka 7431"
SPELLINGS = {
    **spellings(MARKER),
    "percent": quote(MARKER).encode(),
    "escaped": json.dumps(MARKER).strip('"').encode(),
    "part": b"berquark",
}
DATE = "1931-07-04"
"""Stands for the marker where a private field takes a date."""
ACCEPTS = (None, "application/json", ONE, BATCH, "application/octet-stream", "text/plain", "text/event-stream", "a/b")
BODIES = (
    (ONE, b"{}"),
    (NDJSON, b"\n"),
    ("application/json", b'{"reason":"requested"}'),
    ("application/json", b'{"reason":"x","disclose":true}'),
    ("text/plain", b"x"),
)
NOBODY = "nobody"


def private_events() -> Iterator[bytes]:
    """An event of each type that has private fields, each field holding the marker."""
    for name in catalog.names():
        kind = catalog.get(name)
        if not kind.private:
            continue
        data = json.loads(json.dumps(EXAMPLES[name][1]))
        for field in set(data) & set(kind.private):
            data[field] = {"name": MARKER, "other": [MARKER]} if field == "fields" else MARKER
        if "birth_date" in data:
            data["birth_date"] = DATE
        role = {"actorrole": "system"} if kind.issued_by_ledger else {"actorrole": "admin", "forced": "import"}
        member = {} if kind.kind == "member" else {"member": "X-1"}
        yield cloud(name, stream_of(name), data, id=name, **member, **role)


def fill(log: Log) -> set[str]:
    """Record them all; the names of types that could not be."""
    refused = set()
    for event in private_events():
        try:
            log.append([event], AUTHOR)
        except EventError:
            refused.add(json.loads(event)["type"])
    return refused


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with http.service(tmp_path_factory.mktemp("walk") / "data") as running:
        running.get("/events")  # opens it
        assert fill(running.log) == set()
        last = running.log.head().size - 1
        assert running.get(f"/projections?min_position={last}").status_code == 200
        yield running


def values_of(name: str, size: int) -> list[str]:
    """What a parameter is tried with, by its name."""
    known = {
        "ledger": ["studio"],
        "position": [str(size - 1), str(size // 2), str(size + 7), "x"],
        "path": ["0/000", f"0/000.p/{size}", f"entries/000.p/{size}", "entries/000", "../x"],
        "id": ["X-1", "nothing"],
        "member": ["X-1", "nobody"],
        "table": [*TABLES, "nothing"],
        "old": ["1", "0"],
        "new": [str(size)],
        "at": [str(size - 2), "2026-03-01", "nonsense"],
        "from": ["1", "nonsense"],
        "to": [str(size)],
        "stream": ["member:X-1", "nonsense"],
        "type": ["member.registered", "nonsense"],
        "limit": ["1", "1000"],
        "mode": ["each"],
        "min_position": [str(size - 1)],
    }
    return known.get(name, ["1", "nonsense"])


def addresses(route: Route, document: dict[str, Any], size: int) -> Iterator[str]:
    """The paths of a route, each bare and with disclosures asked for; the first of them with each of its parameters."""
    path = route.path.replace(":path}", "}")
    described = next((of for name, of in document["paths"].items() if name == path), {})
    given = [one for operation in described.values() for one in operation.get("parameters", [])]
    inner = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    asked = [one["name"] for one in given if one["in"] == "query"]
    queries = ["", *(f"{name}={value}" for name in asked if name != "disclose" for value in values_of(name, size))]
    for number, values in enumerate(product(*(values_of(name, size) for name in inner))):
        filled_in = path
        for name, value in zip(inner, values, strict=True):
            filled_in = filled_in.replace(f"{{{name}}}", value)
        for query in queries if number < 2 else queries[:1]:
            for disclose in ("", "disclose=true", "disclose=1") if not query else ("disclose=true",):
                yield f"{filled_in}?{'&'.join(part for part in (query, disclose) if part)}".rstrip("?")


def found_in(answer: Any) -> list[str]:
    """The spellings of the marker in an answer: its body, what is compressed in it, and its headers."""
    head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
    content = answer.content + b"\n" + head
    parts = [content, *inflated(content)]
    found = [how for how, spelled in SPELLINGS.items() if any(spelled in part for part in parts)]
    return found + (["date"] if DATE.encode() in content else [])


def requests(service: Service) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, address, options) of every request that is tried."""
    document = openapi.document()
    size = service.log.head().size
    routes = [route for route in service.client.app.routes if isinstance(route, Route)]  # type: ignore[attr-defined]
    assert len(routes) == len(service.client.app.routes) > 10  # type: ignore[attr-defined]
    for route in routes:
        for number, address in enumerate(addresses(route, document, size)):
            for method in sorted(route.methods or ()):
                if method in ("POST", "PUT", "PATCH", "DELETE"):
                    for media_type, body in BODIES:
                        yield method, address, {"content": body, "headers": {"Content-Type": media_type}}
                    continue
                for accept in ACCEPTS if number < 3 else ACCEPTS[:1]:
                    yield method, address, {"headers": {} if accept is None else {"Accept": accept}}


def walk(service: Service, role: str) -> tuple[set[str], set[int], int]:
    """All leaks that a role finds, the statuses that it met, and how many requests there were."""
    leaks, statuses, count = set(), set(), 0
    headers = {} if role == NOBODY else service.as_role(role)
    for method, address, options in requests(service):
        answer = service.client.request(method, address, **{**options, "headers": headers | options["headers"]})
        statuses.add(answer.status_code)
        count += 1
        leaks |= {f"{method} {address}: {how}" for how in found_in(answer)}
    return leaks, statuses, count


# "other" is a service that has posted nothing.
@pytest.mark.parametrize("role", ["auditor", "other", "member", NOBODY])
def test_no_route_gives_a_private_value_to_whom_it_is_not_for(filled: Service, role: str) -> None:
    before = filled.log.head().size
    leaks, statuses, count = walk(filled, role)
    assert leaks == set()
    assert count > 150
    assert statuses >= ({401} if role == NOBODY else {403, 404, 200} if role == "other" else {403})
    assert 500 not in statuses
    assert filled.log.head().size == before


def test_the_walk_would_find_them(filled: Service) -> None:
    found = {
        how
        for method, address, options in requests(filled)
        if method == "GET" and "disclose=true" in address
        for how in found_in(
            filled.client.request(
                method, address, **{**options, "headers": filled.as_role("owner") | options["headers"]}
            )
        )
    }
    assert {"utf-8", "date"} <= found


def test_a_guess_at_a_value_is_not_confirmed(filled: Service) -> None:
    """Whoever posts an event again, with a value that may be the right one, learns nothing by the answer."""
    event = next(one for one in private_events() if b'"id": "member.contact_updated"' in one)
    event = event.replace(b'"actorrole": "admin", "forced": "import"', b'"actorrole": "staff"')
    wrong = event.replace(json.dumps(MARKER).encode(), b'"Somebody"')
    answers = [filled.post(one, role="other") for one in (event, wrong)]
    assert [answer.status_code for answer in answers] == [409, 409]
    first, second = ({**answer.json(), "instance": ""} for answer in answers)
    assert first == second
    assert not found_in(answers[0])
