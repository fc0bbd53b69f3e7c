"""A source of an audit that holds what it is given, made by somebody who can seal as they like. Owns no assertions."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.merkle import root_of
from ledger.note import Ed25519Signer, MLDSA44Signer
from ledger.store.protocol import Columns, Head, Row, Selection
from tests.support.forgery import canonical, leaf, tree

ORIGIN = "ledger.example/studio"
SIGNERS = (Ed25519Signer(ORIGIN, b"\x01" * 32), MLDSA44Signer(ORIGIN, b"\x02" * 32))
KEYS = tuple(signer.key for signer in SIGNERS)
SIZE = 600


def content(position: int) -> dict[str, Any]:
    """An entry's content but for what its seal takes from those before it: ten streams, three members and none."""
    member = f"M-{position % 4}" if position % 4 else None
    event = {
        "actor": {"id": "kim", "role": "staff"},
        "data": {"confidence": "high", "window": {"earliest": "2026-03-02"}},
        "id": f"e-{position}",
        "source": "urn:test",
        "stream": f"reservation:R-{position % 10}",
        "time": "2026-03-01T09:30:00Z",
        "type": "reservation.estimate_changed",
        "v": 1,
    }
    if not position:
        data = {"format": 1, "origin": ORIGIN, "verifier_keys": [str(key) for key in KEYS]}
        event |= {"type": "ledger.created", "stream": "ledger:main", "data": data}
    if member is not None:
        event["member"] = member
    return {"event": event, "seal": {"by": "local", "recorded": f"2026-03-01T09:30:00.{position:06d}Z"}}


Change = Callable[[dict[str, Any]], object]


class Memory:
    """A source that holds what it is given. ``changes`` are made to contents just before their bytes are taken."""

    def __init__(self, size: int = SIZE, changes: dict[int, Change] | None = None) -> None:
        self.origin = ORIGIN
        self.entries: list[Row] = []
        counts: dict[str, int] = {}
        prev = "0" * 64
        for position in range(size):
            made = content(position)
            event, seal = made["event"], made["seal"]
            for name in filter(None, (event["stream"], event.get("member"))):
                counts[name] = counts.get(name, 0) + 1
            seal |= {"position": position, "prev": prev, "version": counts[event["stream"]]}
            if "member" in event:
                seal["member_version"] = counts[event["member"]]
            if changes and position in changes:
                changes[position](made)
            self.entries.append(Row(position, canonical(made)))
            prev = leaf(self.entries[-1].entry).hex()
        self.refit()

    def refit(self) -> None:
        """Make tiles, head and a checkpoint of the whole fit the entries."""
        entries = [row.entry for row in self.entries]
        self.leaves = [leaf(entry) for entry in entries]
        self.hashes = {(tile.level, tile.index): tile.hashes for tile in tree(entries)}
        last = orjson.loads(entries[-1])["seal"]["recorded"] if entries else ""
        self.ends = Head(len(entries), self.leaves[-1] if entries else bytes(32), last, 1)
        self.notes = [(len(entries), self.sign(len(entries)))] if entries else []

    def sign(self, size: int) -> bytes:
        return sign_checkpoint(Checkpoint(ORIGIN, size, root_of(self.leaves[:size])), SIGNERS)

    @contextmanager
    def reading(self) -> Iterator[Memory]:
        yield self

    def head(self) -> Head:
        return self.ends

    def rows(self, selection: Selection, limit: int = 1000) -> list[Row]:
        last = selection.last if selection.last is not None else 1 << 62
        return [row for row in self.entries if selection.first <= row.position <= last][:limit]

    def columns(self, first: int, count: int) -> Columns:
        rows = self.rows(Selection(first, first + count - 1), count)
        return Columns([row.position for row in rows], [row.entry for row in rows])

    def tile(self, level: int, index: int) -> bytes:
        return self.hashes.get((level, index), b"")

    def tiles(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.tile(*each) for each in wanted]

    def checkpoints(self, after: int, limit: int = 1000) -> list[tuple[int, bytes]]:
        return [(size, note) for size, note in self.notes if size > after][:limit]

    def opener(self) -> Callable[[], Memory]:
        return functools.partial(copy.copy, self)

    def close(self) -> None:
        """Nothing is open."""
