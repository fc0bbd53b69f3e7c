"""What is withheld over HTTP, and what is said of it."""

from __future__ import annotations

from tests.support.events import cloud, requested
from tests.support.http import NDJSON


def token() -> bytes:
    data = {"token": "open-sesame", "version": 1}
    return cloud("reservation.arrival_token_issued", "reservation:R-1", data, member="M-1")


def test_a_secret_is_shown_to_nobody_and_named_with_its_rule(service) -> None:
    assert service.post(requested() + b"\n" + token(), NDJSON, "service").status_code == 201

    for role in ("owner", "admin", "service"):
        item = service.get("/events/2?disclose=true", role).json()
        assert (item["disclosed"], item["withheld"]) == ({}, {"token": "secret"})
        page = service.get("/events?disclose=true", role)
        assert "open-sesame" not in page.text
        shown = service.get("/events/1?disclose=true", role).json()
        assert shown["disclosed"] == {"notes": "the blue one, please"}
        assert "withheld" not in shown
        event = service.get("/events/2?disclose=true", role, {"Accept": "application/cloudevents+json"})
        assert "open-sesame" not in event.text
    assert service.get("/events/2?disclose=true", "auditor").status_code == 403
