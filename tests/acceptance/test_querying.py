"""Asking read models by the command: what a member of staff and an operator look for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import Run
from tests.support.events import cloud


def rows(week: Run, *arguments: str) -> list[dict[str, object]]:
    answer = week("query", *arguments, "--json").json
    assert list(answer) == ["table", "position", "rows"]
    assert answer["table"] == arguments[0]
    found: list[dict[str, object]] = answer["rows"]
    return found


def test_rows_are_found_by_the_values_of_columns_as_of_now(week: Run) -> None:
    assert [row["stream"] for row in rows(week, "reservations", "--where", "status=confirmed")] == [
        "reservation:R-2104",
        "reservation:R-2105",
    ]
    (row,) = rows(week, "reservations", "--where", "status=confirmed", "--where", "station=kiln-3")
    assert (row["stream"], row["half_shelves"], row["stage"]) == ("reservation:R-2104", 6, "queued")
    assert rows(week, "reservations", "--where", "half_shelves=6") == [row]
    assert rows(week, "reservations", "--where", "status=nowhere") == []
    assert [row["to_stage"] for row in rows(week, "stage_history", "--where", "stream=reservation:R-2103")][-1] == (
        "cancelled"
    )


def test_what_is_appended_is_there_at_the_next_question(week: Run) -> None:
    before = rows(week, "reservations")
    event = cloud("reservation.station_assigned", "reservation:R-2104", {"station": "kiln-9"}, member="M-1004")
    assert week("append", "-", stdin=event).code == 0
    after = rows(week, "reservations")
    assert [row["station"] for row in after if row not in before] == ["kiln-9"]
    assert week("query", "reservations", "--json").json["position"] == 41


def test_private_values_are_disclosed_to_the_owner_beside_their_commitments(week: Run) -> None:
    (row,) = rows(week, "members", "--where", "stream=member:M-1002")
    assert row["disclosed"] == {"email": "bram.okafor@example.net", "name": "Bram Okafor"}
    private = row["private"]
    assert isinstance(private, dict)
    assert {name: position for name, (position, _) in private.items()} == {"email": 31, "name": 2}
    shown = week("query", "members", "--where", "stream=member:M-1002").out.decode()
    assert "email         bram.okafor@example.net\n" in shown
    assert "commitment" not in shown
    assert "withheld" not in shown


def test_a_policy_decides_what_is_disclosed(week: Run) -> None:
    found = rows(week, "members", "--policy", "auditor")
    assert not [row for row in found if "disclosed" in row]
    assert found[0]["withheld"] == {"email": "not-disclosed", "name": "not-disclosed", "phone": "not-disclosed"}
    assert week("query", "members", "--policy", "nobody").code == 10


def test_an_arrival_token_stays_withheld(week: Run) -> None:
    token = cloud(
        "reservation.arrival_token_issued", "reservation:R-2104", {"token": "s3cret", "version": 1}, member="M-1004"
    )
    assert week("append", "-", stdin=token).code == 0
    shown = week("query", "reservations", "--where", "token_version=1")
    assert (shown.code, b"s3cret" in shown.out) == (0, False)
    assert shown.out.decode().splitlines()[-1].split() == ["withheld", '{"token":"secret"}']
    assert b"s3cret" not in week("query", "reservations", "--json").out


def test_for_people_a_row_is_lines_of_name_and_value(week: Run) -> None:
    out = week("query", "stage_history", "--where", "stream=reservation:R-2103").out.decode()
    blocks = [dict(line.split(None, 1) for line in block.splitlines()) for block in out.split("\n\n")]
    assert [(block["version"], block["to_status"]) for block in blocks] == [
        ("1", "requested"),
        ("2", "confirmed"),
        ("3", "cancelled"),
    ]
    assert "from_status" not in blocks[0]


def test_limit_bounds_the_rows(week: Run) -> None:
    whole = rows(week, "stage_history")
    assert len(whole) > 20
    assert rows(week, "stage_history", "--limit", "7") == whole[:7]
    assert week("query", "reservations", "--limit", "0").code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["reservation"], 10, "did you mean reservations"),
        (["reservations", "--where", "status"], 2, "COLUMN=VALUE"),
        (["reservations", "--where", "colour=red"], 2, "no column 'colour'"),
        (["reservations", "--where", "half_shelves=six"], 2, "expected an integer"),
        (["reservations", "--where", "add_ons=[]"], 2, "holds a list or an object"),
    ],
)
def test_what_can_not_be_asked_is_told(week: Run, arguments: list[str], code: int, told: str) -> None:
    result = week("query", *arguments)
    assert (result.code, result.out) == (code, b"")
    assert told in result.err


def test_a_long_answer_is_one_document(studio: Run, tmp_path: Path) -> None:
    events = [
        cloud("piece.registered", f"piece:P-{at:04}", {"code": f"C-{at}", "count": 1, "reservation": "R-1"})
        for at in range(1203)
    ]
    (tmp_path / "pieces.ndjson").write_bytes(b"\n".join(events))
    assert studio("append", tmp_path / "pieces.ndjson").code == 0
    found = json.loads(studio("query", "pieces", "--json").out)["rows"]
    assert [row["stream"] for row in found] == [f"piece:P-{at:04}" for at in range(1203)]
