"""The random histories that other tests stand on: lawful, whole, the same for the same seed, and of every kind."""

import os
import subprocess
import sys
from collections import Counter
from hashlib import sha256

import orjson
import pytest
from hypothesis import given, settings

from ledger import catalog
from ledger.errors import LifecycleRefused
from tests.support.events import new_log
from tests.support.histories import AUTHOR, PURGES, SIGNED, Clock, fill, histories, history
from tests.support.whole import check_whole


def types(events):
    return Counter(orjson.loads(event)["type"] for event in events)


@pytest.mark.parametrize("seed", range(4))
def test_a_ledger_takes_a_history_as_it_comes(tmp_path, seed):
    events = history(seed, 1500)
    with new_log(tmp_path) as log:
        fill(log, events)
        entries = check_whole(log)
    assert [entry["event"]["id"] for entry in entries[1:]] == [orjson.loads(event)["id"] for event in events]


def test_a_ledger_whose_clock_goes_along_takes_purges_too(tmp_path):
    events = history(7, 3000, waits=True)
    clock = Clock()
    with new_log(tmp_path, clock=clock) as log:
        fill(log, events, clock)
        entries = check_whole(log)
    assert set(types(events)) >= PURGES
    for entry in entries[1:]:
        assert entry["recorded"][:19] <= entry["event"]["time"][:19]  # so what is told is never in the future


def test_a_purge_is_refused_where_the_clock_stands_still(tmp_path):
    with new_log(tmp_path) as log, pytest.raises(LifecycleRefused, match="30 days"):
        log.append(history(7, 3000, waits=True), AUTHOR)


@settings(max_examples=20)
@given(histories(40))
def test_a_drawn_history_is_taken_as_it_comes(tmp_path_factory, events):
    with new_log(tmp_path_factory.mktemp("drawn")) as log:
        fill(log, events, batch=7)
        assert log.head().size == len(events) + 1


def test_a_seed_says_all(repository):
    program = (
        "import hashlib; from tests.support.histories import history; "
        "print(hashlib.sha256(b'\\n'.join(history(42, 800, waits=True))).hexdigest())"
    )
    here = sha256(b"\n".join(history(42, 800, waits=True))).hexdigest()
    for hash_seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(repository)}
        there = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
        assert there.stdout.decode().strip() == here
    assert history(43, 800, waits=True) != history(42, 800, waits=True)


def test_a_long_history_has_every_type_and_forced_events_of_every_kind_that_takes_them():
    events = [orjson.loads(event) for event in history(1, 20_000, waits=True)]
    assert {event["type"] for event in events} == set(catalog.names()) - set(SIGNED)
    forced = {event["subject"].partition(":")[0] for event in events if "forced" in event}
    assert forced >= {"reservation", "piece", "notification", "storage", "media", "record", "account", "policy"}
    for attribute in ("member", "correlationid", "tags", "expectedversion"):
        assert any(attribute in event for event in events)
    assert len({event["id"] for event in events}) == len(events)


def test_a_history_can_be_of_some_kinds_only():
    events = history(5, 300, kinds={"reservation", "piece"})
    assert {name.partition(".")[0] for name in types(events)} == {"reservation", "piece"}
    assert types(events)["piece.registered"] > 3


def test_links_name_streams_that_have_begun():
    begun = set()
    for event in map(orjson.loads, history(9, 4000)):
        for field, kind in (("reservation", "reservation"), ("photo", "media"), ("notification", "notification")):
            link = event["data"].get(field)
            if link is not None and not event.get("forced"):
                assert f"{kind}:{link}" in begun
        begun.add(event["subject"])


def test_a_transfer_is_told_from_both_sides_under_one_correlation():
    pairs = [event for event in map(orjson.loads, history(3, 20_000)) if event["data"].get("counterpart")]
    assert len(pairs) > 4
    for given_up, received in zip(pairs[::2], pairs[1::2], strict=True):
        assert (given_up["data"]["side"], received["data"]["side"]) == ("given", "received")
        assert given_up["correlationid"] == received["correlationid"]
        assert given_up["member"] == received["data"]["counterpart"]
        assert received["member"] == given_up["data"]["counterpart"]


def test_a_history_never_leaves_the_ledger_frozen():
    for seed in range(300):
        names = [orjson.loads(event)["type"] for event in history(seed, 3, kinds={"ledger", "record"})]
        assert names.count("ledger.frozen") == names.count("ledger.thawed")
