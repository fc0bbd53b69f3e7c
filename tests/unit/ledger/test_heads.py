import ledger.heads
from ledger import entry
from ledger.event import LOCAL, SYSTEM, prepare
from ledger.heads import Heads, StreamHead, fold
from ledger.lifecycle import LedgerState, ReservationState
from tests.support.events import cloud, plain, requested, stage_changed


def entries(*events, credential=LOCAL):
    return [
        entry.build(
            prepare(event, credential).body, "local", None, at, entry.NO_PREVIOUS, "2026-03-01T09:30:00.000000Z", at + 1
        )
        for at, event in enumerate(events)
    ]


class Writes:
    """Streams and members as a store would give them, counting what is asked."""

    def __init__(self, streams, members):
        self._streams, self._members, self.asked = streams, members, []

    def streams(self, names):
        self.asked += names
        return {name: self._streams[name] for name in names if name in self._streams}

    def member_versions(self, names):
        self.asked += names
        return {name: self._members[name] for name in names if name in self._members}


class TestFold:
    def test_of_nothing_is_a_stream_that_has_not_begun(self):
        assert fold("reservation", []) == StreamHead(0, None)

    def test_gives_version_and_state_after_the_last_entry(self):
        history = entries(requested(), plain("confirmed"), stage_changed("loaded"))
        assert fold("reservation", history) == StreamHead(3, ReservationState("confirmed", "loaded", "queued"))

    def test_takes_what_is_recorded_as_having_happened(self):
        history = entries(requested(), plain("cancelled"), plain("confirmed"), plain("confirmed"))
        assert fold("reservation", history) == StreamHead(4, ReservationState("confirmed", "intake", "queued"))

    def test_takes_a_first_entry_that_begins_nothing(self):
        assert fold("reservation", entries(plain("waitlisted"))).state.status == "waitlisted"

    def test_honours_what_was_forced(self):
        history = entries(requested(), plain("cancelled"), plain("confirmed", forced="correction"))
        assert fold("reservation", history).state.status == "confirmed"

    def test_of_the_ledger_s_own_stream_knows_whether_it_is_frozen(self):
        frozen = cloud("ledger.frozen", "ledger:main", {"reason": "audit"})
        created = cloud(
            "ledger.created",
            "ledger:main",
            {"format": 1, "origin": "x.example", "verifier_keys": ["x.example+01234567+AAAA"]},
        )
        history = [*entries(created, credential=SYSTEM), *entries(frozen)]
        assert fold("ledger", history).state == LedgerState("frozen")


class TestLoad:
    def test_brings_in_what_is_missing_and_asks_for_nothing_twice(self):
        writes, heads = Writes({"reservation:R-1": entries(requested())}, {"M-1": 7}), Heads()
        for _ in range(2):
            heads.load(writes, {"reservation:R-1", "reservation:R-2"}, {"M-1", "M-2"})
            assert heads.streams["reservation:R-1"].version == 1
            assert heads.streams["reservation:R-2"] == StreamHead(0, None)
            assert heads.members == {"M-1": 7, "M-2": 0}
        assert sorted(writes.asked) == ["M-1", "M-2", "reservation:R-1", "reservation:R-2"]

    def test_after_forgetting_asks_again(self):
        writes, heads = Writes({}, {"M-1": 7}), Heads()
        heads.load(writes, {"reservation:R-1"}, {"M-1"})
        heads.forget()
        assert (heads.streams, heads.members) == ({}, {})
        heads.load(writes, set(), {"M-1"})
        assert writes.asked == ["reservation:R-1", "M-1", "M-1"]

    def test_makes_room_when_told_and_never_drops_what_is_asked_for(self, monkeypatch):
        monkeypatch.setattr(ledger.heads, "CACHED_HEADS", 10)
        writes, heads = Writes({}, {}), Heads()
        for start in range(0, 100, 3):
            names = {f"reservation:R-{n}" for n in range(start, start + 3)}
            heads.make_room()
            heads.load(writes, names, {f"M-{start}"})
            assert names <= heads.streams.keys()
            assert len(heads.streams) <= 10 + 3
            assert len(heads.members) <= 10 + 1
        wanted = {f"reservation:R-{n}" for n in range(50)}
        heads.load(writes, wanted, set())
        assert wanted <= heads.streams.keys()
