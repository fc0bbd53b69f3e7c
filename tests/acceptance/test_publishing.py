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
from tests.support.events import requested
from tests.support.forgery import stored_entries, unlocked
from tests.support.web import folder_on_the_web
from tools.publish import TILE
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


# --- Is it still what was signed? ------------------------------------------------------------------------------------


@pytest.fixture
def key(week: Run, tmp_path: Path) -> Path:
    """The ledger's verifier keys, as an auditor has them."""
    file = tmp_path / "studio.vkey"
    file.write_bytes(week("keys", "export-public").out)
    return file


def test_an_auditor_checks_a_publication_with_nothing_but_the_keys(
    week: Run, key: Path, bucket: str, tmp_path: Path, data: Path
) -> None:
    www = tmp_path / "www"
    for place in (www, f"s3://{bucket}/x"):
        assert week("publish", place, "--entries").code == 0
    shutil.rmtree(data)
    with folder_on_the_web(www) as url:
        for place in (www, f"s3://{bucket}/x", url):
            checked = week("check-publication", place, "--key", key)
            assert (checked.code, checked.err) == (0, ""), checked.err
            assert f"ok: {place}: 41 entries of ledger.example/studio" in checked.out.decode()
            assert "2 objects (tiles and entry bundles) are what was signed" in checked.out.decode()
        told = week("check-publication", url, "--key", key, "--json").json
    assert (told["ok"], told["size"], told["entries"], told["at_fault"], told["faults"]) == (True, 41, True, 0, [])


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_what_is_damaged_is_named_and_publishing_again_mends_it(
    week: Run, key: Path, bucket: str, tmp_path: Path, kind: str
) -> None:
    place = tmp_path / "www" if kind == "folder" else f"s3://{bucket}/x"
    week("publish", place, "--entries")
    vault = open_vault(str(place))
    bundle = vault.get("tile/entries/000.p/41", MOST) or b""
    vault.put("tile/entries/000.p/41", bundle.replace(b"R-2101", b"R-2109", 1), TILE)

    told = week("check-publication", place, "--key", key, "--json")
    vault.remove(["tile/0/000.p/41"])
    checked = week("check-publication", place, "--key", key)

    assert (told.code, checked.code) == (20, 20)
    (fault,) = told.json["faults"]
    assert (fault["path"], fault["fault"]) == ("tile/entries/000.p/41", "differs")
    assert re.fullmatch(r"its entry at position \d+ is not the one that the tree has", fault["detail"])
    assert "FAULT tile/0/000.p/41, missing: it is not there; not all below it can be" in checked.out.decode()
    assert f"continuity publish {place} --entries --again" in checked.out.decode()
    assert week("publish", place, "--entries", "--again", "--json").json["files"] == 2
    assert week("check-publication", place, "--key", key).code == 0


def test_a_publication_has_to_be_signed_cosigned_and_to_extend_what_was_kept(
    week: Run, key: Path, tmp_path: Path
) -> None:
    www, kept, nobody = tmp_path / "www", tmp_path / "kept.checkpoint", tmp_path / "nobody.policy"
    missing = week("check-publication", www, "--key", key)
    week("publish", www)
    week("init", "other", "--origin", "ledger.example/other")
    other = tmp_path / "other.vkey"
    other.write_bytes(week("--ledger", "other", "keys", "export-public").out)
    witness = week("witness", "init", tmp_path / "w1", "--name", "w1.example").out.decode().splitlines()[0]
    nobody.write_text(f"log {key.read_text().splitlines()[0]}\nwitness w1 {witness}\nquorum w1\n")
    set_back = tmp_path / "set-back"
    shutil.copytree(www, set_back)
    week("append", "-", stdin=requested("R-late"))
    kept.write_bytes(week("checkpoint").out)
    stranger = week("check-publication", www, "--key", other)
    uncosigned = week("check-publication", www, "--key", key, "--policy", nobody)
    (set_back / "tile" / "0" / "000.p" / "41").write_bytes(b"damaged")  # which must not hide that it was set back
    behind = week("check-publication", set_back, "--key", key, "--since", kept)
    week("publish", www)
    extended = week("check-publication", www, "--since", kept)
    (www / "checkpoint").write_bytes((www / "checkpoint").read_bytes().replace(b"\n42\n", b"\n41\n"))
    forged = week("check-publication", www)
    mended = week("publish", www, "--again")
    unpublished = week("check-publication", www, "--entries")

    codes = [each.code for each in (missing, stranger, uncosigned, behind, extended, forged, mended, unpublished)]
    assert codes == [10, 22, 20, 21, 0, 22, 0, 20]
    assert "there is no checkpoint" in missing.err
    assert "holds 41 entries, the checkpoint that you kept 42" in behind.err
    assert f"{www}: checkpoint:" in forged.err
    assert "publish --again" in forged.err
    assert week("check-publication", www).code == 0


def test_a_wrong_command_line_of_a_check_is_said_to_be_wrong(week: Run, key: Path, tmp_path: Path) -> None:
    for arguments in (
        ["check-publication", "ftp://host/x", "--key", key],
        ["check-publication", "https://me:secret@host/x", "--key", key],
        ["check-publication", tmp_path, "--rotations", key],
        ["publish", tmp_path / "www", "--again", "--every", "5"],
    ):
        refused = week(*arguments)
        assert (refused.code, "secret" in refused.err) == (2, False), refused.err
