"""``continuity publish`` and the service that publishes, as an operator meets them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger.checkpoint import open_checkpoint
from ledger.log import Log
from tests.acceptance.conftest import Run
from tests.support.forgery import stored_entries, unlocked
from tools.vaults.opening import open_vault

MOST = 1 << 20
COMMAND = [sys.executable, "-c", "import sys; from tools.cli.main import main; sys.exit(main())"]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def bucket(s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket, reached by the environment."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    name: str = s3_server.bucket()
    return name


def until(true: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_entry_that_is_not_the_one_that_was_sealed_is_not_published(week: Run, data: Path, tmp_path: Path) -> None:
    with closing(unlocked(data / "studio" / "ledger.db")) as tables:
        entry = stored_entries(tables)[3]
        tables.execute("UPDATE entries SET entry = ? WHERE rowid = 4", (entry.replace(b"R-2101", b"R-2109"),))

    refused = week("publish", tmp_path / "www", "--entries")

    assert (refused.code, "the entry at position 3 is not the one that was sealed" in refused.err) == (20, True)
    assert not (tmp_path / "www" / "checkpoint").exists()
    assert week("publish", tmp_path / "www").code == 0, "its tiles are as they were signed"


def test_a_ledger_is_published_to_a_bucket_and_only_what_is_new_is_sent(week: Run, bucket: str, data: Path) -> None:
    place = f"s3://{bucket}/logs/studio"

    first = week("publish", place, "--entries", "--json")
    again = week("publish", place, "--entries")

    assert first.json == {"published": True, "size": 41, "files": 3}
    assert again.out.decode() == f"{place}: 41 entries published, 0 files written\n"
    with Log.open(data, "studio") as log:
        assert open_checkpoint(open_vault(place).get("checkpoint", MOST) or b"", log.verifier_keys).size == 41


def test_what_stands_in_the_way_has_an_exit_code_and_a_way_out(
    week: Run, bucket: str, s3_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    week("init", "other", "--origin", "ledger.example/other")
    assert week("--ledger", "other", "publish", f"s3://{bucket}/taken").code == 0
    (tmp_path / "file").write_bytes(b"")
    cases = [
        ("s3://nobodys-bucket/x", 10, "make the bucket"),
        (f"s3://{bucket}/taken", 11, "place of its own"),
        (tmp_path / "file", 1, "see that the folder"),
        ("ftp://host/x", 2, "--help"),
        (f"s3://{bucket}//x", 2, "--help"),
    ]
    for place, code, advice in cases:
        told = week("publish", place, "--json")
        assert (told.code, told.out) == (code, b""), told.err
        assert advice in told.error["advice"]
    away = week("publish", f"s3://{bucket}/x", "--endpoint", "http://127.0.0.1:9", "--json")
    assert (away.code, "can't be reached" in away.error["error"]) == (1, True)
    if s3_server.heeds_keys:
        monkeypatch.setenv("CONTINUITY_S3_SECRET_KEY", "made-up-secret")
        denied = week("publish", f"s3://{bucket}/x", "--json")
        assert (denied.code, "access key and secret" in denied.error["advice"]) == (12, True)
        assert "made-up-secret" not in denied.err


def test_a_cut_ledger_is_not_published_over_what_it_was(week: Run, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "before")
    assert week("attest").code == 0
    assert week("publish", tmp_path / "www").code == 0

    cut = week("--data", tmp_path / "before", "publish", tmp_path / "www", "--json")

    assert (cut.code, cut.error["exit_code"]) == (21, 21)
    assert "the ledger only 41" in cut.error["error"]


def test_again_and_again_it_tells_of_failures_and_goes_on(week: Run, data: Path, tmp_path: Path) -> None:
    place = tmp_path / "www"
    place.write_bytes(b"in the way")
    process = subprocess.Popen(
        [*COMMAND, "publish", str(place), "--every", "1", "--json", "--data", str(data)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},  # as most have it
    )
    try:
        assert process.stderr is not None
        assert process.stdout is not None
        assert str(place) in json.loads(process.stderr.readline())["error"]
        place.unlink()
        assert json.loads(process.stdout.readline()) == {"published": True, "size": 41, "files": 2}
        assert week("attest").code == 0
        until(lambda: json.loads(process.stdout.readline())["size"] > 41)  # type: ignore[union-attr]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        sys.stderr.write(process.communicate()[1])  # what it told, should this have failed


def test_the_service_publishes_from_its_start_and_ends_on_sigterm(week: Run, data: Path, tmp_path: Path) -> None:
    place = tmp_path / "www"
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--data", str(data)],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"CONTINUITY_PUBLISH_TO": str(place), "CONTINUITY_PUBLISH_SECONDS": "3600"},
    )
    try:
        until((place / "studio" / "checkpoint").exists)
        process.terminate()
        assert process.wait(60) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PUBLISH_TO", "ftp://x"), ("PUBLISH_SECONDS", "0"), ("PUBLISH_POLICY", "nowhere"), ("PUBLISH_ENTRIES", "some")],
)
def test_an_impossible_setting_is_named_before_anything_is_served(
    week: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.setenv("CONTINUITY_PUBLISH_TO", str(tmp_path / "www"))
    monkeypatch.setenv(f"CONTINUITY_{name}", value)

    told = week("serve", "--port", "0", "--json")

    assert (told.code, re.match(rf"CONTINUITY_{name}: ", told.error["error"]) is not None) == (2, True), told.err
