"""What changed between two moments: each touched stream's state then and now, field by field.

Owns the comparison of two states and its order. The states are ``projections.show``'s, folded straight from the log, so
a difference needs no projection and can't be stale. Never reads a clock.

Invariant: applying the changes of a stream to what ``show`` says at the first moment gives what it says at the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ledger.log import Log
from ledger.redaction import STAFF, Policy
from ledger.store.protocol import Selection
from projections.show import check_begun, state_at
from projections.state import present

_SEAL = frozenset({"stream", "kind", "version", "position", "recorded"})
"""What every entry changes, so that saying it says nothing."""


class Change(NamedTuple):
    """One field's values at both moments, None where it had none. Members of objects go by ``object.member``."""

    field: str
    before: Any
    after: Any


class StreamDiff(NamedTuple):
    """What changed of one stream; ``before`` is its version at the first moment, 0 where it had not begun."""

    stream: str
    before: int
    after: int
    changes: list[Change]


def diff(log: Log, first: int, last: int, stream: str | None = None, policy: Policy = STAFF) -> Iterator[StreamDiff]:
    """What the entries after position ``first`` up to ``last`` changed, stream by stream, as each first appears there.

    A stream whose entries changed nothing that is shown comes with no changes. Private values are compared as far as
    they still open and the redaction ``policy`` discloses them; a value that was erased since is shown at neither
    moment. Raises ``NotFound`` at once when there is no such ``stream`` at all, ``StoreError``.
    """
    if stream is not None:
        check_begun(log, stream)
    return _diffs(log, first, last, stream, policy)


def _diffs(log: Log, first: int, last: int, stream: str | None, policy: Policy) -> Iterator[StreamDiff]:
    seen: set[str] = set()
    for row in log.scan(Selection(first + 1, last, stream=stream)):
        name = row.content().event.stream
        if name not in seen:
            seen.add(name)
            yield _stream_diff(log, name, first, last, policy)


def _stream_diff(log: Log, stream: str, first: int, last: int, policy: Policy) -> StreamDiff:
    before, after = (
        {} if state is None else present(state) for state in (state_at(log, stream, at, policy) for at in (first, last))
    )
    return StreamDiff(stream, before.get("version", 0), after["version"], list(_changes(_flat(before), _flat(after))))


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name), after.get(name))


def _flat(state: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        elif prefix or name not in _SEAL:
            flat[prefix + name] = value
    return flat
