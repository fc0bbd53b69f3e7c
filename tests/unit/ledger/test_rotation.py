"""The statement of a rotation: its bytes, who signs it, and what is none."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import canonical
from ledger.errors import BadSignature, MalformedNote, MalformedRotation
from ledger.note import COSIGNATURE_ED25519, Ed25519Cosigner, VerifierKey, labelled, open_note, verify_labelled
from ledger.rotation import LABEL, Rotation, is_rotation
from tests.support.events import ORIGIN
from tests.support.rotations import created, entry_of, keys, rotation, signers

SIGNED = rotation("one", "two")
KEYS = st.integers(1, 8)


def many(name, count):
    return tuple(itertools.chain(*(keys(f"{name}-{number}") for number in range((count + 1) // 2))))[:count]


@given(
    size=st.integers(1, 2**53 - 1),
    root=st.binary(min_size=32, max_size=32),
    reason=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True),
    counts=st.tuples(KEYS, KEYS),
    content=st.data(),
)
def test_data_and_statement_are_inverse_to_each_other(size, root, reason, counts, content):
    one = st.binary(min_size=1, max_size=3_000)
    signatures = tuple(content.draw(st.lists(one, min_size=sum(counts), max_size=sum(counts))))
    made = Rotation(size, root, reason, many("old", counts[0]), many("new", counts[1]), signatures)
    assert Rotation.parse(size, made.data()) == made
    assert Rotation.of_entry(entry_of(made)) == made
    canonical.check(made.data(), "$", 0)


def test_all_keys_sign_lines_that_name_everything():
    lines = SIGNED.content().decode().split("\n")
    assert lines == [
        ORIGIN,
        "10",
        "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=",
        "scheduled",
        "2",
        *map(str, keys("one")),
        "2",
        *map(str, keys("two")),
        "",
    ]
    SIGNED.verify()
    assert [len(signature) for signature in SIGNED.signatures] == [64, 2_420] * 2
    for key, signature in zip((*keys("one"), *keys("two")), SIGNED.signatures, strict=True):
        verify_labelled(LABEL, SIGNED.content(), signature, key)


@pytest.mark.parametrize("at", range(4))
def test_a_signature_of_each_old_and_new_key_is_needed(at):
    signatures = list(SIGNED.signatures)
    for other in (signatures[at][:-1] + bytes([signatures[at][-1] ^ 1]), signatures[at ^ 2], signatures[at ^ 1], b"x"):
        with pytest.raises(BadSignature, match=LABEL):
            replace(SIGNED, signatures=(*signatures[:at], other, *signatures[at + 1 :])).verify()


@pytest.mark.parametrize(
    "change",
    [
        {"size": 11},
        {"root": b"\x06" * 32},
        {"reason": "compromised"},
        {"retired": keys("three")},
        {"keys": keys("three")},
        {"retired": keys("one")[::-1]},
        {"retired": keys("two"), "keys": keys("one")},
    ],
)
def test_a_signature_holds_for_nothing_else(change):
    with pytest.raises(BadSignature):
        replace(SIGNED, **change).verify()


def test_an_attacker_with_the_new_keys_alone_signs_no_rotation():
    forged = Rotation(10, b"\x05" * 32, "scheduled", keys("one"), keys("evil"))
    with pytest.raises(MalformedRotation, match="each key that goes"):
        forged.signed((*signers("evil"), *signers("evil")))
    content = forged.content()
    theirs = tuple(signer.sign_labelled(LABEL, content) for signer in signers("evil") * 2)
    with pytest.raises(BadSignature):
        replace(forged, signatures=theirs).verify()


def test_no_statement_is_signed_that_is_of_no_ledger_or_of_two():
    one, two = keys("one"), keys("two")
    for fault, change in (
        ("origin", {"keys": keys("two", "ledger.example/other")}),
        ("same key twice", {"keys": one}),
        ("same key twice", {"keys": (two[0], one[1])}),
        ("same key twice", {"keys": (two[0], two[0])}),
        ("retires 1 to 8", {"keys": ()}),
        ("retires 1 to 8", {"retired": ()}),
        ("retires 1 to 8", {"retired": many("old", 9)}),
        ("position 1 or later", {"size": 0}),
        ("position 1 or later", {"root": bytes(31)}),
        ("reason", {"reason": "Two\nlines"}),
        ("reason", {"reason": ""}),
        ("type", {"keys": (Ed25519Cosigner(ORIGIN, bytes(32)).key,)}),
        ("signatures", {"signatures": SIGNED.signatures[:3]}),
    ):
        with pytest.raises(MalformedRotation, match=fault):
            replace(SIGNED, **change)
    assert Ed25519Cosigner(ORIGIN, bytes(32)).key.type == COSIGNATURE_ED25519
    with pytest.raises(MalformedRotation, match="not signed"):
        replace(SIGNED, signatures=()).verify()


def test_a_statement_is_no_note_nor_a_note_a_statement():
    with pytest.raises(ValueError, match="label"):
        labelled("subtree/v1", b"")
    for label in ("a\nb", "\u00e4", "a\x00"):
        with pytest.raises(ValueError, match="label"):
            labelled(label, b"")
    message = labelled(LABEL, SIGNED.content())
    with pytest.raises(MalformedNote, match="control character"):
        open_note(message + b"\n\xe2\x80\x94 x AAAA\n", keys("one"))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("root"),
        lambda data: data.update(more=1),
        lambda data: data.update(root="AAAA"),
        lambda data: data.update(root=5),
        lambda data: data.update(signatures=[]),
        lambda data: data.update(signatures="AAAA"),
        lambda data: data["signatures"].pop(),
        lambda data: data["signatures"].append("AAAA"),
        lambda data: data.update(signatures=["!"] * 4),
        lambda data: data.update(signatures=[1] * 4),
        lambda data: data.update(reason=None),
        lambda data: data.update(verifier_keys=[]),
        lambda data: data.update(verifier_keys=["x"]),
        lambda data: data.update(retired_keys=None),
        lambda data: data["retired_keys"].append(data["verifier_keys"][0]),
    ],
)
def test_data_of_another_form_are_refused(change):
    data = SIGNED.data()
    change(data)
    with pytest.raises((MalformedRotation, MalformedNote)):
        Rotation.parse(10, data)


@pytest.mark.parametrize("data", [None, [], "x", 5, {}])
def test_what_is_no_object_with_these_fields_is_no_rotation(data):
    with pytest.raises(MalformedRotation):
        Rotation.parse(10, data)


def test_only_an_entry_of_the_ledgers_own_stream_states_one():
    assert is_rotation(entry_of(SIGNED))
    assert not is_rotation(created("one"))
    for entry in (
        created("one"),
        b"noise",
        entry_of(SIGNED).replace(b'"ledger:main"', b'"ledger:other"'),
        entry_of(SIGNED).replace(b'"type":"ledger.key_rotated"', b'"type":"ledger.key_turned"'),
    ):
        with pytest.raises(MalformedRotation):
            Rotation.of_entry(entry)


def test_a_verifier_key_stands_in_the_entry_as_it_is_given_out():
    assert [VerifierKey.parse(text) for text in SIGNED.data()["verifier_keys"]] == list(keys("two"))
    assert len(entry_of(SIGNED)) < 12_000, "far from the 65,535 bytes that an entry may have"
