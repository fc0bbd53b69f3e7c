"""The reference pages that are generated from the code: ``python -m tools.docs`` writes them anew.

Owns ``docs/reference/events.md`` and ``docs/reference/events.schema.json``, from the catalogue and the lifecycles, and
the list of all generated pages. What they say is a pure function of the code; a test compares the committed files with
it. Never touches another page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ledger import catalog, lifecycle
from ledger.catalog.base import RETENTION
from ledger.catalog.values import VALUES
from ledger.patterns import END
from tools.cli.reference import cli_page
from tools.read_models_page import read_models_page

ROOT = Path(__file__).resolve().parents[1]

_INTRODUCTION = """\
# Events

Written by `make docs` from `ledger/catalog` and `ledger/lifecycle`; don't edit it by hand.

These are all types of event, with the fields of their `data`. How an event is posted is told in
[post events](../how-to/post-events.md). A program can check its events beforehand against
[events.schema.json](events.schema.json), a JSON Schema (2020-12) of whole CloudEvents.

A field that a type doesn't name is refused, and so is `null` for a field that is left out. A **private** field stands
in the log as a commitment only; its value is kept beside it, encrypted, and can be erased. A **withheld** field is
private, and no export and no reader is ever shown it.
"""


_MEANINGS = {schema["title"]: schema["description"] for schema in map(msgspec.json.schema, VALUES)}


def events_page() -> str:
    """Return the page of all event types, as Markdown."""
    return "\n".join(
        [_INTRODUCTION, *_values(), *_retention(), *(line for kind in catalog.kinds() for line in _kind(kind))]
    )


def events_schema() -> str:
    """Return one JSON Schema of a CloudEvent of any type that can be posted, as JSON text.

    Each type is an embedded schema with an ``$id`` of its own (JSON Schema 2020-12 core, section 9.3).
    """
    postable = [name for name in catalog.names() if not catalog.get(name).issued_by_ledger]
    whole: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:continuity-ledger:events",
        "title": "An event that the ledger takes, as a CloudEvent",
        "oneOf": [{"$ref": f"urn:continuity-ledger:events:{name}"} for name in postable],
        "$defs": {
            name: {"$id": f"urn:continuity-ledger:events:{name}", **catalog.cloudevent_schema(name)}
            for name in postable
        },
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/cli.md": cli_page,
    "docs/reference/events.md": events_page,
    "docs/reference/events.schema.json": events_schema,
    "docs/reference/read-models.md": read_models_page,
}
"""The generated pages, by their place in the repository."""


def main(root: Path = ROOT) -> None:
    """Write every generated page below ``root``."""
    for place, page in PAGES.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(), encoding="utf-8")


def _values() -> Iterator[str]:
    yield "## Values\n"
    yield "Every public string is an enumeration or one of these, so that no free text gets into the log.\n"
    yield "| type | meaning | form |"
    yield "|---|---|---|"
    for value in VALUES:
        schema = msgspec.json.schema(value)
        pattern = schema.get("pattern", "").replace(END, "$").replace("|", "\\|")
        yield f"| {schema['title']} | {schema['description']} | {f'`{pattern}`' if pattern else _plain(schema)} |"
    yield ""


def _retention() -> Iterator[str]:
    yield "## Retention classes\n"
    yield "| class | meaning |"
    yield "|---|---|"
    yield from (f"| {name} | {meaning} |" for name, meaning in RETENTION.items())
    yield ""


def _kind(kind: str) -> Iterator[str]:
    yield f"## {kind}\n"
    yield from _lifecycle(kind)
    for name in catalog.names():
        if name.startswith(f"{kind}."):
            yield from _type(name)


def _lifecycle(kind: str) -> Iterator[str]:
    found = lifecycle.LIFECYCLES.get(kind)
    if found is None:
        yield "Any of these events may follow any other in a stream of this kind.\n"
        return
    yield "Which event may follow in which status, and the status after it. Without a status, it begins the stream.\n"
    yield "| event | status before → after |"
    yield "|---|---|"
    for verb, moves in found.table.items():
        steps = [_move(before, after) for before, after in moves.items()]
        yield f"| {verb} | {', '.join(steps)} |"
    yield ""
    if found.rules:
        yield found.rules
    yield "An admin may force any event, with a reason code in `forced`; it then leads to the state that it tells of.\n"


def _move(before: str | None, after: str) -> str:
    if before is None:
        return f"→ {after}"
    return before if before == after else f"{before} → {after}"


def _type(name: str) -> Iterator[str]:
    found, schema = catalog.get(name), catalog.json_schema(name)
    yield f"### {name}\n"
    yield schema["description"] + "\n"
    yield f"Version {found.version}, retention class {found.retention}.{_posted_by(found)}\n"
    yield "| field | type | | meaning |"
    yield "|---|---|---|---|"
    yield from _fields(schema, schema.get("$defs", {}), "")
    yield ""


def _posted_by(found: catalog.EventType) -> str:
    if found.issued_by_ledger:
        return " Written by the ledger itself; it can't be posted."
    if found.posted_by is None:
        return ""
    return f" Posted by {' or '.join(sorted(found.posted_by, reverse=True))} only."


def _fields(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> Iterator[str]:
    """Yield a row for each field of an object, those of objects in it below it, with their path."""
    for name, field in schema["properties"].items():
        inner = field.get("items", field)
        nested = definitions.get(inner.get("$ref", "").rpartition("/")[2])
        marks = [
            word
            for word, holds in (
                ("required", name in schema["required"]),
                ("private", field.get("x-private")),
                ("withheld", field.get("x-withheld")),
            )
            if holds
        ]
        meaning = field.get("description") or (nested or field).get("description", "")
        if meaning == _MEANINGS.get(field.get("title", "")):
            meaning = ""  # the type says it
        yield f"| `{prefix}{name}` | {_plain(field)} | {', '.join(marks)} | {meaning} |"
        if nested:
            yield from _fields(nested, definitions, f"{prefix}{name}{'' if inner is field else '[]'}.")


def _plain(schema: dict[str, Any]) -> str:
    """Return the type of one field in a few words."""
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if schema.get("type") == "array":
        return f"up to {schema['maxItems']} × {_plain(schema['items'])}"
    if "$ref" in schema:
        return "object"
    if schema.get("title") in _MEANINGS:
        return str(schema["title"])
    if schema.get("type") == "integer":
        return f"integer, {schema['minimum']:,} to {schema['maximum']:,}"
    return str(schema["type"])


if __name__ == "__main__":
    main()
