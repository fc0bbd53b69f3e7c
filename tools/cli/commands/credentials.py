"""``continuity credentials``: who may use a ledger over HTTP. Shows a token once, when it is issued."""

from __future__ import annotations

import time
from typing import get_args

import click

from ledger import moment
from ledger.credentials import Record, Role
from tools import credentials as tools_credentials
from tools.cli import output
from tools.cli.settings import Settings, pass_settings, verb
from tools.cli.values import REASON_CODE

_ROLES = ", ".join(get_args(Role))


@click.group("credentials")
def credentials() -> None:
    """Issue and revoke the API keys by which others use a ledger over HTTP.

    A credential has an id, which the seal of each entry names that it posts, and a role, which says what it may do.
    """


@verb(
    "issue",
    "continuity credentials issue kiosk --role service",
    "continuity credentials issue auditor-2026 --role auditor --expires 2026-12-31",
    "continuity credentials issue m-1002 --role member --member M-1002 --json | jq -r .api_key",
)
@click.argument("credential_id", metavar="ID")
@click.option(
    "--role", type=click.Choice(get_args(Role)), metavar="ROLE", required=True, help=f"What it may do: {_ROLES}."
)
@click.option("--expires", metavar="TIME", help="From this time on it opens nothing; a date means its last moment.")
@click.option("--member", metavar="MEMBER", help="Whose history it sees: for the role member, and needed there.")
@pass_settings
def issue(settings: Settings, credential_id: str, role: Role, expires: str | None, member: str | None) -> None:
    """Make an API key with the id ID, and print it. It is stored hashed, and never shown again.

    ID is 1 to 64 of a-z, 0-9 and -, and stands for nobody else later. The log says in an entry that it was issued; a
    running service takes it at once.
    """
    if (role == "member") != (member is not None):
        raise click.UsageError("--member goes with the role member, and is needed there", click.get_current_context())
    try:
        until = None if expires is None else moment.bound(expires, end=True)
        with settings.opened() as log:
            token = tools_credentials.issue(log, credential_id, role, expires=until, member=member)
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    if settings.json:
        output.write_json({"id": credential_id, "role": role, "expires": until, "member": member, "api_key": token})
        return
    output.say(f"API key of {credential_id}, with the role {role}. Keep it now, it is not shown again:")
    output.write_line(token)


@verb("list", "continuity credentials list", "continuity credentials list --json | jq '.credentials[].id'")
@pass_settings
def list_(settings: Settings) -> None:
    """List the credentials there are and were, with their roles; no key or hash of one."""
    with settings.opened() as log:
        records = log.credentials.records()
    if settings.json:
        output.write_json(
            {
                "credentials": [
                    {
                        "id": one.id,
                        "role": one.role,
                        "state": _state(one),
                        "expires": one.expires,
                        "member": one.member,
                    }
                    for one in records
                ]
            }
        )
        return
    for one in records:
        member = f", sees {one.member}" if one.member else ""
        until = f", until {one.expires}" if one.expires else ""
        output.write_line(f"{one.id}: {one.role}, {_state(one)}{member}{until}")


def _state(record: Record) -> str:
    if record.revoked:
        return "revoked"
    return "expired" if record.expired(time.time()) else "active"


@verb(
    "revoke", "continuity credentials revoke kiosk --reason stolen", "continuity credentials revoke owner --reason lost"
)
@click.argument("credential_id", metavar="ID")
@click.option("--reason", type=REASON_CODE, required=True, help="Why, as a code, such as stolen or left.")
@pass_settings
def revoke(settings: Settings, credential_id: str, reason: str) -> None:
    """Let the API key with the id ID open nothing any more, at once and for good; a running service refuses it.

    The log says so in an entry. Repeated, it changes nothing.
    """
    with settings.opened() as log:
        record = tools_credentials.revoke(log, credential_id, reason)
    if settings.json:
        output.write_json({"id": record.id, "role": record.role, "state": _state(record)})
    else:
        output.write_line(f"{record.id} is revoked")


for each in (issue, list_, revoke):
    credentials.add_command(each)
