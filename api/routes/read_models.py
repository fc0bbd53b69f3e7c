"""The rows of any table of the read models.

Owns the requests on ``.../read-models/{table}``: which columns rows may be asked for by, cursors, and who sees what. A
row tells of everybody's events, so it is for those alone who read the whole log; its private values are disclosed to
those who may see them, where they ask, and noted as commitments to all others. Rows of a past moment hold what the log
held then, but nothing that was erased since: private values are opened as they are today.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api import negotiation, projected, queries, reading
from api.past import Past
from api.problems import BadParameter
from api.queries import RowsQuery
from api.routes import Routes
from api.security import PRIVATE, WHOLE, Access, admit
from ledger import redaction
from ledger.canonical import MAX_INTEGER
from ledger.errors import Denied, NotFound
from ledger.log import Log
from projections.models import MODELS
from projections.projection import Key, Table
from projections.queries import rows as reader
from projections.queries.rows import Page, Where
from projections.store.protocol import Reads, Unready
from projections.tail import Tail

_DIGEST: Final = 8


async def get_rows(request: Request) -> Response:
    """A page of a table."""
    access = await admit(request, WHOLE)
    table = reader.table_named(request.path_params["table"])
    query, columns = queries.split(request, RowsQuery)
    where = _where(table, columns)
    cursor = _Cursor() if query.after is None else _resume(table, _asked(table, where, query.at), query)
    if query.disclose and access.credential.role not in PRIVATE:
        raise Denied(
            f"credential {access.credential.id} has the role {access.credential.role}, which reads no private values",
            advice="leave out disclose",
        )
    moment = await _moment(request, access, query, cursor)
    if moment is None:
        await projected.reach(request, access, [MODELS[table.name].name], query.min_position)
        tail = projected.tail_of(request, access)
        page, position = await reading.in_thread(request, _live_page, tail, table, where, cursor.key, query.limit)
    else:
        past: Past = request.app.state.past
        position, work = moment, partial(_past_page, table=table, where=where, after=cursor.key, limit=query.limit)
        page = await past.read(request, access, position, work)
    found = page.rows
    if query.disclose:
        found = await reading.in_thread(request, _disclosed, access, table, found)
    headers, following = {}, None
    if page.next is not None:
        following = _cursor(_asked(table, where, query.at), page.next, moment)
        parameters = [(name, value) for name, value in request.query_params.items() if name != "after"]
        headers["Link"] = f'<?{urlencode([*parameters, ("after", following)])}>; rel="next"'
    answer = {"table": table.name, "position": position, "rows": found, "next": following}
    return Response(orjson.dumps(answer), 200, headers, negotiation.JSON)


async def _moment(request: Request, access: Access, query: RowsQuery, cursor: _Cursor) -> int | None:
    """The position whose rows are asked for: the cursor's, or that of ``at``; None for those there are now.

    Raises ``NotFound`` beyond the end of the log, ``BadParameter``.
    """
    if query.at is None:
        return None
    await reading.reach(request, access.log, query.min_position)
    return await reading.in_thread(request, _position, access.log, query.at, cursor.moment)


def _position(log: Log, at: str, moment: int | None) -> int:
    wanted = reading.bound(log, "at", at, end=True) if moment is None else moment
    size = log.head().size
    if wanted >= size:
        raise NotFound(f"there is no entry at position {wanted:,} yet; the log holds {size:,}")
    return wanted


def _live_page(tail: Tail, table: Table[Any], where: Where, after: Key | None, limit: int) -> tuple[Page, int]:
    """A page of the rows there are, and up to which position. Raises ``Unready`` while they are being built."""
    with tail.reading() as reads:
        return reader.page(reads, table, where, after=after, limit=limit), reader.position_of(reads, table)


def _past_page(reads: Reads, *, table: Table[Any], where: Where, after: Key | None, limit: int) -> Page:
    """A page of a past moment's rows. Raises ``Unready`` where these end before it, at an event of no use to them."""
    name = MODELS[table.name].name
    fault = next((one.fault for one in reads.generations() if one.projection == name), None)
    if fault is not None:
        raise Unready(
            f"{name} can't fold the entry at position {fault.position:,}, nor what follows it",
            advice="an operator may have it left out: continuity projections --skip",
        )
    return reader.page(reads, table, where, after=after, limit=limit)


def _disclosed(access: Access, table: Table[Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return reader.disclosed(access.log, table, rows, redaction.policy(redaction.ROLES[access.credential.role]))


def _where(table: Table[Any], columns: dict[str, str]) -> Where:
    """The values that columns must have. Raises ``BadParameter``, also where no index would find the rows."""
    advice = f"rows are found by {', '.join(reader.findable(table))}"
    where: dict[str, str | int | None] = {}
    for name, text in columns.items():
        try:
            where[name] = reader.condition(table, name, text)
        except KeyError:
            raise BadParameter(
                name[:64], f"not a parameter here, and {table.name} has no such column", advice=advice
            ) from None
        except ValueError as error:
            raise BadParameter(name, str(error), advice=advice) from None
    if where and where.keys().isdisjoint(reader.findable(table)):
        raise BadParameter(next(iter(where)), "rows are not found by this column alone", advice=advice)
    return where


def _asked(table: Table[Any], where: Where, at: str | None) -> str:
    """A digest of what a cursor belongs to."""
    return sha256(orjson.dumps([table.name, sorted(where.items()), at])).hexdigest()[:_DIGEST]


class _Cursor(NamedTuple):
    """Where a page begins: after which key, and at which past moment, None for now."""

    key: Key | None = None
    moment: int | None = None


def _cursor(asked: str, key: Key, moment: int | None) -> str:
    values = key if isinstance(key, tuple) else (key,)
    return urlsafe_b64encode(orjson.dumps([asked, moment, *values])).rstrip(b"=").decode()


def _resume(table: Table[Any], asked: str, query: RowsQuery) -> _Cursor:
    """Where the cursor of a query resumes. Raises ``BadParameter``."""
    text = query.after or ""
    try:
        digest, moment, *values = orjson.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (UnicodeError, binascii.Error, ValueError, TypeError):
        raise BadParameter("after", "not a cursor of this service") from None
    kinds = [int if column.type == "integer" else str for column in table.key]
    if [type(value) for value in values] != kinds or not all(map(_is_storable, values)):
        raise BadParameter("after", "not a cursor of this table")
    if digest != asked:
        raise BadParameter("after", "it belongs to another query", advice="repeat the query that gave it, unchanged")
    if (moment is None) != (query.at is None) or not (moment is None or (type(moment) is int and moment >= -1)):
        raise BadParameter("after", "not a cursor of this query")
    return _Cursor(tuple(values) if len(values) > 1 else values[0], moment)


def _is_storable(value: str | int) -> bool:
    """Whether a database takes a value to compare with, so that a forged cursor is not taken for a fault of ours."""
    return abs(value) <= MAX_INTEGER if isinstance(value, int) else "\0" not in value


ROUTES: Routes = (("GET", "/v1/ledgers/{ledger}/read-models/{table}", get_rows),)
