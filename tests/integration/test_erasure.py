"""A member's private values are destroyed on both stores: nothing of them opens again, and the log stays whole."""

import base64
import json
import os
import signal
import threading
import zlib

import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger import erasure, privacy
from ledger.audit import audit
from ledger.epoch_keys import EpochKeys
from ledger.epochs import Epochs
from ledger.erasure import Target, erase, plan
from ledger.errors import Denied, Held, LifecycleRefused, NotFound, StoreError
from ledger.event import Credential
from ledger.proof import parse_proof, verify_entry
from ledger.store.postgres import PostgresStore
from ledger.store.protocol import Selection
from ledger.store.sqlite import SQLiteStore
from projections import attest as attesting
from projections.runner import Runner
from projections.store.opening import open_projections
from tests.integration.children import start
from tests.support.events import ORIGIN, Place, account_changed, cloud, estimate_changed, requested
from tests.support.traces import spellings, traces
from tests.support.whole import check_file

NAME = "Wilhelmina Überquark-Ōtsuka"
DAY = 86_400_000_000
SERVICE = Credential(id="svc", role="service", actor="svc", actor_role="service")
ADMIN = Credential(id="adm", role="admin", actor="adm", actor_role="admin", actor_roles=frozenset({"admin", "staff"}))
M1 = Target(member="M-1")


def registered(member="M-1", name=NAME, **attributes):
    data = {"name": name, "email": f"{member.lower()}@example.org"}
    return cloud("member.registered", f"member:{member}", data, **attributes)


def hold(name, scope, target=None):
    data = {"reason": "litigation", "scope": scope, **({"target": target} if target else {})}
    return cloud("hold.placed", f"hold:{name}", data)


def release(name):
    return cloud("hold.released", f"hold:{name}", {"reason": "settled"})


def fill(log):
    log.append([registered(), registered("M-2", "Somebody Else")])
    log.append([requested(f"R-{number}", f"M-{number % 3}", data={"notes": f"for {NAME}"}) for number in range(12)])
    log.append([estimate_changed("R-1", "M-1", data={"notes": f"{NAME} again " * 300})])


def values_of(log, member):
    rows = list(log.scan(Selection(member=member)))
    private = [row for row in rows if row.content().event.private]
    return log.disclose(private)


def check_chain(log):
    """The log is whole by its own audit, whatever was erased."""
    assert audit(log.store, log.verifier_keys).ok


def test_what_is_erased_opens_no_more_and_all_else_is_as_it_was(place):
    with place.create() as log:
        fill(log)
        others, size = values_of(log, "M-2"), log.head().size
        entries = [row.entry for row in log.scan()]
        receipt = erase(log, M1, "requested")
        assert values_of(log, "M-1") == [{}] * 6
        assert values_of(log, "M-2") == others
        assert [row.entry for row in log.scan()][:size] == entries
        assert (receipt.member, receipt.position, receipt.epoch, receipt.effective) == ("M-1", size, 2, True)
        proven = verify_entry(parse_proof(receipt.proof.encode()), receipt.entry.encode(), log.verifier_keys)
        assert (proven.origin, proven.size) == (ORIGIN, size + 1)
        event = json.loads(receipt.entry)["event"]
        assert (event["type"], event["data"], event["stream"]) == (
            "member.erased",
            {"reason": "requested"},
            "member:M-1",
        )
        check_chain(log)
        again = erase(log, M1, "requested")
        assert (again.position, again.epoch, again.leaf_hash) == (size, 2, receipt.leaf_hash)
        assert log.head().size == size + 1
    with place.open() as log:
        assert values_of(log, "M-1") == [{}] * 6
        assert values_of(log, "M-2") == others


def test_an_event_that_is_posted_again_after_the_erasure_is_known_and_brings_nothing_back(place):
    with place.create() as log:
        first = registered(id="again")
        (receipt,) = log.append([first])
        erase(log, M1, "requested")
        (repeated,) = log.append([first])
        assert (repeated.position, repeated.duplicate) == (receipt.position, True)
        assert values_of(log, "M-1") == [{}]


def test_a_member_who_comes_back_has_a_new_key_for_every_process_and_the_old_values_stay_gone(place):
    with place.create() as log, place.open() as other:
        fill(log)
        assert values_of(other, "M-1")[0]["name"] == NAME  # its caches are warm
        with log.store.reading() as reads:
            before = reads.data_keys([("M-1", "member:M-1")])["M-1", "member:M-1"]
        erase(log, M1, "requested")
        other.append([registered(name="Wilhelmina Again"), estimate_changed("R-1", "M-1", data={"notes": "new"})])
        expected = [{}] * 6 + [{"name": "Wilhelmina Again", "email": "m-1@example.org"}, {"notes": "new"}]
        assert values_of(log, "M-1") == values_of(other, "M-1") == expected
        with log.store.reading() as reads:
            after = reads.data_keys([("M-1", "member:M-1")])["M-1", "member:M-1"]
        assert after.wrapped != before.wrapped
        assert after.position > before.position
        receipt = erase(log, M1, "requested")
        assert receipt.position == log.head().size - 1
        assert values_of(other, "M-1") == [{}] * 8


@pytest.mark.parametrize(("scope", "target"), [("everything", None), ("member", "M-1"), ("stream", "reservation:R-4")])
def test_an_erasure_is_refused_under_a_hold_which_is_named_until_it_is_released(place, scope, target):
    with place.create() as log:
        fill(log)
        log.append([hold("H-other", "member", "M-2"), hold("H-old", "member", "M-1"), release("H-old")])
        log.append([hold("H-1", scope, target)])
        size = log.head().size
        with pytest.raises(Held, match="hold:H-1") as caught:
            erase(log, M1, "requested")
        assert caught.value.holds == ["hold:H-1"]
        assert [one.stream for one in plan(log, M1).holds] == ["hold:H-1"]
        assert (log.head().size, log.head().epoch) == (size, 1)
        assert values_of(log, "M-1")[0]["name"] == NAME
        log.append([release("H-1")])
        assert erase(log, M1, "requested").effective


def test_a_hold_that_is_placed_while_an_erasure_is_on_its_way_is_heeded(place, monkeypatch):
    with place.create() as log, place.open() as other:
        fill(log)
        make = EpochKeys.make

        def make_late(self, epoch):
            make(self, epoch)
            other.append([hold("H-1", "member", "M-1")])

        monkeypatch.setattr(EpochKeys, "make", make_late)
        with pytest.raises(Held, match="hold:H-1"):
            erase(log, M1, "requested")
        assert log.head().epoch == 1
        assert values_of(log, "M-1")[0]["name"] == NAME
        log.append([estimate_changed("R-2")])  # the writer is none the worse


def test_what_is_appended_while_an_erasure_is_on_its_way_is_erased_with_the_rest(place, monkeypatch):
    with place.create() as log, place.open() as other:
        fill(log)
        make = EpochKeys.make

        def make_late(self, epoch):
            make(self, epoch)
            other.append([requested("R-late", "M-1")])

        monkeypatch.setattr(EpochKeys, "make", make_late)
        erase(log, M1, "requested")
        assert values_of(log, "M-1") == [{}] * 7


def test_a_plan_shows_what_would_go_and_changes_nothing(place):
    with place.create() as log:
        fill(log)
        size = log.head().size
        parts = {part.stream: (part.disclosures, part.keys) for part in plan(log, M1).streams}
        streams = ("reservation:R-4", "reservation:R-7", "reservation:R-10")
        assert parts == {"member:M-1": (1, 1), "reservation:R-1": (2, 1), **dict.fromkeys(streams, (1, 1))}
        assert (log.head().size, log.head().epoch) == (size, 1)
        erase(log, M1, "requested")
        assert {(part.disclosures, part.keys) for part in plan(log, M1).streams} == {(0, 0)}


def test_only_an_owner_erases_and_only_whom_the_log_knows(place):
    with place.create() as log:
        fill(log)
        for credential in (SERVICE, ADMIN):
            with pytest.raises(Denied, match="owner"):
                erase(log, M1, "requested", credential)
        with pytest.raises(NotFound, match="member M-9"):
            erase(log, Target(member="M-9"), "requested")
        owner = Credential(id="boss", role="owner", actor="ada", actor_role="admin")
        seal = json.loads(erase(log, M1, "requested", owner).entry)
        assert (seal["seal"]["by"], seal["event"]["actor"]) == ("boss", {"id": "ada", "role": "system"})


def test_state_roots_are_the_same_before_and_after(place):
    folder = place.data / "studio"
    with place.create() as log, Runner(log, open_projections(place.store, "studio", folder)) as runner:
        fill(log)
        attested = attesting.attest(log, runner)
        at = attested.position - 1
        erase(log, M1, "requested")
        checked = attesting.check(log, runner.store, place.data / "scratch.db", at)
        assert checked.ok
        assert len(checked.compared) > 5


def test_an_erasure_under_appends_of_others_takes_all_from_before_and_nothing_from_after(place):
    with place.create() as log:
        fill(log)
        process, pipe = start(append_to_members, place)
        pipe.recv()
        done, faults, receipts = threading.Event(), [], []

        def append():
            number = 0
            try:
                while not done.is_set():
                    notes = {"notes": f"thread {number}"}
                    receipts.extend(log.append([estimate_changed("R-4", "M-1", data=notes)]))
                    number += 1
            except BaseException as error:  # noqa: BLE001 - told below
                faults.append(error)

        thread = threading.Thread(target=append)
        thread.start()
        try:
            erased = [erase(log, M1, "requested").position for _ in range(3)]
        finally:
            done.set()
            thread.join()
            process.kill()
            process.join(30)
            pipe.close()
        assert faults == []
        rows = [row for row in log.scan() if row.content().event.private]
        for row, values in zip(rows, log.disclose(rows), strict=True):
            event = row.content().event
            gone = event.member == "M-1" and row.position < erased[-1]
            assert set(values) == (set() if gone else set(event.commitments())), f"position {row.position}"
        assert len(receipts) > 3
        check_chain(log)


def append_to_members(pipe, place):
    with place.open() as log:
        for number in range(1_000_000):
            log.append([estimate_changed(f"R-{1 + number % 2}", f"M-{1 + number % 2}", data={"notes": "process"})])
            if number == 3:
                pipe.send("ready")


def die_at(pipe, place, step):
    """Erase M-1, and die at a step of it as by kill -9."""

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    store = SQLiteStore if place.database is None else PostgresStore
    with place.open() as log:
        match step:
            case "surveyed":
                erasure._append = die
            case "deleted":
                reads = type(log.store)
                writing = reads.writing

                def writing_once(self, *meanwhile):
                    return Dying(writing(self, *meanwhile), die)

                store.writing = writing_once
            case "committed":
                Epochs.settle = die
            case "destroyed":
                store.scrub = die
        pipe.send("ready")
        erase(log, M1, "requested")


class Dying:
    """A transaction whose process dies before its commit."""

    def __init__(self, transaction, die):
        self.transaction, self.die = transaction, die

    def __enter__(self):
        return self.transaction.__enter__()

    def __exit__(self, *error):
        self.die()


@pytest.mark.parametrize("step", ["surveyed", "deleted", "committed", "destroyed"])
def test_an_erasure_that_was_killed_is_whole_or_never_was_and_is_finished_by_repeating_it(place, step):
    with place.create() as log:
        fill(log)
        size = log.head().size
    process, pipe = start(die_at, place, step)
    process.join(60)
    pipe.close()
    assert process.exitcode == -signal.SIGKILL
    with place.open() as log:
        committed = step in ("committed", "destroyed")
        assert log.head()[::3] == ((size + 1, 2) if committed else (size, 1))
        assert values_of(log, "M-1") == [{}] * 6 if committed else all(values_of(log, "M-1"))
        receipt = erase(log, M1, "requested")
        assert (receipt.position, receipt.effective, receipt.epoch) == (size, True, 2)
        assert log.epochs.standing().present == [2]
        assert values_of(log, "M-1") == [{}] * 6
        assert all(values_of(log, "M-2"))
        check_chain(log)


def test_a_record_is_purged_from_the_trash_after_thirty_days_and_never_under_a_hold(place):
    now = [1_772_000_000_000_000]
    target = Target(record="record:C-1")

    def record(verb, name="C-1", **data):
        return cloud(f"record.{verb}", f"record:{name}", {"collection": "clients", **data}, member="M-1")

    with place.create(clock=lambda: now[0]) as log:
        log.append([record("created", fields={"name": NAME}), record("created", "C-2", fields={"name": "kept"})])
        log.append([record("updated", fields={"phone": "123"})])
        with pytest.raises(LifecycleRefused, match="active"):
            erase(log, target, "retention")
        log.append([record("trashed")])
        now[0] += 29 * DAY
        with pytest.raises(LifecycleRefused, match="30 days"):
            erase(log, target, "retention")
        now[0] += 2 * DAY
        for number, (scope, held) in enumerate(
            (("collection", "clients"), ("member", "M-1"), ("stream", "record:C-1"))
        ):
            log.append([hold(f"H-{number}", scope, held)])
            with pytest.raises(Held, match=f"hold:H-{number}"):
                erase(log, target, "retention")
            log.append([release(f"H-{number}")])
        receipt = erase(log, target, "retention")
        assert (receipt.record, receipt.effective) == ("record:C-1", True)
        assert json.loads(receipt.entry)["event"]["data"] == {"collection": "clients", "reason": "retention"}
        assert values_of(log, "M-1") == [{}, {"name": "kept"}, {}]
        assert erase(log, target, "retention").position == receipt.position
        check_chain(log)


def test_a_copy_of_the_old_rows_is_opened_by_no_key_that_is_left(place):
    """What WAL, dead rows, replicas and backups of the database hold, taken before, with the key folder of after."""
    with place.create() as log:
        fill(log)
        (row,) = log.page(Selection(stream="member:M-1"))
        event = row.content().event
        with log.store.reading() as reads:
            key = reads.data_keys([("M-1", "member:M-1")])["M-1", "member:M-1"]
            sealed = reads.disclosures([row.position])[row.position]
        folder = place.data / "studio" / "keys"
        binding = privacy.key_binding(ORIGIN, "M-1", "member:M-1", 1)
        bound_to = privacy.associated(ORIGIN, event.source, event.id, sorted(event.commitments()))
        data_key = privacy.unwrap(EpochKeys(folder).key(1), key.wrapped, binding)
        assert privacy.unseal(AESGCM(data_key), sealed, bound_to), "they open before"
        erase(log, M1, "requested")
        left = [path.read_bytes() for path in folder.iterdir()]
        secrets = {bytes.fromhex(text.decode().strip()) for text in left if len(text.strip()) == 64}
        assert len(secrets) == 3  # two signing seeds and the new epoch key
        for secret in secrets:
            for epoch in (1, 2):
                with pytest.raises(StoreError, match="does not open"):
                    privacy.unwrap(AESGCM(secret), key.wrapped, privacy.key_binding(ORIGIN, "M-1", "member:M-1", epoch))
            with pytest.raises(StoreError, match="do not open"):
                privacy.unseal(AESGCM(secret), sealed, bound_to)
        if place.database is not None:
            with psycopg.connect(place.database) as connection:
                for table in ("disclosures", "data_keys"):
                    rows = connection.execute(f"SELECT * FROM ledger_studio.{table}").fetchall()
                    assert all(sealed not in map(bytes, filter_bytes(one)) for one in rows)
                    assert all(key.wrapped not in map(bytes, filter_bytes(one)) for one in rows)


def filter_bytes(row):
    return [value for value in row if isinstance(value, bytes)]


def test_the_search_finds_a_name_in_every_spelling(tmp_path):
    for how, spelled in spellings(NAME).items():
        (tmp_path / "file").write_bytes(b"before" + spelled + b"after")
        assert ("file", how) in traces(tmp_path, NAME)
        (tmp_path / "file").write_bytes(b"before" + zlib.compress(spelled * 3) + b"after")
        assert ("file", how) in traces(tmp_path, NAME)
    (tmp_path / "file").write_bytes(b"xy" + base64.b64encode(b"a" + NAME.encode() + b"b"))
    assert traces(tmp_path, NAME)


def test_nothing_of_an_erased_name_is_left_in_any_file_nor_the_bytes_it_was_sealed_in(place):
    folder = place.data / "studio"
    with place.create() as log, Runner(log, open_projections(place.store, "studio", folder)) as runner:
        fill(log)
        runner.catch_up()
        attesting.attest(log, runner)
        rows = [row for row in log.scan(Selection(member="M-1")) if row.content().event.private]
        with log.store.reading() as reads:
            sealed = list(reads.disclosures([row.position for row in rows]).values())
            pairs = [("M-1", row.content().event.stream) for row in rows]
            wrapped = [key.wrapped for key in reads.data_keys(pairs).values()]
        assert len(sealed) == 6
        assert len(wrapped) == 5
        if place.database is None:
            held = b"".join(path.read_bytes() for path in folder.glob("ledger.db*"))
            assert all(one[12:60] in held for one in (*sealed, *wrapped)), "the search finds them before"
        erase(log, M1, "requested")
        runner.catch_up()
        names = {path.name for path in folder.rglob("*")}
        if place.database is None:
            assert names >= {"ledger.db", "ledger.db-wal", "ledger.db-shm", "index.db", "projections.db"}
        assert traces(place.data, NAME) == []
        for path in (path for path in place.data.rglob("*") if path.is_file()):
            content = path.read_bytes()
            assert not [one for one in (*sealed, *wrapped) if one in content or one[12:60] in content], path
    if place.database is None:
        check_file(folder / "ledger.db")
        assert traces(place.data, NAME) == []
        for path in (path for path in place.data.rglob("*") if path.is_file()):
            assert not [one for one in (*sealed, *wrapped) if one[12:60] in path.read_bytes()], path


def test_an_event_that_borrows_the_correlation_of_an_erasure_is_no_account_that_went_along(tmp_path):
    with Place(tmp_path).create() as log:
        merged = account_changed("merged", "M-2", "M-1")
        log.append([registered("M-1"), registered("M-2"), *merged])
        receipt = erase(log, M1, "requested")
        assert [account.member for account in receipt.accounts] == ["M-2"]
        (own,) = [row for row in log.scan() if row.position == receipt.position]
        correlation = own.content().event.correlation
        log.append([requested("R-3", "M-3", correlationid=correlation)])
        again = erase(log, M1, "requested")
        assert again.position == receipt.position
        assert [account.member for account in again.accounts] == ["M-2"]
