import json
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint
from ledger.errors import BadSignature, MalformedNote, SignatureError, UnknownKey
from ledger.note import (
    COSIGNATURE_ED25519,
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    ML_DSA_44,
    Ed25519Cosigner,
    Ed25519Signer,
    MLDSA44Signer,
    Note,
    Signature,
    VerifierKey,
    format_note,
    open_note,
    parse_note,
)


def seed_of(name):
    return sha256(f"a key for tests: {name}".encode()).digest()


LOG = Ed25519Signer("ledger.example/log", seed_of("log"))
LOG_PQ = MLDSA44Signer("ledger.example/log", seed_of("log pq"))
OTHER = Ed25519Signer("ledger.example/other", seed_of("other"))
WITNESS = Ed25519Cosigner("witness.example/w", seed_of("witness"))
SIGNERS = [LOG, LOG_PQ, WITNESS]
CHECKPOINT = Checkpoint("ledger.example/log", 7, bytes(range(32))).body()

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="+"), min_size=1, max_size=12
).filter(lambda name: not any(character.isspace() for character in name))
LINES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(code) for code in range(32)]), max_size=12
)
TEXTS = st.lists(LINES, min_size=1, max_size=5).map(lambda lines: "".join(f"{line}\n" for line in lines))
SIGNATURES = st.builds(Signature, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))


def signed(text, *signers, time=0):
    return format_note(Note(text, tuple(signer.sign(text, time) for signer in signers)))


# --- Form ------------------------------------------------------------------------------------------------------------


@given(TEXTS, st.lists(SIGNATURES, min_size=1, max_size=4))
def test_notes_read_back_as_what_was_written(text, signatures):
    note = Note(text, tuple(signatures))
    assert parse_note(format_note(note)) == note


@given(st.text(alphabet="a\n— xA=", max_size=40).map(str.encode) | st.binary(max_size=40))
def test_bytes_are_refused_or_written_the_same_way(data):
    try:
        note = parse_note(data)
    except MalformedNote:
        return
    assert format_note(note) == data


@pytest.mark.parametrize(
    "note",
    [
        Note("no newline", (LOG.sign("x\n"),)),
        Note("", (LOG.sign("x\n"),)),
        Note("a\rb\n", (LOG.sign("x\n"),)),
        Note("\ud800\n", (LOG.sign("x\n"),)),
        Note("text\n", ()),
        Note("text\n", (Signature("a b", b"1234", b"5"),)),
        Note("text\n", (Signature("", b"1234", b"5"),)),
        Note("text\n", (Signature("a", b"123", b"45"),)),
        Note("text\n", (Signature("a", b"1234", b""),)),
    ],
)
def test_a_note_that_would_not_read_back_is_not_written(note):
    with pytest.raises(MalformedNote):
        format_note(note)


def test_a_note_may_carry_100_signatures_and_no_more():
    line = Signature("a", b"1234", b"5")
    assert len(parse_note(format_note(Note("text\n", (line,) * MAX_SIGNATURES))).signatures) == MAX_SIGNATURES
    with pytest.raises(MalformedNote, match="101 signatures"):
        format_note(Note("text\n", (line,) * (MAX_SIGNATURES + 1)))


def test_an_overlong_note_is_refused_before_it_is_read():
    with pytest.raises(MalformedNote, match="at most 1000000"):
        parse_note(b"x" * (MAX_NOTE_BYTES + 1))


# --- Verifier keys ---------------------------------------------------------------------------------------------------


@given(
    NAMES,
    st.sampled_from([(ED25519, 32), (COSIGNATURE_ED25519, 32), (ML_DSA_44, 1312)]),
    st.binary(min_size=32, max_size=32),
)
def test_verifier_keys_read_back_as_what_was_written(name, kind, material):
    key = VerifierKey(name, kind[0], (material * 41)[: kind[1]])
    assert VerifierKey.parse(str(key)) == key
    assert key.key_id == sha256(name.encode() + b"\n" + bytes([key.type]) + key.key).digest()[:4]


@pytest.mark.parametrize("signer", SIGNERS)
def test_the_key_of_a_signer_survives_being_written_down(signer):
    assert VerifierKey.parse(str(signer.key)) == signer.key


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [("", 1, 32), ("a+b", 1, 32), ("a\u3000b", 1, 32), ("a", 1, 31), ("a", 6, 32), ("a", 2, 32)],
)
def test_a_key_that_nobody_can_verify_with_is_not_made(name, kind, size):
    with pytest.raises(MalformedNote):
        VerifierKey(name, kind, b"k" * size)


@pytest.mark.parametrize("name", ["a\x00b", "a\x1bb", "a\ud800b"])
def test_a_key_name_that_no_note_can_carry_is_refused(name):
    with pytest.raises(MalformedNote):
        VerifierKey(name, ED25519, bytes(32))


# --- Opening ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signer", SIGNERS)
def test_what_a_signer_signs_opens_with_its_key_alone(signer):
    opened = open_note(signed(CHECKPOINT, signer, time=1_700_000_000), [signer.key])
    assert (opened.text, opened.verified) == (CHECKPOINT, (signer.key,))
    assert opened.times == ((None,) if signer is LOG else (1_700_000_000,))
    with pytest.raises(UnknownKey):
        open_note(signed(CHECKPOINT, signer), [OTHER.key])


@pytest.mark.parametrize("signer", SIGNERS)
@given(bit=st.integers(0, 1 << 20))
def test_a_signature_with_any_bit_flipped_sinks_the_note(signer, bit):
    signature = signer.sign(CHECKPOINT, 1_700_000_000)
    value = bytearray(signature.value)
    value[bit // 8 % len(value)] ^= 1 << bit % 8
    forged = format_note(Note(CHECKPOINT, (OTHER.sign(CHECKPOINT), replace(signature, value=bytes(value)))))
    with pytest.raises(BadSignature, match=signer.key.name):
        open_note(forged, [signer.key, OTHER.key])


@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize(
    "changed", [CHECKPOINT.replace("7", "8"), CHECKPOINT.replace("/log", "/lag"), "not a checkpoint\n"]
)
def test_a_signature_does_not_move_to_another_text(signer, changed):
    note = format_note(Note(changed, (signer.sign(CHECKPOINT, 5),)))
    with pytest.raises(BadSignature):
        open_note(note, [signer.key])


@pytest.mark.parametrize("signer", SIGNERS)
def test_a_truncated_signature_is_bad_and_not_a_crash(signer):
    signature = signer.sign(CHECKPOINT)
    for length in (1, 7, 8, 9, 63, len(signature.value) - 1):
        note = format_note(Note(CHECKPOINT, (replace(signature, value=signature.value[:length]),)))
        with pytest.raises(BadSignature):
            open_note(note, [signer.key])


@pytest.mark.parametrize("signer", [LOG_PQ, WITNESS])
def test_a_time_beyond_63_bits_is_refused(signer):
    signature = signer.sign(CHECKPOINT)
    note = format_note(Note(CHECKPOINT, (replace(signature, value=b"\xff" * 8 + signature.value[8:]),)))
    with pytest.raises(BadSignature, match="63 bits"):
        open_note(note, [signer.key])
    with pytest.raises(ValueError, match="POSIX time"):
        signer.sign(CHECKPOINT, 1 << 63)


def test_an_ml_dsa_signature_does_not_lend_itself_to_extension_lines():
    extended = CHECKPOINT + "an extension\n"
    with pytest.raises(MalformedNote, match="extension lines"):
        LOG_PQ.sign(extended)
    note = format_note(Note(extended, (LOG.sign(extended), LOG_PQ.sign(CHECKPOINT))))
    assert open_note(note, [LOG.key]).text == extended
    with pytest.raises(BadSignature, match="extension lines"):
        open_note(note, [LOG.key, LOG_PQ.key])


def test_an_ml_dsa_signature_binds_the_name_of_its_signer():
    renamed = MLDSA44Signer("ledger.example/renamed", seed_of("log pq"))
    assert renamed.key.key == LOG_PQ.key.key
    moved = replace(LOG_PQ.sign(CHECKPOINT), name=renamed.key.name, key_id=renamed.key.key_id)
    with pytest.raises(BadSignature):
        open_note(format_note(Note(CHECKPOINT, (moved,))), [renamed.key])


def test_a_name_too_long_for_ml_dsa_is_refused_by_signer_and_verifier():
    long = MLDSA44Signer("x" * 256, seed_of("long"))
    with pytest.raises(MalformedNote, match="256 bytes"):
        long.sign(CHECKPOINT)
    note = format_note(Note(CHECKPOINT, (Signature(long.key.name, long.key.key_id, bytes(2428)),)))
    with pytest.raises(BadSignature, match="256 bytes"):
        open_note(note, [long.key])


def test_two_trusted_keys_that_share_name_and_id_are_not_told_apart():
    twin = replace(LOG.key, key=OTHER.key.key)
    object.__setattr__(twin, "key_id", LOG.key.key_id)
    with pytest.raises(UnknownKey, match="share the name and ID"):
        open_note(signed("text\n", LOG), [LOG.key, twin])
    assert open_note(signed("text\n", LOG), [LOG.key, LOG.key]).verified == (LOG.key,)


def test_verified_keys_come_in_the_order_of_their_signatures():
    assert open_note(signed("text\n", OTHER, LOG), [LOG.key, OTHER.key]).verified == (OTHER.key, LOG.key)


@pytest.mark.parametrize("signer", [*SIGNERS, OTHER])
def test_a_signer_shows_its_name_and_nothing_of_its_seed(signer):
    shown = repr(signer)
    assert signer.key.name in shown
    for name in ("log", "log pq", "other", "witness"):
        assert seed_of(name).hex() not in shown
        assert repr(seed_of(name)) not in shown
    assert not hasattr(signer, "__dict__")
    assert seed_of("log") not in [getattr(signer, slot, None) for slot in ("_private", "_key")]


@pytest.mark.parametrize("make", [Ed25519Signer, Ed25519Cosigner, MLDSA44Signer])
def test_a_seed_of_another_length_is_refused_without_showing_it(make):
    with pytest.raises(ValueError, match="a seed has 32 bytes, not 31") as caught:
        make("a", b"s" * 31)
    assert "sss" not in str(caught.value)


# --- Public vectors --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vectors(shared):
    return json.loads((shared / "vectors/notes.json").read_bytes())


def verdict_of(case):
    data = bytes.fromhex(case["note_hex"]) if "note_hex" in case else case["note"].encode()
    try:
        opened = open_note(data, [VerifierKey.parse(text) for text in case["vkeys"]])
    except SignatureError as refusal:
        return {MalformedNote: "malformed", UnknownKey: "no_known_key", BadSignature: "bad_signature"}[
            type(refusal)
        ], None
    return "ok", (opened.text, [key.name for key in opened.verified])


def test_every_decided_public_note_gets_its_verdict(vectors):
    decided = [case for case in vectors["notes"] if case["expect"] != "choice"]
    assert len(decided) == 89
    for case in decided:
        expected = (case["text"], case["verified"]) if case["expect"] == "ok" else None
        assert verdict_of(case) == (case["expect"], expected), case["why"]


def test_the_notes_that_the_specification_leaves_open_get_our_verdict(vectors):
    choices = {
        case["why"].split(";")[0].split(":")[0]: verdict_of(case)
        for case in vectors["notes"]
        if case["expect"] == "choice"
    }
    assert choices == {
        "the specification is silent": ("ok", ("A note.\nTwo lines.\n", ["ledger.example/a"])),
        "RFC 4648 lets a decoder refuse non-zero pad bits": ("malformed", None),
        "a key ID and nothing": ("malformed", None),
        "a text of one newline": ("ok", ("\n", ["ledger.example/a"])),
    }


def test_a_signature_repeated_badly_sinks_the_note_where_a_good_repetition_counts_once():
    good = LOG.sign("text\n")
    bad = replace(good, value=bytes(64))
    assert open_note(format_note(Note("text\n", (good, good))), [LOG.key]).verified == (LOG.key,)
    with pytest.raises(BadSignature):
        open_note(format_note(Note("text\n", (good, bad))), [LOG.key])


def test_every_public_verifier_key_gets_its_verdict(vectors):
    for case in vectors["vkeys"]:
        if not case["ok"]:
            with pytest.raises(MalformedNote):
                VerifierKey.parse(case["vkey"])
            continue
        key = VerifierKey.parse(case["vkey"])
        assert (key.name, key.key_id.hex(), key.type) == (case["name"], case["key_id"], case["type"])
        assert str(key) == case["vkey"]


def test_public_seeds_give_the_published_keys_and_notes(vectors):
    for case in vectors["signing"]:
        signer = Ed25519Signer(case["name"], bytes.fromhex(case["seed"]))
        assert str(signer.key) == case["vkey"]
        assert signed(case["text"], signer) == case["note"].encode()


def test_every_public_cosignature_gets_its_verdict(vectors):
    verdicts = {}
    for case in (case for case in vectors["cosignatures"] if "note" in case):
        keys = [VerifierKey.parse(case["vkey"]), VerifierKey.parse(case["log_vkey"])]
        try:
            opened = open_note(case["note"].encode(), keys)
            assert opened.times == (None, case["timestamp"])
            verdicts[case["name"]] = True
        except BadSignature:
            verdicts[case["name"]] = False
    assert verdicts == {case["name"]: case["ok"] for case in vectors["cosignatures"] if "note" in case}
    assert sum(verdicts.values()) == 2


def test_an_ed25519_cosigner_makes_the_published_bytes(vectors):
    case = next(case for case in vectors["cosignatures"] if case["name"] == "ed25519")
    note = parse_note(case["note"].encode())
    cosigner = Ed25519Cosigner(note.signatures[1].name, bytes.fromhex(case["seed"]))
    assert str(cosigner.key) == case["vkey"]
    assert cosigner.sign(note.text, case["timestamp"]) == note.signatures[1]
