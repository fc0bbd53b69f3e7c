"""Trust policies: which logs are believed, which witnesses are known, and how many of them have to agree.

Owns the policy file's form and its one question: is a checkpoint signed by a known log and cosigned by a quorum? Pure:
never fetches a URL, reads a file or a clock.

Invariants: names are opaque bytes, kept as text by one-to-one escapes; each name is a member of a group at most once
and is defined before it is used, so that no witness counts twice and no group contains itself; no public key stands in
two lines of a kind, whatever its names.

Source: https://c2sp.org/tlog-policy.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import MalformedNote, MalformedPolicy, QuorumMissed
from ledger.note import COSIGNATURE_ED25519, ED25519, ML_DSA_44, VerifierKey, open_note

MAX_BYTES = 1_000_000
"""Bytes of a policy that are read: the 32 logs, witnesses and groups that everybody supports take far less."""

_LOG_TYPES = (ED25519, ML_DSA_44)
_WITNESS_TYPES = (COSIGNATURE_ED25519, ML_DSA_44)
_NONE = "none"
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_DECIMAL = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Party:
    """A log or a witness: its key, and where it is reached, if the policy says so."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses at least ``threshold`` of these members, themselves witnesses or groups."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """A policy as read: logs, witnesses and groups by name, and whose agreement is needed; None for nobody's."""

    logs: tuple[Party, ...]
    witnesses: Mapping[str, Party]
    quorum: str | None
    groups: Mapping[str, Group] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """All keys that the policy knows."""
        return tuple(party.key for party in (*self.logs, *self.witnesses.values()))

    def agreed(self, cosigners: Collection[VerifierKey]) -> bool:
        """Whether the witnesses among these keys make the quorum."""
        return self.quorum is None or self._witnessed(self.quorum, cosigners)

    def _witnessed(self, name: str, cosigners: Collection[VerifierKey]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name].key in cosigners
        group = self.groups[name]
        return sum(self._witnessed(member, cosigners) for member in group.members) >= group.threshold


def open_witnessed(note: bytes, policy: TrustPolicy, *, log_keys: Collection[VerifierKey] = ()) -> Checkpoint:
    """Verify a checkpoint by a policy; ``log_keys`` are trusted as logs besides those it names.

    Raises ``QuorumMissed`` when it is signed by a known log but cosigned by too few; ``MalformedNote``,
    ``BadSignature`` and ``UnknownKey`` as ``open_checkpoint`` does.
    """
    logs = (*(party.key for party in policy.logs), *log_keys)
    checkpoint = open_checkpoint(note, logs)
    witnesses = [party.key for party in policy.witnesses.values() if party.key not in logs]
    verified = open_note(note, (*logs, *witnesses)).verified
    if not policy.agreed(verified):
        had = [name for name, party in policy.witnesses.items() if party.key in verified]
        raise QuorumMissed(
            f"the checkpoint of {checkpoint.origin} at size {checkpoint.size} is cosigned by "
            f"{', '.join(had) or 'no known witness'}, which is not the quorum {policy.quorum}",
            advice="fetch it again when more witnesses have cosigned; if they refuse, the log may have two histories",
        )
    return checkpoint


def parse_policy(data: bytes) -> TrustPolicy:
    """Read a policy file. Raises ``MalformedPolicy`` with the number of the line at fault."""
    if len(data) > MAX_BYTES:
        raise MalformedPolicy(f"the policy has {len(data):,} bytes, at most {MAX_BYTES:,} are read")
    if data and not data.endswith(b"\n"):
        raise MalformedPolicy("the policy's last line does not end in a newline")
    reader = _Reader()
    for number, line in enumerate(data.split(b"\n"), 1):
        if _FORBIDDEN.search(line):
            raise MalformedPolicy(f"policy line {number}: it holds a control character")
        items = line.decode("utf-8", "surrogateescape").replace("\t", " ").strip(" ").split(" ")
        words = [item for item in items if item]
        if not words or words[0].startswith("#"):
            continue
        try:
            reader.take(words)
        except (ValueError, MalformedNote) as fault:
            raise MalformedPolicy(f"policy line {number}: {fault}") from None
    return reader.policy()


class _Reader:
    """What the lines so far have defined."""

    def __init__(self) -> None:
        self._logs: list[Party] = []
        self._witnesses: dict[str, Party] = {}
        self._groups: dict[str, Group] = {}
        self._members: set[str] = set()
        self._quorum: list[str | None] = []

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", key, *url] if len(url) <= 1:
                self._logs.append(_party(key, url, _LOG_TYPES, self._logs))
            case ["witness", name, key, *url] if len(url) <= 1:
                self._check_new(name)
                self._witnesses[name] = _party(key, url, _WITNESS_TYPES, self._witnesses.values())
            case ["group", name, threshold, *members]:
                self._check_new(name)
                self._groups[name] = Group(_threshold(threshold, len(members)), tuple(self._joined(members)))
            case ["quorum", name]:
                if self._quorum:
                    raise ValueError("there is a quorum already")
                self._quorum.append(None if name == _NONE else self._known(name))
            case _:
                raise ValueError(f"{' '.join(words)[:80]!r} is no line of log, witness, group or quorum")

    def policy(self) -> TrustPolicy:
        if not self._quorum:
            raise MalformedPolicy("the policy has no quorum line", advice='"quorum none" asks for no witness')
        return TrustPolicy(tuple(self._logs), self._witnesses, self._quorum[0], self._groups)

    def _check_new(self, name: str) -> None:
        if name == _NONE or name in self._witnesses or name in self._groups:
            raise ValueError(f"the name {name!r} is taken")

    def _known(self, name: str) -> str:
        if name not in self._witnesses and name not in self._groups:
            raise ValueError(f"{name!r} is not defined on a line before")
        return name

    def _joined(self, members: list[str]) -> Iterator[str]:
        for name in members:
            if name in self._members:
                raise ValueError(f"{name!r} is a member of a group already")
            self._members.add(name)
            yield self._known(name)


def _party(text: str, url: list[str], types: tuple[int, ...], others: Collection[Party]) -> Party:
    key = VerifierKey.parse(text)
    if key.type not in types:
        raise ValueError(f"{key.name}: a key of type {key.type} is not for this, only {' or '.join(map(str, types))}")
    if any((other.key.type, other.key.key) == (key.type, key.key) for other in others):
        raise ValueError(f"{key.name}: the same public key stands on a line before")
    return Party(key, url[0] if url else None)


def _threshold(text: str, members: int) -> int:
    if not members:
        raise ValueError("the group has no members")
    value = {"all": members, "any": 1}.get(text) or (int(text) if _DECIMAL.fullmatch(text) else 0)
    if not 1 <= value <= members:
        raise ValueError(f"the threshold {text!r} is not all, any or a number from 1 to {members}")
    return value
