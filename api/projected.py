"""Reading projections for a caller: rows at least as new as they ask.

Owns the waiting for a position, which holds no thread, and the bound on it. Never folds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.requests import Request

from api import reading
from api.ledgers import Ledgers
from api.problems import NotReached
from api.security import Access
from api.settings import Settings
from projections.tail import Tail


def tail_of(request: Request, access: Access) -> Tail:
    """The live tail of the caller's ledger."""
    ledgers: Ledgers = request.app.state.ledgers
    return ledgers.tail(access.name)


async def reach(request: Request, access: Access, names: Iterable[str], wanted: int | None) -> None:
    """Wait until the live rows of these projections hold a position, if one is wanted. Raises ``NotReached``."""
    if wanted is None:
        return
    await reading.reach(request, access.log, wanted)
    tail = tail_of(request, access)
    settings: Settings = request.app.state.settings
    waiting = [asyncio.wrap_future(tail.when(name, wanted)) for name in names]
    if not waiting:
        return
    _, late = await asyncio.wait(waiting, timeout=settings.wait_seconds)
    for one in late:
        one.cancel()
    if late:
        raise NotReached(wanted, (await reading.in_thread(request, access.log.head)).size, what="the projection")
