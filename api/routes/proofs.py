"""What anyone needs to check the log: checkpoint, tiles, inclusion and consistency proofs, in public formats.

Owns the requests on ``.../checkpoint``, ``.../tile/...``, ``.../proofs/...`` and ``.../consistency``. Serves nothing
that the current signed checkpoint does not cover. Sources: C2SP tlog-tiles, tlog-checkpoint, tlog-proof.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import negotiation, queries, reading
from api.problems import BadParameter
from api.queries import CheckpointQuery, ConsistencyQuery, NoQuery
from api.routes import Routes
from api.security import READING, WHOLE, Access, admit
from ledger.checkpoint import open_checkpoint
from ledger.errors import NotFound
from ledger.log import Log
from ledger.tiles import TILE_WIDTH, parse_path
from tools.witnessing import WITNESSED

_IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}
_FRESH = {"Cache-Control": "no-cache"}


async def get_checkpoint(request: Request) -> Response:
    """The signed checkpoint of the log as it stands, or the last one that its witnesses cosigned."""
    access = await admit(request, READING)
    query = queries.parse(request, CheckpointQuery)
    if query.witnessed:
        note = await reading.in_thread(request, _witnessed, request.app.state.settings.data / access.name)
    else:
        _, note = await reading.in_thread(request, access.log.checkpoint)
    return Response(note, 200, _FRESH, negotiation.TEXT)


def _witnessed(folder: Path) -> bytes:
    try:
        return (folder / WITNESSED).read_bytes()
    except FileNotFoundError:
        raise NotFound(
            "no checkpoint was cosigned by enough witnesses yet", advice="leave out witnessed for the ledger's own word"
        ) from None


async def get_tile(request: Request) -> Response:
    """A tile of hashes or a bundle of entries."""
    access = await admit(request, WHOLE)
    queries.parse(request, NoQuery)
    path: str = request.path_params["path"]
    content = await reading.in_thread(request, _tile, access.log, f"tile/{path}")
    return Response(content, 200, _IMMUTABLE, negotiation.OCTETS)


def _tile(log: Log, path: str) -> bytes:
    """A tile's content. Raises ``InvalidPath``, and ``NotFound`` above the signed size."""
    wanted = parse_path(path)
    last = wanted.index * TILE_WIDTH + wanted.width << 8 * (wanted.level or 0)
    size = _signed_size(log)
    if last > size:
        raise NotFound(f"there is no {path} under the signed checkpoint of {size:,} entries")
    return log.tile(path)


def _signed_size(log: Log) -> int:
    with log.store.reading() as reads:
        note = reads.latest_checkpoint()
    return open_checkpoint(note, log.verifier_keys).size if note is not None else 0


async def get_proof(request: Request) -> Response:
    """The inclusion proof of an entry under the current checkpoint, as a tlog-proof."""
    access = await admit(request, READING)
    queries.parse(request, NoQuery)
    content = await reading.in_thread(request, _proof, access, queries.position(request))
    return Response(content, 200, _FRESH, negotiation.TEXT)


def _proof(access: Access, position: int) -> bytes:
    reading.read_row(access, position)  # a proof of an entry is for those who may read it
    return access.log.prove(position)


async def get_consistency(request: Request) -> Response:
    """The proof that a later tree extends an earlier one, with both roots."""
    access = await admit(request, READING)
    query = queries.parse(request, ConsistencyQuery)
    content = await reading.in_thread(request, _consistency, access.log, query)
    return Response(content, 200, _FRESH, negotiation.JSON)


def _consistency(log: Log, query: ConsistencyQuery) -> bytes:
    new = query.new if query.new is not None else log.checkpoint()[0].size
    if query.old > new:
        raise BadParameter("old", f"expected at most {new}, the size of the later tree")
    proof = log.consistency(query.old, new)
    return msgspec.json.encode(
        {
            "old": {"size": query.old, "root": log.root(query.old).hex()},
            "new": {"size": new, "root": log.root(new).hex()},
            "proof": [one.hex() for one in proof],
        }
    )


ROUTES: Routes = (
    ("GET", "/v1/ledgers/{ledger}/checkpoint", get_checkpoint),
    ("GET", "/v1/ledgers/{ledger}/tile/{path:path}", get_tile),
    ("GET", "/v1/ledgers/{ledger}/proofs/{position}", get_proof),
    ("GET", "/v1/ledgers/{ledger}/consistency", get_consistency),
)
