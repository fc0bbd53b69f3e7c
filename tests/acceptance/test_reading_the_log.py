"""The log in its forms: for people, as bytes, as CloudEvents; and the ends of what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.entry import decode
from tests.acceptance.conftest import Run
from tests.support.events import cloud, requested


def lines(run: Run, *arguments: object) -> list[bytes]:
    result = run("log", *arguments)
    assert result.code == 0, result.err
    return result.out.splitlines()


def positions(run: Run, *arguments: object) -> list[int]:
    return [decode(line).seal.position for line in lines(run, "--raw", *arguments)]


def test_the_three_forms_and_the_document_tell_of_the_same_entries(week: Run) -> None:
    raw, rows, events = lines(week, "--raw"), lines(week), lines(week, "--jsonl")
    document = week("log", "--json").json
    assert len(raw) == len(rows) == len(events) == 41
    assert document == {"events": [json.loads(line) for line in events]}
    for line, row, event in zip(raw, rows, document["events"], strict=True):
        entry = decode(line)
        assert (event["id"], event["ledgerposition"]) == (entry.event.id, entry.seal.position)
        assert row.split()[0] == str(entry.seal.position).encode()


def test_the_bytes_hold_no_private_value_and_the_events_do(week: Run) -> None:
    note = b"Please keep the vase upright"
    assert note not in week("log", "--raw").out
    assert note in week("log", "--jsonl").out
    assert note in week("log", "--json").out
    assert b"Ada Brandt" not in week("log").out


def test_both_ends_are_inclusive_as_positions_and_as_times(week: Run) -> None:
    assert positions(week, "--from", 3, "--to", 5) == [3, 4, 5]
    assert positions(week, "--to", 0) == [0]
    assert positions(week, "--from", 40) == [40]
    created = decode(lines(week, "--raw", "--to", 0)[0]).seal.recorded
    assert positions(week, "--to", created)[:1] == [0]
    assert positions(week, "--from", created)[:1] == [0]
    assert positions(week, "--from", created[:10], "--to", created[:10])[-1] == 40
    assert positions(week, "--to", "2001-01-01") == positions(week, "--from", "2999-01-01") == []


def test_an_empty_range_is_empty_and_no_error(week: Run) -> None:
    assert positions(week, "--from", 41, "--to", 50) == positions(week, "--from", 41, "--to", "2999-01-01") == []
    assert positions(week, "--from", "2001-01-01", "--to", "2001-01-02") == []
    assert positions(week, "--from", 41) == positions(week, "--from", 10**30) == []
    assert week("log", "--from", 41, "--json").json == {"events": []}


def test_a_range_that_ends_before_it_begins_is_a_fault_of_usage_that_names_both(week: Run, tmp_path: Path) -> None:
    created = decode(lines(week, "--raw", "--to", 0)[0]).seal.recorded
    for first, last in (
        ("5", "3"),
        ("50", "49"),
        ("2001-01-02", "2001-01-01"),
        ("2026-03-02T00:00:00.000002Z", "2026-03-02T02:00:00.000001+02:00"),
        ("0", "2001-01-01"),
        ("2999-01-01", "40"),
    ):
        for verb in (("log",), ("log", "--json"), ("slice", "--out", tmp_path / "none.slice")):
            refused = week(*verb, "--from", first, "--to", last)
            assert refused.code == 2
            assert f"--from {first} is after --to {last}" in refused.err
    assert not list(tmp_path.glob("none*"))
    assert positions(week, "--from", f"{created[:-1]}9Z", "--to", f"{created[:-1]}1Z") == []  # finer than the clock


def test_stream_member_type_and_limit_narrow_the_selection(week: Run) -> None:
    for option, value, attribute in (
        ("--stream", "reservation:R-2101", "subject"),
        ("--member", "M-1001", "member"),
        ("--type", "reservation.requested", "type"),
    ):
        found = [json.loads(line) for line in lines(week, "--jsonl", option, value)]
        every = [json.loads(line) for line in lines(week, "--jsonl")]
        assert found == [event for event in every if event.get(attribute) == value] != []
    assert len(lines(week, "--member", "M-1001", "--limit", 2)) == 2
    assert lines(week, "--stream", "reservation:none") == []


def test_a_type_there_is_not_is_a_fault_of_usage_with_what_was_meant(week: Run) -> None:
    result = week("log", "--type", "reservation.request")
    assert result.code == 2
    assert "reservation.requested" in result.err


@pytest.mark.parametrize("arguments", [("--raw", "--jsonl"), ("--limit", "0"), ("--limit", "x"), ("extra",)])
def test_what_makes_no_sense_is_a_fault_of_usage(week: Run, arguments: tuple[str, ...]) -> None:
    assert week("log", *arguments).code == 2


def test_json_before_the_verb_leaves_the_bytes_of_raw_alone(week: Run) -> None:
    assert week("--json", "log", "--raw").out == week("log", "--raw").out


def test_no_event_can_steer_the_terminal_of_who_shows_it(studio: Run) -> None:
    note = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202eabc\nstatus  confirmed"
    assert studio("append", stdin=requested("R-1", data={"notes": note})).code == 0
    for arguments in (("show", "reservation:R-1"), ("log",)):
        shown = studio(*arguments).out.decode()
        assert all(each.isprintable() for line in shown.splitlines() for each in line)
    assert "\\x1b[2J" in studio("show", "reservation:R-1").out.decode()
    assert studio("show", "reservation:R-1", "--json").json["notes"] == note


def test_a_fault_in_an_event_can_not_steer_it_either(studio: Run) -> None:
    result = studio("append", stdin=cloud("reservation.\x1b[31mx", "reservation:R-1"))
    assert result.code == 3
    assert "\x1b" not in result.err
