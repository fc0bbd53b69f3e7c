"""Nothing of an erased name is left anywhere a copy may stand: with the service, what it published, and its log."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from ledger.erasure import Target, erase
from ledger.errors import ForkError, LedgerError
from ledger.log import Log
from ledger.store.opening import StoreURL
from ledger.store.protocol import Selection
from tests.support.events import ORIGIN, cloud, estimate_changed, new_log, requested
from tests.support.postgres import own_server
from tests.support.traces import spellings, traces

NAME = "Wilhelmina Überquark-Ōtsuka"
DAY = 86_400_000_000
REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "import sys; from tools.cli.main import main; sys.exit(main())"]


def registered(member: str, name: str) -> bytes:
    return cloud("member.registered", f"member:{member}", {"name": name, "notes": f"{name} " * 40})


def continuity(data: Path, *arguments: object) -> bytes:
    environment = os.environ | {"CONTINUITY_DATA": str(data)}
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], check=True, capture_output=True, cwd=REPOSITORY, env=environment
    )
    return done.stdout


@contextmanager
def serving(data: Path, log: Path) -> Iterator[str]:
    """A service over the folder that writes its log, all of it, into a file; its address."""
    with log.open("wb") as told:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", "--data", str(data)],
            cwd=REPOSITORY,
            stdout=told,
            stderr=subprocess.PIPE,
            env=os.environ | {"CONTINUITY_ACCESS_LOG": "all"},
        )
        assert process.stderr is not None
        address = ""
        for line in process.stderr:
            told.write(line)
            if found := re.search(rb"http://127\.0\.0\.1:\d+", line):
                address = found[0].decode()
                break
        try:
            yield f"{address}/v1/ledgers/studio"
        finally:
            process.send_signal(signal.SIGTERM)
            told.write(process.communicate(timeout=60)[1])


def ask(address: str, key: str, body: bytes | None = None, media_type: str = "application/cloudevents+json") -> int:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": media_type}
    request = urllib.request.Request(address, body, headers)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        refused.read()
        return refused.code


def use(address: str, key: str) -> None:
    """Post, read, and be refused, with the name in every place where a caller can put it."""
    assert ask(f"{address}/events", key, registered("M-1", NAME)) == 201
    assert ask(f"{address}/events", key, requested("R-1", "M-1", data={"notes": NAME})) == 201
    assert ask(f"{address}/events?disclose=true", key) == 200
    assert ask(f"{address}/read-models/members?disclose=true&min_position=2", key) == 200
    assert ask(f"{address}/read-models/members?disclose=true&at=2", key) in (200, 202, 503)
    wrong = cloud("member.registered", "member:M-1", {"name": NAME, "nickname": NAME})
    assert ask(f"{address}/events", key, wrong) >= 400
    assert ask(f"{address}/events", key, registered("M-1", NAME)) >= 400  # registered already
    assert ask(f"{address}/events", key, json.dumps({"name": NAME}).encode()) >= 400
    assert ask(f"{address}/events", key, f'{{"name": "{NAME}'.encode()) >= 400
    assert ask(f"{address}/events", key, NAME.encode(), "text/plain") >= 400
    assert ask(f"{address}/events?member={quote(NAME)}", key) >= 400
    assert ask(f"{address}/reservations/{quote(NAME)}", key) >= 400
    assert ask(f"{address}/{quote(NAME)}", key) >= 400
    assert ask(f"{address}/events", NAME.encode().hex()) == 401


def test_service_log_published_files_replays_and_slices_hold_nothing_of_an_erased_name(tmp_path: Path) -> None:
    data, beside = tmp_path / "searched" / "data", tmp_path / "searched" / "beside"
    beside.mkdir(parents=True)
    created = Log.create(data, "studio", ORIGIN)
    created.log.close()
    with serving(data, beside / "service.log") as address:
        use(address, created.api_key)
        continuity(data, "publish", beside / "published", "--entries")
        continuity(data, "replay", "--out", beside / "before.db")
        continuity(data, "slice", "--out", beside / "before.slice")
        erasure = b'{"reason":"requested"}'
        assert ask(f"{address}/members/M-1/erasure", created.api_key, erasure, "application/json") == 200
        assert ask(f"{address}/events?disclose=true", created.api_key) == 200
        continuity(data, "publish", beside / "published", "--entries")
        continuity(data, "replay", "--out", beside / "after.db")
        continuity(data, "slice", "--policy", "staff", "--out", beside / "after.slice")
        continuity(data, "slice", "--member", "M-1", "--policy", "staff", "--out", beside / "M-1.history")
        assert traces(tmp_path / "searched", NAME) == [], "while it is served"
    told = (beside / "service.log").read_bytes()
    assert told.count(b'"event":"request"') > 12
    assert len(list((beside / "published" / "tile").rglob("*"))) > 4
    assert traces(tmp_path / "searched", NAME) == []
    (beside / "planted").write_bytes(told + NAME.encode())
    assert traces(tmp_path / "searched", NAME), "the search would find it"


@pytest.mark.parametrize("how", spellings(NAME))
def test_the_search_looks_into_every_kind_of_file(how: str, tmp_path: Path) -> None:
    spelled = spellings(NAME)[how]
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / ".hidden").write_bytes(os.urandom(5_000) + spelled + os.urandom(5_000))
    assert (".hidden", how) in traces(tmp_path, NAME)


def test_nothing_of_a_purged_record_is_left_in_any_file(tmp_path: Path) -> None:
    now = [1_772_000_000_000_000]

    def record(verb: str, **data: object) -> bytes:
        return cloud(f"record.{verb}", "record:C-1", {"collection": "clients", **data})

    with new_log(tmp_path, clock=lambda: now[0]) as log:
        log.append([record("created", fields={"name": NAME, "all": [NAME] * 200})])
        log.append([record("updated", fields={"name": f"{NAME} again"}), record("trashed", notes=NAME)])
        rows = [row for row in log.scan(Selection(stream="record:C-1")) if row.content().event.private]
        with log.store.reading() as reads:
            sealed = list(reads.disclosures([row.position for row in rows]).values())
        assert len(sealed) == 3
        now[0] += 31 * DAY
        assert erase(log, Target(record="record:C-1"), "retention").effective
        for _ in ("open", "closed"):
            assert traces(tmp_path, NAME) == []
            for path in (path for path in tmp_path.rglob("*") if path.is_file()):
                assert not [one for one in sealed if one[12:60] in path.read_bytes()], path
            log.close()


def test_no_plaintext_ever_stands_in_the_files_of_postgresql_nor_a_key_that_opens_what_does(tmp_path: Path) -> None:
    """Rows, dead rows, indexes and the log of writes, before the erasure and after it."""
    with own_server() as server:
        server.execute("CREATE DATABASE studio")
        store = StoreURL(server.url("studio"))
        with Log.create(tmp_path, "studio", ORIGIN, store=store).log as log:
            log.append([registered("M-1", NAME), requested("R-1", "M-1", data={"notes": NAME})])
            log.append([estimate_changed("R-1", "M-1", data={"notes": f"{NAME} again " * 300})])
            with log.store.reading() as reads:
                sealed = list(reads.disclosures([1, 2, 3]).values())
            first = (tmp_path / "studio" / "keys" / "epoch-000001.key").read_text().strip()
            server.execute("CHECKPOINT")
            files = [path for path in server.folder.rglob("*") if path.is_file()]
            held = [path for path in files if any(one[12:60] in path.read_bytes() for one in sealed)]
            assert any("pg_wal" in path.parts for path in held), "the search reads what the log of writes holds"
            assert traces(server.folder, NAME) == []
            erase(log, Target(member="M-1"), "requested")
            server.execute("CHECKPOINT")
        for folder in (server.folder, tmp_path):
            assert traces(folder, NAME) == []
            for path in (path for path in folder.rglob("*") if path.is_file()):
                content = path.read_bytes()
                assert first.encode() not in content, f"the destroyed epoch key stands in {path}"
                assert bytes.fromhex(first) not in content, f"the destroyed epoch key stands in {path}"


def test_an_old_copy_of_the_store_that_is_put_back_discloses_nothing(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    with new_log(data) as log:
        log.append([registered("M-1", NAME), registered("M-2", "Somebody Else")])
    shutil.copytree(data, copy)
    with Log.open(data, "studio") as log:
        erase(log, Target(member="M-1"), "requested")
    for path in (data / "studio").glob("*.db*"):
        path.unlink()
    for path in (copy / "studio").glob("*.db*"):
        shutil.copy(path, data / "studio")
    environment = os.environ | {"CONTINUITY_DATA": str(data)}
    for keys_too in (False, True):  # and then the destroyed key as well, out of a backup of the key folder
        if keys_too:
            shutil.copy(copy / "studio" / "keys" / "epoch-000001.key", data / "studio" / "keys")
        with Log.open(data, "studio") as log:
            rows = list(log.scan(Selection(member="M-1")))
            for read in (log.disclose, log.disclosures):
                with pytest.raises(ForkError, match="holds 3 entries, but a checkpoint of 4 was signed"):
                    read(rows)
            with pytest.raises(LedgerError):
                log.append([registered("M-3", "x")])
        run = subprocess.run(
            [*COMMAND, "audit", "--json"], check=False, capture_output=True, cwd=REPOSITORY, env=environment
        )
        assert run.returncode == 20
        fault = json.loads(run.stdout)["first_fault"]
        assert (fault["position"], fault["kind"]) == (3, "missing")
