"""What every vault does, and how it fails.

Owns the protocol, the kinds of content and the errors. A vault keeps whole objects under keys, such as
``tile/0/x001/x234/067``, of which none goes on where another ends. It never looks into them, and decides nothing about
their order: whoever writes them does.

Invariants: an object is there whole or not at all; what ``put`` or ``add`` returned from is durable and is what ``get``
gives; a message never holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from ledger.errors import LedgerError

_KEY = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*")


class Kind(NamedTuple):
    """How content is to be served, where the vault can keep that: the values of two HTTP headers."""

    content_type: str
    cache_control: str


class Reader(Protocol):
    """A place whose objects can be read. Safe for use from several threads.

    Whoever gets an object says how large it may be: what lies in a vault may come from anybody.

    Every method raises ``VaultError``: ``VaultDenied`` for missing rights, ``VaultMissing`` where the place itself is
    not there, ``VaultUnreachable`` where another attempt may do; and ``ValueError`` for an impossible key.
    """

    @property
    def place(self) -> str:
        """Where it is, for people."""

    def get(self, key: str, most: int) -> bytes | None:
        """An object's content; None when there is none. Raises ``Oversized`` above ``most`` bytes."""


class Vault(Reader, Protocol):
    """A place for objects. Its methods raise as those of ``Reader`` do."""

    def head(self, key: str) -> int | None:
        """An object's bytes; None when there is none."""

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that begin so, in no certain order."""

    def put(self, key: str, content: bytes, kind: Kind) -> None:
        """Store an object in place of what was there."""

    def add(self, key: str, content: bytes, kind: Kind) -> bool:
        """Store an object that never changes; False, and nothing is changed, when there is one already."""

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are left so."""


class VaultError(LedgerError):
    """The vault does not do what it is for."""


class VaultDenied(VaultError):
    """The vault refuses these credentials, or they may not do this."""


class VaultMissing(VaultError):
    """The place itself is not there: no such bucket."""


class VaultUnreachable(VaultError):
    """No answer from the vault, or it is overloaded: another attempt may do."""


class VaultFull(VaultError):
    """There is no room left in the vault."""


class Oversized(VaultError):
    """An object is larger than whoever asked for it can use."""

    def __init__(self, place: str, key: str, most: int) -> None:
        super().__init__(
            f"{place}: {key} has more than {most:,} bytes, which none that belongs there has",
            advice="find out who wrote it, and remove it",
        )


def check_key(key: str) -> None:
    """See that a key is a relative path of plain names. Raises ``ValueError``."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key of a vault: {key[:100]!r}")
