"""The garbage collector of commands that read a whole log.

Owns its thresholds while such work goes on. Entries and rows leave no cycles, and what lives long is large: at Python's
own thresholds a tenth of the time goes into looking at it again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

THRESHOLDS: Final = (50_000, 20, 50)


@contextmanager
def relaxed() -> Iterator[None]:
    """Collect less often, and nothing of what is there already; as it was at the end."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
