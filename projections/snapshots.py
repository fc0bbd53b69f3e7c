"""Past states kept ready: replays in a folder, so that a question about a moment need not fold the whole log again.

Owns the folder, which file answers which position, and how many are kept. Only a cache: any file may be deleted at any
time, and one that is not of this code or of this log is made anew. Never touches live projections.

Invariant: what ``at`` gives is the state after the entry at that position, whatever was in the folder before.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from ledger.errors import StoreError
from ledger.merkle import leaf_hash
from ledger.store.protocol import Selection
from projections.entries import Source
from projections.models import READ_MODELS
from projections.projection import Projection
from projections.replay import ASIDE, files_of, replay
from projections.runner import Progress
from projections.skipping import skipped
from projections.store.protocol import Generation, Reads
from projections.store.sqlite import SQLiteProjections

FOLDER: Final = "replays"
"""Name of the folder in a ledger's folder."""
KEPT: Final = 8
"""Replays that are kept; the one that was asked for longest ago goes first."""
ABANDONED_SECONDS: Final = 3600
"""After which a replay that nobody has written to is one that was killed: a batch takes a minute at worst."""
_ATTEMPTS: Final = 5
"""How often a replay is made that others delete before it is read."""
_NAME: Final = re.compile(r"(\d{1,16})\.db")


class Snapshots:
    """The replays of one log in a folder. Safe for use from several threads and processes."""

    def __init__(
        self, folder: Path, source: Source, *, projections: Sequence[Projection] = READ_MODELS, keep: int = KEPT
    ) -> None:
        self._folder = folder
        self._source = source
        self._projections = tuple(projections)
        self._keep = keep
        self._making = threading.Lock()  # one replay at a time: it takes a core

    @contextmanager
    def at(self, position: int) -> Iterator[Reads]:
        """The state after the entry at ``position``, -1 for none; replayed first if it is not here.

        Raises ``NotFound`` when the log ends before, ``StoreError``, ``OSError``.
        """
        for _ in range(_ATTEMPTS):
            with self.kept(position) as reads:
                if reads is not None:
                    yield reads
                    return
            self.make(position)
        raise StoreError(f"the replay in {self._file(position)} goes away as soon as it is made")

    @contextmanager
    def kept(self, position: int) -> Iterator[Reads | None]:
        """The state after the entry at ``position`` if it is here, else None. Raises ``StoreError``."""
        store = self._open(position)
        if store is None:
            yield None
            return
        with suppress(OSError):  # deleted by another process; what is open stays readable
            os.utime(self._file(position))
        try:
            with store.reading() as reads:
                yield reads
        finally:
            store.close()

    def make(self, position: int, progress: Progress | None = None) -> None:
        """Replay the state after the entry at ``position``, unless it is here; waits for another that is being made.

        Raises as ``at`` does, and whatever ``progress`` raises to end it; nothing is then left behind.
        """
        with self._making:
            store = self._open(position)  # another thread may have made it meanwhile
            if store is None:
                self._make(position, progress)
            else:
                store.close()

    def _make(self, position: int, progress: Progress | None) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file, start = self._file(position), self._nearest(position)
        make = partial(replay, self._source, position, file, projections=self._projections, progress=progress)
        try:
            make(start=start)
        except StoreError:
            if start is None or start.is_file():
                raise
            make(start=None)  # it was deleted before it was copied: other processes make room, too
        self._make_room(file)

    def _nearest(self, position: int) -> Path | None:
        """The last replay before ``position`` that is here, to go on from."""
        for before in sorted((at for at in self._positions() if at < position), reverse=True):
            if (store := self._open(before)) is not None:
                store.close()
                return self._file(before)
        return None

    def _make_room(self, newest: Path) -> None:
        """Delete what was asked for longest ago, beyond the number that is kept, and what killed replays have left."""
        files = sorted((self._file(at) for at in self._positions()), key=_touched, reverse=True)
        for file in [one for one in files if one != newest][self._keep - 1 :]:
            _delete(file)
        for aside in self._folder.glob(f".*{ASIDE}"):
            if time.time() - max(_touched(file) for file in files_of(aside)) > ABANDONED_SECONDS:
                _delete(aside)

    def _positions(self) -> list[int]:
        found = (_NAME.fullmatch(path.name) for path in self._folder.iterdir()) if self._folder.is_dir() else ()
        return [int(match[1]) for match in found if match]

    def _file(self, position: int) -> Path:
        return self._folder / f"{position}.db"

    def _open(self, position: int) -> SQLiteProjections | None:
        """The replay up to ``position``, if it is here, of this log and by this code; another is deleted.

        One of whose projections has stopped at an event is kept too, unless that is to be skipped now.

        Looked at once it is open: the file may be deleted, and made anew, by others at any time.
        """
        path = self._file(position)
        if not path.is_file():
            return None
        try:
            store = SQLiteProjections(path)
            try:
                with store.reading() as reads:
                    found = {one.projection: one for one in reads.generations()}
            except BaseException:
                store.close()
                raise
        except StoreError:
            _delete(path)
            return None
        if all(self._is_of(one, found.get(one.name), position) for one in self._projections):
            return store
        store.close()
        _delete(path)
        return None

    def _is_of(self, projection: Projection, generation: Generation | None, position: int) -> bool:
        if generation is None or generation.fingerprint != projection.fingerprint() or generation.position > position:
            return False
        if generation.position < position and (
            generation.fault is None or generation.fault.position in skipped(self._source, projection)
        ):
            return False
        if generation.position < 0:
            return True
        rows = self._source.page(Selection(generation.position, generation.position), 1)
        return bool(rows) and leaf_hash(rows[0].entry) == generation.leaf


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _delete(path: Path) -> None:
    for file in files_of(path):
        file.unlink(missing_ok=True)
