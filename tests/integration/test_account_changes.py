"""What becomes of a member's history, values and holds when their account is transferred, merged or closed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import history, tiles
from ledger.audit import audit
from ledger.erasure import Target, erase, plan
from ledger.errors import Conflict, Held, LedgerError, LifecycleRefused, NotFound, ProofError, VerificationError
from ledger.event import Credential
from ledger.history import accounts_of, heirs_of, verify_history
from ledger.log import Log
from ledger.redaction import policy
from ledger.store.protocol import Selection
from tests.support.events import account_changed, cloud, new_log, requested
from tools.slices import HandedOut, contents, cut_history

ADMIN = Credential(id="adm", role="admin", actor="adm", actor_role="admin", actor_roles=frozenset({"admin"}))


def registered(member: str) -> bytes:
    return cloud(
        "member.registered", f"member:{member}", {"name": f"Name of {member}", "email": f"{member}@example.org"}
    )


def note(member: str, text: str, number: int = 1) -> bytes:
    return requested(f"R-{member}-{number}", member, data={"notes": text})


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with new_log(tmp_path) as opened:
        opened.append([registered(name) for name in "ABCD"])
        opened.append([note(name, f"{name} was here") for name in "ABCD"])
        yield opened


def followed(log: Log, member: str) -> list[str]:
    return [account.member for account in accounts_of(member, lambda stream: log.scan(Selection(stream=stream)))]


def heirs(log: Log, member: str) -> list[str]:
    return heirs_of(member, lambda stream: log.scan(Selection(stream=stream)))


def handed_out(log: Log, member: str, by: str = "member") -> tuple[HandedOut, bytes]:
    file = io.BytesIO()
    done = cut_history(log, file, member, policy(by))
    return done, file.getvalue()


def shown(log: Log, data: bytes) -> list[tuple[str, int, dict[str, Any]]]:
    """(member, position, disclosed) of each entry of a history that verifies."""
    proven = verify_history(io.BytesIO(data), log.verifier_keys)
    told = list(contents(io.BytesIO(data)))
    assert sum(proven.entries.values()) == len(told)
    entries = [(json.loads(bytes(one["entry"])), one["disclosed"]) for one in told]
    return [(entry["event"]["member"], entry["seal"]["position"], disclosed) for entry, disclosed in entries]


def notes_of(log: Log, data: bytes) -> set[str]:
    return {disclosed["notes"] for _, _, disclosed in shown(log, data) if "notes" in disclosed}


def values_left(log: Log, member: str) -> list[dict[str, Any]]:
    rows = [row for row in log.scan(Selection(member=member)) if row.content().event.private]
    return log.disclose(rows)


def test_a_merge_makes_one_history_with_what_is_private_in_it_and_what_comes_later(log: Log) -> None:
    log.append(account_changed("merged", "A", "B"))
    log.append([note("A", "late, under the old id", 2), note("B", "under the new one", 2)])
    assert (followed(log, "B"), followed(log, "A"), heirs(log, "A")) == (["B", "A"], ["A"], ["B"])
    done, data = handed_out(log, "B")
    assert done.accounts == ["B", "A"]
    assert notes_of(log, data) == {"A was here", "B was here", "late, under the old id", "under the new one"}
    assert {member for member, _, _ in shown(log, data)} == {"A", "B"}
    # Whoever still asks for the account that ended gets its own entries, and reads there where it went.
    _, own = handed_out(log, "A")
    assert notes_of(log, own) == {"A was here", "late, under the old id"}
    assert b'"counterpart":"B"' in own
    assert audit(log.store, log.verifier_keys).ok


def test_a_transfer_gives_the_receiver_nothing_of_what_was_before(log: Log) -> None:
    log.append(account_changed("transferred", "A", "B"))
    moved = cloud(
        "reservation.estimate_changed", "reservation:R-A-1", {"confidence": "low", "notes": "now B's"}, member="B"
    )
    log.append([moved])
    assert (followed(log, "B"), heirs(log, "A")) == (["B"], [])
    _, of_b = handed_out(log, "B")
    assert notes_of(log, of_b) == {"B was here", "now B's"}
    assert b"A was here" not in of_b
    assert b'"counterpart":"A"' in of_b
    _, of_a = handed_out(log, "A")
    assert notes_of(log, of_a) == {"A was here"}
    # Each one's values stand under keys of their own, in one stream: erasing the giver leaves the receiver's.
    erase(log, Target(member="A"), "requested")
    assert (values_left(log, "A"), len(values_left(log, "B"))) == ([{}] * 2, 3)
    assert all(values_left(log, "B"))


def test_a_closed_account_takes_nothing_of_its_own_and_can_still_be_handed_out_held_and_erased(log: Log) -> None:
    log.append([cloud("member.account_changed", "member:A", {"change": "closed", "reason": "moved-away"})])
    with pytest.raises(LifecycleRefused, match="closed"):
        log.append([cloud("member.contact_updated", "member:A", {"name": "x"})])
    log.append([cloud("reservation.cancelled", "reservation:R-A-1", {"reason": "left"}, member="A")])  # still a fact
    assert notes_of(log, handed_out(log, "A")[1]) == {"A was here"}
    hold = {"reason": "litigation", "scope": "member", "target": "A"}
    log.append([cloud("hold.placed", "hold:H", hold)])
    with pytest.raises(Held, match="hold:H"):
        erase(log, Target(member="A"), "requested")
    log.append([cloud("hold.released", "hold:H", {"reason": "settled"})])
    assert erase(log, Target(member="A"), "requested").effective
    log.append([registered("A")])  # who comes back begins anew, under new keys
    assert [value.get("name") for value in values_left(log, "A")] == [None, None, "Name of A"]


def test_chains_of_merges_are_followed_to_their_end_and_circles_too(log: Log) -> None:
    log.append(account_changed("merged", "A", "B", "x"))
    log.append(account_changed("merged", "B", "C", "y"))
    assert (followed(log, "C"), heirs(log, "A")) == (["C", "B", "A"], ["B", "C"])
    assert notes_of(log, handed_out(log, "C")[1]) == {"A was here", "B was here", "C was here"}
    forced = account_changed("merged", "C", "A", "z", forced="import", actorrole="admin")
    log.append(forced, ADMIN)
    assert sorted(followed(log, "A")) == sorted(followed(log, "C")) == ["A", "B", "C"]
    assert {member for member, _, _ in shown(log, handed_out(log, "A")[1])} == {"A", "B", "C"}


def test_one_side_that_was_forced_alone_links_nothing(log: Log) -> None:
    _, received = account_changed("merged", "A", "B", forced="import", actorrole="admin")
    log.append([received], ADMIN)
    assert (followed(log, "B"), heirs(log, "A")) == (["B"], [])
    assert notes_of(log, handed_out(log, "B")[1]) == {"B was here"}


def test_to_erase_a_member_reaches_the_accounts_merged_into_theirs_and_no_other(log: Log) -> None:
    log.append(account_changed("merged", "A", "B", "x"))
    log.append(account_changed("transferred", "D", "B", "y"))
    found = plan(log, Target(member="B"))
    assert (found.accounts, {part.stream for part in found.streams}) == (
        ["A"],
        {"member:A", "member:B", "reservation:R-A-1", "reservation:R-B-1"},
    )
    receipt = erase(log, Target(member="B"), "requested")
    assert [(one.member, one.position) for one in receipt.accounts] == [("A", receipt.position + 1)]
    assert json.loads(receipt.accounts[0].entry)["event"]["stream"] == "member:A"
    for member, expected in (("A", False), ("B", False), ("C", True), ("D", True)):
        assert any(values_left(log, member)) is expected
    assert erase(log, Target(member="B"), "requested") == receipt
    assert notes_of(log, handed_out(log, "B")[1]) == set()
    assert audit(log.store, log.verifier_keys).ok


def test_to_erase_the_account_that_ended_leaves_the_one_that_lives_on(log: Log) -> None:
    log.append(account_changed("merged", "A", "B"))
    assert plan(log, Target(member="A")).accounts == []
    erase(log, Target(member="A"), "requested")
    assert (any(values_left(log, "A")), all(values_left(log, "B"))) == (False, True)
    # The id may be somebody else's from now on: their history is none of B's, and B's erasure leaves it alone.
    log.append([registered("A"), note("A", "somebody new", 2)])
    assert notes_of(log, handed_out(log, "B")[1]) == {"B was here"}
    erase(log, Target(member="B"), "requested")
    assert [value for value in values_left(log, "A") if value] == [
        {"name": "Name of A", "email": "A@example.org"},
        {"notes": "somebody new"},
    ]


def test_a_hold_on_a_member_reaches_the_accounts_that_were_merged_into_theirs(log: Log) -> None:
    log.append(account_changed("merged", "A", "B", "x"))
    log.append(account_changed("merged", "B", "C", "y"))
    log.append([cloud("hold.placed", "hold:H", {"reason": "litigation", "scope": "member", "target": "C"})])
    for member in "ABC":
        with pytest.raises(Held, match="hold:H"):
            erase(log, Target(member=member), "requested")
    assert [hold.stream for hold in plan(log, Target(member="A")).holds] == ["hold:H"]
    assert erase(log, Target(member="D"), "requested").effective


def test_a_merge_while_an_erasure_is_on_its_way_refuses_that(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    from ledger.epoch_keys import EpochKeys

    make = EpochKeys.make

    def make_late(self: EpochKeys, epoch: int) -> None:
        make(self, epoch)
        log.append(account_changed("merged", "A", "B"))

    monkeypatch.setattr(EpochKeys, "make", make_late)
    with pytest.raises(Conflict, match="account was changed"):
        erase(log, Target(member="B"), "requested")
    monkeypatch.undo()
    assert len(erase(log, Target(member="B"), "requested").accounts) == 1


# --- Histories as files ----------------------------------------------------------------------------------------------


def test_a_history_pins_its_own_end_and_is_whole_at_any_later_time(log: Log) -> None:
    log.append(account_changed("merged", "A", "B"))
    done, data = handed_out(log, "B")
    log.append([note("B", "after it", 2)])
    proven = verify_history(io.BytesIO(data), log.verifier_keys)
    assert (proven.member, proven.entries) == ("B", {"B": 4, "A": 4})
    assert (proven.redaction.policy, proven.tally.disclosed, dict(proven.tally.withheld)) == ("member", 6, {})
    issued = [log.row(at).content() for at in (done.position, done.position + 1)]
    assert [one.event.member for one in issued] == ["B", "A"]
    assert [one.seal.member_version for one in issued] == [4, 4]
    said = issued[0].event.public()
    assert (said["entries"], said["redaction"], said["scope"], said["values_withheld"]) == (3, "member", "member", 0)


def test_the_entries_of_the_file_are_exactly_those_of_the_log_up_to_the_export(log: Log) -> None:
    log.append(account_changed("merged", "A", "B"))
    done, data = handed_out(log, "B", "auditor")
    told = [bytes(one["entry"]) for one in contents(io.BytesIO(data))]
    last = done.position + 1
    assert told == [row.entry for row in log.scan(Selection(last=last)) if row.content().event.member in ("A", "B")]
    proven = verify_history(io.BytesIO(data), log.verifier_keys)
    assert (proven.tally.disclosed, dict(proven.tally.withheld)) == (0, {"not-disclosed": 6})
    assert b"was here" not in data


def rewritten(log: Log, data: bytes, change: Any) -> bytes:
    """The file made anew from its own parts after a change of its list of items."""
    file = io.BytesIO(data)
    header = history.read_header(file)
    items = change([item for item, _ in history.read_items(file, header)])
    out = io.BytesIO()
    history.write_history(out, header._replace(entries=len(items)), items)
    return out.getvalue()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda items: items[1:], "number 2 about A, where number 1 belongs"),
        (lambda items: [*items[:3], *items[4:]], "where number"),
        (lambda items: items[:-1], "no end"),
        (lambda items: items[:-2], "no end"),
        (lambda items: [items[1], items[0], *items[2:]], "stands after"),
        (lambda items: [*items[:2], items[1], *items[2:]], "stands after"),
        (lambda items: [one for one in items if b'"member":"A"' not in one.record.entry], "lacks the account A"),
        (lambda items: [items[0]._replace(proof=items[1].proof), *items[1:]], "not proven"),
        (lambda items: [items[0]._replace(proof=items[0].proof[1:]), *items[1:]], "not proven"),
        (
            lambda items: [items[0]._replace(record=items[0].record._replace(annex=items[1].record.annex)), *items[1:]],
            "no commitment",
        ),
        (
            lambda items: [items[0]._replace(record=items[0].record._replace(annex=b"")), *items[1:]],
            "not canonical JSON",
        ),
    ],
    ids=[
        "first",
        "middle",
        "last",
        "both ends",
        "swapped",
        "twice",
        "account",
        "proof",
        "short proof",
        "annex",
        "no annex",
    ],
)
def test_a_history_that_is_not_whole_or_not_its_own_is_refused(log: Log, change: Any, why: str) -> None:
    log.append(account_changed("merged", "A", "B"))
    _, data = handed_out(log, "B")
    assert rewritten(log, data, lambda items: items) == data
    with pytest.raises((VerificationError, ProofError), match=why):
        verify_history(io.BytesIO(rewritten(log, data, change)), log.verifier_keys)


def test_a_stranger_s_entries_are_refused_in_a_history(log: Log) -> None:
    mine, theirs = handed_out(log, "B")[1], handed_out(log, "C")[1]
    file = io.BytesIO(theirs)
    header = history.read_header(file)
    others = [item for item, _ in history.read_items(file, header)]
    own = io.BytesIO(mine)
    kept = [item for item, _ in history.read_items(own, history.read_header(own))]
    # Under the later checkpoint all of them could be proven; so it is the history's own rule that refuses them.
    size = log.checkpoint()[0].size
    with log.store.reading() as reads:
        proofs = [tuple(tiles.inclusion_proof(reads.tile, position, size)) for position in range(size)]
    both = sorted([*kept, *others], key=lambda item: json.loads(item.record.entry)["seal"]["position"])
    anew = [item._replace(proof=proofs[json.loads(item.record.entry)["seal"]["position"]]) for item in both]
    out = io.BytesIO()
    history.write_history(out, header._replace(member="B", entries=len(anew)), anew)
    with pytest.raises(VerificationError, match="entries of C, which is none of its accounts"):
        verify_history(io.BytesIO(out.getvalue()), log.verifier_keys)


def test_no_changed_byte_of_a_history_and_no_cut_goes_unnoticed(log: Log) -> None:
    log.append(account_changed("merged", "A", "B"))
    _, good = handed_out(log, "B")
    keys = log.verifier_keys
    words = range(good.index(b"redaction"), good.index(b"}}\n"))  # why values were withheld is the maker's own word
    signatures = range(good.index(b"\n\n"), good.index(b"\n\n") + 4_000)  # those of unknown keys are ignored
    for at in range(0, len(good), 7):
        if at in words or at in signatures:
            continue
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        with pytest.raises(LedgerError):
            verify_history(io.BytesIO(bad), keys)
    for at in range(0, len(good), 101):
        with pytest.raises(LedgerError):
            verify_history(io.BytesIO(good[:at]), keys)
    with pytest.raises(VerificationError, match="goes on"):
        verify_history(io.BytesIO(good + b"x"), keys)


def test_nobody_s_history_is_handed_out_and_nothing_is_recorded_of_it(log: Log) -> None:
    size = log.head().size
    with pytest.raises(NotFound, match="nothing of member Z"):
        handed_out(log, "Z")
    assert log.head().size == size


def test_an_entry_that_comes_in_between_is_counted_before_the_history_is_pinned(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tools import slices

    issue, late = slices._issue, [note("B", "in between", 2)]

    def issue_late(*arguments: Any) -> list[int]:
        if late:
            log.append([late.pop()])
        return issue(*arguments)

    monkeypatch.setattr(slices, "_issue", issue_late)
    done, data = handed_out(log, "B")
    assert notes_of(log, data) == {"B was here", "in between"}
    assert log.row(done.position).content().event.public()["entries"] == 3
