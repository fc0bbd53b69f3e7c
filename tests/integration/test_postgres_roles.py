"""The role that serves a ledger in PostgreSQL can do its work, and can't change or lift anything."""

import os

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.audit import audit
from ledger.errors import StoreError
from ledger.log import Log
from ledger.store.opening import StoreURL
from projections.models.reservations import RESERVATIONS
from projections.runner import Runner
from projections.store.opening import open_projections
from tests.support.events import ORIGIN, estimate_changed, requested
from tests.support.postgres import with_user
from tests.support.whole import check_whole

ROLE = f"continuity_test_service_{os.getpid()}"


@pytest.fixture
def served(tmp_path, postgres, database):
    """The URL of the service's role, to a ledger with something in every table that the owner has made."""
    role = Identifier(ROLE)
    postgres.execute(SQL("CREATE ROLE {} LOGIN PASSWORD 'of-a-test'").format(role))
    try:
        created = Log.create(tmp_path, "studio", ORIGIN, store=StoreURL(database), service_role=ROLE)
        with created.log as log:
            log.append([requested()])
            log.checkpoint()
        yield with_user(database, ROLE, "of-a-test")
    finally:
        with psycopg.connect(database, autocommit=True) as owner:
            owner.execute(SQL("DROP OWNED BY {}").format(role))
        postgres.execute(SQL("DROP ROLE {}").format(role))


def test_the_service_s_role_appends_signs_follows_proves_and_audits(tmp_path, served):
    with Log.open(tmp_path, "studio", store=StoreURL(served)) as log:
        log.append([requested(f"S-{number}", member=f"M-{number}") for number in range(300)])
        receipts = log.append([estimate_changed("S-7", "M-7", data={"notes": "private"})])
        assert receipts[0].version == 2
        rows = log.follow(300)
        assert next(rows).position == 301
        rows.close()
        assert log.prove(301)
        check_whole(log)
        assert audit(log.store, log.verifier_keys).ok


TABLES = ("entries", "disclosures", "data_keys", "tiles", "checkpoints", "head", "meta")
ATTEMPTS = [
    "UPDATE entries SET entry = '\\x00'",
    "UPDATE entries SET stream = 'reservation:R-2'",
    "UPDATE checkpoints SET note = '\\x00'",
    "UPDATE disclosures SET sealed = '\\x00'",
    "UPDATE data_keys SET wrapped = '\\x00'",
    "UPDATE meta SET value = 'evil.example/studio'",
    "UPDATE tiles SET number = number + 1",
    "UPDATE tiles SET hashes = ''",
    "UPDATE head SET size = 0",
    "UPDATE head SET leaf = '\\x00'",
    "UPDATE head SET one = NULL",
    "INSERT INTO meta VALUES ('schema', '2')",
    "INSERT INTO head VALUES (false, 0, '', '', 1)",
    "INSERT INTO entries SELECT * FROM entries",
    "INSERT INTO tiles VALUES (0, 0, '') ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
    "DELETE FROM entries",
    "DELETE FROM tiles",
    "DELETE FROM checkpoints",
    "DELETE FROM head",
    "DELETE FROM meta",
    *(f"TRUNCATE {table}" for table in TABLES),
    *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in TABLES),
    *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in TABLES),
    *(f"DROP TABLE {table} CASCADE" for table in TABLES),
    "ALTER TABLE entries ADD COLUMN more text",
    "ALTER TABLE entries OWNER TO CURRENT_USER",
    "ALTER TABLE entries SET SCHEMA public",
    "ALTER TABLE entries ALTER COLUMN position DROP NOT NULL",
    "DROP TRIGGER entries_stay ON entries",
    "CREATE RULE nothing AS ON INSERT TO entries DO INSTEAD NOTHING",
    "CREATE TRIGGER another BEFORE INSERT ON entries EXECUTE FUNCTION refuse()",
    "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "DROP FUNCTION refuse() CASCADE",
    "ALTER FUNCTION refuse() RENAME TO other",
    "CREATE TABLE more (x int)",
    "CREATE OR REPLACE VIEW stored_events AS SELECT 1",
    "DROP VIEW stored_events",
    "DROP SCHEMA ledger_studio CASCADE",
    "ALTER SCHEMA ledger_studio RENAME TO gone",
    "SET session_replication_role = replica",
]


def contents(database):
    with psycopg.connect(database) as owner:
        found = {table: owner.execute(f"SELECT * FROM ledger_studio.{table}").fetchall() for table in TABLES}
        of_schema = "FROM pg_class WHERE relnamespace = 'ledger_studio'::regnamespace"
        found["grants"] = owner.execute(f"SELECT relname, relacl::text {of_schema} ORDER BY 1").fetchall()
        return found


def test_the_service_s_role_can_change_remove_and_lift_nothing(served, database):
    before = contents(database)
    done = []
    with psycopg.connect(served, autocommit=True) as service:
        service.execute("SET search_path = ledger_studio")
        for attempt in ATTEMPTS:
            try:
                service.execute(attempt)
            except (psycopg.errors.InsufficientPrivilege, psycopg.IntegrityError):
                continue
            done.append(attempt)
        service.execute("GRANT ALL ON entries TO PUBLIC")  # which warns, and grants nothing
    assert done == []
    assert contents(database) == before


def test_the_service_s_role_keeps_the_projections_and_its_tables_stand_beside_the_ledger_s(tmp_path, served, database):
    before = contents(database)
    url = StoreURL(served)
    with (
        Log.open(tmp_path, "studio", store=url) as log,
        Runner(log, open_projections(url, "studio", tmp_path)) as runner,
    ):
        runner.catch_up()
        runner.rebuild()
        runner.rebuild(["reservations"])
        runner.roll_back(["reservations"])
        with runner.store.reading() as reads:
            assert reads.row(RESERVATIONS, "reservation:R-1")
    assert contents(database) == before
    with psycopg.connect(served) as service:
        assert service.execute("SELECT stage FROM state_studio.reservations").fetchall() == [("intake",)]


def test_without_a_schema_for_them_the_service_s_role_says_who_can_make_it(tmp_path, served, database):
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("DROP SCHEMA state_studio CASCADE")
    with pytest.raises(StoreError, match='no schema "state_studio" for the projections') as refused:
        open_projections(StoreURL(served), "studio", tmp_path)
    assert refused.value.advice == "let the owner make it: see docs/how-to/postgresql.md"
    open_projections(StoreURL(database), "studio", tmp_path).close()  # the owner's own way makes it
    with pytest.raises(StoreError, match="permission denied"):
        open_projections(StoreURL(served), "studio", tmp_path)


def test_an_operator_of_the_role_s_own_does_not_turn_a_trigger(served, database):
    """What a trigger compares with is bound when it is made, not looked up on the session's path."""
    before = contents(database)
    with psycopg.connect(served, autocommit=True) as service:
        service.execute("CREATE FUNCTION pg_temp.same(bytea, bytea) RETURNS boolean LANGUAGE sql AS 'SELECT false'")
        service.execute("CREATE OPERATOR pg_temp.<> (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = pg_temp.same)")
        service.execute("SET search_path = pg_temp, ledger_studio, pg_catalog")
        with pytest.raises(psycopg.errors.RestrictViolation):
            service.execute("UPDATE tiles SET hashes = '\\x00'")
        service.execute("CREATE FUNCTION pg_temp.same(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'")
        service.execute("CREATE OPERATOR pg_temp.> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = pg_temp.same)")
        with pytest.raises(psycopg.errors.RestrictViolation):
            service.execute("DELETE FROM checkpoints")
    assert contents(database) == before


def test_a_role_without_grants_is_refused_with_what_to_do(tmp_path, served, database):
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(SQL("REVOKE ALL ON SCHEMA ledger_studio FROM {}").format(Identifier(ROLE)))
    with pytest.raises(StoreError, match="permission denied") as caught:
        Log.open(tmp_path, "studio", store=StoreURL(served))
    assert "grants" in caught.value.advice


def test_the_service_s_role_makes_no_ledger(tmp_path, served):
    with pytest.raises(StoreError, match="permission denied"):
        Log.create(tmp_path, "another", ORIGIN, store=StoreURL(served))
    assert not (tmp_path / "another").exists()
