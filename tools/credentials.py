"""Issuing and revoking API credentials, and saying so in the log.

Owns the order of effects. To issue: say so in the log, then store the hash; a crash between leaves an entry about a
credential that opens nothing. To revoke: let it open nothing first, then say so; a crash between leaves only the entry
to be written, which repeating it does. Never shows a token twice, never writes one.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from ledger import moment
from ledger.credentials import Record, Role
from ledger.errors import NotFound
from ledger.event import LOCAL, Credential, prepare
from ledger.log import Log, system_clock
from ledger.store.protocol import Selection


def issue(
    log: Log,
    credential_id: str,
    role: Role,
    *,
    expires: str | None = None,
    member: str | None = None,
    by: Credential = LOCAL,
) -> str:
    """Make a credential and return its token, which nobody sees again.

    Raises ``Conflict`` for an id that is or was taken, ``NotFound`` for a member that the log does not know,
    ``ValueError`` for an id, time or member of another form, and what ``Log.append`` raises.
    """
    if member is not None and not log.page(Selection(stream=f"member:{member}"), 1):
        raise NotFound(f"the log knows no member {member}", advice="register the member first, or look at the id")
    with log.credentials.issuing(credential_id, role, expires=expires, member=member) as (record, token):
        log.append([_issued(record, by)], by.as_system())
    return token


def revoke(log: Log, credential_id: str, reason: str, by: Credential = LOCAL) -> Record:
    """Let a credential open nothing any more, for a reason given by its code. Repeated, it changes nothing.

    Raises ``NotFound``, ``InvalidEvent`` for a reason or id that is none, and what ``Log.append`` raises: then it opens
    nothing, and repeating says so in the log.
    """
    stream = f"credential:{credential_id}"
    revoked = _event("revoked", stream, {"reason": reason, "revoked_by": by.id})
    prepare(revoked, by.as_system())  # a reason that is none is refused before anything is done
    record = log.credentials.revoke(credential_id)
    told = {row.content().event.type for row in log.scan(Selection(stream=stream))}
    if "credential.revoked" not in told:
        events = [] if "credential.issued" in told else [_issued(record, by)]  # that which init made
        log.append([*events, revoked], by.as_system())
    return record


def _issued(record: Record, by: Credential) -> bytes:
    data: dict[str, Any] = {"actor_roles": record.actor_roles, "issued_by": by.id, "role": record.role}
    if record.expires is not None:
        data["expires"] = record.expires
    if record.member is not None:
        data["sees_member"] = record.member
    return _event("issued", f"credential:{record.id}", data)


def _event(verb: str, stream: str, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"credential-{verb}-{secrets.token_hex(16)}",
            "source": "urn:continuity-ledger",
            "type": f"credential.{verb}",
            "subject": stream,
            "time": moment.recorded(system_clock()),
            "data": data,
        }
    )
