"""Every example that stands in the C2SP specifications, held against this code; and the list of what they don't have.

========================  =============================================================================================
signed-note               the poem, and the note of example.com/foo with its key: ``test_note`` (public vectors)
tlog-checkpoint           the checkpoint: here. Its key is not published, so it can be read and not verified
tlog-cosignature          the cosigned checkpoint and the signed message: here. Keys: as above
tlog-witness              request and answer: here. The proof is four hashes where these sizes take more
tlog-proof                the proof file: here. Signatures are elided, the path is five hashes of seventeen
tlog-policy               two levels of groups: ``test_trust_policy``, with keys in the place of the elided ones
tlog-tiles                paths, the trees of 70,000 and 256: here and ``test_tiles``
vectors                   the specifications ship none. Those of their implementations, in ../shared: each file is named
                          by a test, as the last test here sees to
========================  =============================================================================================
"""

from __future__ import annotations

import pytest

from ledger.cosignature import Checkpoint, cosigned_text
from ledger.errors import ProofError, SignatureError, UnknownKey, VerificationError
from ledger.merkle import consistency_ranges, inclusion_ranges, verify_consistency
from ledger.note import COSIGNATURE_ED25519, VerifierKey, open_note, parse_note
from ledger.proof import parse_proof
from ledger.tiles import TileRef, parse_path, tile_path, tiles_at
from ledger.witness import format_request, parse_cosignatures, parse_request

ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
BODY = f"example.com/behind-the-sofa\n20852163\n{ROOT}\n"
LOG_LINE = (
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
SECOND_LINE = (
    "— example.com/behind-the-sofa "
    "opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n"
)
WITNESS_LINE = (
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dl"
    "rDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
PROOF = (
    "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=",
    "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=",
    "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=",
    "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=",
)
ANSWER = (
    "— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatV"
    "s0pWh6Up69HVOw==\n"
    "— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9Chd"
    "MkP1vi/lCAsmlw==\n"
    "— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3"
    "rXXvpysAdyP3wQ==\n"
)
EXAMPLE_TIME = 1_679_315_147


def test_the_checkpoint_of_tlog_checkpoint_is_read_and_written_as_it_stands():
    note = parse_note(f"{BODY}\n{LOG_LINE}".encode())

    checkpoint = Checkpoint.parse(note.text)

    assert (checkpoint.origin, checkpoint.size, checkpoint.extensions) == ("example.com/behind-the-sofa", 20852163, ())
    assert checkpoint.body() == note.text == BODY
    assert [(one.name, one.key_id.hex(), len(one.value)) for one in note.signatures] == [
        (checkpoint.origin, "033de0ae", 64)
    ]


def test_the_checkpoint_of_tlog_cosignature_carries_the_time_of_the_message_that_stands_there():
    note = parse_note(f"{BODY}\n{LOG_LINE}{WITNESS_LINE}".encode())

    log, witness = note.signatures

    assert (log.name, witness.name) == ("example.com/behind-the-sofa", "witness.example.com/w1")
    assert int.from_bytes(witness.value[:8], "big") == EXAMPLE_TIME
    assert len(witness.value) == 8 + 64
    assert cosigned_text(BODY, EXAMPLE_TIME) == f"cosignature/v1\ntime {EXAMPLE_TIME}\n{BODY}".encode()


def test_what_no_known_key_signed_is_not_believed_however_well_it_is_formed():
    stranger = VerifierKey("witness.example.com/w1", COSIGNATURE_ED25519, bytes(32))
    with pytest.raises(UnknownKey):
        open_note(f"{BODY}\n{LOG_LINE}{WITNESS_LINE}".encode(), [stranger])


def test_the_request_of_tlog_witness_is_read_and_written_as_it_stands():
    body = "\n".join(["old 20852014", *PROOF, "", f"{BODY}\n{LOG_LINE}{SECOND_LINE}"]).encode()

    request = parse_request(body)

    assert (request.old, len(request.proof)) == (20852014, 4)
    assert request.checkpoint.decode() == f"{BODY}\n{LOG_LINE}{SECOND_LINE}"
    assert format_request(request) == body
    assert len(consistency_ranges(20852014, 20852163)) > 4  # so that this proof, an illustration, proves nothing:
    with pytest.raises(ProofError):
        verify_consistency(20852014, 20852163, bytes(32), Checkpoint.parse(BODY).root, request.proof)


def test_the_answer_of_tlog_witness_is_three_cosignatures_of_two_witnesses():
    signatures = parse_cosignatures(ANSWER.encode())

    assert [one.name for one in signatures] == ["witness.example/w1", "witness.example/w1", "witness.example/w2"]
    assert len({one.key_id for one in signatures}) == 3
    assert {len(one.value) for one in signatures} == {8 + 64}


ELIDED = """c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog {}
"""


def test_the_file_of_tlog_proof_is_read_once_what_it_elides_is_filled_in():
    with pytest.raises(VerificationError):
        parse_proof(ELIDED.format("hI2DJw[...]1roloI=").encode())

    proof = parse_proof(ELIDED.format("hI2DJwAAAAA=").encode())

    assert (proof.index, len(proof.hashes), proof.extra[:11]) == (73894, 5, b"age-v1.2.1-")
    assert Checkpoint.parse(parse_note(proof.checkpoint).text).size == 109482
    assert len(inclusion_ranges(73894, 109482)) > 5  # an illustration too


def test_the_paths_and_trees_of_tlog_tiles():
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert parse_path("tile/0/x001/x234/067") == TileRef(0, 1234067, 256)
    assert list(tiles_at(256)) == [TileRef(0, 0, 256), TileRef(1, 0, 1)]
    refs = list(tiles_at(70_000))
    assert [sum(ref.level == level and ref.width == 256 for ref in refs) for level in range(3)] == [273, 1, 0]
    assert [(ref.level, ref.width) for ref in refs if ref.width < 256] == [(0, 112), (1, 17), (2, 1)]


def test_every_public_vector_is_read_by_a_test(shared, repository):
    tests = "".join(
        path.read_text() for path in (repository / "tests").rglob("test_*.py") if path.name != "test_c2sp_examples.py"
    )
    ours = {
        "rfc6962.json",
        "inclusion.json",
        "consistency.json",
        "tessera-log",
        "notes.json",
        "tlog-proofs.json",
        "jcs",
    }
    there = {path.name for path in (shared / "vectors").iterdir()}
    assert ours <= there
    assert [name for name in sorted(ours) if f"vectors/{name}" not in tests and f'"{name}"' not in tests] == []


def test_a_malformed_line_among_the_examples_sinks_the_note():
    with pytest.raises(SignatureError):
        parse_note(f"{BODY}\n{LOG_LINE}{WITNESS_LINE.replace('— ', '- ')}".encode())
