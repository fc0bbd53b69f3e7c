"""Golden vectors of a rotation of signing keys, and the proof that this program keeps to them.

``build`` makes them from a published phrase, by the definitions of docs/format.md and not by the code that is tested;
but for the ML-DSA-44 signatures, which are randomised: those that are stored are verified.
"""

import json
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from ledger.checkpoint import open_checkpoint
from ledger.errors import RetiredKey
from ledger.key_chain import follow_chain, format_chain, parse_chain
from ledger.note import VerifierKey
from ledger.rotation import LABEL, Rotation

FILE = Path(__file__).parent / "rotations.json"
PHRASE = "continuity ledger golden vector key "
ORIGIN = "ledger.example/studio"
SIZE = 3
LEAVES = [sha256(b"\x00entry %d" % position).digest() for position in range(SIZE)]


def seed(name):
    return sha256((PHRASE + name).encode()).digest()


def node(left, right):
    return sha256(b"\x01" + left + right).digest()


def private_keys(name):
    return Ed25519PrivateKey.from_private_bytes(seed(name)), MLDSA44PrivateKey.from_seed_bytes(seed(f"{name} ml-dsa"))


def text_of(kind, public):
    material = bytes([kind]) + public
    key_id = sha256(ORIGIN.encode() + b"\n" + material).digest()[:4].hex()
    return f"{ORIGIN}+{key_id}+{b64encode(material).decode()}"


def texts(name):
    one, two = private_keys(name)
    return [text_of(1, one.public_key().public_bytes_raw()), text_of(6, two.public_key().public_bytes_raw())]


def note(size, root, *names):
    """A checkpoint signed by these names, as the section on signed notes has it."""
    text = f"{ORIGIN}\n{size}\n{b64encode(root).decode()}\n"
    tree = b"".join((b"subtree/v1\n\x00", bytes([len(ORIGIN)]), ORIGIN.encode(), bytes(8), bytes([len(ORIGIN)]),
                     ORIGIN.encode(), bytes(8), size.to_bytes(8, "big"), root))  # fmt: skip
    lines = []
    for name in names:
        one, two = private_keys(name)
        for key, value in zip(texts(name), (one.sign(text.encode()), bytes(8) + two.sign(tree)), strict=True):
            key_id = bytes.fromhex(key.removeprefix(f"{ORIGIN}+")[:8])
            lines.append(f"\u2014 {ORIGIN} {b64encode(key_id + value).decode()}\n")
    return f"{text}\n{''.join(lines)}"


def entry_of(data):
    event = {
        "actor": {"id": "local", "role": "system"},
        "data": data,
        "id": "key-rotated-1",
        "source": "urn:continuity-ledger",
        "stream": "ledger:main",
        "time": "2026-01-01T00:00:00Z",
        "type": "ledger.key_rotated",
        "v": 1,
    }
    prev, recorded = LEAVES[-1].hex(), "2026-01-01T00:00:00.000000Z"
    seal = {"by": "local", "position": SIZE, "prev": prev, "recorded": recorded, "version": 2}
    return json.dumps({"event": event, "seal": seal}, separators=(",", ":"), sort_keys=True)


def fixed():
    """What comes out the same each time."""
    root = node(node(LEAVES[0], LEAVES[1]), LEAVES[2])
    old, new = texts("log"), texts("log 2")
    lines = [ORIGIN, str(SIZE), b64encode(root).decode(), "scheduled", "2", *old, "2", *new]
    message = b"continuity-key-rotation/v1\n\x00" + "".join(f"{line}\n" for line in lines).encode()
    return {
        "phrase": PHRASE,
        "retired_keys": old,
        "verifier_keys": new,
        "root": root.hex(),
        "message": message.hex(),
        "ed25519_signatures": [private_keys(name)[0].sign(message).hex() for name in ("log", "log 2")],
    }


def build():
    """The vectors, with fresh ML-DSA-44 signatures."""
    made = fixed()
    message = bytes.fromhex(made["message"])
    signatures = [key.sign(message) for name in ("log", "log 2") for key in private_keys(name)]
    data = {
        "reason": "scheduled",
        "retired_keys": made["retired_keys"],
        "root": b64encode(bytes.fromhex(made["root"])).decode(),
        "signatures": [b64encode(one).decode() for one in signatures],
        "verifier_keys": made["verifier_keys"],
    }
    entry = entry_of(data)
    leaf = sha256(b"\x00" + entry.encode()).digest()
    left = node(LEAVES[0], LEAVES[1])
    bridge = note(SIZE + 1, node(left, node(LEAVES[2], leaf)), "log", "log 2")
    hashes = [b64encode(one).decode() for one in (LEAVES[2], left)]
    proof = "\n".join(["c2sp.org/tlog-proof@v1", f"index {SIZE}", *hashes, "", bridge])
    chain = f"continuity-rotations/v1\n1\n{len(entry.encode())}\n{entry}\n{len(proof.encode())}\n{proof}\n"
    late = note(SIZE + 2, bytes(32), "log")
    return {**made, "entry": entry, "leaf_hash": leaf.hex(), "bridge": bridge, "chain": chain, "retired_signs": late}


def write():
    """Write the vectors anew, after a deliberate change of format."""
    FILE.write_text(json.dumps(build(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def vectors():
    return json.loads(FILE.read_text(encoding="utf-8"))


def keys(vectors, which):
    return tuple(map(VerifierKey.parse, vectors[which]))


def test_the_vectors_are_what_the_format_says(vectors):
    assert {name: vectors[name] for name in fixed()} == fixed()


def test_both_public_libraries_verify_the_stored_signatures(vectors):
    data = json.loads(vectors["entry"])["event"]["data"]
    message = bytes.fromhex(vectors["message"])
    listed = [*data["retired_keys"], *data["verifier_keys"]]
    for text, signature in zip(listed, data["signatures"], strict=True):
        material = b64decode(text.split("+", 2)[2])
        kind = Ed25519PublicKey if material[0] == 1 else MLDSA44PublicKey
        kind.from_public_bytes(material[1:]).verify(b64decode(signature), message)


def test_the_program_reads_verifies_and_states_the_rotation_as_given(vectors):
    rotation = Rotation.of_entry(vectors["entry"].encode())
    rotation.verify()
    assert LABEL.encode() + b"\n\x00" + rotation.content() == bytes.fromhex(vectors["message"])
    assert (rotation.retired, rotation.keys) == (keys(vectors, "retired_keys"), keys(vectors, "verifier_keys"))
    assert rotation.data() == json.loads(vectors["entry"])["event"]["data"]
    assert sha256(b"\x00" + vectors["entry"].encode()).hexdigest() == vectors["leaf_hash"]


def test_the_chain_is_followed_and_written_again_byte_for_byte(vectors):
    links = parse_chain(vectors["chain"].encode())
    assert format_chain(links) == vectors["chain"].encode()
    history = follow_chain(links, keys(vectors, "retired_keys"))
    assert history.current.keys == keys(vectors, "verifier_keys")
    assert history.open(vectors["bridge"].encode()).size == SIZE + 1
    with pytest.raises(RetiredKey):
        history.open(vectors["retired_signs"].encode())
    assert open_checkpoint(vectors["retired_signs"].encode(), keys(vectors, "retired_keys")), "its signature is good"
