"""Settings from the environment: defaults, values and what is refused."""

from pathlib import Path

import pytest

from api.settings import Settings


def test_an_empty_environment_gives_the_defaults():
    settings = Settings.from_environment({"PATH": "/bin"})
    assert settings == Settings()
    assert (settings.data, settings.body_limit, settings.body_events) == (Path("data"), 8 * 1024 * 1024, 10_000)


def test_each_setting_is_read_under_its_name():
    given = {"data": "/srv/x", "body_limit": "4096", "body_events": "7", "body_seconds": "0.5", "wait_seconds": "0"}
    given["body_memory"] = "8192"
    environment = {f"CONTINUITY_{name.upper()}": value for name, value in given.items()}
    settings = Settings.from_environment(
        {**environment, "CONTINUITY_ACCESS_LOG": "none", "CONTINUITY_LEDGER": "studio"}
    )
    assert settings == Settings(
        data=Path("/srv/x"),
        body_limit=4096,
        body_events=7,
        body_seconds=0.5,
        body_memory=8192,
        wait_seconds=0,
        access_log="none",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("BODY_LIMIT", "many"), ("BODY_LIMIT", "1"), ("BODY_EVENTS", "0"), ("ACCESS_LOG", "some"), ("DATA", ""),
     ("WAIT_SECONDS", "-1"), ("BODY_SECONDS", "nan")],
)  # fmt: skip
def test_an_impossible_value_is_refused_by_the_name_of_its_variable(name, value):
    with pytest.raises(ValueError, match=f"^CONTINUITY_{name}: "):
        Settings.from_environment({f"CONTINUITY_{name}": value})


def test_a_store_is_a_url_and_neither_it_nor_a_wrong_one_shows_its_password():
    settings = Settings.from_environment({"CONTINUITY_STORE": "postgresql://u:hunter2@h/d"})
    assert settings.store is not None
    assert settings.store.reveal() == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(settings)
    with pytest.raises(ValueError, match=r"^CONTINUITY_STORE: a store is a URL") as caught:
        Settings.from_environment({"CONTINUITY_STORE": "mysql://u:hunter2@h/d"})
    assert "hunter2" not in str(caught.value)
