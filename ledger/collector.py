"""Python's garbage collector, set for appending: for whoever embeds the ledger, as the service and the command do.

Owns three figures. Appending makes many objects that live for a while and no cycles, so the collector looks at them,
and at all that lives long (modules, heads of streams), again and again for nothing: at Python's own thresholds this
takes 2 to 4 microseconds of an event's 20, in pauses of up to 40 ms. Never switches it off: what has cycles is still
found, later. It belongs to the whole process, so no part of the ledger sets it by itself.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (10_000, 20, 50)


@contextmanager
def eased() -> Iterator[None]:
    """Let the collector come by more rarely, and never look at what is there already; afterwards as it was before."""
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
