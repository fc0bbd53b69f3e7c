"""Re-derives a whole ledger from its bytes by the definitions alone, without the audit and without tiles.

For tests that break things on purpose: slow, plain, and sharing no code with what they break.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from hashlib import sha256
from pathlib import Path

import orjson

from ledger.checkpoint import open_checkpoint
from ledger.log import Log
from ledger.merkle import root_of
from ledger.store.protocol import Selection


def check_whole(log: Log) -> list[dict[str, object]]:
    """Assert chain, positions, versions, times, ids, tree, tiles and signature; return the seals with their events."""
    entries, leaves = [], []
    versions: Counter[str] = Counter()
    members: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    prev, recorded = bytes(32).hex(), ""
    for position, row in enumerate(log.scan(Selection())):
        content = orjson.loads(row.entry)
        event, seal = content["event"], content["seal"]
        assert (row.position, seal["position"], seal["prev"]) == (position, position, prev), f"chain at {position}"
        versions[event["stream"]] += 1
        assert seal["version"] == versions[event["stream"]], f"version at {position}"
        member = event.get("member")
        if member is not None:
            members[member] += 1
        expected = None if member is None else members[member]
        assert seal.get("member_version") == expected, f"member version at {position}"
        assert seal["recorded"] >= recorded, f"time runs back at {position}"
        identity = (event["source"], event["id"])
        assert identity not in seen, f"{identity} stands twice, the second time at {position}"
        seen.add(identity)
        recorded = seal["recorded"]
        leaves.append(sha256(b"\x00" + row.entry).digest())
        prev = leaves[-1].hex()
        entries.append({**seal, "event": event, "leaf": prev})
    head = log.head()
    assert head.size == len(entries)
    if entries:
        assert (head.leaf, head.recorded) == (leaves[-1], recorded)
    assert log.root(head.size) == root_of(leaves), "the tiles hold another tree"
    current, note = log.checkpoint()
    assert open_checkpoint(note, log.verifier_keys) == current
    assert (current.size, current.root) == (head.size, root_of(leaves))
    private = [row for row in log.scan() if b'"private":{' in row.entry]
    for start in range(0, len(private), 500):
        part = private[start : start + 500]
        for row, values in zip(part, log.disclose(part), strict=True):
            assert set(values) == set(orjson.loads(row.entry)["event"]["private"]), f"disclosures at {row.position}"
    return entries


def check_file(path: Path) -> None:
    """Assert that the database file is sound by SQLite's own check."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def check_receipts(entries: list[dict[str, object]], receipts: list[object]) -> None:
    """Assert that every receipt names an entry that is there, as it was promised."""
    for receipt in receipts:
        entry = entries[receipt.position]
        event = entry["event"]
        assert (event["source"], event["id"], event["stream"]) == (receipt.source, receipt.id, receipt.stream)
        assert (entry["leaf"], entry["version"]) == (receipt.leaf_hash, receipt.version)
        assert entry["recorded"] == receipt.recorded
