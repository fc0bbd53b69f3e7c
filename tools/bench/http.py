"""The HTTP figure: single events over many connections, against an empty handler that parses the same bodies."""

from __future__ import annotations

import asyncio

from tools.bench.http_load import CONNECTIONS, compare
from tools.bench.measure import Figure, figure

EVENTS = 8_000
"""Requests in a round: about a second of ours."""


def single_events_figure(repeats: int) -> Figure:
    """Single events posted over 64 connections, each durable before it is answered."""
    comparison = asyncio.run(compare(repeats, EVENTS))
    return figure(
        f"single events over HTTP, {CONNECTIONS} connections",
        list(zip(comparison.ours, comparison.peer, strict=True)),
        peer_name="empty FastAPI handler",
        unit="requests/s",
        must=0.4,
        aim=0.6,
        note="ours authenticates, checks, commits, encrypts, chains and syncs; the peer parses the body and answers",
    )
