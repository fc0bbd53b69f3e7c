"""Publishing a log as static files: checkpoint, tiles and, if wanted, entry bundles (c2sp.org/tlog-tiles).

Owns what is written in which order: tiles first, the checkpoint last and by renaming, so that at any moment, and after
a crash, the folder holds a checkpoint and all that it needs. Files that are there are not written again; partial tiles
that a full one replaces are removed after the checkpoint no longer needs them. Never signs.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from ledger.checkpoint import Checkpoint
from ledger.log import Log
from ledger.tiles import TILE_WIDTH, TileRef, entries_path, tile_path, tiles_at
from tools.files import written

_MODE = 0o644  # meant to be read by everybody


class Published(NamedTuple):
    """What a publication came to: the size that is published now, and how many files were written."""

    size: int
    files: int


def publish(log: Log, folder: Path, checkpoint: Checkpoint, note: bytes, *, entries: bool) -> Published:
    """Bring the files in ``folder`` up to ``checkpoint``, whose signed ``note`` is published as it is.

    ``entries``: the entry bundles too, which hold no private value but everything else. Raises ``OSError``,
    ``NotFound`` when the log is smaller.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for tile in tiles_at(checkpoint.size):
        count += _write(log, folder, tile_path(tile.level or 0, tile.index, tile.width))
        if entries and tile.level == 0:
            count += _write(log, folder, entries_path(tile.index, tile.width))
    with written(folder / "checkpoint", _MODE) as file:
        file.write(note)
    for tile in tiles_at(checkpoint.size):
        _remove_partials(folder, tile)
    return Published(checkpoint.size, count + 1)


def _write(log: Log, folder: Path, path: str) -> int:
    target = folder / path
    if target.exists():
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with written(target, _MODE) as file:
        file.write(log.tile(path))
    return 1


def _remove_partials(folder: Path, tile: TileRef) -> None:
    if tile.width == TILE_WIDTH:
        for path in (tile_path(tile.level or 0, tile.index), entries_path(tile.index)):
            partials = folder / f"{path}.p"
            if (path.startswith("tile/entries") and tile.level) or not partials.is_dir():
                continue
            shutil.rmtree(partials)
