"""What changed between two moments, as people and programs ask for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.conftest import Run
from tests.support.events import estimate_changed, requested, stage_changed


@pytest.fixture
def story(studio: Run) -> Run:
    """Positions 1 to 4: R-1 requested, its estimate given, R-2 requested, R-1 moved on."""
    moved = stage_changed("queued", data={"reason": "kiln_full"})
    assert (
        studio(
            "append", stdin=b"\n".join([requested(), estimate_changed(), requested("R-2", member="M-2"), moved])
        ).code
        == 0
    )
    return studio


def streams(document: dict[str, Any]) -> dict[str, dict[str, tuple[Any, Any]]]:
    return {
        one["stream"]: {change["field"]: (change["from"], change["to"]) for change in one["changes"]}
        for one in document["streams"]
    }


def test_each_field_that_changed_is_told_with_both_values(story: Run) -> None:
    document = story("diff", "--from", 1, "--to", 4, "reservation:R-1", "--json").json

    assert (document["from"], document["to"]) == (1, 4)
    assert [(one["from_version"], one["to_version"]) for one in document["streams"]] == [(1, 3)]
    assert streams(document) == {
        "reservation:R-1": {
            "estimate.confidence": (None, "high"),
            "reason": (None, "kiln_full"),
            "stage": ("intake", "queued"),
        }
    }


def test_all_streams_with_entries_between_are_told_in_the_order_of_the_log(story: Run) -> None:
    document = story("diff", "--from", 2, "--json").json

    assert list(streams(document)) == ["reservation:R-2", "reservation:R-1"]
    began = streams(document)["reservation:R-2"]
    assert began["status"] == (None, "requested")
    assert began["notes"] == (None, "the blue one, please")
    assert began["window.earliest"] == (None, "2026-03-02")
    assert document["streams"][0]["from_version"] == 0


def test_people_read_lines(story: Run) -> None:
    assert story("diff", "--from", 3).out.decode() == (
        "reservation:R-1  version 2 to 3\n  reason: - -> kiln_full\n  stage: intake -> queued\n"
    )


def test_nothing_changed_between_a_moment_and_itself(story: Run) -> None:
    assert story("diff", "--from", 4, "--to", 4, "--json").json == {"from": 4, "to": 4, "streams": []}


def test_moments_beyond_the_end_mean_now(story: Run) -> None:
    assert story("diff", "--from", 0, "--to", 999, "--json").json["to"] == 4
    assert story("diff", "--from", "2200-01-01", "--json").json == {"from": 4, "to": 4, "streams": []}


def test_moments_the_wrong_way_round_are_refused(story: Run) -> None:
    refused = story("diff", "--from", 4, "--to", 1)

    assert (refused.code, "turn them round" in refused.err) == (2, True)


def test_a_stream_there_is_not_is_not_found_with_what_was_meant(story: Run) -> None:
    refused = story("diff", "--from", 0, "reservations:R-1", "--json")
    assert refused.code == 10
    assert (refused.error["error"], refused.error["advice"]) == (
        "there is no stream reservations:R-1",
        "did you mean reservation:R-1?",
    )
    not_yet = story("diff", "--from", 0, "--to", 0, "reservation:R-1", "--json")
    assert (not_yet.code, not_yet.json["streams"]) == (0, [])


def test_a_bound_that_is_neither_position_nor_time_is_refused(story: Run) -> None:
    assert story("diff", "--from", "yesterday").code == 2
