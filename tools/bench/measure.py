"""Interleaved measurement: ours and the peer in turn, so that a machine that drifts moves both; medians and ratios.

Owns how a figure is taken and what is written of it. Never judges: it prints the budget beside the ratio, and a peer
that wins is printed as winning.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

Better = Literal["higher", "lower"]


class Figure(Struct, kw_only=True):
    """One measured figure: medians of ours and the peer's, and the ratio ours / peer on the budget's terms."""

    name: str
    ours: float
    peer: float
    peer_name: str
    unit: str
    ratio: float
    must: float | None
    aim: float | None
    better: Better
    runs: list[tuple[float, float]]
    note: str
    machine: str
    commit: str


def compare(
    name: str,
    ours: Callable[[], float],
    peer: Callable[[], float],
    *,
    peer_name: str,
    unit: str,
    must: float | None,
    aim: float | None,
    note: str,
    repeats: int,
    better: Better = "higher",
) -> Figure:
    """Run both ``repeats`` times in turn after one warm-up each; each call returns its figure in ``unit``."""
    ours(), peer()
    return figure(
        name,
        [(ours(), peer()) for _ in range(repeats)],
        peer_name=peer_name,
        unit=unit,
        must=must,
        aim=aim,
        note=note,
        better=better,
    )


def figure(
    name: str,
    runs: list[tuple[float, float]],
    *,
    peer_name: str,
    unit: str,
    must: float | None,
    aim: float | None,
    note: str,
    better: Better = "higher",
) -> Figure:
    """The figure of interleaved runs, each (ours, the peer's): medians, and the median of their ratios."""
    return Figure(
        name=name,
        ours=statistics.median(run[0] for run in runs),
        peer=statistics.median(run[1] for run in runs),
        peer_name=peer_name,
        unit=unit,
        ratio=statistics.median(run[0] / run[1] for run in runs),
        must=must,
        aim=aim,
        better=better,
        runs=runs,
        note=note,
        machine=machine(),
        commit=commit(),
    )


def machine() -> str:
    """The machine in a few words: processor count, architecture, system and Python."""
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def commit() -> str:
    """The short commit of the working copy, with ``+`` if it has changes; ``unknown`` outside one."""
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def line(figure: Figure) -> str:
    """One line for people: the ratio, the budget, both medians."""
    verdict = ""
    if figure.must is not None:
        reached = figure.ratio >= figure.must if figure.better == "higher" else figure.ratio <= figure.must
        verdict = f"must {figure.must:g} {'reached' if reached else 'MISSED'}, aim {figure.aim:g}"
    spread = f"{min(a / b for a, b in figure.runs):.3f}–{max(a / b for a, b in figure.runs):.3f}"
    return (
        f"{figure.name:<44} {figure.ratio:6.3f} x ({spread})  "
        f"{figure.ours:>11,.0f} vs {figure.peer:>11,.0f} {figure.unit} of {figure.peer_name}  {verdict}"
    )
