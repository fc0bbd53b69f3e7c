"""Trust policies: what they accept, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import witness
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import BadSignature, MalformedPolicy, QuorumMissed, UnknownKey
from ledger.merkle import leaf_hash
from ledger.note import Ed25519Cosigner, Ed25519Signer, MLDSA44Signer
from ledger.trust_policy import open_witnessed, parse_policy

ORIGIN = "ledger.example/studio"
LOG = Ed25519Signer(ORIGIN, bytes(32))
TREE = Checkpoint(ORIGIN, 1, leaf_hash(b"one"))
W = [Ed25519Cosigner(f"w.example/{number}", bytes([number + 1]) * 32) for number in range(6)]
KEYS = [cosigner.key for cosigner in W]
NAMES = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
WITNESSES = "".join(f"witness {name} {key}\n" for name, key in zip(NAMES, KEYS, strict=True))
# The shape of the specification's own example: two of the X and any of the Y.
EXAMPLE = f"""
log {LOG.key}

{WITNESSES}
group X-witnesses 2 X1 X2 X3
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
""".encode()


def cosigned(by: Sequence[int]) -> bytes:
    note = sign_checkpoint(TREE, [LOG])
    for number in by:
        answer = witness.cosign(TREE, [W[number]], 1_700_000_000)
        note = witness.with_cosignatures(note, witness.parse_cosignatures(answer))
    return note


@given(st.sets(st.integers(0, 5)))
def test_the_quorum_of_the_specifications_example_is_two_of_x_and_any_of_y(by: set[int]) -> None:
    policy = parse_policy(EXAMPLE)
    enough = len(by & {0, 1, 2}) >= 2 and bool(by & {3, 4, 5})

    assert policy.agreed([KEYS[number] for number in by]) is enough
    if enough:
        assert open_witnessed(cosigned(sorted(by)), policy) == TREE
    else:
        with pytest.raises(QuorumMissed, match="is not the quorum X-and-Y"):
            open_witnessed(cosigned(sorted(by)), policy)


def test_no_quorum_asks_for_no_witness() -> None:
    policy = parse_policy(f"log {LOG.key}\nquorum none\n".encode())

    assert open_witnessed(cosigned([]), policy) == TREE


def test_a_quorum_may_be_one_witness() -> None:
    policy = parse_policy(f"{WITNESSES}log {LOG.key}\nquorum X2\n".encode())

    assert open_witnessed(cosigned([1]), policy) == TREE
    with pytest.raises(QuorumMissed, match="cosigned by X1, which"):
        open_witnessed(cosigned([0]), policy)


def test_witnesses_can_not_stand_in_for_the_log() -> None:
    policy = parse_policy(f"{WITNESSES}log {Ed25519Signer(ORIGIN, b'z' * 32).key}\nquorum X1\n".encode())

    with pytest.raises(UnknownKey):
        open_witnessed(cosigned([0]), policy)


def test_a_log_known_otherwise_needs_no_line() -> None:
    policy = parse_policy(f"{WITNESSES}quorum X1\n".encode())

    assert open_witnessed(cosigned([0]), policy, log_keys=[LOG.key]) == TREE


def test_a_false_cosignature_sinks_the_checkpoint() -> None:
    other = witness.cosign(Checkpoint(ORIGIN, 1, leaf_hash(b"two")), [W[0]], 1)
    note = witness.with_cosignatures(sign_checkpoint(TREE, [LOG]), witness.parse_cosignatures(other))

    with pytest.raises(BadSignature):
        open_witnessed(note, parse_policy(EXAMPLE))


def test_urls_blank_lines_comments_tabs_and_other_bytes_are_taken() -> None:
    text = f"# a policy\n\t \n  log\t{LOG.key}   https://log.example/ \n witness K\xf6ln {KEYS[0]} https://w.example\n".encode(
        "latin-1"
    )
    policy = parse_policy(text + "quorum K\xf6ln\n".encode("latin-1"))

    assert policy.logs[0].url == "https://log.example/"
    (name,) = policy.witnesses
    assert policy.witnesses[name].url == "https://w.example"
    assert policy.agreed([KEYS[0]])


def test_ml_dsa_44_keys_may_be_logs_and_witnesses() -> None:
    log, cosigner = MLDSA44Signer(ORIGIN, bytes(32)), MLDSA44Signer("w.example/pq", b"q" * 32)
    policy = parse_policy(f"log {log.key}\nwitness pq {cosigner.key}\nquorum pq\n".encode())
    answer = witness.cosign(TREE, [cosigner], 7)

    note = witness.with_cosignatures(sign_checkpoint(TREE, [log], 7), witness.parse_cosignatures(answer))

    assert open_witnessed(note, policy) == TREE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "has no quorum line"),
        ("quorum none", "does not end in a newline"),
        ("quorum none\nquorum none\n", "line 2: there is a quorum already"),
        ("quorum X\n", "line 1: 'X' is not defined on a line before"),
        ("group G any X\n", "line 1: 'X' is not defined"),
        ("group G any\n", "line 1: the group has no members"),
        ("watcher W\n", "line 1: 'watcher W' is no line of"),
        ("log nonsense\nquorum none\n", "line 1: not a verifier key"),
        ("quorum \x07none\n", "line 1: it holds a control character"),
        (f"log {KEYS[0]}\n", "line 1: w.example/0: a key of type 4 is not for this, only 1 or 6"),
        (f"witness W {LOG.key}\n", "a key of type 1 is not for this, only 4 or 6"),
        (f"witness none {KEYS[0]}\n", "the name 'none' is taken"),
        (f"witness W {KEYS[0]}\nwitness W {KEYS[1]}\n", "line 2: the name 'W' is taken"),
        (f"witness W {KEYS[0]}\nwitness V {KEYS[0]}\n", "line 2: w.example/0: the same public key"),
        (f"log {LOG.key}\nlog {LOG.key}\n", "line 2: ledger.example/studio: the same public key"),
        (f"witness W {KEYS[0]}\ngroup G 2 W\n", "the threshold '2' is not all, any or a number from 1 to 1"),
        (f"witness W {KEYS[0]}\ngroup G 0 W\n", "the threshold '0'"),
        (f"witness W {KEYS[0]}\ngroup G 01 W\n", "the threshold '01'"),
        (f"witness W {KEYS[0]}\ngroup G any W W\n", "'W' is a member of a group already"),
        (f"witness W {KEYS[0]}\ngroup G any W\ngroup H any W\n", "line 3: 'W' is a member of a group already"),
        (f"witness W {KEYS[0]}\ngroup G any none\n", "'none' is not defined"),
        (f"witness W {KEYS[0]}\ngroup G any G\n", "'G' is not defined"),
    ],
)
def test_a_faulty_policy_is_refused_with_its_line(text: str, fault: str) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        parse_policy(text.encode())

    assert fault in str(refused.value)


def test_the_same_key_under_two_names_is_still_the_same_key() -> None:
    twin = Ed25519Cosigner("w.example/twin", bytes([1]) * 32)

    with pytest.raises(MalformedPolicy, match="the same public key"):
        parse_policy(f"witness W {KEYS[0]}\nwitness V {twin.key}\nquorum W\n".encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_refused(data: bytes) -> None:
    try:
        parse_policy(data)
    except MalformedPolicy:
        return
