"""API credentials of a ledger: issued once, stored as hashes, checked in constant time.

Owns ``credentials.json`` in the key folder. Never stores a token, and never decides what a role may do. A token is
``ck_<id>_<secret>``: the id finds the record, the secret has 256 random bits, so one SHA-256 is all the hashing it
needs.
"""

from __future__ import annotations

import hmac
import re
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ledger.errors import Conflict, KeyFileError
from ledger.event import Credential
from ledger.private_files import locked, read_private, write_private

_TOKEN = re.compile(r"ck_([a-z0-9-]{1,64})_([A-Za-z0-9_-]{43})")
_ID = re.compile(r"[a-z0-9-]{1,64}")
Role = Literal["owner", "admin", "service", "auditor", "member"]
_ADMIN_ACTORS = frozenset({"client", "staff", "service", "admin"})


class _Record(Struct, frozen=True, forbid_unknown_fields=True):
    """One credential as stored: the hash of its secret and what it stands for."""

    id: str
    sha256: str
    role: Role
    actor: str
    actor_role: str
    actor_roles: list[str]


class Credentials:
    """The credentials of one ledger, in one private file that is re-read when it changes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "credentials.json"
        self._stamp: tuple[int, int] | None = None
        self._records: dict[str, _Record] = {}

    def issue(self, credential_id: str, role: Role) -> str:
        """Store a new credential and return its token, which is never shown again.

        Owners and admins may assert every actor role but ``system``; others client, staff and service. Raises
        ``Conflict`` when the id is taken, ``ValueError`` when it is not 1 to 64 of ``a-z0-9-``.
        """
        if not _ID.fullmatch(credential_id):
            raise ValueError(f"expected 1 to 64 of a-z, 0-9 and -, got {credential_id!r}")
        secret = secrets.token_urlsafe(32)
        privileged = role in ("owner", "admin")
        record = _Record(
            id=credential_id,
            sha256=sha256(secret.encode()).hexdigest(),
            role=role,
            actor=credential_id,
            actor_role="admin" if privileged else "service",
            actor_roles=sorted(_ADMIN_ACTORS if privileged else {"client", "staff", "service"}),
        )
        with locked(self._path.with_name(".credentials.lock")):  # or one of two who issue at once would be lost
            records = self._load()
            if credential_id in records:
                raise Conflict(f"credential {credential_id} exists already")
            content = msgspec.json.encode([*records.values(), record])
            write_private(self._path, msgspec.json.format(content, indent=1))
        return f"ck_{credential_id}_{secret}"

    def authenticate(self, token: str) -> Credential | None:
        """The credential of a token, or None when the token is unknown."""
        match = _TOKEN.fullmatch(token)
        record = self._load().get(match[1]) if match else None
        given = sha256(match[2].encode()).hexdigest() if match else ""
        # The comparison runs for an unknown id too, so that its time tells nothing about which ids exist.
        if not hmac.compare_digest(given, record.sha256 if record else "0" * 64) or record is None:
            return None
        return Credential(
            id=record.id,
            role=record.role,
            actor=record.actor,
            actor_role=record.actor_role,
            actor_roles=frozenset(record.actor_roles),
        )

    def _load(self) -> dict[str, _Record]:
        try:
            stat = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):  # the second: some file lies where ledgers do
            return {}
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            try:
                records = msgspec.json.decode(read_private(self._path), type=list[_Record])
            except msgspec.MsgspecError as error:
                raise KeyFileError(f"{self._path} is damaged: {error}") from None
            self._records = {record.id: record for record in records}
            self._stamp = stamp
        return self._records
