"""Who is asking, and what that role may do.

Owns the reading of the Authorization header and the table of rights. Never stores a token. Authentication comes before
everything else that depends on the ledger, so that an answer tells nobody without a key which ledgers there are.

========  =====================================================================
owner     all of it
admin     all but what destroys: erasures
service   posts; reads the entries that it posted, and what they say
auditor   reads log, tiles and proofs, never private values; posts nothing
member    nothing yet: a member's slice of the log comes with its own routes
========  =====================================================================
"""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request

from api.ledgers import Ledgers
from api.problems import Unauthenticated
from ledger.errors import Denied
from ledger.event import Credential
from ledger.log import Log

OWNING = frozenset({"owner"})
POSTING = frozenset({"owner", "admin", "service"})
READING = frozenset({"owner", "admin", "service", "auditor"})
OPERATING = frozenset({"owner", "admin"})
WHOLE = frozenset({"owner", "admin", "auditor"})
PRIVATE = frozenset({"owner", "admin"})
CREDENTIAL = "continuity.credential"
"""Key of the credential's id in the ASGI scope, for the access log."""


class Access(NamedTuple):
    """An admitted caller: the ledger's name, its log, and the caller's credential."""

    name: str
    log: Log
    credential: Credential

    def sees(self, posted_by: str) -> bool:
        """Whether this caller may read an entry that the credential ``posted_by`` posted."""
        return self.credential.role in WHOLE or self.credential.id == posted_by

    def sees_private(self, posted_by: str) -> bool:
        """Whether this caller may read the private values of an entry that ``posted_by`` posted."""
        role = self.credential.role
        return role in PRIVATE or (role == "service" and self.credential.id == posted_by)


async def admit(request: Request, roles: frozenset[str]) -> Access:
    """Admit a caller to the ledger in the path. Raises ``Unauthenticated``, or ``Denied`` for another role."""
    ledgers: Ledgers = request.app.state.ledgers
    name: str = request.path_params["ledger"]
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    credential = ledgers.authenticate(name, token.strip()) if scheme.lower() == "bearer" else None
    if credential is None:
        raise Unauthenticated(given=bool(token))
    request.scope[CREDENTIAL] = credential.id
    if credential.role not in roles:
        raise Denied(
            f"credential {credential.id} has the role {credential.role}, this takes {', '.join(sorted(roles))}"
        )
    return Access(name, await ledgers.open(name), credential)
