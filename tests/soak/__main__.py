"""``make soak``: both stores at once under four writers each, for ``SOAK_SECONDS``, ten minutes by default.

Prints a line a store, and ends with 1 unless every promise was kept. ``SOAK_SEED`` repeats the dice of another run, as
far as the machine lets them fall alike.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.soak.trial import Result, Trial
from tests.support.events import Place
from tests.support.postgres import own_server

TITLES = {
    "store": "store",
    "events": "events",
    "kills": "writers killed",
    "restarts": "server restarts",
    "refused": "refused",
    "receipts": "receipts held",
    "duplicates": "duplicates answered",
    "lost": "lost",
    "doubled": "doubled",
    "audit": "audit",
}


def soak(seconds: float, seed: int) -> list[Result]:
    """Run both trials, each in a folder that goes away."""
    with (
        tempfile.TemporaryDirectory(prefix="continuity-soak-") as one,
        tempfile.TemporaryDirectory(prefix="continuity-soak-") as two,
        own_server() as server,
        server.template(),
        server.database() as database,
        ThreadPoolExecutor(2) as pool,
    ):
        trials = (
            Trial(Place(Path(one)), seconds, seed),
            Trial(Place(Path(two), database), seconds, seed + 1, server),
        )
        return [running.result() for running in [pool.submit(trial.run) for trial in trials]]


def table(results: list[Result]) -> str:
    """The results, a line a store."""
    lines = [list(TITLES.values())]
    for result in results:
        values = [getattr(result, name) for name in TITLES]
        lines.append([f"{value:,}" if isinstance(value, int) else value for value in values])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def main() -> int:
    """Run, print, and say by the exit code whether every promise was kept."""
    seconds = float(os.environ.get("SOAK_SECONDS", "600"))
    seed = int(os.environ.get("SOAK_SEED", random.SystemRandom().randrange(2**16)))
    print(f"{seconds:,.0f} s of four writers to each store, with seed {seed}", flush=True)  # noqa: T201
    began = time.monotonic()
    results = soak(seconds, seed)
    print(table(results))  # noqa: T201
    print(f"all told {time.monotonic() - began:,.0f} s")  # noqa: T201
    return 0 if all(result.content for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
