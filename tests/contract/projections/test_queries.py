"""Read models on every kind of store: the rows of a naive model, page by page, and the answers to questions."""

from random import Random

import orjson
import pytest

from ledger.erasure import Target, plan
from ledger.errors import EventError, NotFound
from ledger.event import SYSTEM, Credential
from ledger.history import heirs_of
from ledger.redaction import policy
from ledger.store.protocol import Selection
from projections.models import TABLES
from projections.queries import questions, rows
from projections.queries.merges import heirs
from projections.runner import Runner
from tests.support.events import account_changed, cloud, new_log
from tests.support.histories import Clock, fill, history
from tests.support.naive import facts_of, tables

SEED = 17
ADMIN = Credential(id="adm", role="admin", actor="adm", actor_role="admin", actor_roles=frozenset({"admin"}))


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A ledger with a history of every kind, and what the naive model makes of it."""
    clock = Clock()
    with new_log(tmp_path_factory.mktemp("told"), clock=clock) as log:
        fill(log, history(SEED, 1500, waits=True), clock)
        yield log, tables(facts_of(row.entry for row in log.scan()))


@pytest.fixture
def reads(places, told):
    """A view of the read models of that ledger."""
    runner = Runner(told[0], places.open("store"), batch=400)
    runner.catch_up()
    with runner.store.reading() as reads:
        yield reads


def expect_receipts(outcomes):
    assert not [one for one in outcomes if isinstance(one, EventError)]


def keyed(table, found):
    key = [column.name for column in table.key]
    return sorted(
        ({k: v for k, v in row.items() if v is not None} for row in found),
        key=lambda row: [value.encode() if isinstance(value, str) else value for value in map(row.__getitem__, key)],
    )


def test_every_table_holds_the_rows_of_the_naive_model_in_the_order_of_its_key(reads, told):
    for name, table in TABLES.items():
        assert list(rows.every(reads, table)) == keyed(table, told[1][name]), name
        assert rows.position_of(reads, table) == told[0].head().size - 1


@pytest.mark.parametrize("limit", [1, 7])
def test_pages_follow_each_other_without_gaps(reads, told, limit):
    for name in ("storage_actions", "record_relations", "statistics_by_hour", "reservations"):
        table, found, after = TABLES[name], [], None
        while True:
            page = rows.page(reads, table, {}, after=after, limit=limit)
            assert len(page.rows) <= limit
            found += page.rows
            after = page.next
            if after is None:
                break
        assert found == keyed(table, told[1][name])


def test_no_column_has_a_name_that_answers_and_questions_use():
    names = {column.name for table in TABLES.values() for column in table.columns}
    assert not names & {"disclosed", "withheld", "disclose", "after", "limit", "min_position"}


def test_rows_are_found_by_any_column(reads, told):
    rng = Random(SEED)
    for name, table in TABLES.items():
        for column in table.columns:
            values = sorted(
                {str(row[column.name]) for row in told[1][name] if column.type != "json" and column.name in row}
            )
            for text in rng.sample(values, min(len(values), 3)):
                if text == "None":
                    continue
                value = rows.condition(table, column.name, text)
                wanted = [row for row in told[1][name] if row.get(column.name) == value]
                assert rows.page(reads, table, {column.name: value}).rows == keyed(table, wanted)


def test_private_values_open_as_far_as_their_entries_do(reads, told):
    log = told[0]
    for name in ("reservations", "records", "notifications", "stage_history", "pieces"):
        page = rows.page(reads, TABLES[name], {}, limit=100)
        for row in rows.disclosed(log, TABLES[name], page.rows, policy("staff")):
            private = row.get("private", {})
            shown = row.get("disclosed", {})
            assert shown.keys() == private.keys() - {"token"}
            assert row.get("withheld", {}) == dict.fromkeys(private.keys() & {"token"}, "secret")
            for field, value in shown.items():
                assert log.disclose([log.row(private[field][0])])[0][field] == value


def test_a_reservation_is_answered_with_all_that_belongs_to_it(reads, told):
    naive = told[1]
    identity = max(
        (row["reservation"] for row in naive["storage_actions"]),
        key=lambda one: sum(row["reservation"] == one for row in naive["storage_actions"]),
    )
    stream = f"reservation:{identity}"
    assert questions.reservation(reads, identity)["stream"] == stream
    for answer, name, column, value in (
        (questions.history(reads, identity), "stage_history", "stream", stream),
        (questions.pieces_of(reads, identity), "pieces", "reservation", identity),
        (questions.storage_of(reads, identity), "storage", "reservation", identity),
        (questions.notices(reads, identity), "storage_actions", "reservation", identity),
    ):
        assert answer == keyed(TABLES[name], [row for row in naive[name] if row.get(column) == value])
    times = [row["time"] for row in questions.notices(reads, identity)]
    assert times == sorted(times)
    with pytest.raises(NotFound):
        questions.reservation(reads, "R-none")


def test_a_piece_is_found_by_its_code(reads, told):
    piece = next(row for row in told[1]["pieces"] if row.get("code"))
    found = questions.pieces(reads, piece["code"])
    assert piece["stream"] in [row["stream"] for row in found]
    assert {row["code"] for row in found} == {piece["code"]}


def test_records_of_a_collection_are_paged(reads, told):
    wanted = keyed(TABLES["records"], [row for row in told[1]["records"] if row["collection"] == "clients"])
    first = questions.records(reads, "clients", limit=2)
    assert first.rows == wanted[:2]
    assert first.rows + questions.records(reads, "clients", after=first.next).rows == wanted
    active = questions.records(reads, "clients", status="active").rows
    assert active == [row for row in wanted if row["status"] == "active"]


def test_retention_is_told_in_the_order_of_its_due_times_with_the_holds_on_it(reads, told):
    naive = told[1]
    found = questions.retention(reads)
    assert len(found) == len(naive["due_retention"]) > 10
    times = [row["due"] for row in found if "due" in row]
    assert times == sorted(times)
    assert all("due" not in row for row in found[len(times) :])
    members = {row["stream"]: row.get("member") for name in ("records", "media", "accounts") for row in naive[name]}
    standing = [row for row in naive["holds"] if row["status"] == "placed"]
    for row in found:
        covers = {
            "everything": None,
            "stream": row["stream"],
            "collection": row.get("collection"),
            "member": members[row["stream"]],
        }
        assert row["held"] == sum(
            1
            for hold in standing
            if hold["scope"] == "everything" or (hold["scope"] and hold["target"] == covers[hold["scope"]])
        )
    cut = times[len(times) // 2]
    assert questions.retention(reads, cut) == [row for row in found if row.get("due", "~") <= cut]


def held_by(runner):
    with runner.store.reading() as reads:
        return {row["stream"].partition(":")[2]: row["held"] for row in questions.retention(reads)}


def overdue(member):
    data = {"amount": "1.00", "currency": "EUR", "due": "2026-01-01"}
    return cloud("account.payment_overdue", f"account:{member}", data, member=member)


def test_a_hold_on_a_member_covers_what_is_about_the_accounts_that_were_merged_into_theirs(places, tmp_path):
    with new_log(tmp_path / "merged") as log:
        expect_receipts(log.append([cloud("member.registered", f"member:{member}", {}) for member in "ABCDE"]))
        expect_receipts(log.append([overdue(member) for member in "ABCDE"]))
        expect_receipts(log.append(account_changed("merged", "A", "B", "x")))
        expect_receipts(log.append(account_changed("merged", "B", "C", "y")))
        expect_receipts(log.append(account_changed("transferred", "D", "C", "z")))
        _, received = account_changed("merged", "E", "C", forced="import", actorrole="admin")
        expect_receipts(log.append([received], ADMIN))  # told from one side alone: it links nothing
        placed = {"scope": "member", "target": "C", "reason": "dispute"}
        expect_receipts(log.append([cloud("hold.placed", "hold:H", placed)], SYSTEM))
        runner = Runner(log, places.open("merged"))
        runner.catch_up()
        assert held_by(runner) == {"A": 1, "B": 1, "C": 1, "D": 0, "E": 0}


def test_a_hold_on_a_member_covers_what_was_about_them_before_it_was_about_another(places, tmp_path):
    def record(verb, member, name, **data):
        fields = {} if verb == "trashed" else {"fields": {"name": "x"}}
        return cloud(f"record.{verb}", f"record:{name}", {"collection": "clients", **fields, **data}, member=member)

    with new_log(tmp_path / "changed") as log:
        expect_receipts(log.append([cloud("member.registered", f"member:{member}", {}) for member in "ABCD"]))
        expect_receipts(log.append(account_changed("merged", "A", "D", "x")))
        expect_receipts(
            log.append([record("created", "A", "1"), record("updated", "B", "1"), record("updated", "C", "1")])
        )
        expect_receipts(log.append([record("created", "C", "2"), overdue("A"), overdue("C")]))
        expect_receipts(log.append([record("trashed", "C", name) for name in "12"]))
        for number, (member, wanted) in enumerate((("A", 1), ("B", 2), ("D", 3)), 1):
            placed = {"scope": "member", "target": member, "reason": "dispute"}
            expect_receipts(log.append([cloud("hold.placed", f"hold:H-{number}", placed)], SYSTEM))
            runner = Runner(log, places.open("changed"))
            runner.catch_up()
            assert (held_by(runner)["1"], held_by(runner)["2"]) == (wanted, 0)
            assert len(plan(log, Target(record="record:1")).holds) == wanted  # what a purge is refused for
            assert plan(log, Target(record="record:2")).holds == []


FORCED = {"forced": "import", "actorrole": "admin"}


def member_event(verb, member, data=None, **more):
    return cloud(f"member.{verb}", f"member:{member}", data or {}, **more)


LIVES = {
    "erased before, then merged and by force something else": (
        [
            ("erased", {"reason": "requested"}),
            ("registered", {}),
            "merge",
            ("account_changed", {"change": "closed", "reason": "x"}, FORCED),
        ],
        ["B"],
    ),
    "erased before, then merged twice, the second time by force": (
        [("erased", {"reason": "requested"}), ("registered", {}), "merge", ("registered", {}, FORCED), "merge C"],
        ["B", "C"],
    ),
    "merged, then erased, then merged anew": (
        ["merge", ("erased", {"reason": "requested"}), ("registered", {}), "merge C"],
        ["C"],
    ),
    "merged, then erased": (["merge", ("erased", {"reason": "requested"})], []),
}


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_heirs_are_those_whose_histories_follow_the_account(places, tmp_path, life):
    steps, wanted = life
    with new_log(tmp_path / "merged") as log:
        expect_receipts(log.append([member_event("registered", member) for member in "ABC"]))
        for number, step in enumerate(steps):
            if isinstance(step, str):
                receiver = step.removeprefix("merge").strip() or "B"
                events = account_changed("merged", "A", receiver, f"m{number}")
            else:
                verb, data, *more = step
                events = [member_event(verb, "A", data, **(more[0] if more else {}))]
            expect_receipts(log.append(events, SYSTEM if "erased" in step else ADMIN))
        runner = Runner(log, places.open("merged"))
        runner.catch_up()
        with runner.store.reading() as reads:
            found = heirs(reads, "A")
        assert found == heirs_of("A", lambda stream: log.scan(Selection(stream=stream))) == wanted


def test_statistics_add_up(reads, told):
    log, naive = told
    events = [orjson.loads(row.entry) for row in log.scan()]
    found = questions.statistics(reads)
    assert found["events"] == len(events)
    for name in ("by_type", "by_day", "by_weekday", "by_hour"):
        assert sum(found[name].values()) == len(events)
    assert list(found["by_hour"]) == sorted(found["by_hour"])
    assert found["completeness"]["members"]["members"] == len(naive["members"])
    clients = found["completeness"]["collections"]["clients"]
    assert clients["records"] == sum(row["collection"] == "clients" for row in naive["records"])
    assert max(clients["fields"].values()) <= clients["records"]
    assert all(row["copies"] > 1 for row in found["doubles"]["media"])
