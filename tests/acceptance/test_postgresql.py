"""A ledger's life with its store in PostgreSQL: every verb works as on a file, and no password is ever printed."""

import psycopg
import pytest

from tests.support.events import requested, stage_changed
from tests.support.http import service

EVENTS = b"\n".join([requested(id="a"), stage_changed("loaded", id="b"), requested("R-2", "M-2", id="c")])


@pytest.fixture
def store(database):
    return database


def test_every_verb_works_on_a_store_in_postgresql(run, store, data, tmp_path):
    made = run("--store", store, "init", "studio", "--origin", "ledger.example/studio", "--json")
    assert made.code == 0, made.err
    keys = tmp_path / "studio.vkey"
    keys.write_text("\n".join(made.json["verifier_keys"]))
    assert not (data / "studio" / "ledger.db").exists()
    assert run("append", "-", "--store", store, stdin=EVENTS).code == 0
    assert len(run("log", "--store", store, "--raw").out.splitlines()) == 4
    assert run("show", "reservation:R-1", "--store", store, "--json").json["stage"] == "loaded"
    audited = run("audit", "--store", store, "--json")
    assert (audited.code, audited.json["ok"], audited.json["size"]) == (0, True, 4)
    assert run("audit", "--store", store, "--key", str(keys)).code == 0
    assert run("rebuild", "--store", store, "--json").json["size"] == 4
    assert run("checkpoint", "--store", store).out.startswith(b"ledger.example/studio\n4\n")
    proof = tmp_path / "proof"
    proof.write_bytes(run("prove", "2", "--store", store).out)
    assert proof.read_bytes().startswith(b"c2sp.org/tlog-proof@v1\n")


@pytest.mark.parametrize(
    ("column", "value"),
    {
        "stream": "reservation:R-9",
        "version": 9,
        "type": "reservation.confirmed",
        "member": "M-9",
        "member_version": 9,
        "source": "urn:elsewhere",
        "id": "z",
    }.items(),
)
def test_a_column_altered_beside_an_entry_is_named_by_the_audit_with_exit_code_20(run, store, column, value):
    assert run("--store", store, "init", "studio", "--origin", "ledger.example/studio").code == 0
    assert run("append", "-", "--store", store, stdin=EVENTS).code == 0
    with psycopg.connect(store) as owner:
        owner.execute("ALTER TABLE ledger_studio.entries DISABLE TRIGGER ALL")
        owner.execute(f"UPDATE ledger_studio.entries SET {column} = %s WHERE position = 2", (value,))
    audited = run("audit", "--store", store, "--json")
    fault = audited.json["first_fault"]
    assert (audited.code, audited.json["ok"], fault["position"], fault["kind"]) == (20, False, 2, "place")
    assert fault["detail"].startswith(f"its column {column} holds {value!r}, the entry states ")
    people = run("audit", "--store", store)
    assert (people.code, people.out.startswith(b"FAULT at position 2, kind place: its column ")) == (20, True)


def test_the_store_is_taken_from_the_environment_and_from_behind_the_verb(run, store, monkeypatch):
    monkeypatch.setenv("CONTINUITY_STORE", store)
    assert run("init", "studio", "--origin", "ledger.example/studio").code == 0
    assert run("checkpoint").out.startswith(b"ledger.example/studio\n1\n")
    monkeypatch.setenv("CONTINUITY_STORE", "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    assert run("checkpoint", "--store", store).code == 0


def test_a_ledger_in_postgresql_is_not_found_without_its_store(run, store):
    run("--store", store, "init", "studio", "--origin", "ledger.example/studio")
    refused = run("checkpoint")
    assert refused.code == 10
    assert "--store" in refused.err


@pytest.mark.parametrize("url", ["sqlite://u:hunter2@x/y", "postgresql://u:hunter2@h/d?what=1", "hunter2"])
def test_what_is_no_store_is_a_usage_error_that_quotes_nothing(run, url):
    for line in (
        ["--store", url, "checkpoint"],
        ["checkpoint", "--store", url],
        ["checkpoint", "--json", "--store", url],
    ):
        refused = run(*line)
        assert refused.code == 2
        assert "a store is a URL" in refused.err
        assert "hunter2" not in refused.err + refused.out.decode()


def test_no_verb_prints_the_password_of_its_store(run, monkeypatch):
    for url in ("postgresql://u:hunter2@127.0.0.1:1/d?connect_timeout=1", "postgresql://u:hunter2@nowhere.invalid/d"):
        monkeypatch.setenv("CONTINUITY_STORE", url)
        made = run("init", "studio", "--origin", "ledger.example/studio")
        helped = run("checkpoint", "--help")
        assert made.code == 1
        assert "hunter2" not in made.err + made.out.decode() + helped.out.decode()


def test_a_store_that_was_never_reached_binds_no_later_init_to_it(run, monkeypatch, tmp_path, store):
    away = "postgresql://u@127.0.0.1:1/d?connect_timeout=1"
    assert run("--store", away, "init", "studio", "--origin", "ledger.example/studio").code == 1
    assert run("--store", store, "init", "studio", "--origin", "ledger.example/studio").code == 0


def test_a_role_to_serve_is_of_a_database_only(run):
    refused = run("init", "studio", "--origin", "ledger.example/studio", "--service-role", "someone")
    assert refused.code == 2
    assert "--store" in refused.err


def test_the_service_appends_reads_and_proves_over_a_store_in_postgresql(tmp_path, store):
    with service(tmp_path, store=store) as running:
        answer = running.post(requested(id="a"))
        assert answer.status_code == 201, answer.text
        (receipt,) = answer.json()["receipts"]
        assert (receipt["position"], receipt["duplicate"]) == (1, False)
        (receipt,) = running.post(requested(id="a")).json()["receipts"]
        assert (receipt["position"], receipt["duplicate"]) == (1, True)
        assert running.get("/events/1", headers={"Accept": "application/json"}).status_code == 200
        assert running.get("/checkpoint").content.startswith(b"ledger.example/studio\n2\n")
        assert running.client.get("/readyz").json() == {"status": "ready"}
    assert not (tmp_path / "studio" / "ledger.db").exists()
