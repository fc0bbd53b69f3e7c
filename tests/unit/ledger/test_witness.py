"""A witness cosigns what extends what it has seen, and nothing else."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ledger import witness
from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import BadSignature
from ledger.merkle import consistency_ranges, leaf_hash, root_of
from ledger.note import Ed25519Cosigner, Ed25519Signer, MLDSA44Signer, open_note
from ledger.strict import write_base64
from ledger.witness import Refused, Request

ORIGIN = "ledger.example/studio"
LOG = Ed25519Signer(ORIGIN, bytes(32))
WITNESS = [Ed25519Cosigner("witness.example/w", b"\1" * 32), MLDSA44Signer("witness.example/w", b"\2" * 32)]
LEAVES = [leaf_hash(b"%d" % number) for number in range(64)]
OTHERS = [leaf_hash(b"other %d" % number) for number in range(64)]


def signed(size: int, leaves: list[bytes] = LEAVES, signer: Ed25519Signer = LOG) -> bytes:
    return sign_checkpoint(Checkpoint(signer.key.name, size, root_of(leaves[:size])), [signer])


def proof(old: int, new: int, leaves: list[bytes] = LEAVES) -> tuple[bytes, ...]:
    return tuple(root_of(leaves[low:high]) for low, high in consistency_ranges(old, new)) if 0 < old < new else ()


def asked(old: int, new: int, leaves: list[bytes] = LEAVES) -> Request:
    return Request(old, proof(old, new, leaves), signed(new, leaves))


def last(size: int) -> Checkpoint | None:
    return Checkpoint(ORIGIN, size, root_of(LEAVES[:size])) if size else None


def refusal(request: Request, seen: Checkpoint | None, keys: object = (LOG.key,)) -> Refused:
    with pytest.raises(Refused) as refused:
        witness.decide(request, keys, seen)  # type: ignore[arg-type]
    return refused.value


@given(st.integers(0, 64), st.integers(0, 64))
def test_a_tree_that_extends_the_last_one_is_cosigned(one: int, other: int) -> None:
    old, new = sorted((one, other))

    decided = witness.decide(asked(old, new), [LOG.key], last(old))

    assert (decided.size, decided.root) == (new, root_of(LEAVES[:new]))


@given(st.integers(0, 63), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_requests_are_read_back_as_they_were_written(old: int, hashes: list[bytes]) -> None:
    request = Request(old, tuple(hashes), signed(8))

    assert witness.parse_request(witness.format_request(request)) == request


def test_an_unknown_log_is_answered_with_404() -> None:
    assert refusal(asked(0, 8), None, keys=()).status == HTTPStatus.NOT_FOUND


def test_a_signature_by_nobody_known_is_answered_with_403() -> None:
    forged = Request(0, (), signed(8, signer=Ed25519Signer(ORIGIN, b"\7" * 32)))

    assert refusal(forged, None).status == HTTPStatus.FORBIDDEN


def test_a_false_signature_of_a_known_key_is_answered_with_403() -> None:
    note = signed(8).replace(write_base64(root_of(LEAVES[:8])).encode(), write_base64(root_of(OTHERS[:8])).encode())

    assert refusal(Request(0, (), note), None).status == HTTPStatus.FORBIDDEN


def test_another_old_size_is_answered_with_409_and_the_size_cosigned_last() -> None:
    for old in (0, 3, 7):
        refused = refusal(asked(old, 8), last(5))
        assert (refused.status, refused.size) == (HTTPStatus.CONFLICT, 5)
    assert refusal(asked(5, 8), None).size == 0


def test_an_old_size_above_the_new_is_answered_with_400() -> None:
    assert refusal(Request(9, (), signed(8)), last(9)).status == HTTPStatus.BAD_REQUEST


def test_another_history_is_answered_with_422() -> None:
    assert refusal(asked(5, 8, OTHERS), last(5)).status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_another_root_at_the_same_size_is_answered_with_422() -> None:
    assert refusal(asked(8, 8, OTHERS), last(8)).status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_proof_from_size_0_is_answered_with_422() -> None:
    assert refusal(Request(0, (LEAVES[0],), signed(8)), None).status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_size_0_with_the_root_of_a_tree_is_answered_with_422() -> None:
    body = f"{ORIGIN}\n0\n{write_base64(LEAVES[0])}\n"
    note = f"{body}\n\N{EM DASH} {ORIGIN} {write_base64(LOG.key.key_id + bytes(64))}\n".encode()

    assert refusal(Request(0, (), note), None).status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_checkpoint_with_extension_lines_is_answered_with_400() -> None:
    text = Checkpoint(ORIGIN, 8, root_of(LEAVES[:8]), ("more",)).body()
    sig = LOG.sign(text)
    note = f"{text}\n\N{EM DASH} {ORIGIN} {write_base64(sig.key_id + sig.value)}\n".encode()

    assert refusal(Request(0, (), note), None).status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 1\n",
        b"old 01\n\nx",
        b"new 1\n\nx",
        b"old 1\n????\n\nx",
        b"old 1\nAAAA\n\nx",
        b"old -1\n\nx",
        b"old 1" + b"\n" + b"\n".join([write_base64(bytes(32)).encode()] * 64) + b"\n\nx",
    ],
)
def test_what_is_no_request_is_answered_with_400(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        witness.parse_request(body)

    assert refused.value.status == HTTPStatus.BAD_REQUEST


def test_cosignatures_are_added_to_the_checkpoint_and_verify() -> None:
    answer = witness.cosign(Checkpoint(ORIGIN, 8, root_of(LEAVES[:8])), WITNESS, 1_700_000_000)

    note = witness.with_cosignatures(signed(8), witness.parse_cosignatures(answer))

    opened = open_note(note, [LOG.key, *(signer.key for signer in WITNESS)])
    assert opened.verified == (LOG.key, *(signer.key for signer in WITNESS))
    assert opened.times == (None, 1_700_000_000, 1_700_000_000)
    again = witness.with_cosignatures(note, witness.parse_cosignatures(answer))
    assert len(open_note(again, [LOG.key]).text) == len(opened.text)
    assert again.count(b"\n") == note.count(b"\n")


def test_cosignatures_over_another_tree_do_not_verify() -> None:
    answer = witness.cosign(Checkpoint(ORIGIN, 7, root_of(LEAVES[:7])), WITNESS[:1], 1)
    note = witness.with_cosignatures(signed(8), witness.parse_cosignatures(answer))

    assert open_checkpoint(note, [LOG.key]).size == 8
    with pytest.raises(BadSignature):
        open_note(note, [LOG.key, WITNESS[0].key])


class AnyOrderOfRequests(RuleBasedStateMachine):
    """Whatever two histories ask, in whatever order: all that was cosigned is one history."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Checkpoint | None = None
        self.cosigned: list[Checkpoint] = []

    @rule(old=st.integers(0, 20), grow=st.integers(0, 20), leaves=st.sampled_from([LEAVES, OTHERS]))
    def ask(self, old: int, grow: int, leaves: list[bytes]) -> None:
        try:
            self.seen = witness.decide(asked(old, old + grow, leaves), [LOG.key], self.seen)
        except Refused:
            return
        self.cosigned.append(self.seen)

    @rule(grow=st.integers(0, 20), leaves=st.sampled_from([LEAVES, OTHERS]))
    @precondition(lambda self: self.seen is not None and self.seen.size < 40)
    def ask_from_the_last(self, grow: int, leaves: list[bytes]) -> None:
        assert self.seen is not None
        self.ask(self.seen.size, grow, leaves)

    @invariant()
    def one_history(self) -> None:
        sizes = [one.size for one in self.cosigned]
        assert sizes == sorted(sizes)
        first = next((one for one in self.cosigned if one.size), None)
        if first is not None:
            leaves = LEAVES if first.root == root_of(LEAVES[: first.size]) else OTHERS
            assert all(one.root == root_of(leaves[: one.size]) for one in self.cosigned)


TestAnyOrderOfRequests = AnyOrderOfRequests.TestCase
