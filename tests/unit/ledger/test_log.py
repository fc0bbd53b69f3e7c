import json
import shutil
import threading
from hashlib import sha256

import pytest

from ledger import log as ledger_log
from ledger import making
from ledger.checkpoint import open_checkpoint
from ledger.entry import NO_PREVIOUS, decode, split
from ledger.errors import (
    Conflict,
    ForkError,
    InvalidEvent,
    KeyFileError,
    NotFound,
)
from ledger.event import LOCAL
from ledger.flush import Receipt
from ledger.log import Log
from ledger.merkle import root_of, verify_consistency
from ledger.proof import parse_proof, verify_entry
from ledger.store.protocol import Selection
from tests.support.events import ORIGIN, cloud, new_log, plain, requested, stage_changed


@pytest.fixture
def log(tmp_path):
    with new_log(tmp_path) as opened:
        yield opened


def entries(log):
    return [row.entry for row in log.scan()]


class TestCreate:
    def test_a_new_ledger_begins_with_its_own_creation(self, log):
        (row,) = log.scan()
        created = decode(row.entry)
        assert (created.event.stream, created.seal.version, created.event.type) == ("ledger:main", 1, "ledger.created")
        assert created.event.public() == {
            "format": 1,
            "origin": ORIGIN,
            "verifier_keys": [str(key) for key in log.verifier_keys],
        }
        assert (created.seal.position, created.seal.prev) == (0, NO_PREVIOUS)
        assert created.event.actor.role == "system"

    def test_its_first_checkpoint_is_signed_by_both_keys(self, log):
        checkpoint, note = log.checkpoint()
        assert checkpoint.size == 1
        assert open_checkpoint(note, log.verifier_keys) == checkpoint

    def test_the_api_key_is_an_owner_s_and_shown_once(self, tmp_path):
        created = Log.create(tmp_path, "studio", ORIGIN)
        with created.log as log:
            assert log.credentials.authenticate(created.api_key).role == "owner"
            for path in (tmp_path / "studio").rglob("*"):
                if path.is_file():
                    assert created.api_key.split("_", 2)[2].encode() not in path.read_bytes()

    def test_creating_twice_is_a_conflict_and_leaves_the_first_alone(self, tmp_path):
        with new_log(tmp_path) as first:
            before = first.head()
            with pytest.raises(Conflict, match="studio"):
                Log.create(tmp_path, "studio", "other.example/x")
            assert first.head() == before
            assert first.origin == ORIGIN

    def test_the_leftovers_of_a_crash_are_cleared_away(self, tmp_path):
        aside = tmp_path / ".studio.new"
        (aside / "keys").mkdir(parents=True)
        (aside / "ledger.db").write_bytes(b"half a file")
        with pytest.raises(NotFound):
            Log.open(tmp_path, "studio")
        with new_log(tmp_path) as log:
            assert log.head().size == 1
        assert not aside.exists()

    def test_of_two_who_create_one_at_once_the_second_spoils_nothing(self, tmp_path, monkeypatch):
        others, refused = [], []

        def other():
            try:
                Log.create(tmp_path, "studio", "other.example/x").log.close()
            except Conflict as error:
                refused.append(error)

        def create_store(*args, **options):  # called when the keys are made
            if not others:
                others.append(threading.Thread(target=other))
                others[0].start()
                others[0].join(0.2)
            return made(*args, **options)

        made = making.create_store
        monkeypatch.setattr(making, "create_store", create_store)
        with new_log(tmp_path) as log:
            others[0].join()
            assert len(refused) == 1
            assert decode(log.row(0).entry).event.public()["verifier_keys"] == [str(key) for key in log.verifier_keys]

    @pytest.mark.parametrize("name", ["", "A", ".x", "-x", "a b", "a/b", "../x", "x" * 64, "a\n", "é"])
    def test_a_name_of_another_form_is_refused(self, tmp_path, name):
        with pytest.raises(ValueError, match="name"):
            Log.create(tmp_path, name, ORIGIN)
        with pytest.raises(NotFound):
            Log.open(tmp_path, name)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("origin", ["", "https://x.example", "a b", "a+b", "x/", "x//y", "x\n", "é.example"])
    def test_an_origin_of_another_form_is_refused_and_leaves_nothing(self, tmp_path, origin):
        with pytest.raises(ValueError, match="origin"):
            Log.create(tmp_path, "studio", origin)
        assert not list(tmp_path.iterdir())

    def test_one_data_folder_holds_ledgers_apart(self, tmp_path):
        with new_log(tmp_path, "one") as one, new_log(tmp_path, "two") as two:
            one.append([requested()])
            assert (one.head().size, two.head().size) == (2, 1)
            assert not {str(key) for key in one.verifier_keys} & {str(key) for key in two.verifier_keys}


class TestOpen:
    def test_what_was_appended_is_there_again(self, tmp_path):
        with new_log(tmp_path) as log:
            log.append([requested()])
            before = entries(log)
        with Log.open(tmp_path, "studio") as log:
            assert entries(log) == before
            (receipt,) = log.append([plain("confirmed")])
            assert (receipt.position, receipt.version) == (2, 2)

    def test_a_ledger_that_is_not_there_is_not_found(self, tmp_path):
        with pytest.raises(NotFound, match="studio"):
            Log.open(tmp_path, "studio")

    def test_without_its_keys_it_does_not_open(self, tmp_path):
        new_log(tmp_path).close()
        shutil.rmtree(tmp_path / "studio/keys")
        with pytest.raises(KeyFileError):
            Log.open(tmp_path, "studio")

    def test_with_exposed_keys_it_does_not_open(self, tmp_path):
        new_log(tmp_path).close()
        (tmp_path / "studio/keys/ed25519.seed").chmod(0o644)
        with pytest.raises(KeyFileError, match="accessible"):
            Log.open(tmp_path, "studio")


class TestSeal:
    def test_chain_positions_and_versions_have_no_gaps(self, log):
        log.append([requested("R-1", "M-1"), requested("R-2", "M-1"), requested("R-3", "M-2", actor="x")])
        log.append([plain("confirmed", "R-1", "M-1"), plain("confirmed", "R-3", "M-2")])
        prev, streams, members = NO_PREVIOUS, {}, {}
        for position, raw in enumerate(entries(log)):
            stored = decode(raw)
            seal, body = stored.seal, stored.event
            assert (seal.position, seal.prev) == (position, prev)
            streams[body.stream] = streams.get(body.stream, 0) + 1
            assert seal.version == streams[body.stream]
            if body.member:
                members[body.member] = members.get(body.member, 0) + 1
                assert seal.member_version == members[body.member]
            else:
                assert not seal.member_version
            prev = sha256(b"\x00" + raw).hexdigest()
        assert log.head().leaf.hex() == prev
        assert (streams["reservation:R-1"], members["M-1"]) == (2, 3)

    def test_the_receipt_says_where_and_as_what_it_stands(self, log):
        (receipt,) = log.append([requested(id="mine")])
        row = log.row(1)
        assert receipt == Receipt(
            id="mine",
            source="urn:test",
            stream="reservation:R-1",
            position=1,
            version=1,
            leaf_hash=sha256(b"\x00" + row.entry).hexdigest(),
            recorded=decode(row.entry).seal.recorded,
        )
        assert json.loads(split(row.entry)[1])["by"] == LOCAL.id

    def test_root_proofs_and_consistency_hold(self, log):
        log.append([requested(f"R-{n}") for n in range(300)])
        leaves = [sha256(b"\x00" + raw).digest() for raw in entries(log)]
        for size in (1, 2, 255, 256, 257, 301):
            assert log.root(size) == root_of(leaves[:size])
            verify_consistency(size, 301, log.root(size), log.root(301), log.consistency(size, 301))
        for position in (0, 1, 255, 256, 300):
            proof = parse_proof(log.prove(position))
            assert verify_entry(proof, log.row(position).entry, log.verifier_keys).size == 301


class TestReading:
    def test_beyond_the_end_there_is_nothing(self, log):
        for position in (1, -1, 10**6):
            with pytest.raises(NotFound):
                log.row(position)
            with pytest.raises(NotFound):
                log.prove(position)
        for ask in (lambda: log.root(2), lambda: log.consistency(1, 2)):
            with pytest.raises(NotFound):
                ask()

    def test_a_selection_narrows(self, log):
        log.append([requested("R-1", "M-1"), requested("R-2", "M-2"), plain("confirmed", "R-1", "M-1")])
        positions = lambda **chosen: [row.position for row in log.scan(Selection(**chosen))]  # noqa: E731
        assert positions() == [0, 1, 2, 3]
        assert positions(first=1, last=2) == [1, 2]
        assert positions(stream="reservation:R-1") == [1, 3]
        assert positions(member="M-2") == [2]
        assert positions(type="reservation.requested") == [1, 2]
        assert positions(stream="reservation:R-1", type="reservation.confirmed", member="M-1") == [3]
        assert positions(stream="reservation:R-1", first=2) == [3]
        assert positions(first=4) == positions(last=-1) == positions(member="M-9") == []

    def test_pages_and_scans_agree(self, log, monkeypatch):
        monkeypatch.setattr(ledger_log, "PAGE", 7)
        log.append([requested(f"R-{n}") for n in range(50)])
        assert [row.position for row in log.scan()] == list(range(51))
        assert [row.position for row in log.page(Selection(first=40), 5)] == [40, 41, 42, 43, 44]
        assert len(log.page(Selection(), 1000)) == 7

    def test_a_scan_ends_where_the_log_ended_when_it_began(self, log):
        log.append([requested()])
        scan = log.scan()
        first = next(scan)
        log.append([plain("confirmed")])
        assert [first.position, *(row.position for row in scan)] == [0, 1]

    def test_a_follower_gets_what_there_is_and_what_comes(self, log):
        log.append([requested()])
        follower = log.follow()
        assert [next(follower).position for _ in range(2)] == [0, 1]
        log.append([plain("confirmed"), stage_changed("queued")])
        assert [next(follower).position for _ in range(2)] == [2, 3]
        assert next(log.follow(after=2)).position == 3

    def test_private_values_open_for_those_who_may_see_them(self, log):
        log.append([requested(data={"notes": "the blue one"}), plain("confirmed")])
        assert log.disclose(list(log.scan())) == [{}, {"notes": "the blue one"}, {}]


class TestBound:
    @pytest.fixture
    def timed(self, tmp_path):
        now = [1_772_357_400_000_000]  # 2026-03-01T09:30:00Z
        with new_log(tmp_path, clock=lambda: now[0]) as log:
            for n in range(4):
                now[0] += 10_000_000
                log.append([requested(f"R-{n}"), requested(f"S-{n}")])
            yield log  # 0 at :00, then two each at :10, :20, :30, :40

    @pytest.mark.parametrize(
        ("text", "start", "end"),
        [
            ("0", 0, 0),
            ("7", 7, 7),
            ("999", 999, 999),
            ("2026-03-01T09:29:59Z", 0, -1),
            ("2026-03-01T09:30:00Z", 0, 0),
            ("2026-03-01T09:30:10Z", 1, 2),
            ("2026-03-01T10:30:10+01:00", 1, 2),
            ("2026-03-01T09:30:10.0000001Z", 3, 2),
            ("2026-03-01T09:30:15Z", 3, 2),
            ("2026-03-01T09:30:40Z", 7, 8),
            ("2026-03-01T09:30:41Z", 9, 8),
            ("2026-03-01", 0, 8),
            ("2026-02-28", 0, -1),
            ("2026-03-02", 9, 8),
        ],
    )
    def test_is_a_position_or_a_time_both_inclusive(self, timed, text, start, end):
        assert timed.bound(text, end=False) == start
        assert timed.bound(text, end=True) == end

    @pytest.mark.parametrize("text", ["", "-1", "1.5", "yesterday", "٣", "2026-03", "+1", " 1"])
    def test_is_nothing_else(self, timed, text):
        with pytest.raises(ValueError, match=r"."):
            timed.bound(text, end=True)


class TestClose:
    def test_what_waits_is_committed_and_signed(self, tmp_path):
        log = new_log(tmp_path)
        waiting = [log.submit([requested(f"R-{n}")]) for n in range(50)]
        log.close()
        assert [answer.result(0)[0].position for answer in waiting] == list(range(1, 51))
        with Log.open(tmp_path, "studio") as again, again.store.reading() as reads:
            assert open_checkpoint(reads.latest_checkpoint(), again.verifier_keys).size == 51

    def test_twice_is_once(self, tmp_path):
        log = new_log(tmp_path)
        log.append([requested()])
        log.close()
        log.close()

    def test_reading_signs_and_appends_nothing_by_itself(self, tmp_path):
        new_log(tmp_path).close()
        files = {path: path.read_bytes() for path in (tmp_path / "studio").rglob("*") if path.is_file()}
        with Log.open(tmp_path, "studio") as log:
            list(log.scan())
            log.bound("2026-03-01", end=True)
            log.root(1)
        with Log.open(tmp_path, "studio") as log:
            assert log.head().size == 1
        after = {path: path.read_bytes() for path in (tmp_path / "studio").rglob("*") if path.is_file()}
        assert after == files


class TestSubmit:
    def test_no_events_are_no_work(self, log):
        assert log.append([]) == log.append([], atomic=False) == []
        assert log.head().size == 1

    def test_events_without_state_fail_before_they_queue(self, log):
        with pytest.raises(InvalidEvent) as caught:
            log.submit([requested(), cloud("reservation.confirmed", "reservation:R-2", {"x": 1})])
        assert (caught.value.index, caught.value.path) == (1, "$.data.x")
        assert log.head().size == 1


class TestRollback:
    def grown(self, folder, count):
        with new_log(folder) as log:
            log.append([requested()])
            log.checkpoint()
        saved = (folder / "studio/ledger.db").read_bytes()
        with Log.open(folder, "studio") as log:
            log.append([requested(f"R-{n}") for n in range(2, 2 + count)])
            log.checkpoint()
        return saved

    def test_a_file_rolled_back_as_a_whole_is_noticed_at_the_first_append(self, tmp_path):
        saved = self.grown(tmp_path, 5)
        (tmp_path / "studio/ledger.db").write_bytes(saved)
        with Log.open(tmp_path, "studio") as log:
            for _ in range(2):
                with pytest.raises(ForkError):
                    log.append([plain("confirmed")])
            with pytest.raises(ForkError):
                log.checkpoint()
            assert log.head().size == 2
