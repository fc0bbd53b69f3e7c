"""SQLite's disk fails (EIO, ENOSPC, a torn write) at each operation in turn: nothing acknowledged is lost or doubled.

What is injected, and why so, stands in docs/how-to/test-faults.md. A disk that is really full is in test_full_disks.
"""

import resource
import shutil
import time

import pytest

from ledger.audit import audit
from ledger.errors import StoreError, StoreFull
from ledger.log import Log
from ledger.store.protocol import Selection
from ledger.store.sqlite_index import Indexer
from tests.integration.api.conftest import serve
from tests.support.events import estimate_changed, new_log, requested
from tests.support.faulty_disk import Fault, Unavailable, faulty_disk
from tests.support.http import ONE, make_ledger, service, slug
from tests.support.whole import check_file, check_receipts, check_whole


@pytest.fixture
def faulty(monkeypatch):
    """Makes the files of that name faulty; and no checkpoint is signed at a time that a test did not choose."""
    monkeypatch.setattr("ledger.log.SIGN_SECONDS", 3600)
    opened = []

    def make(part):
        disk = faulty_disk(part)
        try:
            made = disk.__enter__()
        except Unavailable as why:
            pytest.skip(str(why))
        opened.append(disk)
        return made

    yield make
    for disk in opened:
        disk.__exit__(None, None, None)


def batch(tag):
    events = [requested(f"{tag}-{part}", id=f"{tag}-{part}") for part in range(3)]
    return [*events, estimate_changed("shared", "M-0", id=f"{tag}-shared", data={"notes": f"{tag} is private"})]


def check_crashed(data, into, acknowledged, tag):
    """What another process finds if this one dies now: all that was acknowledged, and all or nothing of the batch."""
    shutil.copytree(data, into)
    with Log.open(into, "studio") as log:
        entries = check_whole(log)
        check_receipts(entries, acknowledged)
        ids = {entry["event"]["id"] for entry in entries}
        assert len(ids & {f"{tag}-0", f"{tag}-1", f"{tag}-2", f"{tag}-shared"}) in (0, 4)
    shutil.rmtree(into)


@pytest.mark.parametrize("moves", [False, True], ids=["", "and the log of writes is moved at each commit"])
@pytest.mark.parametrize("fault", Fault)
def test_whichever_operation_of_an_append_fails_the_ledger_stays_whole_and_goes_on(tmp_path, faulty, fault, moves):
    data = tmp_path / "data"
    disk = faulty("ledger.db")
    seen = set()
    with new_log(data) as log:
        receipts = log.append([requested("shared", "M-0", id="begin")])
        if moves:
            log.store._writer.execute("PRAGMA wal_autocheckpoint = 1")
        for number in range(1, 200):
            tag = f"t{number}"
            disk.fail(fault, number)
            refused = None
            try:
                receipts += log.append(batch(tag))
            except StoreError as error:
                refused = error
            failed = disk.failed
            disk.heal()
            seen.update(failed)
            if failed == []:
                break
            if fault is Fault.ENOSPC and refused is not None and failed[0].startswith("write"):
                assert isinstance(refused, StoreFull)
            check_crashed(data, tmp_path / "crashed", receipts, tag)
            again = log.append(batch(tag))
            assert {receipt.duplicate for receipt in again} == {refused is None}
            receipts += again
        check_receipts(check_whole(log), receipts)
        assert audit(log.store, log.verifier_keys).ok
    assert seen >= {"write ledger.db-wal", "sync ledger.db-wal"}
    assert (seen >= {"write ledger.db", "sync ledger.db"}) == moves
    check_file(data / "studio" / "ledger.db")


@pytest.mark.parametrize(("fault", "kind"), [(Fault.EIO, "store-failed"), (Fault.ENOSPC, "store-full")])
def test_while_its_disk_fails_a_service_refuses_events_reads_on_and_recovers_by_itself(tmp_path, faulty, fault, kind):
    disk = faulty("ledger.db")
    with service(tmp_path) as running:
        assert running.post(requested("R-1", id="a")).status_code == 201
        disk.fail(fault, 1, for_ever=True)
        for number in range(5):
            refused = running.post(requested(f"R-{number + 2}", id=f"b-{number}"))
            assert (refused.status_code, slug(refused)) == (503, kind)
        for path in ("/events", "/events/1", "/events?stream=reservation:R-1", "/reservations/R-1"):
            assert running.get(path).status_code == 200
        assert running.client.get("/readyz").status_code == 200
        disk.heal()
        for number in range(5):
            assert running.post(requested(f"R-{number + 2}", id=f"b-{number}")).status_code == 201
        assert running.post(requested("R-1", id="a")).status_code == 200
        assert len(check_whole(running.log)) == 7
        assert audit(running.log.store, running.log.verifier_keys).ok


def test_while_the_index_can_not_be_written_nothing_is_appended_that_it_would_not_find(tmp_path, faulty, monkeypatch):
    monkeypatch.setattr(Indexer, "QUIET_SECONDS", 0.001)
    disk = faulty("index.db")
    with new_log(tmp_path) as log:
        receipts = log.append([requested("R-1", id="a")])
        disk.fail(Fault.EIO, 1, for_ever=True)
        refused, until = None, time.monotonic() + 20
        number = 0
        while refused is None and time.monotonic() < until:
            try:
                receipts += log.append([estimate_changed("R-1", id=f"e-{number}")])
            except StoreError as error:
                refused = error
            number += 1
        assert "delete index.db" in refused.advice
        with pytest.raises(StoreError):
            log.page(Selection(stream="reservation:R-1"))
        assert len(log.page(Selection())) == len(receipts) + 1, "what needs no index is read"
        disk.heal()
        receipts += log.append([estimate_changed("R-1", id="last")])
        assert len(log.page(Selection(stream="reservation:R-1"))) == len(receipts)
        check_receipts(check_whole(log), receipts)
        assert log.append([requested("R-1", id="a")])[0].duplicate
    check_file(tmp_path / "studio" / "index.db")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux sets limits of a running process")
def test_a_running_service_whose_files_may_not_grow_refuses_events_and_goes_on_when_they_may(tmp_path):
    """The kernel itself refuses the writes, in a service that knows nothing of it: this runs on every Linux."""
    keys = make_ledger(tmp_path)
    acknowledged = []
    with serve(tmp_path, keys) as server, server.client() as client:

        def post(number):
            event = requested(f"R-{number}", id=f"e-{number}", data={"notes": "x" * 500})
            answer = client.post("/events", content=event, headers={"Content-Type": ONE})
            if answer.status_code in (200, 201):
                acknowledged.append(answer.json()["receipts"][0])
            return answer

        assert post(0).status_code == 201
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        grown = (tmp_path / "studio" / "ledger.db-wal").stat().st_size
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (grown + 30_000, limits[1]))
        answers = [post(number) for number in range(1, 40)]
        assert answers[0].status_code == 201
        assert {slug(answer) for answer in answers if answer.status_code != 201} <= {"store-failed", "store-full"}
        assert answers[-1].status_code == 503
        assert client.get("/events").status_code == 200
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
        assert all(post(number).status_code in (200, 201) for number in range(40))
    with Log.open(tmp_path, "studio") as log:
        entries = check_whole(log)
        assert len(entries) == 41
        for receipt in acknowledged:
            assert entries[receipt["position"]]["leaf"] == receipt["leaf_hash"]
        assert audit(log.store, log.verifier_keys).ok
    check_file(tmp_path / "studio" / "ledger.db")
