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
from ledger.store.protocol import PAGE, Row, Selection
from projections.state import Disclosed, StreamState, fold_all, present


def show(log: Log, stream: str, at: int | None = None, private: bool = True) -> dict[str, Any]:
    """The state of ``stream`` after the entry at position ``at`` (inclusive; None: as of now), as ``present`` words it.

    ``private`` discloses the private values that still open, for those who may see them; the rest are named in
    ``withheld``, as all are without it. Raises ``NotFound``, with what may have been meant, when the stream has no
    entry up to there, and ``StoreError`` for a damaged disclosure.
    """
    state = state_at(log, stream, at, private=private)
    if state is None:
        raise _not_found(log, stream, at)
    return present(state)


def state_at(log: Log, stream: str, at: int | None = None, *, private: bool = True) -> StreamState | None:
    """As ``show``, but the state itself; None when the stream has no entry up to there."""
    return fold_all(_entries(log, Selection(stream=stream, last=at), private=private))


def _entries(log: Log, selection: Selection, *, private: bool) -> Iterator[tuple[Entry, Disclosed]]:
    """The entries of a selection with their private values, a page of rows at a time."""
    page: list[Row] = []
    for row in log.scan(selection):
        page.append(row)
        if len(page) == PAGE:
            yield from _disclosed(log, page, private=private)
            page.clear()
    yield from _disclosed(log, page, private=private)


def _disclosed(log: Log, rows: Sequence[Row], *, private: bool) -> Iterator[tuple[Entry, Disclosed]]:
    values: Sequence[Disclosed] = log.disclose(rows) if private else [{}] * len(rows)
    for row, opened in zip(rows, values, strict=True):
        yield decode(row.entry), opened


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
