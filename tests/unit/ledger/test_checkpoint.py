import json
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import BadSignature, MalformedNote, SignatureError, UnknownKey
from ledger.merkle import EMPTY_ROOT, root_of
from ledger.note import (
    Ed25519Cosigner,
    Ed25519Signer,
    MLDSA44Signer,
    Note,
    VerifierKey,
    format_note,
    open_note,
    parse_note,
)
from ledger.tiles import tile_path

ORIGIN = "ledger.example/log"
SIGNERS = [Ed25519Signer(ORIGIN, sha256(b"test log").digest()), MLDSA44Signer(ORIGIN, sha256(b"test log pq").digest())]
KEYS = [signer.key for signer in SIGNERS]
WITNESS = Ed25519Cosigner("witness.example/w", sha256(b"test witness").digest())
CHECKPOINT = Checkpoint(ORIGIN, 7, bytes(range(32)))

LINES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(code) for code in range(32)]),
    min_size=1,
    max_size=20,
)
CHECKPOINTS = st.builds(
    Checkpoint,
    LINES,
    st.integers(1, (1 << 63) - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(LINES, max_size=3).map(tuple),
)


@given(CHECKPOINTS)
def test_checkpoints_read_back_as_what_was_written(checkpoint):
    assert Checkpoint.parse(checkpoint.body()) == checkpoint


@given(st.text(alphabet="o7\n=A", max_size=60) | st.text(max_size=20).map(lambda tail: CHECKPOINT.body() + tail))
def test_a_text_is_refused_or_written_the_same_way(text):
    try:
        checkpoint = Checkpoint.parse(text)
    except MalformedNote:
        return
    assert checkpoint.body() == text


def test_the_body_is_origin_size_and_root_a_line_each():
    assert CHECKPOINT.body() == f"{ORIGIN}\n7\n{b64encode(bytes(range(32))).decode()}\n"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("origin", ""),
        ("origin", "two\nlines"),
        ("origin", "a\tb"),
        ("origin", "\udc80"),
        ("size", -1),
        ("size", 1 << 63),
        ("root", bytes(31)),
        ("root", b""),
        ("extensions", ("",)),
        ("extensions", ("a\nb",)),
    ],
)
def test_an_impossible_checkpoint_is_not_made(field, value):
    with pytest.raises(MalformedNote, match="checkpoint: "):
        replace(CHECKPOINT, **{field: value})


def test_size_0_has_the_root_of_the_empty_tree_and_no_other():
    assert Checkpoint.parse(Checkpoint(ORIGIN, 0, EMPTY_ROOT).body()).size == 0
    with pytest.raises(MalformedNote, match="size 0"):
        Checkpoint(ORIGIN, 0, bytes(32))


@given(st.integers(1, (1 << 63) - 1), st.binary(min_size=32, max_size=32), st.integers(0, (1 << 63) - 1))
def test_a_signed_checkpoint_opens_with_each_of_its_keys_alone(size, root, time):
    checkpoint = Checkpoint(ORIGIN, size, root)
    note = sign_checkpoint(checkpoint, SIGNERS, time)
    assert open_checkpoint(note, KEYS) == checkpoint
    assert [open_checkpoint(note, [key]) for key in KEYS] == [checkpoint, checkpoint]


def test_the_time_is_stated_by_the_signature_types_that_can():
    assert open_note(sign_checkpoint(CHECKPOINT, SIGNERS, 1_700_000_000), KEYS).times == (None, 1_700_000_000)


def test_a_changed_checkpoint_is_refused_by_each_key():
    note = sign_checkpoint(CHECKPOINT, SIGNERS).replace(b"\n7\n", b"\n8\n")
    for key in KEYS:
        with pytest.raises(BadSignature):
            open_checkpoint(note, [key])


def test_a_witness_alone_does_not_make_a_checkpoint_believed():
    note = parse_note(sign_checkpoint(CHECKPOINT, SIGNERS))
    witnessed = format_note(Note(note.text, (*note.signatures, WITNESS.sign(note.text, 9))))
    assert open_checkpoint(witnessed, [*KEYS, WITNESS.key]) == CHECKPOINT
    with pytest.raises(UnknownKey, match=r"is of ledger\.example/log, but signed only by witness\.example/w"):
        open_checkpoint(witnessed, [WITNESS.key])


def test_a_key_of_one_log_does_not_speak_for_another():
    other = Ed25519Signer("ledger.example/other", sha256(b"test log").digest())
    with pytest.raises(SignatureError, match=r"ledger\.example/other can't sign for ledger\.example/log"):
        sign_checkpoint(CHECKPOINT, [other])
    text = CHECKPOINT.body()
    with pytest.raises(UnknownKey, match="signed only by"):
        open_checkpoint(format_note(Note(text, (other.sign(text),))), [other.key])


def test_a_checkpoint_is_not_signed_by_nobody_nor_with_extension_lines():
    with pytest.raises(SignatureError):
        sign_checkpoint(CHECKPOINT, [])
    with pytest.raises(SignatureError, match="extension lines"):
        sign_checkpoint(replace(CHECKPOINT, extensions=("line",)), SIGNERS)


def test_a_signed_text_that_is_no_checkpoint_is_refused():
    text = "A note.\n"
    with pytest.raises(MalformedNote, match="expected origin, size and root"):
        open_checkpoint(format_note(Note(text, (SIGNERS[0].sign(text),))), KEYS)


def test_extension_lines_of_others_can_be_read():
    text = replace(CHECKPOINT, extensions=("one", "two")).body()
    opened = open_checkpoint(format_note(Note(text, (SIGNERS[0].sign(text),))), KEYS[:1])
    assert opened.extensions == ("one", "two")


def test_every_public_checkpoint_text_gets_its_verdict(shared):
    for case in json.loads((shared / "vectors/notes.json").read_bytes())["checkpoints"]:
        if not case["ok"]:
            with pytest.raises(MalformedNote):
                Checkpoint.parse(case["text"])
            continue
        checkpoint = Checkpoint.parse(case["text"])
        assert checkpoint.body() == case["text"], case["name"]
        assert (checkpoint.origin, checkpoint.size) == (case["origin"], case["size"])
        assert b64encode(checkpoint.root).decode() == case["root"]
        assert list(checkpoint.extensions) == case["extensions"]


def test_the_public_log_verifies_at_every_size(shared):
    folder = shared / "vectors/tessera-log"
    key = VerifierKey.parse("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")
    for size in range(16):
        checkpoint = open_checkpoint((folder / f"checkpoint.{size}").read_bytes(), [key])
        hashes = (folder / tile_path(0, 0, size)).read_bytes() if size else b""
        leaves = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
        assert checkpoint == Checkpoint("example.com/log/testdata", size, root_of(leaves))
