"""Redaction: which private values a reader is shown, by named rules, and what is said of those left out.

Owns the policies and the one decision for every way out of the system. Pure: names and types in, names out. Never opens
a disclosure, never changes an entry: leaving a disclosure out changes no hash, so a redacted entry verifies like any
other (RFC 9901, section 4.2; docs/format.md).

Invariants: what no rule discloses is withheld; a secret (``EventType.withheld``) is withheld by every policy, whatever
its rules say; whatever is withheld is named, with the rule that did it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct

from ledger import catalog
from ledger.annex import Redaction
from ledger.errors import NotFound

SECRET: Final = "secret"  # noqa: S105 - the name of a rule
"""The rule that withholds what nobody is ever shown: tokens and the like."""
REST: Final = "not-disclosed"
"""The rule that withholds what no rule of a policy mentions."""
GONE: Final = "gone"
"""Not a rule: the value was erased or purged, so there is nothing to show."""


class Rule(Struct, frozen=True, kw_only=True):
    """One rule: the event types and fields it is about, as shell patterns, and what becomes of them, and why."""

    name: str
    action: Literal["disclose", "withhold"]
    types: tuple[str, ...] = ("*",)
    fields: tuple[str, ...] = ("*",)
    why: str

    def matches(self, event_type: str, field: str) -> bool:
        """Whether the rule is about this field of events of this type."""
        return any(fnmatchcase(event_type, pattern) for pattern in self.types) and any(
            fnmatchcase(field, pattern) for pattern in self.fields
        )


class Policy(Struct, frozen=True, kw_only=True):
    """A named list of rules, of which the first that matches decides; for a role, and for what it is asked."""

    name: str
    role: str
    purpose: str
    rules: tuple[Rule, ...]

    def rule_for(self, event_type: str, field: str) -> Rule | None:
        """The rule that withholds a field; None where it is disclosed. Raises ``InvalidEvent`` for an unknown type."""
        if field in catalog.get(event_type).withheld:
            return _SECRET_RULE
        rule = next((rule for rule in self.rules if rule.matches(event_type, field)), _REST_RULE)
        return rule if rule.action == "withhold" else None

    @property
    def discloses(self) -> bool:
        """Whether any of its rules discloses anything, so that there is a reason to open what is encrypted."""
        return any(rule.action == "disclose" for rule in self.rules)

    def statement(self) -> Redaction:
        """What goes with what this policy gives out: its name, and what each rule that withholds is for."""
        withholding = [_SECRET_RULE, *(rule for rule in self.rules if rule.action == "withhold"), _REST_RULE]
        return Redaction(self.name, {rule.name: rule.why for rule in withholding} | {GONE: _GONE_WHY})


class Redacted(NamedTuple):
    """What is shown of an event's private values, and the rule that withheld each of the others, by name."""

    shown: dict[str, Any]
    withheld: dict[str, str]


_SECRET_RULE: Final = Rule(name=SECRET, action="withhold", why="tokens and the like are of use to a thief alone")
_REST_RULE: Final = Rule(name=REST, action="withhold", why="no rule of the policy discloses it")

_GONE_WHY: Final = "the value was erased or purged"

_INTERNAL: Final = Rule(
    name="internal-remarks",
    action="withhold",
    types=("reservation.fairness_recorded", "account.*", "hold.*", "incident.*", "credential.*", "policy.*"),
    fields=("notes", "detail"),
    why="remarks of staff among themselves, which may speak of others",
)
_EVERYTHING: Final = Rule(name="all", action="disclose", why="the reader may know what the events are about")

POLICIES: Final[Mapping[str, Policy]] = {
    policy.name: policy
    for policy in (
        Policy(
            name="staff",
            role="owner, admin, and a service for what it posted",
            purpose="running the studio",
            rules=(_EVERYTHING,),
        ),
        Policy(
            name="member",
            role="member",
            purpose="a member's own history, to keep and to show",
            rules=(_INTERNAL, _EVERYTHING),
        ),
        Policy(
            name="auditor",
            role="auditor",
            purpose="checking the whole log with no personal data in it",
            rules=(),
        ),
        Policy(
            name="public",
            role="anybody",
            purpose="publishing the log",
            rules=(),
        ),
    )
}
"""The policies that are shipped, by name."""

STAFF: Final = POLICIES["staff"]
"""The policy of those who run the studio, the local owner among them."""

ROLES: Final[Mapping[str, str]] = {
    "owner": "staff",
    "admin": "staff",
    "service": "staff",
    "auditor": "auditor",
    "member": "member",
}
"""The policy by which each API role reads."""


def policy(name: str) -> Policy:
    """The policy of that name. Raises ``NotFound``."""
    if name not in POLICIES:
        raise NotFound(f"there is no redaction policy {name[:100]!r}", advice=f"there are {', '.join(POLICIES)}")
    return POLICIES[name]


def redact(policy: Policy, event_type: str, fields: Iterable[str], disclosed: Mapping[str, Any]) -> Redacted:
    """Apply a policy to one event: ``fields`` are all its private ones, ``disclosed`` the values that still open.

    A field that the policy would disclose but that no longer opens is withheld as ``gone``. Raises ``InvalidEvent`` for
    an unknown type.
    """
    shown: dict[str, Any] = {}
    withheld: dict[str, str] = {}
    for field in sorted(fields):
        rule = policy.rule_for(event_type, field)
        if rule is not None:
            withheld[field] = rule.name
        elif field in disclosed:
            shown[field] = disclosed[field]
        else:
            withheld[field] = GONE
    return Redacted(shown, withheld)
