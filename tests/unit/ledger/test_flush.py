import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ledger.datakeys
import ledger.entry
import ledger.heads
from ledger.entry import decode
from ledger.errors import (
    EventError,
    IdConflict,
    InvalidEvent,
    LifecycleRefused,
    MalformedEvent,
    OversizedEvent,
    RoleDenied,
    VersionConflict,
)
from ledger.event import Credential
from ledger.flush import Receipt
from ledger.log import Log
from ledger.store.protocol import Selection
from tests.support.events import cloud, estimate_changed, new_log, plain, requested, stage_changed

SERVICE = Credential(id="portal", role="service", actor="portal", actor_role="service")


@pytest.fixture
def log(tmp_path):
    with new_log(tmp_path) as opened:
        yield opened


def refused(log, error, *events, **options):
    before = log.head()
    with pytest.raises(error) as caught:
        log.append(list(events), **options)
    assert log.head() == before
    return caught.value


def same(first, second):
    """The second receipt is the first one again, marked as a repetition."""
    assert (first.duplicate, second.duplicate) == (False, True)
    return all(
        getattr(first, name) == getattr(second, name) for name in Receipt.__struct_fields__ if name != "duplicate"
    )


def record(number, fields, **attributes):
    return cloud("record.created", f"record:{number}", {"collection": "clients", "fields": fields}, **attributes)


class TestRepetition:
    def test_a_retry_gets_the_first_receipt_again(self, log):
        event = requested()
        (first,), (second,) = log.append([event]), log.append([event])
        assert same(first, second)
        assert log.head().size == 2

    def test_also_after_a_restart(self, tmp_path):
        event = requested()
        with new_log(tmp_path) as log:
            (first,) = log.append([event])
        with Log.open(tmp_path, "studio") as log:
            (second,) = log.append([event])
        assert same(first, second)

    def test_also_within_one_request(self, log):
        event = requested()
        first, between, second = log.append([event, plain("confirmed"), event])
        assert same(first, second)
        assert between.position == first.position + 1
        assert log.head().size == 3

    def test_also_from_many_threads_at_once(self, log):
        event = requested()
        answers = [log.submit([event]) for _ in range(50)]
        receipts = [answer.result(10)[0] for answer in answers]
        assert {receipt.position for receipt in receipts} == {1}
        assert [receipt.duplicate for receipt in receipts].count(False) == 1

    def test_also_when_the_state_has_moved_on(self, log):
        event, expecting = requested(), plain("confirmed", expectedversion=1)
        first = log.append([event, expecting])
        log.append([stage_changed("queued")])
        again = log.append([event, expecting])
        assert all(same(*pair) for pair in zip(first, again, strict=True))

    def test_also_when_another_credential_sends_it_and_no_actor_is_named(self, log):
        log.append([requested()])
        event = plain("confirmed")
        (first,), (second,) = log.append([event]), log.append([event], SERVICE)
        assert same(first, second)

    def test_but_not_with_private_values_of_another_credential_which_it_could_guess_that_way(self, log):
        event = estimate_changed(id="a", data={"notes": "secret"})
        log.append([requested()])
        log.append([event])
        for guess in ("secret", "other"):
            with pytest.raises(IdConflict, match="another credential"):
                log.append([estimate_changed(id="a", data={"notes": guess})], SERVICE)
        assert log.append([event])[0].duplicate

    def test_also_beside_new_events(self, log):
        event = requested("R-1")
        log.append([event])
        again, new = log.append([event, requested("R-2")])
        assert (again.duplicate, again.position, new.duplicate, new.position) == (True, 1, False, 2)

    def test_the_same_id_of_another_source_is_another_event(self, log):
        log.append([requested("R-1", id="same"), requested("R-2", id="same", source="urn:other")])
        assert log.head().size == 3

    @pytest.mark.parametrize(
        ("changed", "named"),
        [
            ({"time": "2026-03-01T09:30:01Z"}, "time"),
            ({"reservation": "R-2"}, "stream"),
            ({"member": "M-2"}, "member"),
            ({"tags": "x"}, "tags"),
            ({"correlationid": "x"}, "correlation"),
            ({"forced": "x"}, "forced"),
            ({"actor": "x"}, "actor"),
            ({"actorrole": "staff"}, "actorrole"),
            ({"data": {"half_shelves": 3}}, "data"),
            ({"data": {"notes": "the red one"}}, "value of data.notes"),
        ],
    )
    def test_with_other_content_is_a_conflict_that_names_what_differs(self, log, changed, named):
        log.append([requested("R-0"), requested(id="mine")])
        error = refused(log, IdConflict, requested(**{"id": "mine", **changed}))
        assert error.position == 2
        assert f"another {named}" in error.detail
        assert "red" not in str(error)

    def test_a_conflict_within_one_request_undoes_it_all(self, log):
        error = refused(log, IdConflict, requested(id="mine"), requested(id="mine", data={"half_shelves": 3}))
        assert error.index == 1

    def test_one_and_true_are_not_the_same_private_value(self, log):
        log.append([record(1, {"paid": True}, id="mine")])
        refused(log, IdConflict, record(1, {"paid": 1}, id="mine"))
        assert log.append([record(1, {"paid": True}, id="mine")])[0].duplicate

    @given(
        st.dictionaries(
            st.sampled_from("abc"), st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3), min_size=1
        )
    )
    @settings(max_examples=25)
    def test_any_private_values_repeat(self, tmp_path_factory, fields):
        event = record(1, fields)
        with new_log(tmp_path_factory.mktemp("data")) as log:
            (first,), (second,) = log.append([event]), log.append([event])
            assert same(first, second)
            assert log.disclose([log.row(1)]) == [fields]


class TestExpectedVersion:
    def test_that_holds_is_accepted(self, log):
        log.append([requested(expectedversion=0), plain("confirmed", expectedversion=1)])
        log.append([stage_changed("queued", expectedversion=2)])

    @pytest.mark.parametrize("expected", [0, 2, 2**53 - 1])
    def test_that_fails_says_the_actual_one(self, log, expected):
        log.append([requested()])
        error = refused(log, VersionConflict, plain("confirmed", expectedversion=expected))
        assert (error.expected, error.actual, error.path, error.index) == (expected, 1, "$.expectedversion", 0)

    def test_of_two_that_race_one_wins(self, log):
        log.append([requested()])
        answers = [log.submit([estimate_changed(expectedversion=1)]) for _ in range(20)]
        errors = [answer.exception(10) for answer in answers]
        assert sum(error is None for error in errors) == 1
        assert {(error.expected, error.actual) for error in errors if error} == {(1, 2)}


class TestAtomic:
    def test_all_or_none_and_the_first_fault_with_its_index(self, log):
        events = [requested("R-1"), requested("R-2"), plain("cancelled", "R-3"), plain("confirmed", "R-9")]
        error = refused(log, LifecycleRefused, *events)
        assert error.index == 2
        assert log.page(Selection(stream="reservation:R-1")) == []

    def test_a_refused_request_leaves_versions_states_and_ids_untouched(self, log):
        log.append([requested("R-1")])
        lost = plain("confirmed", "R-1", id="lost")
        refused(log, LifecycleRefused, lost, requested("R-2", "M-2"), requested("R-1"))
        receipts = log.append([
            plain("waitlisted", "R-1", expectedversion=1),
            requested("R-2", "M-2", expectedversion=0),
            plain("confirmed", "R-1", id="lost"),
        ])  # fmt: skip
        assert [(receipt.position, receipt.version, receipt.duplicate) for receipt in receipts] == [
            (2, 2, False), (3, 1, False), (4, 3, False),
        ]  # fmt: skip
        assert [decode(log.row(at).entry).seal.member_version for at in (1, 2, 3, 4)] == [1, 2, 1, 3]

    def test_refused_and_good_requests_in_one_flush_do_not_touch_each_other(self, log):
        answers = []
        for n in range(40):
            bad = [requested(f"R-{n}", "M-1"), plain("confirmed", f"R-{n}", "M-1"), requested(f"R-{n}", "M-1")]
            answers.append((log.submit(bad), log.submit([requested(f"R-{n}", "M-1")])))
        for bad, good in answers:
            assert isinstance(bad.exception(10), LifecycleRefused)
            assert good.result(10)[0].version == 1
        seals = [decode(row.entry).seal for row in log.scan()]
        assert [seal.position for seal in seals] == list(range(41))
        assert [seal.member_version for seal in seals[1:]] == list(range(1, 41))
        log.checkpoint()

    def test_events_of_one_request_see_each_other(self, log):
        receipts = log.append([requested(), plain("confirmed"), stage_changed("queued"), stage_changed("loaded")])
        assert [receipt.version for receipt in receipts] == [1, 2, 3, 4]
        assert len({receipt.recorded for receipt in receipts}) == 1


class TestPerEvent:
    def test_outcomes_stand_in_the_order_of_the_events(self, log):
        known = requested("R-0")
        log.append([known])
        events = [
            b"{",
            known,
            requested("R-1"),
            requested("R-1"),
            plain("confirmed", "R-1", expectedversion=7),
            cloud("reservation.confirmed", "reservation:R-1", {"x": 1}),
            cloud("ledger.created", "ledger:main", {}, actorrole="client"),
            requested("R-2", id="taken"),
            requested("R-3", id="taken"),
            plain("confirmed", "R-1"),
        ]
        outcomes = log.append(events, atomic=False)
        kinds = [
            MalformedEvent, Receipt, Receipt, LifecycleRefused, VersionConflict, InvalidEvent, EventError,
            Receipt, IdConflict, Receipt,
        ]  # fmt: skip
        for index, (outcome, kind) in enumerate(zip(outcomes, kinds, strict=True)):
            assert isinstance(outcome, kind)
            assert isinstance(outcome, Receipt) or outcome.index == index
        assert [outcome.position for outcome in outcomes if isinstance(outcome, Receipt)] == [1, 2, 3, 4]
        assert outcomes[1].duplicate

    def test_all_may_be_refused(self, log):
        outcomes = log.append([b"", plain("confirmed")], atomic=False)
        assert [type(outcome) for outcome in outcomes] == [MalformedEvent, LifecycleRefused]
        assert log.head().size == 1

    def test_roles_are_refused_one_by_one(self, log):
        outcomes = log.append([requested(), requested("R-2", actorrole="admin")], SERVICE, atomic=False)
        assert [type(outcome) for outcome in outcomes] == [Receipt, RoleDenied]


class TestLifecycle:
    def test_a_refusal_names_state_and_event(self, log):
        log.append([requested(), plain("cancelled")])
        error = refused(log, LifecycleRefused, plain("confirmed"))
        assert "cancelled" in error.state
        assert error.event == "reservation.confirmed"
        assert error.path == "$.type"

    def test_an_admin_may_force_it(self, log):
        log.append([requested(), plain("cancelled")])
        log.append([plain("confirmed", forced="correction", actorrole="admin")])
        log.append([stage_changed("queued")])

    def test_a_frozen_ledger_takes_nothing_but_its_own_events(self, log):
        log.append([requested()])
        log.append([cloud("ledger.frozen", "ledger:main", {"reason": "audit"})])
        for event in (plain("confirmed"), requested("R-2"), plain("confirmed", forced="x", actorrole="admin")):
            assert refused(log, LifecycleRefused, event).state == "frozen"
        assert (
            log.append([cloud("ledger.thawed", "ledger:main", {"reason": "done"}), plain("confirmed")])[1].version == 2
        )

    def test_it_stays_frozen_after_a_restart(self, tmp_path):
        with new_log(tmp_path) as log:
            log.append([cloud("ledger.frozen", "ledger:main", {"reason": "audit"})])
        with Log.open(tmp_path, "studio") as log:
            refused(log, LifecycleRefused, requested())

    def test_freezing_holds_within_its_own_request(self, log):
        refused(log, LifecycleRefused, cloud("ledger.frozen", "ledger:main", {"reason": "audit"}), requested())
        log.append([requested()])

    def test_a_frozen_ledger_still_answers_retries(self, log):
        event = requested()
        log.append([event, cloud("ledger.frozen", "ledger:main", {"reason": "audit"})])
        assert log.append([event])[0].duplicate

    def test_only_an_admin_freezes(self, log):
        freeze = cloud("ledger.frozen", "ledger:main", {"reason": "audit"})
        refused(log, LifecycleRefused, freeze, credential=SERVICE)
        log.append([requested()])


class TestSize:
    def test_an_entry_that_its_seal_makes_too_large_is_refused_alone(self, log, monkeypatch):
        log.append([requested("R-1")])
        monkeypatch.setattr(ledger.entry, "MAX_ENTRY", len(log.row(1).entry))
        small, large = requested("R-2", id="e"), requested("R-3", id="e" * 200)
        outcomes = log.append([small, large, requested("R-4", id="f")], atomic=False)
        assert [type(outcome) for outcome in outcomes] == [Receipt, OversizedEvent, Receipt]
        assert [outcome.position for outcome in outcomes if isinstance(outcome, Receipt)] == [2, 3]


class TestPrivacy:
    MARK = "Unmistakable-4711-Zoe"

    def spellings(self):
        raw = self.MARK.encode()
        yield from (raw, raw.hex().encode(), raw.hex().upper().encode(), raw[::-1], self.MARK.encode("utf-16-le"))
        for shift in range(3):  # base64 of a text that holds the mark at each place modulo 3, without the edges
            coded = base64.b64encode(b"x" * shift + raw)[4:-4]
            yield from (coded, coded.translate(bytes.maketrans(b"+/", b"-_")))

    def test_nothing_private_stands_in_any_file(self, tmp_path):
        with new_log(tmp_path) as log:
            registered = {"name": self.MARK, "email": f"{self.MARK}@example.org"}
            log.append([requested(data={"notes": self.MARK}), cloud("member.registered", "member:M-1", registered)])
            log.append([record(1, {"name": self.MARK, "deep": [{"name": self.MARK}]})])
            for _ in range(2):
                for path in (tmp_path / "studio").rglob("*"):
                    content = path.read_bytes() if path.is_file() else b""
                    assert not [each for each in self.spellings() if each in content], path
                log.close()
        with Log.open(tmp_path, "studio") as log:
            assert log.disclose([log.row(1)]) == [{"notes": self.MARK}]
            assert log.disclose([log.row(2)]) == [registered]

    def test_there_is_one_data_key_for_each_member_and_stream(self, log):
        log.append([
            requested("R-1", "M-1"),
            plain("confirmed", "R-1", "M-1", data={"notes": "a"}),
            requested("R-2", "M-1"),
            plain("confirmed", "R-2", "M-2", data={"notes": "b"}),
            requested("R-3", None),
            plain("confirmed", "R-3", None),
        ])  # fmt: skip
        log.append([stage_changed("queued", "R-1", "M-1", data={"notes": "c"})])
        pairs = [
            ("M-1", "reservation:R-1"),
            ("M-1", "reservation:R-2"),
            ("M-2", "reservation:R-2"),
            ("", "reservation:R-3"),
        ]
        with log.store.reading() as reads:
            keys = reads.data_keys([*pairs, ("M-2", "reservation:R-1"), ("M-1", "reservation:R-3")])
        assert sorted(keys) == sorted(pairs)
        assert len({key.wrapped for key in keys.values()}) == 4
        assert {key.epoch for key in keys.values()} == {1}

    def test_equal_values_are_sealed_to_different_bytes(self, log):
        log.append([requested(f"R-{n}", "M-1") for n in range(20)])
        log.append([estimate_changed("R-1", data={"notes": "same"}) for _ in range(20)])
        with log.store.reading() as reads:
            sealed = reads.disclosures(list(range(41)))
        assert len(sealed) == len(set(sealed.values())) == 40
        assert len({decode(log.row(at).entry).event.private["notes"] for at in range(1, 41)}) == 40

    def test_events_with_nothing_private_have_neither_disclosure_nor_key(self, log):
        log.append([requested(data={"notes": "x"})])
        log.append([plain("confirmed")])
        with log.store.reading() as reads:
            assert sorted(reads.disclosures([0, 1, 2])) == [1]

    def test_a_refused_request_leaves_no_key_behind(self, log):
        refused(log, LifecycleRefused, requested("R-1"), requested("R-1"))
        with log.store.reading() as reads:
            assert reads.data_keys([("M-1", "reservation:R-1")]) == {}
        log.append([requested("R-1")])
        assert log.disclose([log.row(1)]) == [{"notes": "the blue one, please"}]


class TestSmallCaches:
    @pytest.fixture
    def cramped(self, log, monkeypatch):
        monkeypatch.setattr(ledger.heads, "CACHED_HEADS", 10)
        monkeypatch.setattr(ledger.datakeys, "CACHED_KEYS", 10)
        return log

    def test_make_no_difference(self, cramped):
        count = 30
        for n in range(count):
            cramped.append([requested(f"R-{n}", f"M-{n}")])
        for n in range(count):
            (receipt,) = cramped.append(
                [plain("confirmed", f"R-{n}", f"M-{n}", expectedversion=1, data={"notes": f"{n}"})]
            )
            assert receipt.version == 2
            seal = decode(cramped.row(receipt.position).entry).seal
            assert seal.member_version == 2
        refused(cramped, LifecycleRefused, requested("R-0", "M-0"))
        notes = [values["notes"] for values in cramped.disclose(cramped.page(Selection(first=count + 1)))]
        assert notes == [str(n) for n in range(count)]

    def test_make_no_difference_within_one_great_request(self, cramped):
        cramped.append([requested(f"R-{n}", f"M-{n}") for n in range(30)])
        again = [plain("confirmed", f"R-{n % 30}", f"M-{n % 30}", data={"notes": f"{n}"}) for n in range(30)]
        assert {receipt.version for receipt in cramped.append(again)} == {2}
        assert cramped.disclose(cramped.page(Selection(first=31))) == [{"notes": str(n)} for n in range(30)]


class TestFuture:
    @given(
        st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from(["requested", "confirmed", "cancelled"]), st.booleans()),
            max_size=25,
        )
    )
    @settings(max_examples=25)
    def test_any_history_gives_versions_without_gaps_and_the_same_after_a_restart(self, tmp_path_factory, steps):
        data = tmp_path_factory.mktemp("data")
        with new_log(data) as log:
            for number, verb, split in steps:
                event = (requested if verb == "requested" else lambda r, v=verb: plain(v, r))(f"R-{number}")
                log.append([event, *([event] if split else [])], atomic=False)
            before = [row.entry for row in log.scan()]
        versions = {}
        for raw in before:
            seal, stream = decode(raw).seal, decode(raw).event.stream
            versions[stream] = versions.get(stream, 0) + 1
            assert seal.version == versions[stream]
        with Log.open(data, "studio") as log:
            assert [row.entry for row in log.scan()] == before
            for stream, version in versions.items():
                if stream.startswith("reservation"):
                    error = refused(
                        log, VersionConflict, estimate_changed(stream.partition(":")[2], expectedversion=99)
                    )
                    assert error.actual == version
