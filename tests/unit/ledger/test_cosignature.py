import json

import pytest

from ledger.checkpoint import Checkpoint
from ledger.cosignature import cosigned_text, cosigned_tree
from ledger.errors import MalformedNote
from ledger.note import parse_note


def test_an_ed25519_cosigner_signs_header_time_and_the_whole_text():
    assert cosigned_text("origin\n7\nroot\nextension\n", 12) == b"cosignature/v1\ntime 12\norigin\n7\nroot\nextension\n"


def test_an_ml_dsa_cosigner_signs_names_time_and_tree():
    root = bytes(range(32))
    assert cosigned_tree("señor", Checkpoint("o", 258, root), 1) == (
        b"subtree/v1\n\x00\x06se\xc3\xb1or" + bytes(7) + b"\x01" + b"\x01o" + bytes(8) + bytes(6) + b"\x01\x02" + root
    )


def test_extension_lines_are_never_taken_for_signed_by_ml_dsa():
    with pytest.raises(MalformedNote, match="extension lines"):
        cosigned_tree("w", Checkpoint("o", 1, bytes(32), ("line",)), 1)


def test_the_messages_are_those_of_the_public_cosignatures(shared):
    cases = json.loads((shared / "vectors/notes.json").read_bytes())["cosignatures"]
    known = {case["name"]: case for case in cases if "signed_message_hex" in case}
    for name, case in known.items():
        note = parse_note(case["note"].encode())
        if name.startswith("ed25519"):
            message = cosigned_text(note.text, case["timestamp"])
        else:
            message = cosigned_tree(note.signatures[-1].name, Checkpoint.parse(note.text), case["timestamp"])
        assert message.hex() == case["signed_message_hex"]
    assert set(known) == {"ed25519", "ml-dsa-44"}
