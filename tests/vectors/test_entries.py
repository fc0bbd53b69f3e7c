"""Golden vectors of entries, commitments, disclosures and sealed keys, and the proof that this program keeps to them.

Salts, nonces and keys are SHA-256 of a published phrase here, where they are random in use; so ``build`` makes the
vectors from nothing, by the definitions of docs/format.md and not by the code that is tested.
"""

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger import canonical, entry, moment, privacy
from ledger.event import LOCAL, prepare
from ledger.merkle import root_of

FILE = Path(__file__).parent / "entries.json"
PHRASE = "continuity ledger golden vector "
ORIGIN = "ledger.example/studio"
MEMBER, STREAM = "M-1001", "reservation:R-2101"
RECORDED = ["2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:01.250000Z", "2026-01-01T00:00:01.250000Z"]
CREATED = {
    "specversion": "1.0",
    "id": "created",
    "source": "urn:continuity-ledger",
    "type": "ledger.created",
    "subject": "ledger:main",
    "time": "2026-01-01T00:00:00Z",
    "actor": "ledger",
    "actorrole": "system",
    "data": {"format": 1, "origin": ORIGIN, "verifier_keys": [f"{ORIGIN}+00000000+AAAA"]},
}
REQUESTED = {
    "specversion": "1.0",
    "id": 'first_"of"_all',
    "source": "https://portal.example/~desk?x=1",
    "type": "reservation.requested",
    "subject": STREAM,
    "time": "2026-01-01T01:00:00.500+01:00",
    "member": MEMBER,
    "actor": "staff-07",
    "actorrole": "staff",
    "correlationid": "call\\12",
    "tags": "walk-in glaze walk-in",
    "data": {
        "window": {"latest": "2026-01-09", "earliest": "2026-01-02"},
        "half_shelves": 2,
        "firing_type": "glaze",
        "rate": "-6.38",
        "notes": 'Zoë\u2019s "blue" one /\n\u0001\U0001f600',
    },
}
RECORD = {
    "specversion": "1.0",
    "id": "second",
    "source": "urn:import:2026",
    "type": "record.created",
    "subject": "record:client:9",
    "time": "0001-01-01T00:00:00.000000001Z",
    "member": MEMBER,
    "actor": "importer",
    "actorrole": "admin",
    "forced": "import",
    "data": {"collection": "clients", "fields": {"name": "Zoë", "visits": [{"n": 9007199254740991, "b": None}]}},
}


def secret(name, size=32):
    return sha256((PHRASE + name).encode()).digest()[:size]


def base64url(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def committed(event, name, value):
    salt = base64url(secret(f"salt {event} {name}", 16))
    disclosure = base64url(rfc8785.dumps([salt, name, value]))
    commitment = base64url(sha256(disclosure.encode()).digest())
    return {"name": name, "value": value, "salt": salt, "disclosure": disclosure, "commitment": commitment}


def body(cloud, time, public, private):
    """The event of an entry by docs/format.md, section Entry."""
    event = {
        "actor": {"id": cloud["actor"], "role": cloud["actorrole"]},
        "correlation": cloud.get("correlationid"),
        "data": public,
        "forced": cloud.get("forced"),
        "id": cloud["id"],
        "member": cloud.get("member"),
        "private": {each["name"]: each["commitment"] for each in private} or None,
        "source": cloud["source"],
        "stream": cloud["subject"],
        "tags": sorted(set(cloud["tags"].split())) if "tags" in cloud else None,
        "time": time,
        "type": cloud["type"],
        "v": 1,
    }
    return {name: value for name, value in event.items() if value is not None}


def build():
    notes = committed("first", "notes", REQUESTED["data"]["notes"])
    fields = [committed("second", name, value) for name, value in sorted(RECORD["data"]["fields"].items())]
    public = {name: value for name, value in REQUESTED["data"].items() if name != "notes"}
    events = [
        (CREATED, body(CREATED, CREATED["time"], CREATED["data"], []), []),
        (REQUESTED, body(REQUESTED, "2026-01-01T00:00:00.5Z", public, [notes]), [notes]),
        (RECORD, body(RECORD, RECORD["time"], {"collection": "clients"}, fields), fields),
    ]
    cases, prev, leaves = [], "0" * 64, []
    for position, (cloud, event, private) in enumerate(events):
        seal = {"by": "local", "position": position, "prev": prev, "recorded": RECORDED[position], "version": 1}
        if "member" in cloud:
            seal["member_version"] = position
        stored = b'{"event":%b,"seal":%b}' % (rfc8785.dumps(event), rfc8785.dumps(seal))
        leaf = sha256(b"\0" + stored).digest()
        prev = leaf.hex()
        leaves.append(leaf)
        cases.append({"cloudevent": cloud, "entry": stored.decode(), "leaf_hash": prev, "private": private})
    return {
        "phrase": PHRASE,
        "origin": ORIGIN,
        "entries": cases,
        "root": root_of(leaves).hex(),
        "sealed": build_sealed(notes),
        "times": [
            {"given": given, "normal": normal}
            for given, normal in [
                ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z"),
                ("2026-03-01t09:30:00.120z", "2026-03-01T09:30:00.12Z"),
                ("2026-03-01T00:30:00.000000001+05:45", "2026-02-28T18:45:00.000000001Z"),
                ("2024-02-28T23:30:00-01:00", "2024-02-29T00:30:00Z"),
                ("2016-12-31T23:59:60Z", None),
                ("2026-02-29T00:00:00Z", None),
                ("2026-03-01T24:00:00Z", None),
                ("2026-03-01T09:30:00", None),
                ("2026-03-01T09:30:00Z\n", None),
            ]
        ],
    }


def build_sealed(notes):
    """The data key of a (member, stream) wrapped under an epoch key, and the disclosures of an event sealed with it."""
    epoch_key, data_key = secret("epoch key 1"), secret("data key")
    binding = rfc8785.dumps([ORIGIN, MEMBER, STREAM, 1])
    bound_to = rfc8785.dumps([ORIGIN, REQUESTED["source"], REQUESTED["id"], ["notes"]])
    nonces = secret("nonce of the key", 12), secret("nonce of the disclosures", 12)
    wrapped = nonces[0] + AESGCM(epoch_key).encrypt(nonces[0], data_key, binding)
    sealed = nonces[1] + AESGCM(data_key).encrypt(nonces[1], notes["disclosure"].encode(), bound_to)
    return {
        "epoch": 1,
        "epoch_key": epoch_key.hex(),
        "data_key": data_key.hex(),
        "key_binding": binding.decode(),
        "wrapped_key": b64encode(wrapped).decode(),
        "disclosures_binding": bound_to.decode(),
        "sealed_disclosures": b64encode(sealed).decode(),
    }


def write():
    """Write the vectors anew, after a deliberate change of format."""
    FILE.write_text(json.dumps(build(), indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def golden():
    return json.loads(FILE.read_bytes())


def test_the_golden_entries_come_out_as_they_were_written(golden):
    assert build() == golden


def test_each_entry_splits_seals_and_reads_as_here(golden):
    for position, case in enumerate(golden["entries"]):
        stored = case["entry"].encode()
        event, seal = entry.split(stored)
        decoded = entry.decode(stored)
        assert canonical.dumps(canonical.loads(stored)) == stored
        assert entry.encode_body(decoded.event) == event
        values = json.loads(seal)
        values.setdefault("member_version", None)
        assert values["position"] == position
        assert entry.build(event, **values) == stored
        assert sha256(b"\0" + stored).hexdigest() == case["leaf_hash"]


def test_what_callers_send_becomes_these_events_but_for_the_salts(golden):
    for case in golden["entries"][1:]:
        prepared = prepare(json.dumps(case["cloudevent"]).encode(), LOCAL)
        made, expected = json.loads(prepared.body), json.loads(case["entry"])["event"]
        assert made.pop("private").keys() == expected.pop("private").keys()
        assert made == expected
        assert prepared.private == {each["name"]: each["value"] for each in case["private"]}


def test_commitments_and_disclosures_are_these(golden):
    for case in golden["entries"]:
        commitments = json.loads(case["entry"])["event"].get("private", {})
        disclosures = [each["disclosure"].encode() for each in case["private"]]
        assert privacy.disclosed(commitments, disclosures) == {each["name"]: each["value"] for each in case["private"]}
        for each in case["private"]:
            assert privacy.commitment_of(each["disclosure"].encode()) == each["commitment"]


def test_keys_and_disclosures_are_sealed_like_this(golden):
    sealed = golden["sealed"]
    binding = privacy.key_binding(ORIGIN, MEMBER, STREAM, sealed["epoch"])
    assert binding == sealed["key_binding"].encode()
    epoch_key = AESGCM(bytes.fromhex(sealed["epoch_key"]))
    data_key = privacy.unwrap(epoch_key, b64decode(sealed["wrapped_key"]), binding)
    assert data_key.hex() == sealed["data_key"]
    bound_to = privacy.associated(ORIGIN, REQUESTED["source"], REQUESTED["id"], ["notes"])
    assert bound_to == sealed["disclosures_binding"].encode()
    (disclosure,) = privacy.unseal(AESGCM(data_key), b64decode(sealed["sealed_disclosures"]), bound_to)
    assert disclosure.decode() == golden["entries"][1]["private"][0]["disclosure"]


def test_times_become_these(golden):
    for case in golden["times"]:
        try:
            normal = moment.normal(case["given"])
        except ValueError:
            normal = None
        assert normal == case["normal"], case["given"]


def test_the_format_page_shows_the_second_entry(golden, repository):
    page = (repository / "docs/format.md").read_text(encoding="utf-8")
    assert golden["entries"][1]["entry"] in page
    assert golden["entries"][1]["leaf_hash"] in page
