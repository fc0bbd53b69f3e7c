"""API credentials of a ledger: issued once, stored as hashes, checked in constant time.

Owns ``credentials.json`` in the key folder. Never stores a token, and never decides what a role may do. A token is
``ck_<id>_<secret>``: the id finds the record, the secret has 256 random bits, so one SHA-256 is all the hashing it
needs. A credential that is revoked stays on record without its hash, so that its id means nobody else later.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ledger import moment
from ledger.errors import Conflict, KeyFileError, NotFound
from ledger.event import Credential
from ledger.private_files import locked, read_private, write_private

_TOKEN = re.compile(r"ck_([a-z0-9-]{1,64})_([A-Za-z0-9_-]{43})")
_ID = re.compile(r"[a-z0-9-]{1,64}")
Role = Literal["owner", "admin", "service", "auditor", "member"]
_ADMIN_ACTORS = frozenset({"client", "staff", "service", "admin"})


class Record(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One credential as stored: the hash of its secret and what it stands for.

    ``expires`` is the instant from which it opens nothing, ``member`` whose history it sees, for the role member.
    """

    id: str
    sha256: str
    role: Role
    actor: str
    actor_role: str
    actor_roles: list[str]
    expires: str | None = None
    member: str | None = None
    revoked: bool = False

    def expired(self, now: float) -> bool:
        """Whether it opens nothing any more at this Unix time."""
        return self.expires is not None and moment.microseconds(self.expires) <= now * 1_000_000


class Credentials:
    """The credentials of one ledger, in one private file that is re-read when it changes."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / "credentials.json"
        self._name = str(self._path)
        self._clock = clock
        self._stamp: tuple[int, int] | None = None
        self._records: dict[str, Record] = {}
        self._opened: dict[str, Credential] = {}  # what each stands for, made once

    def records(self) -> list[Record]:
        """All credentials there are or were, in the order of their issue; no secret is among what they hold."""
        return list(self._load().values())

    def issue(self, credential_id: str, role: Role, *, expires: str | None = None, member: str | None = None) -> str:
        """Store a new credential and return its token, which is never shown again. Raises as ``issuing`` does."""
        with self.issuing(credential_id, role, expires=expires, member=member) as (_, token):
            return token

    @contextmanager
    def issuing(
        self, credential_id: str, role: Role, *, expires: str | None = None, member: str | None = None
    ) -> Iterator[tuple[Record, str]]:
        """A new credential and its token, stored when the context ends without an error.

        ``expires`` is an RFC 3339 time to come; a ``member`` goes with the role member, and with no other. Owners and
        admins may assert every actor role but ``system``; others client, staff and service. Raises ``Conflict`` when
        the id is or was taken, ``ValueError`` for an id that is not 1 to 64 of ``a-z0-9-``, another time or member.
        """
        if not _ID.fullmatch(credential_id):
            raise ValueError(f"expected 1 to 64 of a-z, 0-9 and -, got {credential_id!r}")
        if member is not None and role != "member":
            raise ValueError(f"a credential with the role {role} is bound to no member")
        secret = secrets.token_urlsafe(32)
        privileged = role in ("owner", "admin")
        record = Record(
            id=credential_id,
            sha256=sha256(secret.encode()).hexdigest(),
            role=role,
            actor=credential_id,
            actor_role="admin" if privileged else "service",
            actor_roles=sorted(_ADMIN_ACTORS if privileged else {"client", "staff", "service"}),
            expires=None if expires is None else moment.normal(expires),
            member=member,
        )
        if record.expired(self._clock()):
            raise ValueError(f"{expires} is past: the credential would open nothing")
        with self._locked():
            records = self._load()
            if credential_id in records:
                raise Conflict(f"credential {credential_id} exists already", advice="choose an id that was never used")
            yield record, f"ck_{credential_id}_{secret}"
            self._write([*records.values(), record])

    def revoke(self, credential_id: str) -> Record:
        """Let a credential open nothing from now on, in any process; one that is revoked stays so. Raises ``NotFound``.

        Its hash is destroyed with it.
        """
        with self._locked():
            records = self._load()
            found = records.get(credential_id)
            if found is None:
                raise NotFound(f"there is no credential {credential_id}", advice="continuity credentials list")
            revoked = msgspec.structs.replace(found, sha256="", revoked=True)
            if revoked != found:
                self._write([revoked if one.id == credential_id else one for one in records.values()])
            return revoked

    def _locked(self) -> AbstractContextManager[None]:
        """The lock against all others who change the file, or of two at once one would be lost."""
        return locked(self._path.with_name(".credentials.lock"))

    def _write(self, records: list[Record]) -> None:
        write_private(self._path, msgspec.json.format(msgspec.json.encode(records), indent=1))

    def authenticate(self, token: str) -> Credential | None:
        """The credential of a token, or None when the token is unknown, revoked or expired."""
        match = _TOKEN.fullmatch(token)
        record = self._load().get(match[1]) if match else None
        given = sha256(match[2].encode()).hexdigest() if match else ""
        # The comparison runs for an unknown id too, so that its time tells nothing about which ids exist.
        stored = record.sha256 if record and not record.revoked else "0" * 64
        if not hmac.compare_digest(given, stored) or record is None or record.expired(self._clock()):
            return None
        return self._opened[record.id]

    def _load(self) -> dict[str, Record]:
        try:
            stat = os.stat(self._name)  # noqa: PTH116 - at each request, and a third of the time
        except (FileNotFoundError, NotADirectoryError):  # the second: some file lies where ledgers do
            return {}
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            try:
                records = msgspec.json.decode(read_private(self._path), type=list[Record])
            except msgspec.MsgspecError as error:
                raise KeyFileError(f"{self._path} is damaged: {error}") from None
            self._opened = {record.id: _credential(record) for record in records}  # first: no id ever goes
            self._records = {record.id: record for record in records}
            self._stamp = stamp
        return self._records


def _credential(record: Record) -> Credential:
    return Credential(
        id=record.id,
        role=record.role,
        actor=record.actor,
        actor_role=record.actor_role,
        actor_roles=frozenset(record.actor_roles),
    )
