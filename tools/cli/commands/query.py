"""``continuity query``: the rows of a read model's table, found by the values of some columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import click
import msgspec

from ledger.log import Log
from ledger.redaction import Policy
from ledger.redaction import policy as redaction_policy
from projections.models import TABLES
from projections.projection import Key, Table
from projections.queries import rows as reading
from projections.store.protocol import ProjectionStore
from tools.cli import output
from tools.cli.settings import Settings, pass_settings, verb

PAGE = 500
"""Rows that are read, and whose private values are opened, together."""


class TableName(click.ParamType[Table[Any]]):
    """The name of a table; completes in the shell."""

    name = "table"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Table[Any]:
        """The table of that name. Raises ``NotFound``."""
        return value if isinstance(value, Table) else reading.table_named(str(value))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Offer the tables that begin as typed."""
        return [click.shell_completion.CompletionItem(name) for name in TABLES if name.startswith(incomplete)]


@verb(
    "query",
    "continuity query reservations --where status=confirmed",
    "continuity query pieces --where code=MF-RES-H3T5XX-01A91F",
    "continuity query storage_actions --where reservation=R-2101 --json",
)
@click.argument("table", metavar="TABLE", type=TableName())
@click.option(
    "--where", "conditions", multiple=True, metavar="COLUMN=VALUE", help="Only rows with this value; may be repeated."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most this many rows.")
@click.option(
    "--policy",
    default="staff",
    show_default=True,
    metavar="NAME",
    help="Which redaction policy discloses private values.",
)
@pass_settings
def query(settings: Settings, *, table: Table[Any], conditions: Sequence[str], limit: int | None, policy: str) -> None:
    """Show the rows of TABLE, a table of the read models, in the order of its key.

    The read models are brought up to the log first. Columns without a value are left out. Private values are disclosed
    by a policy (see "redaction"), as to staff unless another is named; the others are named as withheld.
    docs/reference/read-models.md tells of all tables and columns. Exit code 10 for a table there isn't.
    """
    chosen = redaction_policy(policy)
    where = dict(_condition(table, each) for each in conditions)
    with settings.running() as (log, runner):
        with output.progress("folded", json=settings.json) as tick:
            size = runner.catch_up(tick)
        with runner.store.reading() as reads:
            position = reading.position_of(reads, table)
        found = islice(_rows(log, runner.store, table, where, chosen), limit)
        if settings.json:
            _write_document(table, position, found)
        else:
            _write_blocks(found)
    if position < size - 1:
        output.say(f"these rows stand at position {position}, the log at {size - 1}: see continuity projections")


def _condition(table: Table[Any], text: str) -> tuple[str, str | int]:
    name, equals, value = text.partition("=")
    try:
        if not equals:
            raise ValueError("expected COLUMN=VALUE")
        return name, reading.condition(table, name, value)
    except KeyError:
        columns = ", ".join(column.name for column in table.columns if column.type != "json")
        reason = f"{table.name} has no column {name!r}, only {columns}"
    except ValueError as error:
        reason = f"{text!r}: {error}"
    raise click.BadParameter(reason, click.get_current_context(), param_hint="--where")


def _rows(
    log: Log, store: ProjectionStore, table: Table[Any], where: reading.Where, policy: Policy
) -> Iterator[dict[str, Any]]:
    """All rows that fulfil the conditions, with their private values as the policy shows them."""
    after: Key | None = None
    while True:
        with store.reading() as reads:
            page = reading.page(reads, table, where, after=after, limit=PAGE)
        yield from reading.disclosed(log, table, page.rows, policy)
        if page.next is None:
            return
        after = page.next


def _write_document(table: Table[Any], position: int, rows: Iterator[dict[str, Any]]) -> None:
    """Write one document without holding it."""
    output.write(b'{"table":%b,"position":%d,"rows":[' % (msgspec.json.encode(table.name), position))
    separator = b""
    for row in rows:
        output.write(separator + msgspec.json.encode(row))
        separator = b","
    output.write(b"]}\n")


def _write_blocks(rows: Iterator[dict[str, Any]]) -> None:
    """Write each row as lines of name and value, rows apart by an empty line."""
    for number, row in enumerate(rows):
        if number:
            output.write_line("")
        shown = _for_people(row)
        width = max(map(len, shown))
        for name, value in shown.items():
            output.write_line(f"{name:<{width}}  {value if isinstance(value, str) else _json(value)}")


def _for_people(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its private values among its columns, in the place of their commitments."""
    disclosed = row.get("disclosed", {})
    shown = {name: value for name, value in row.items() if name not in ("private", "disclosed", "withheld")}
    aside = {name: value for name, value in disclosed.items() if name in shown}
    shown |= {name: value for name, value in disclosed.items() if name not in shown}
    return shown | {name: each for name, each in (("disclosed", aside), ("withheld", row.get("withheld"))) if each}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
