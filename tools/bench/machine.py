"""The machine that figures were taken on, and how long its disk takes to make a write durable.

Reads what the system says of itself; owns no figures.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from msgspec import Struct

SYNCS = 200


class Machine(Struct, kw_only=True):
    """What figures depend on. Figures of different machines never stand in one report."""

    processor: str
    cores: int
    memory_gib: int
    system: str
    file_system: str
    python: str
    sqlite: str
    postgresql: str
    fsync_ms: float
    """Median of a write of 4 KiB and its fdatasync, where the ledgers are put."""

    def same_as(self, other: Machine) -> bool:
        """Whether figures of both can be compared: all but the disk's momentary speed is the same."""
        return all(getattr(self, name) == getattr(other, name) for name in self.__struct_fields__ if name != "fsync_ms")


def machine(postgresql: str) -> Machine:
    """This machine; ``postgresql`` is the version of the server that is measured."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 0,
        memory_gib=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        file_system=_file_system(),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        postgresql=postgresql,
        fsync_ms=round(_fsync_ms(), 3),
    )


def _processor() -> str:
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _file_system() -> str:
    """The kind of the file system that temporary folders are on."""
    place = Path(tempfile.gettempdir()).resolve()
    kinds = {}
    for line in _lines("/proc/mounts"):
        _, mounted, kind, *_ = line.split()
        kinds[Path(mounted)] = kind
    return next((kinds[folder] for folder in (place, *place.parents) if folder in kinds), "unknown")


def _lines(path: str) -> list[str]:
    """The lines of a file of Linux; none elsewhere."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _fsync_ms() -> float:
    taken = []
    with tempfile.NamedTemporaryFile(prefix="continuity-bench-", buffering=0) as file:
        block = os.urandom(4096)
        for _ in range(SYNCS):
            start = time.perf_counter()
            file.write(block)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def commit() -> str:
    """The short commit of the working copy, with ``+`` if it has changes; ``unknown`` outside one."""
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    changed = [line for line in dirty.stdout.splitlines() if "docs/benchmarks." not in line]
    return head.stdout.strip() + ("+" if changed else "")
