"""The rows of any table of the read models.

Owns the requests on ``.../read-models/{table}``: which columns rows may be asked for by, cursors, and who sees what. A
row tells of everybody's events, so it is for those alone who read the whole log; its private values are disclosed to
those who may see them, where they ask, and noted as commitments to all others.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api import negotiation, projected, queries, reading
from api.problems import BadParameter
from api.queries import RowsQuery
from api.routes import Routes
from api.security import PRIVATE, WHOLE, Access, admit
from ledger import redaction
from ledger.canonical import MAX_INTEGER
from ledger.errors import Denied
from projections.models import MODELS
from projections.projection import Key, Table
from projections.queries import rows as reader
from projections.queries.rows import Where
from projections.tail import Tail

_DIGEST: Final = 8


async def get_rows(request: Request) -> Response:
    """A page of a table."""
    access = await admit(request, WHOLE)
    table = reader.table_named(request.path_params["table"])
    query, columns = queries.split(request, RowsQuery)
    where = _where(table, columns)
    after = None if query.after is None else _resume(table, where, query.after)
    if query.disclose and access.credential.role not in PRIVATE:
        raise Denied(
            f"credential {access.credential.id} has the role {access.credential.role}, which reads no private values",
            advice="leave out disclose",
        )
    await projected.reach(request, access, [MODELS[table.name].name], query.min_position)
    tail = projected.tail_of(request, access)
    found = await reading.in_thread(request, _page, access, tail, table, where, after, query)
    headers = {}
    if found["next"] is not None:
        parameters = [(name, value) for name, value in request.query_params.items() if name != "after"]
        headers["Link"] = f'<?{urlencode([*parameters, ("after", found["next"])])}>; rel="next"'
    return Response(orjson.dumps(found), 200, headers, negotiation.JSON)


def _page(
    access: Access, tail: Tail, table: Table[Any], where: Where, after: Key | None, query: RowsQuery
) -> dict[str, Any]:
    """The answer. Raises ``Unready`` while the read model is being built."""
    with tail.reading() as reads:
        page = reader.page(reads, table, where, after=after, limit=query.limit)
        position = reader.position_of(reads, table)
    found = page.rows
    if query.disclose:
        found = reader.disclosed(access.log, table, found, redaction.policy(redaction.ROLES[access.credential.role]))
    following = None if page.next is None else _cursor(table, where, page.next)
    return {"table": table.name, "position": position, "rows": found, "next": following}


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


def _asked(table: Table[Any], where: Where) -> str:
    """A digest of what a cursor belongs to."""
    return sha256(orjson.dumps([table.name, sorted(where.items())])).hexdigest()[:_DIGEST]


def _cursor(table: Table[Any], where: Where, key: Key) -> str:
    values = key if isinstance(key, tuple) else (key,)
    return urlsafe_b64encode(orjson.dumps([_asked(table, where), *values])).rstrip(b"=").decode()


def _resume(table: Table[Any], where: Where, text: str) -> Key:
    """The key after which a cursor resumes. Raises ``BadParameter``."""
    try:
        asked, *values = orjson.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (UnicodeError, binascii.Error, ValueError, TypeError):
        raise BadParameter("after", "not a cursor of this service") from None
    kinds = [int if column.type == "integer" else str for column in table.key]
    if [type(value) for value in values] != kinds or not all(map(_is_storable, values)):
        raise BadParameter("after", "not a cursor of this table")
    if asked != _asked(table, where):
        raise BadParameter("after", "it belongs to another query", advice="repeat the query that gave it, unchanged")
    return tuple(values) if len(values) > 1 else values[0]


def _is_storable(value: str | int) -> bool:
    """Whether a database takes a value to compare with, so that a forged cursor is not taken for a fault of ours."""
    return abs(value) <= MAX_INTEGER if isinstance(value, int) else "\0" not in value


ROUTES: Routes = (("GET", "/v1/ledgers/{ledger}/read-models/{table}", get_rows),)
