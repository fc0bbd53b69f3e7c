"""Credentials, and one event to vary, for the tests of events; ``fault`` gives the refusal of one."""

import json

import msgspec
import pytest

from ledger import entry
from ledger.errors import InvalidEvent
from ledger.event import LOCAL, Credential, difference, prepare

SERVICE = Credential(id="portal", role="service", actor="portal", actor_role="service")
ADMIN = Credential(
    id="boss", role="admin", actor="boss", actor_role="admin", actor_roles=frozenset({"client", "staff", "admin"})
)
DATA = {
    "firing_type": "bisque",
    "half_shelves": 1,
    "notes": "for Zoë",
    "window": {"earliest": "2026-03-02", "latest": "2026-03-09"},
}
BASE = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "urn:test",
    "type": "reservation.requested",
    "subject": "reservation:R-1",
    "time": "2026-03-01T09:30:00Z",
    "data": DATA,
}
RECORD = {"type": "record.created", "subject": "record:1"}


def event(**changed):
    """The base event with changed attributes; ``...`` leaves one out."""
    return json.dumps({name: value for name, value in {**BASE, **changed}.items() if value is not ...}).encode()


def record(value):
    """A record whose field ``a`` is the given JSON text."""
    raw = event(**RECORD, data={"collection": "clients", "fields": {"a": "@"}})
    return raw.replace(b'"@"', value)


def body(raw, credential=LOCAL):
    """The entry's event, read, that the CloudEvent becomes."""
    return json.loads(prepare(raw, credential).body)


def fault(raw, error=InvalidEvent, credential=LOCAL):
    """The error with which the CloudEvent is refused; exactly of that class."""
    with pytest.raises(error) as caught:
        prepare(raw, credential)
    assert type(caught.value) is error
    assert caught.value.detail
    return caught.value


def stored(raw, credential=LOCAL, **seal):
    """An entry made of the CloudEvent."""
    prepared = prepare(raw, credential)
    seal = {"by": credential.id, "member_version": None, "position": 7, "prev": entry.NO_PREVIOUS, "version": 2, **seal}
    return entry.build(prepared.body, recorded="2026-03-01T09:30:01.000000Z", **seal)


def compare(first, second, disclosed=..., *, second_by=LOCAL):
    """What ``difference`` says of the second event after the first was recorded."""
    before = prepare(first, LOCAL)
    values = before.private if disclosed is ... else disclosed
    return difference(prepare(second, second_by), msgspec.json.decode(before.body, type=entry.EventBody), values)
