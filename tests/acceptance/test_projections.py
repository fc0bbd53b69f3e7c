"""An operator's day with projections, by the command: look, rebuild, go back, and get one going that has stopped."""

from contextlib import closing
from pathlib import Path

import pytest

from projections.generations import begin
from projections.models import READ_MODELS
from projections.store.opening import open_projections
from tests.acceptance.conftest import Run
from tests.support.events import requested

NAMES = [model.name for model in READ_MODELS]


def standing(week: Run, *line: str, code: int = 0) -> list[tuple[str, int | None, int, str]]:
    """What a verb tells of each generation: name, number, position, state."""
    told = week(*line, "--json")
    assert told.code == code, told.err
    return [(one["name"], one["generation"], one["position"], one["state"]) for one in told.json["projections"]]


def test_where_projections_stand_is_told_before_and_after_they_are_built(week: Run) -> None:
    assert standing(week, "projections") == [(name, None, -1, "missing") for name in NAMES]
    week("rebuild")
    assert standing(week, "projections") == [(name, 1, 40, "live") for name in NAMES]
    assert standing(week, "projections", "stage_history") == [("reservations", 1, 40, "live")]
    lines = week("projections", "reservations", "pieces").out.decode().splitlines()
    assert [line.split() for line in lines] == [
        ["NAME", "VERSION", "GENERATION", "POSITION", "LAG", "STATE"],
        *(
            [name, f"{version}", "1", "40", "0", "live"]
            for name, version in (("pieces", 1), ("reservations", version_of("reservations")))
        ),
    ]
    assert week("projections", "reservation").code == 10


def version_of(name: str) -> int:
    return next(model.version for model in READ_MODELS if model.name == name)


def test_a_rebuild_is_undone_and_done_again(week: Run) -> None:
    assert week("rollback-projections").code == 11
    week("rebuild")
    assert week("rollback-projections", "reservations").code == 11
    week("rebuild", "reservations")
    assert standing(week, "rollback-projections", "reservations") == [("reservations", 1, 40, "live")]
    assert standing(week, "projections", "reservations") == [
        ("reservations", 1, 40, "live"),
        ("reservations", 2, 40, "withdrawn"),
    ]
    assert standing(week, "rollback-projections", "reservations") == [("reservations", 2, 40, "live")]
    assert b"reservations" in week("rollback-projections", "reservations").out


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The positions of the entries that the model of reservations can't fold."""
    model = next(one for one in READ_MODELS if one.name == "reservations")
    positions = {8, 9}

    def wrapped(handler):  # type: ignore[no-untyped-def]
        def fold(work, event, seal):  # type: ignore[no-untyped-def]
            if seal.position in positions:
                raise ValueError("a window that ends before it begins")
            handler(work, event, seal)

        return fold

    for name, handler in list(model.handlers.items()):
        monkeypatch.setitem(model.handlers, name, wrapped(handler))
    return positions


def test_a_projection_that_has_stopped_is_retried_or_led_past_the_event(week: Run, poison: set[int]) -> None:
    assert ("reservations", 1, 7, "stopped") in standing(week, "rebuild", code=1)
    first = standing(week, "projections")
    assert [one for one in first if one[0] == "reservations"] == [
        ("reservations", None, -1, "missing"),
        ("reservations", 1, 7, "stopped"),
    ]
    assert {one[2:] for one in first if one[0] != "reservations"} == {(40, "live")}
    assert b"at position 8: ValueError: a window that ends before it begins" in week("projections").out
    assert ("reservations", 1, 7, "stopped") in standing(week, "projections", "--retry", code=1)

    refused = week("projections", "--skip", "9", "--reason", "known-fault", "reservations")
    assert (refused.code, b"it has stopped at 8" in refused.err.encode()) == (11, True)
    assert week("projections", "--skip", "8", "--reason", "Known fault!", "reservations").code == 2
    assert ("reservations", 1, 8, "stopped") in standing(
        week, "projections", "--skip", "8", "--reason", "known-fault", "reservations", code=1
    )
    (event,) = week("log", "--type", "projection.skipped", "--json").json["events"]
    assert (event["subject"], event["actorrole"]) == ("projection:reservations", "system")
    assert event["data"] == {
        "asked_by": "local",
        "position": 8,
        "projection_version": version_of("reservations"),
        "reason": "known-fault",
    }
    skipped = standing(week, "projections", "--skip", "9", "--reason", "known-fault", "reservations")
    assert skipped == [("reservations", 1, 42, "live")]
    assert standing(week, "rebuild", "reservations") == [("reservations", 2, 42, "live")]  # it follows them too
    poison.clear()  # mended: what was skipped is folded after all
    whole = standing(week, "rebuild", "reservations")
    assert whole == [("reservations", 3, 42, "live")]
    assert week("check-state").code == 0


def test_rows_that_had_stopped_and_were_replaced_are_no_failure_any_more(week: Run, poison: set[int]) -> None:
    poison.clear()
    week("rebuild")
    poison.add(41)
    assert week("append", stdin=requested("R-late")).code == 0
    assert ("reservations", 1, 40, "stopped") in standing(week, "projections", "--retry", "reservations", code=1)
    poison.clear()  # mended
    assert standing(week, "rebuild", "reservations") == [("reservations", 2, 41, "live")]
    assert standing(week, "projections", "reservations") == [
        ("reservations", 1, 40, "previous"),
        ("reservations", 2, 41, "live"),
    ]
    assert standing(week, "rollback-projections", "reservations") == [("reservations", 1, 40, "stopped")]
    assert ("reservations", 1, 41, "live") in standing(week, "projections", "--retry", "reservations")


def test_a_rebuild_of_some_tells_what_it_finished_that_an_earlier_one_had_left(week: Run, data: Path) -> None:
    week("rebuild")
    with closing(open_projections(None, "studio", data / "studio")) as store, store.writing() as writes:
        for model in READ_MODELS:
            begin(writes, model)  # and killed there
    told = week("rebuild", "pieces")
    assert ("pieces", "filling") not in {(one[0], one[3]) for one in standing(week, "projections")}
    assert "finished what an earlier rebuild had left, too: accounts, backups" in told.err
    assert {one[3] for one in standing(week, "projections")} == {"live", "previous"}


@pytest.mark.parametrize(
    "line",
    [
        "--skip 7 reservations",
        "--reason code reservations",
        "--skip 7 --reason code",
        "--skip 7 --reason code reservations pieces",
        "--skip 7 --reason code --retry reservations",
        "--skip -1 --reason code reservations",
    ],
)
def test_a_skip_takes_one_name_and_a_reason(week: Run, line: str) -> None:
    assert week("projections", *line.split()).code == 2


def test_the_projections_of_a_damaged_file_are_told_of_with_what_to_do(week: Run, data: Path) -> None:
    (data / "studio" / "projections.db").write_bytes(b"no database at all, " * 100)
    told = week("projections", "--json")
    assert (told.code, "delete that file" in told.error["advice"]) == (1, True)
