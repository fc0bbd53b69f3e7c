"""Events of the ledger itself: its beginning, its keys, and whether it takes appends.

Owns the data of ``ledger.*``. Nothing in it is private: these entries are what an auditor starts from.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from ledger.catalog.base import EventData, event_type
from ledger.catalog.values import Reason
from ledger.patterns import shaped

Origin = Annotated[
    str,
    Meta(
        pattern=shaped(r"[!-*,-~]{1,255}", "1 to 255 visible ASCII characters without +"),
        description="the ledger's public name: a URL without scheme, no spaces, no plus sign (C2SP tlog-checkpoint)",
    ),
]
VerifierKey = Annotated[
    str,
    Meta(
        pattern=shaped(
            r"[!-*,-~]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{4,4096}={0,2}",
            "a verifier key: name, key id and key with + between",
        ),
        description="a verifier key line (C2SP signed-note)",
    ),
]
VerifierKeys = Annotated[list[VerifierKey], Meta(min_length=1, max_length=8)]


@event_type("ledger.created", retention="ledger", issued_by_ledger=True)
class Created(EventData, frozen=True, kw_only=True):
    """The ledger begins: always the entry at position 0, and nowhere else."""

    format: Annotated[Literal[1], Meta(description="the version of the entry format")]
    origin: Origin
    verifier_keys: VerifierKeys


@event_type("ledger.key_rotated", retention="ledger", issued_by_ledger=True)
class KeyRotated(EventData, frozen=True, kw_only=True):
    """From here on checkpoints are signed by other keys: ``verifier_keys`` are all that hold now.

    Signed by the keys that go and by those that come, over the tree before it (docs/format.md, "Rotation of keys").
    """

    reason: Reason
    retired_keys: Annotated[VerifierKeys, Meta(description="the keys that held until now, all of them")]
    root: Annotated[
        str,
        Meta(
            pattern=shaped(r"[A-Za-z0-9+/]{43}=", "a hash in base64: 44 characters"),
            description="the root of the tree before this entry, in base64",
        ),
    ]
    signatures: Annotated[
        list[Annotated[str, Meta(pattern=shaped(r"[A-Za-z0-9+/]{4,4096}={0,2}", "base64"))]],
        Meta(min_length=2, max_length=16, description="of each retired key, then of each verifier key, in base64"),
    ]
    verifier_keys: Annotated[VerifierKeys, Meta(description="the keys that hold from here on, all of them")]


@event_type("ledger.frozen", retention="ledger")
class Frozen(EventData, frozen=True, kw_only=True):
    """An admin stops all appends."""

    reason: Reason


@event_type("ledger.thawed", retention="ledger")
class Thawed(EventData, frozen=True, kw_only=True):
    """An admin lets appends go on."""

    reason: Reason
