"""The service publishes what real witnesses cosign, whatever some of them do, and never anything else."""

import itertools
import json
import re
import shutil
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from ledger.log import Log
from ledger.note import format_note, parse_note
from ledger.trust_policy import open_witnessed, parse_policy
from tests.support import http
from tests.support.events import Place, requested
from tests.support.http import BASE
from tests.support.witnesses import front, serving
from tools.vaults.opening import open_vault
from tools.witnessing import collect, witnesses_of

MOST = 1 << 20
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three real witnesses, each a process."""
    folder = tmp_path_factory.mktemp("witnesses")
    with ExitStack() as servers:
        yield [servers.enter_context(serving(folder / f"w{number}")) for number in range(3)]


@pytest.fixture
def origin(monkeypatch):
    """An origin that no witness has heard of."""
    name = f"ledger.example/studio-{next(_numbers)}"
    monkeypatch.setattr("tests.support.http.ORIGIN", name)
    return name


@pytest.fixture(params=["sqlite", "postgres"])
def store(request):
    """Where the ledger is kept."""
    return None if request.param == "sqlite" else request.getfixturevalue("database")


def policy_of(path, three, addresses, quorum):
    """A policy file that names the witnesses at these addresses."""
    lines = [
        f"witness w{number} {one.key} {address}"
        for number, (one, address) in enumerate(zip(three, addresses, strict=True))
    ]
    path.write_text("\n".join([*lines, f"group all {quorum} w0 w1 w2", "quorum all", ""]))
    return path


def make_known(service, three):
    """Let the witnesses know the service's ledger."""
    service.get("/checkpoint")  # opens it
    for one in three:
        one.know(service.log.verifier_keys)


def publish(service):
    return service.client.post(f"{BASE}/publish", headers=service.as_role("admin"))


def cosigned(service, vault, policy):
    """What the vault publishes, verified as a stranger would who has only the policy and the log's keys."""
    note = vault.get("checkpoint", MOST)
    return open_witnessed(note, parse_policy(policy.read_bytes()), log_keys=service.log.verifier_keys).size


def test_the_service_publishes_what_its_witnesses_cosign_on_both_stores(three, origin, store, tmp_path):
    policy = policy_of(tmp_path / "policy", three, [one.address for one in three], 2)
    vault = open_vault(str(tmp_path / "www" / "studio"))
    settings = {"publish_to": str(tmp_path / "www"), "publish_policy": policy, "publish_seconds": 3600.0}
    with http.service(tmp_path / "data", store=store, **settings) as service:
        make_known(service, three)
        done = publish(service).json()
        assert (done["size"], done["failures"], done["fault"]) == (1, 0, None)
        assert [one["outcome"] for one in done["witnesses"]] == ["cosigned"] * 3
        service.post(requested("R-1"))
        assert publish(service).json()["size"] == cosigned(service, vault, policy) == 2
        assert service.get("/publication", "auditor").json()["size"] == 2
        assert service.get("/checkpoint?witnessed=true").content == vault.get("checkpoint", MOST)
        assert service.get("/checkpoint").content.startswith(f"{origin}\n2\n".encode())
        assert len(parse_note(service.get("/checkpoint").content).signatures) == 2


def test_one_down_one_slow_and_one_that_lies_are_not_a_quorum_and_one_honest_more_is(
    three, origin, tmp_path, monkeypatch
):
    monkeypatch.setattr("tools.witnessing.PATIENCE", 1.5)
    released = threading.Event()

    def slow(body, pass_on):
        released.wait(30)
        return pass_on(body)

    def lie(body, pass_on):
        status, answer = pass_on(body)
        if status != 200:
            return status, answer
        note = parse_note(b"x\n\n" + answer)
        false = [
            one.__class__(one.name, one.key_id, one.value[:-1] + bytes([one.value[-1] ^ 1])) for one in note.signatures
        ]
        return 200, format_note(note.__class__(note.text, tuple(false)))[3:]

    with front(three[1].address, slow) as slowly, front(three[2].address, lie) as falsely:
        policy = policy_of(tmp_path / "policy", three, ["http://127.0.0.1:9", slowly, falsely], 1)
        vault = open_vault(str(tmp_path / "www" / "studio"))
        settings = {"publish_to": str(tmp_path / "www"), "publish_policy": policy, "publish_seconds": 3600.0}
        with http.service(tmp_path / "data", **settings) as service:
            make_known(service, three)
            refused = publish(service)
            assert http.slug(refused) == "quorum-missed"
            assert re.search(
                r"w0 unreachable: .*; w1 unreachable: .*in time; w2 refused: .*does not verify", refused.text
            )
            assert vault.get("checkpoint", MOST) is None
            assert service.get("/checkpoint?witnessed=true").status_code == 404
            began = time.monotonic()
            assert service.post(requested("R-1")).status_code == 201  # appends know nothing of it
            assert time.monotonic() - began < 1.0
            released.set()
            deadline = time.monotonic() + 30
            while (done := publish(service)).status_code != 200:
                assert time.monotonic() < deadline, done.text
            assert {one["name"]: one["outcome"] for one in done.json()["witnesses"]} == {
                "w0": "unreachable",
                "w1": "cosigned",
                "w2": "refused",
            }
            assert cosigned(service, vault, policy) == 2


def test_without_a_quorum_the_last_cosigned_publication_stays(three, origin, tmp_path):
    down = {"http": False}

    def gate(body, pass_on):
        return (503, b"closed\n") if down["http"] else pass_on(body)

    with ExitStack() as fronts:
        addresses = [fronts.enter_context(front(one.address, gate)) for one in three]
        policy = policy_of(tmp_path / "policy", three, addresses, 2)
        vault = open_vault(str(tmp_path / "www" / "studio"))
        settings = {"publish_to": str(tmp_path / "www"), "publish_policy": policy, "publish_seconds": 3600.0}
        with http.service(tmp_path / "data", **settings) as service:
            make_known(service, three)
            assert publish(service).status_code == 200
            before = {key: vault.get(key, MOST) for key in vault.list("")}
            down["http"] = True
            service.post(requested("R-1"))
            assert http.slug(publish(service)) == "quorum-missed"
            standing = service.get("/publication").json()
            assert (standing["size"], standing["failures"]) == (1, 1)
            assert "503: closed" in standing["fault"]
            assert {key: vault.get(key, MOST) for key in vault.list("")} == before
            assert b"\n1\n" in service.get("/checkpoint?witnessed=true").content
            down["http"] = False
            assert publish(service).json()["size"] == 2


def test_the_service_publishes_to_s3_at_an_interval_and_without_being_asked_for_anything(
    s3_server, origin, tmp_path, monkeypatch
):
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    place = f"s3://{s3_server.bucket()}/logs"
    vault = open_vault(f"{place}/studio")
    with http.service(tmp_path / "data", publish_to=place, publish_seconds=1.0, publish_entries=True) as service:
        deadline = time.monotonic() + 30
        while vault.get("checkpoint", MOST) is None:  # nobody has sent a request yet
            assert time.monotonic() < deadline
            time.sleep(0.05)
        service.post(requested("R-1"))
        while b"\n2\n" not in (vault.get("checkpoint", MOST) or b""):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert sorted(vault.list("")) == [
            "checkpoint",
            "tile/0/000.p/1",
            "tile/0/000.p/2",
            "tile/entries/000.p/1",
            "tile/entries/000.p/2",
        ]


def test_a_vault_that_is_away_harms_nothing_and_is_tried_again(tmp_path, monkeypatch, capfdbinary):
    (tmp_path / "www").write_bytes(b"a file where the folder should be")
    with http.service(tmp_path / "data", publish_to=str(tmp_path / "www"), publish_seconds=3600.0) as service:
        service.get("/checkpoint")
        answer = publish(service)
        assert http.slug(answer) == "vault-failed"
        assert str(tmp_path) not in answer.text
        assert service.client.get("/readyz").status_code == 200
        assert service.post(requested("R-1")).status_code == 201
        assert str(tmp_path / "www") in service.get("/publication").json()["fault"]
        (tmp_path / "www").unlink()
        assert publish(service).json()["size"] == 2
    alarms = [json.loads(line)["message"] for line in capfdbinary.readouterr().err.splitlines() if b'"alarm"' in line]
    assert [alarm.split(" ")[0] for alarm in alarms] == ["can't", "published"]


@contextmanager
def again(data, keys, **settings):
    """The service over a ledger that is there."""
    with TestClient(create_app(Settings(data=data, access_log="none", **settings))) as client:
        yield http.Service(client, keys, data)


def test_a_ledger_that_was_rolled_back_is_not_published_over_its_own_past_nor_cosigned_again(three, origin, tmp_path):
    policy = policy_of(tmp_path / "policy", three, [one.address for one in three], 2)
    vault = open_vault(str(tmp_path / "www" / "studio"))
    cosigning = {"publish_to": str(tmp_path / "www"), "publish_policy": policy, "publish_seconds": 3600.0}
    alone = {"publish_to": str(tmp_path / "www"), "publish_seconds": 3600.0}
    with http.service(tmp_path / "data", **cosigning) as service:
        make_known(service, three)
        keys = service.keys
        assert publish(service).status_code == 200
    shutil.copytree(tmp_path / "data", tmp_path / "before")
    with again(tmp_path / "data", keys, **cosigning) as service:
        service.post(requested("R-1"))
        service.post(requested("R-2"))
        assert publish(service).json()["size"] == 3
    before = {key: vault.get(key, MOST) for key in vault.list("")}
    shutil.rmtree(tmp_path / "data")
    shutil.copytree(tmp_path / "before", tmp_path / "data")  # with the signer's memory: the machine notices nothing

    with again(tmp_path / "data", keys, **alone) as service:
        answer = publish(service)
        assert http.slug(answer) == "fork"
        assert "holds a publication of 3 entries, the ledger only 1" in answer.text
        for number in range(3):
            assert service.post(requested(f"other-{number}")).status_code == 201
        assert "another history" in publish(service).text
    with again(tmp_path / "data", keys, **cosigning) as service:
        refused = publish(service)
        assert http.slug(refused) == "quorum-missed"
        assert refused.text.count("refused: 422") == 3
    assert {key: vault.get(key, MOST) for key in vault.list("")} == before


@contextmanager
def copied(request, place, folder):
    """A copy of a whole ledger: its folder, and its database if it has one."""
    shutil.copytree(place.data, folder)
    if place.database is None:
        yield Place(folder)
        return
    server = request.getfixturevalue("postgres")
    names = Identifier(f"copy_{folder.name}"), Identifier(str(conninfo_to_dict(place.database)["dbname"]))
    server.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
    try:
        yield Place(folder, server.url(f"copy_{folder.name}"))
    finally:
        server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(names[0]))


def asked(place, policy, *, grow=0, tag=""):
    """Whether the ledger at a place reaches its quorum once it has grown, and what each witness said."""
    with place.open() as log:
        if grow:
            log.append([requested(f"{tag}-{number}", id=f"{tag}-{number}") for number in range(grow)])
        folder = place.data / "studio"
        _, collected = collect(log, folder, witnesses_of(parse_policy(policy.read_bytes()), folder))
    return collected.agreed, [f"{one.outcome}{one.detail[:4]}" for one in collected.answers]


def test_rollback_fork_and_split_view_are_refused_by_real_witnesses_on_both_stores(
    request, three, origin, store, tmp_path
):
    addresses = [one.address for one in three]
    policy = policy_of(tmp_path / "policy", three, addresses, 2)
    place = Place(tmp_path / "data", store)
    with Log.create(place.data, "studio", origin, store=place.store).log as log:
        for one in three:
            one.know(log.verifier_keys)
    everyone, nobody = [True, ["cosigned"] * 3], [False, ["refused422:"] * 3]
    with copied(request, place, tmp_path / "early") as early:
        assert [*asked(place, policy, grow=2, tag="true")] == everyone
        assert [*asked(early, policy)] == [False, ["refusedit h"] * 3]  # "it has cosigned a tree of 3, this one has 1"
        assert [*asked(early, policy, grow=2, tag="false")] == nobody  # another tree of the same size
        assert [*asked(early, policy, grow=1, tag="more")] == nobody  # a larger one
    with copied(request, place, tmp_path / "split") as split:
        for number, shown in ((0, place), (2, split)):
            only = [address if at == number else "" for at, address in enumerate(addresses)]
            alone = policy_of(tmp_path / "alone", three, only, 1)
            assert asked(shown, alone, grow=1, tag=f"view-{number}")[0]
        assert [*asked(place, policy)] == [True, ["cosigned", "cosigned", "refused422:"]]
        assert [*asked(split, policy)] == [False, ["refused422:", "refused422:", "cosigned"]]
