"""``continuity init``: make a ledger and its keys."""

from __future__ import annotations

import click

from ledger.log import Log
from tools.cli import output
from tools.cli.settings import Settings, pass_settings, verb


@verb(
    "init",
    "continuity init studio --origin ledger.example.org/studio",
    "continuity init studio --origin ledger.example.org/studio --store postgresql://owner@db.example.org/continuity",
    "continuity init studio --origin ledger.example.org/studio --json | jq -r '.verifier_keys[]' > studio.vkey",
)
@click.argument("name")
@click.option("--origin", required=True, help="The ledger's name for the world: host and path, without a scheme.")
@click.option("--service-role", metavar="ROLE", help="Database role that may then serve it (with --store).")
@pass_settings
def init(settings: Settings, name: str, origin: str, service_role: str | None) -> None:
    """Make the ledger NAME and its keys.

    Prints the verifier keys, which everybody may have who checks the ledger, and an API key of its owner, which is
    stored hashed and never shown again. NAME is 1 to 63 of a-z, 0-9, - and _; the origin can't be changed later. With
    --store, entries go into a schema of that database, which takes a role that may make one; keys stay in the folder.
    """
    if service_role is not None and settings.store is None:
        raise click.UsageError("--service-role is of a database: give --store too", click.get_current_context())
    try:
        log, api_key = Log.create(settings.data, name, origin, store=settings.store, service_role=service_role)
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    with log:
        keys = [str(key) for key in log.verifier_keys]
    if settings.json:
        output.write_json({"ledger": name, "origin": origin, "verifier_keys": keys, "api_key": api_key})
        return
    place = settings.data / name
    where = place if settings.store is None else f"{settings.store}, its keys in {place}"
    output.write_line(f"Made the ledger {name} in {where}, with the origin {origin}.")
    output.write_line("")
    output.write_line("Verifier keys, one a line, for whoever checks it:")
    for key in keys:
        output.write_line(key)
    output.write_line("")
    output.write_line("API key of its owner. Keep it now, it is not shown again:")
    output.write_line(api_key)
