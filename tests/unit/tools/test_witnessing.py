"""The client of witnesses: which answers count, and that nobody keeps it from coming to an end."""

import threading
import time

import pytest

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import StoreError
from ledger.merkle import consistency_ranges, leaf_hash, root_of
from ledger.note import Ed25519Cosigner, Ed25519Signer, open_note
from ledger.trust_policy import parse_policy
from ledger.witness import cosign, parse_request
from tools import witnessing
from tools.witnessing import Answer, HTTPAnswer, Sizes, Witnesses

ORIGIN = "ledger.example/studio"
LOG = Ed25519Signer(ORIGIN, bytes(32))
LEAVES = [leaf_hash(b"%d" % number) for number in range(16)]
NAMES = ["w0", "w1", "w2"]
SIGNERS = {name: Ed25519Cosigner(f"witness.example/{name}", name.encode() * 16) for name in NAMES}
NEVER = 5.0


def policy(quorum=2):
    lines = [f"witness {name} {signer.key} https://{name}.example/" for name, signer in SIGNERS.items()]
    return parse_policy("\n".join([*lines, f"group all {quorum} w0 w1 w2", "quorum all", ""]).encode())


def tree(size):
    return Checkpoint(ORIGIN, size, root_of(LEAVES[:size]))


def prove(old, new):
    return [root_of(LEAVES[low:high]) for low, high in consistency_ranges(old, new)]


def collect(path, ask, *, quorum=2, size=8, proof=prove, sizes=None):
    witnesses = Witnesses(policy(quorum), sizes or Sizes(path / "sizes"), ask)
    return witnesses.collect(tree(size), sign_checkpoint(tree(size), [LOG]), proof)


def good(url, body):
    """What an honest witness answers that has never seen the log."""
    name = url.removeprefix("https://").partition(".")[0]
    assert url == f"https://{name}.example/add-checkpoint"
    request = parse_request(body)
    if request.old:
        return HTTPAnswer(409, b"0\n")
    return HTTPAnswer(200, cosign(tree(8), [SIGNERS[name]], 1_700_000_000))


def only(*names, else_):
    """Honest answers of these, and another answer of the rest."""
    return lambda url, body: good(url, body) if any(f"//{name}." in url for name in names) else else_(url, body)


def outcomes(collected):
    return [(one.name, one.outcome) for one in collected.answers]


def test_all_cosignatures_of_honest_witnesses_are_put_together(tmp_path):
    collected = collect(tmp_path, good)

    keys = [LOG.key, *(signer.key for signer in SIGNERS.values())]
    assert collected.agreed
    assert set(open_note(collected.note, keys).verified) == set(keys)
    assert outcomes(collected) == [(name, "cosigned") for name in NAMES]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (HTTPAnswer(200, b""), "does not verify"),
        (HTTPAnswer(200, b"\xff\xfe"), "does not verify"),
        (HTTPAnswer(200, b"<html>hello</html>\n"), "does not verify"),
        (HTTPAnswer(200, cosign(tree(7), [SIGNERS["w2"]], 1)), "does not verify"),
        (HTTPAnswer(200, cosign(tree(8), [SIGNERS["w0"]], 1)), "without a signature of"),
        (
            HTTPAnswer(200, cosign(tree(8), [Ed25519Cosigner("witness.example/w2", bytes(32))], 1)),
            "without a signature",
        ),
        (HTTPAnswer(200, cosign(tree(8), [SIGNERS["w2"]], 1) * 101), "does not verify"),
        (HTTPAnswer(409, b""), "409 without the size"),
        (HTTPAnswer(409, b"-1\n"), "409 without the size"),
        (HTTPAnswer(409, b"\xd9\xa7\n"), "409 without the size"),
        (HTTPAnswer(409, b"0\n"), "another tree of 0"),
        (HTTPAnswer(409, b"9\n"), "it has cosigned a tree of 9, this one has 8"),
        (HTTPAnswer(403, b"who are you?\n"), "403: who are you?"),
        (HTTPAnswer(302, b""), "302"),
    ],
)
def test_a_false_witness_counts_for_nothing_and_harms_nobody(tmp_path, answer, why):
    for quorum in (2, 3):
        collected = collect(tmp_path, only("w0", "w1", else_=lambda url, body: answer), quorum=quorum)

        assert collected.agreed is (quorum == 2)
        assert outcomes(collected) == [("w0", "cosigned"), ("w1", "cosigned"), ("w2", "refused")]
        assert why in collected.answers[2].detail
        assert len(open_note(collected.note, [LOG.key, *(s.key for s in SIGNERS.values())]).verified) == 3


def test_a_witness_that_leads_round_in_circles_is_left(tmp_path):
    asked = []

    def circle(url, body):
        asked.append(parse_request(body).old)
        return HTTPAnswer(409, b"%d\n" % (asked[-1] + 1))

    collected = collect(tmp_path, only("w0", "w1", else_=circle))

    assert asked == [0, 1, 2]
    assert "asked for this log by others" in collected.answers[2].detail


def test_a_slow_witness_is_not_waited_for_once_the_others_are_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(witnessing, "GRACE", 0.05)
    released = threading.Event()

    def slow(url, body):
        released.wait(NEVER)
        return good(url, body)

    began = time.monotonic()
    witnesses = Witnesses(policy(), Sizes(tmp_path / "sizes"), only("w0", "w1", else_=slow))
    first = witnesses.collect(tree(8), sign_checkpoint(tree(8), [LOG]), prove)
    second = witnesses.collect(tree(8), sign_checkpoint(tree(8), [LOG]), prove)

    assert time.monotonic() - began < NEVER
    for collected in (first, second):
        assert collected.agreed
        assert collected.answers[2] == Answer("w2", "unreachable", "it has not answered in time")
    assert sum(thread.name.startswith("witness") for thread in threading.enumerate()) <= 1
    released.set()


def test_without_a_quorum_it_ends_when_patience_does(tmp_path, monkeypatch):
    monkeypatch.setattr(witnessing, "PATIENCE", 0.1)
    released = threading.Event()

    collected = collect(tmp_path, lambda url, body: released.wait(NEVER) and good(url, body), quorum=1)

    assert not collected.agreed
    assert outcomes(collected) == [(name, "unreachable") for name in NAMES]
    released.set()


def test_it_ends_when_told_to_stop(tmp_path):
    released = threading.Event()
    witnesses = Witnesses(
        policy(), Sizes(tmp_path / "sizes"), lambda *_: released.wait(NEVER) and good(*_), stopping=lambda: True
    )

    collected = witnesses.collect(tree(8), sign_checkpoint(tree(8), [LOG]), prove)

    assert not collected.agreed
    released.set()


def test_a_fault_of_our_own_is_not_taken_for_one_of_a_witness(tmp_path):
    def broken(old, new):
        raise StoreError("gone")

    with pytest.raises(StoreError, match="gone"):
        collect(tmp_path, lambda url, body: HTTPAnswer(409, b"3\n"), proof=broken)


def test_what_each_cosigned_last_is_remembered_and_may_be_damaged(tmp_path):
    collect(tmp_path, good)
    assert [Sizes(tmp_path / "sizes").of(signer.key) for signer in SIGNERS.values()] == [8, 8, 8]
    (tmp_path / "sizes").write_bytes(b"[]")
    assert Sizes(tmp_path / "sizes").of(LOG.key) == 0
