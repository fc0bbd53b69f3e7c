"""The PostgreSQL store: its sessions, its plans, its schemas, and what it refuses to open."""

import re
import time
from contextlib import suppress

import psycopg
import pytest

from ledger import datakeys, request
from ledger.errors import Conflict, LedgerError, LifecycleRefused, NotFound, StoreError
from ledger.flush import Receipt
from ledger.log import Log
from ledger.store.opening import StoreURL
from ledger.store.postgres_schema import LONGEST_NAME
from ledger.store.postgres_transactions import PostgresWrites
from ledger.store.protocol import Batch, NewRow, Selection
from tests.support.events import ORIGIN, Place, cloud, plain, requested
from tests.support.preparing import started_preparer


@pytest.fixture
def place(tmp_path, database):
    return Place(tmp_path, database)


@pytest.fixture
def log(place):
    with place.create() as log:
        yield log


def settings(log, *names):
    with log.store.writing() as writes:
        return [writes.one("SELECT current_setting(%s)", name)[0] for name in names]


def test_commits_are_durable_and_waits_are_bounded(log):
    asked = ("synchronous_commit", "lock_timeout", "idle_in_transaction_session_timeout")
    assert settings(log, *asked) == ["on", "30s", "1min"]


def test_a_database_that_would_commit_carelessly_does_not_for_us(log, place, postgres):
    with psycopg.connect(place.database, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {owner.info.dbname} SET synchronous_commit = off")
    with place.open() as other:
        assert settings(other, "synchronous_commit") == ["on"]


def test_a_stronger_promise_than_ours_stays(log, place):
    with psycopg.connect(place.database, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {owner.info.dbname} SET synchronous_commit = remote_apply")
    with place.open() as other:
        assert settings(other, "synchronous_commit") == ["remote_apply"]


def test_while_the_server_works_something_else_is_done_until_there_is_nothing_left(log):
    work, at_once = iter([True] * 40), []

    def meanwhile():
        return next(work, False)

    with log.store.writing(meanwhile) as writes:
        assert writes.all("SELECT 1 FROM pg_sleep(0.1)") == [(1,)]
        assert next(work, None) is None
        assert writes.head() == log.head()
    with log.store.writing(lambda: bool(at_once.append(1))) as writes:
        assert writes.one("SELECT 'x' || %s FROM pg_sleep(0.3)", "y") == ("xy",)
    assert 0 < len(at_once) < 20, "an idle wait is a wait, not a loop"


def test_a_fault_of_the_server_is_raised_though_something_else_was_being_done(log):
    with pytest.raises(StoreError, match="division by zero"), log.store.writing(lambda: True) as writes:
        writes.one("SELECT 1 / (SELECT 0 FROM pg_sleep(0.1))")
    assert log.append([requested()])[0].position == 1


@pytest.fixture(scope="module")
def started():
    with started_preparer() as made:
        yield made


class TestALargeRequest:
    """Of one client, prepared by another process."""

    @pytest.fixture
    def asked(self, started, monkeypatch):
        asked = []

        def find_ids(writes, ids, plainly=PostgresWrites.find_ids):
            asked.append(len(ids))
            return plainly(writes, ids)

        monkeypatch.setattr(request, "PREPARER", started)
        monkeypatch.setattr(PostgresWrites, "find_ids", find_ids)
        return asked

    def test_is_looked_up_in_one_go(self, log, asked):
        events = [requested(f"R-{number}", member=f"M-{number}") for number in range(1000)]
        assert [one.position for one in log.append(events)] == list(range(1, 1001))
        assert [count for count in asked if count] == [1000]
        assert all(one.duplicate for one in log.append(events))

    def test_is_looked_up_as_it_comes_where_it_could_not_be_foreseen(self, log, asked):
        unread = requested("R-200").replace(b'"reservation:R-200"', b'"reservation:R-2\\u00300"')
        nameless = requested("R-201", id="\\u0000 \\u00e9").replace(b"\\\\", b"\\")
        events = [requested(f"R-{number}") for number in range(200)] + [unread, nameless]
        outcomes = log.append([*events, *(requested(f"S-{number}") for number in range(200))], atomic=False)
        assert [at for at, one in enumerate(outcomes) if not isinstance(one, Receipt)] == [201]
        assert outcomes[200].stream == "reservation:R-200"
        assert log.append([unread])[0].duplicate

    def test_seals_under_keys_that_are_read_while_its_entries_are_on_their_way(self, log, place, asked):
        def posted(kind, **data):
            return [cloud(f"member.{kind}", f"member:M-{number}", data) for number in range(300)]

        log.append(posted("registered", name="Kim"))
        with place.open() as other:  # has no key at hand
            receipts = other.append(posted("contact_updated", phone="5550100"))
            rows = other.page(Selection(receipts[0].position))
        assert log.disclose(rows) == [{"phone": "5550100"}] * 300

    def test_makes_a_data_key_once_though_it_is_forgotten_before_it_is_stored(self, log, asked, monkeypatch):
        monkeypatch.setattr(datakeys, "CACHED_KEYS", 10)
        first = [cloud("member.registered", f"member:M-{number}", {"name": "Kim"}) for number in range(300)]
        then = [cloud("member.contact_updated", f"member:M-{number}", {"phone": "5550100"}) for number in range(300)]
        receipts = log.append([*first, *then])
        assert log.disclose(log.page(Selection(receipts[300].position))) == [{"phone": "5550100"}] * 300

    def test_is_refused_as_a_whole_though_the_server_has_stored_its_beginning(self, log, asked):
        events = [*(requested(f"R-{number}") for number in range(900)), plain("confirmed", "none")]
        with pytest.raises(LifecycleRefused) as caught:
            log.append(events)
        assert (caught.value.index, log.head().size) == (900, 1)
        assert len(log.append(events[:900])) == 900


def test_the_server_stores_entries_as_they_come(log, place):
    names = [f"R-{number}" for number in range(1, 400)]
    rows = [NewRow(at, bytes(500), name, 1, "x", None, None, "urn:x", name) for at, name in enumerate(names, 1)]
    with (
        psycopg.connect(place.database, autocommit=True) as other,
        suppress(InterruptedError),
        log.store.writing() as writes,
    ):
        writes.extend(Batch(rows=rows))
        until = time.monotonic() + 20
        while other.execute("SELECT pg_relation_size('ledger_studio.entries')").fetchone() < (100_000,):
            assert time.monotonic() < until, "it holds them back until the last one has come"
        raise InterruptedError
    assert [row.position for row in log.scan()] == [0]


def test_every_statement_finds_its_rows_by_an_index(log):
    log.append([requested(f"R-{number}", member=f"M-{number}") for number in range(200)])
    sql = log.store._sql
    asked = {
        sql.rows + " ORDER BY position LIMIT 500": (5, 500),
        sql.rows + " AND stream = %s ORDER BY version LIMIT 500": (0, 500, "reservation:R-1"),
        sql.rows + " AND member = %s ORDER BY member_version LIMIT 500": (0, 500, "M-1"),
        sql.rows + " AND type = %s ORDER BY position LIMIT 500": (0, 500, "reservation.requested"),
        sql.notifications: (5, 500, 10),
        sql.last_notification: (),
        sql.find_ids: (["urn:test"], ["e-1"]),
        sql.find_ids_of_one: ("urn:test", ["e-1"]),
        sql.erase_data_keys: (["M-1"], ["reservation:R-1"]),
        sql.streams: (["reservation:R-1"],),
        sql.member_versions: (["M-1"],),
        sql.tile: (0, 0),
        sql.tiles: ([0, 1], [0, 0]),
        sql.columns: (5, 500),
        sql.disclosures: ([1, 2],),
        sql.data_keys: (["M-1"], ["reservation:R-1"]),
        "SELECT * FROM ledger_studio.stored_events WHERE originator_id = %s ORDER BY originator_version": ("x",),
    }
    with log.store.reading() as reads:
        for statement, values in asked.items():
            plan = [line for (line,) in reads.all(f"EXPLAIN {statement}", *values)]
            scans = [line for line in plan if "Seq Scan" in line]
            assert not scans, (statement, plan)
            assert statement == sql.streams or not [line for line in plan if "Sort" in line], (statement, plan)


def test_ledgers_of_one_database_know_nothing_of_each_other(tmp_path, database):
    store = StoreURL(database)
    with (
        Log.create(tmp_path, "one", "ledger.example/one", store=store).log as one,
        Log.create(tmp_path, "an-other_1", "ledger.example/other", store=store).log as other,
    ):
        one.append([requested(id="same"), requested("R-2", id="too")])
        (receipt,) = other.append([requested(id="same")])
        assert (receipt.position, receipt.duplicate) == (1, False)
        assert (one.head().size, other.head().size) == (3, 2)
        assert [row.position for row in other.scan()] == [0, 1]


def test_nothing_in_a_ledger_s_schema_leans_on_anything_outside(log, place):
    with psycopg.connect(place.database) as owner:
        foreign_keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
        assert owner.execute(foreign_keys).fetchone() == (0,)
        leans = """
            SELECT count(*) FROM pg_depend
            JOIN pg_class ON refclassid = 'pg_class'::regclass AND refobjid = pg_class.oid
            JOIN pg_namespace ON relnamespace = pg_namespace.oid
            WHERE nspname NOT LIKE 'pg%' AND nspname NOT IN ('information_schema', 'ledger_studio')
        """
        assert owner.execute(leans).fetchone() == (0,)
    for statement in vars(log.store._sql).values():
        assert set(re.findall(r"\"?\w+\"?(?=\.)", statement)) <= {'"ledger_studio"', "excluded"}, statement


def test_a_schema_and_its_channel_carry_the_ledger_s_name_whole(tmp_path, database):
    store = StoreURL(database)
    longest = "l" * LONGEST_NAME
    with Log.create(tmp_path, longest, ORIGIN, store=store).log as log:
        assert len(log.store.schema) == 63
        rows = log.follow(0)
        log.append([requested()])
        assert next(rows).position == 1
        rows.close()
    with pytest.raises(ValueError, match="at most"):
        Log.create(tmp_path, longest + "l", ORIGIN, store=store)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [longest]


def test_a_schema_that_is_there_already_is_not_touched(log, place, tmp_path):
    log.append([requested()])
    elsewhere = Place(tmp_path / "elsewhere", place.database)
    with pytest.raises(Conflict, match="ledger_studio"):
        elsewhere.create()
    assert log.head().size == 2
    assert not (elsewhere.data / "studio").exists()


def test_a_ledger_that_could_not_be_finished_leaves_no_schema_behind(place, monkeypatch):
    def fail(log):
        raise StoreError("no")

    with monkeypatch.context() as patch:
        patch.setattr(Log, "_append_created", fail)
        with pytest.raises(StoreError):
            place.create()
    place.create().close()


def test_keys_without_their_schema_are_no_ledger(log, place, database, postgres):
    with postgres.database() as empty, pytest.raises(NotFound, match="ledger_studio"):
        Place(place.data, empty).open()


def test_a_ledger_kept_in_postgresql_is_not_looked_for_in_a_file(log, place):
    with pytest.raises(NotFound) as caught:
        Place(place.data).open()
    assert "--store" in caught.value.advice


def test_a_schema_of_another_version_is_refused_with_what_to_do(log, place):
    with psycopg.connect(place.database) as owner:
        owner.execute("ALTER TABLE ledger_studio.meta DISABLE TRIGGER USER")
        owner.execute("UPDATE ledger_studio.meta SET value = '99' WHERE name = 'schema'")
    with pytest.raises(StoreError, match="99") as caught:
        place.open()
    assert caught.value.advice


def test_the_library_s_factory_makes_no_table_of_its_own(log, place):
    log.store.create_table()
    with psycopg.connect(place.database) as owner:
        made = owner.execute("SELECT count(*) FROM pg_type WHERE typname = 'stored_event_text'").fetchone()
    assert made == (0,)


def test_a_closed_log_says_so_in_an_error_of_ours(place):
    log = place.create()
    log.close()
    log.close()
    for ask in (log.head, lambda: log.append([requested()]), log.checkpoint, lambda: log.row(0)):
        with pytest.raises(LedgerError):
            ask()


@pytest.mark.parametrize(
    "text", ["", "studio.db", "mysql://x:hunter2@y/z", "postgresql://u:hunter2@h/d?nonsense=1", "postgres:hunter2"]
)
def test_what_is_no_url_of_a_database_is_refused_without_being_quoted(text):
    with pytest.raises(ValueError, match="a store is a URL") as caught:
        StoreURL(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_url_shows_itself_without_its_secrets():
    url = StoreURL("postgresql://owner:hunter2@db.example.org:5433/ledgers?sslmode=verify-full&sslpassword=hunter2")
    assert str(url) == "postgresql://owner@db.example.org:5433/ledgers"
    assert "hunter2" not in repr(url)
    assert "hunter2" in url.reveal()
