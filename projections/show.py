"""One stream of any kind as it stands, or stood, folded straight from the log.

Owns which entries and disclosures go into the fold, and what to say when there are none. The fold itself is
``projections.state``. Never reads a projection, so it is right at any moment and needs none to be built.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from ledger import catalog
from ledger.entry import Entry, decode
from ledger.errors import NotFound
from ledger.log import Log
from ledger.redaction import STAFF, Policy, Redacted, redact
from ledger.store.protocol import PAGE, Row, Selection
from projections.state import StreamState, fold_redacted, present


def show(log: Log, stream: str, at: int | None = None, policy: Policy = STAFF) -> dict[str, Any]:
    """The state of ``stream`` after the entry at position ``at`` (inclusive; None: as of now), as ``present`` words it.

    Private values are those that still open and that the redaction ``policy`` discloses; the rest are named in
    ``withheld``, with the rule for each. Raises ``NotFound``, with what may have been meant, when the stream has no
    entry up to there, ``StoreError`` for a damaged disclosure, and ``ForkError`` as ``Log.disclose``.
    """
    state = state_at(log, stream, at, policy)
    if state is None:
        raise _not_found(log, stream, at)
    return present(state)


def state_at(log: Log, stream: str, at: int | None = None, policy: Policy = STAFF) -> StreamState | None:
    """As ``show``, but the state itself; None when the stream has no entry up to there."""
    return fold_redacted(_entries(log, Selection(stream=stream, last=at), policy))


def check_begun(log: Log, stream: str) -> None:
    """Raise ``NotFound``, with what may have been meant, unless the stream has an entry."""
    if not log.page(Selection(stream=stream), 1):
        raise _not_found(log, stream, None)


def _entries(log: Log, selection: Selection, policy: Policy) -> Iterator[tuple[Entry, Redacted]]:
    """The entries of a selection, each with what the policy shows of it, a page of rows at a time."""
    page: list[Row] = []
    for row in log.scan(selection):
        page.append(row)
        if len(page) == PAGE:
            yield from _redacted(log, page, policy)
            page.clear()
    yield from _redacted(log, page, policy)


def _redacted(log: Log, rows: Sequence[Row], policy: Policy) -> Iterator[tuple[Entry, Redacted]]:
    values: Sequence[dict[str, Any]] = log.disclose(rows) if policy.discloses else [{}] * len(rows)
    for row, opened in zip(rows, values, strict=True):
        entry = decode(row.entry)
        yield entry, redact(policy, entry.event.type, entry.event.commitments(), opened)


def _not_found(log: Log, stream: str, at: int | None) -> NotFound:
    """What to say of a stream that has no entry up to ``at``: when it begins, or which streams are near by name."""
    if at is not None and (rows := log.page(Selection(stream=stream), 1)):
        began = decode(rows[0].entry).seal
        when = "recorded by then" if at < 0 else f"up to position {at}"
        advice = f"its first entry is at position {began.position}, recorded {began.recorded}"
        return NotFound(f"{stream} has no entry {when}", advice=advice)
    near = [name for name in _near(stream) if name != stream and log.page(Selection(stream=name), 1)]
    advice = f"did you mean {' or '.join(near)}?" if near else "a stream is named kind:id, such as reservation:R-2101"
    return NotFound(f"there is no stream {stream[:200]}", advice=advice)


def _near(stream: str) -> list[str]:
    """Names that may have been meant: of a near or missing kind, or with the id in other case."""
    kind, colon, rest = stream.partition(":")
    kinds = catalog.kinds()
    if not colon:
        kind, rest = "", stream
    wanted = difflib.get_close_matches(kind.lower(), kinds, n=2) if kind else kinds
    ids = dict.fromkeys((rest, rest.upper(), rest.lower()))
    return [f"{name}:{spelled}" for name in wanted for spelled in ids]
