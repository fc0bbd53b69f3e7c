"""Replay: all read models as they stood after one entry, in a fresh SQLite file.

Owns the cutting of a log at a position, the file's making aside and its moving into place. What is replayed is a log or
a slice that was proven; the fold is the runner's, so a replay can't disagree with what is live. Never changes the log,
never touches live projections.

Invariant: the file is there whole or not at all, and it is one file: no write-ahead log stands beside it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from ledger.errors import NotFound, StoreError
from ledger.private_files import sync_folder
from ledger.store.protocol import PAGE, Head, Row, Selection
from projections.entries import Source
from projections.models import READ_MODELS
from projections.projection import Projection
from projections.runner import Progress, Runner
from projections.store.protocol import Fault
from projections.store.sqlite import SQLiteProjections

ASIDE: Final = ".new"
"""How the name of a file ends that a replay is being made in."""


class Prefix:
    """A log as it was when its last entry was the one at ``last``; -1 is before the first."""

    def __init__(self, source: Source, last: int) -> None:
        self._source = source
        self.last = last

    def head(self) -> Head:
        """The end of the log; leaf and recorded are those of the whole log's, which no fold asks for."""
        return self._source.head()._replace(size=self.last + 1)

    def page(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position."""
        last = self.last if selection.last is None else min(selection.last, self.last)
        return self._source.page(selection._replace(last=last), limit) if selection.first <= last else []


class Replayed(NamedTuple):
    """What was replayed: up to which entry (-1: none), and the projections that could not fold an event, by name."""

    position: int
    faults: dict[str, Fault]


def replay(
    source: Source,
    last: int,
    path: Path,
    *,
    start: Path | None = None,
    projections: Sequence[Projection] = READ_MODELS,
    progress: Progress | None = None,
) -> Replayed:
    """Fold the entries up to position ``last`` into a fresh file at ``path``, in place of what is there.

    ``start`` is an earlier replay of the same log, to go on from; it stays as it is, and is only a matter of speed. An
    event that is to be skipped is, also where that was decided after ``last``: the rows are those of a rebuild.
    Raises ``NotFound`` when the source ends before, ``StoreError``, ``OSError``.
    """
    size = source.head().size
    if not -1 <= last < size:
        raise NotFound(f"there is no entry at position {last}; the log holds {size:,}")
    aside = path.with_name(f".{path.name}.{os.getpid()}{ASIDE}")
    try:
        _remove(aside)
        if start is not None:
            copy_database(start, aside)
        with Runner(
            Prefix(source, last), SQLiteProjections(aside), projections=projections, decisions=source
        ) as runner:
            runner.catch_up(progress)
            with runner.store.reading() as reads:
                found = reads.generations()
        _make_one_file(aside)
        aside.replace(path)
        sync_folder(path.parent)
    finally:
        _remove(aside)
    return Replayed(last, {one.projection: one.fault for one in found if one.fault is not None})


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite database as it stands, also while it is written to. Raises ``StoreError``."""
    try:
        target.touch(mode=0o600)
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.Error as error:
        raise StoreError(f"{source} can't be copied: {error}") from error


def _make_one_file(path: Path) -> None:
    """Move the write-ahead log into the file and end that mode, so that the file can be sent and opened anywhere."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise StoreError(f"the replay in {path} failed: {error}", advice="see that the disk has room") from error


def files_of(path: Path) -> list[Path]:
    """The files that an SQLite database at ``path`` may have."""
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def _remove(path: Path) -> None:
    for file in files_of(path):
        file.unlink(missing_ok=True)
