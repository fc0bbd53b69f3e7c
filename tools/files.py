"""Result files: whole or not there.

Owns the writing of a file aside and its renaming into place, so that a crash, a full disk or an interrupt leaves the
old file or none, never half of one. Never decides where files go.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ledger.private_files import NO_ROOM, sync_folder


@contextmanager
def written(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A file to write that is at ``path``, durably, after a clean exit, in place of what was there. Raises ``OSError``.

    ``mode`` holds whatever the umask is: what a ledger gives out may name people.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            yield file
            file.flush()
            os.fsync(descriptor)
        aside.replace(path)
        sync_folder(path.parent)
    except BaseException as fault:
        aside.unlink(missing_ok=True)
        if isinstance(fault, OSError) and fault.errno in NO_ROOM and fault.filename is None:
            fault.filename = str(path)  # a full disk says so without a name
        raise
