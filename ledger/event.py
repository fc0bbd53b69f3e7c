"""Events in and out: CloudEvents 1.0 JSON on the outside, canonical event bytes on the inside.

Owns the envelope: which attributes are known, what they may hold, what a credential may claim, and how a request is
compared with the entry it repeats. Never assigns a position, never stores, never reads a clock; the catalogue owns
data. The attributes are those of docs/how-to/post-events.md: ``subject`` is our stream; ``dataschema``,
``traceparent`` and ``tracestate`` are accepted and not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.structs import astuple

from ledger import canonical, catalog, privacy
from ledger.canonical import MAX_INTEGER, refuse_duplicates
from ledger.catalog.values import CODE, ID, ID_PATTERN
from ledger.entry import MAX_ENTRY, Actor, Entry, EventBody, decode, encode_body
from ledger.errors import InvalidEvent, MalformedEvent, OversizedEvent, RoleDenied
from ledger.moment import normal
from ledger.patterns import in_words, shaped

STREAM_ID = ID_PATTERN
MAX_EVENT_BODY = 2 * 1024 * 1024  # one request event as JSON; entry and disclosures have their own, lower limits

_TEXT = r"[!-~]{1,256}"
_SOURCE = r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,512}"
_STREAM = rf"[a-z]+:{STREAM_ID}"
STREAM = shaped(_STREAM, "a stream: its kind in a-z, a colon and an id, such as reservation:R-17")
Text = Annotated[str, Meta(pattern=shaped(_TEXT, "1 to 256 visible ASCII characters, no spaces"))]
Id = Annotated[str, Meta(pattern=ID)]
Code = Annotated[str, Meta(pattern=CODE)]
Source = Annotated[str, Meta(pattern=shaped(_SOURCE, "1 to 512 characters of a URI (RFC 3986), no spaces"))]
Tags = Annotated[
    str,
    Meta(
        pattern=shaped(
            r"[A-Za-z0-9._:-]{1,64}( [A-Za-z0-9._:-]{1,64}){0,31}",
            "1 to 32 tags, a space between, each 1 to 64 of A-Z, a-z, 0-9 and ._:-",
        )
    ),
]
Ignored = Annotated[str, Meta(max_length=4096)]


class CloudEvent(Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The envelope as callers send it (CloudEvents 1.0 JSON format, section 3), with our extension attributes."""

    specversion: Literal["1.0"]
    id: Text
    source: Source
    type: str
    subject: Annotated[str, Meta(pattern=STREAM)]
    time: str
    data: Raw
    datacontenttype: Annotated[str, Meta(max_length=256)] | UnsetType = UNSET
    dataschema: Ignored | UnsetType = UNSET
    traceparent: Ignored | UnsetType = UNSET
    tracestate: Ignored | UnsetType = UNSET
    member: Id | UnsetType = UNSET
    actor: Id | UnsetType = UNSET
    actorrole: Literal["client", "staff", "service", "system", "admin"] | UnsetType = UNSET
    expectedversion: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] | UnsetType = UNSET
    correlationid: Text | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    forced: Code | UnsetType = UNSET


class _Unmatched(CloudEvent, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The same, but with the attributes that nearly every event has left to ``_matches``: five in one is faster."""

    id: str
    source: str
    subject: str
    member: str | UnsetType = UNSET
    actor: str | UnsetType = UNSET


class _Names(Struct, gc=False):
    """What of an event is looked up in the log."""

    source: str
    id: str
    subject: str
    member: str | None = None


class Credential(Struct, frozen=True, kw_only=True):
    """Who posts: ``id`` goes into the seal; ``role`` is the API role; ``actor_roles`` are those it may assert.

    ``actor`` and ``actor_role`` stand in for events that name none.
    """

    id: str
    role: Literal["owner", "admin", "service", "auditor", "member"]
    actor: str
    actor_role: str
    actor_roles: frozenset[str] = frozenset({"client", "staff", "service"})

    def as_system(self) -> Credential:
        """The same credential, for what the ledger itself writes because it was asked to by it."""
        return msgspec.structs.replace(self, actor_role="system", actor_roles=frozenset({"system"}))


LOCAL = Credential(
    id="local",
    role="owner",
    actor="local",
    actor_role="admin",
    actor_roles=frozenset({"client", "staff", "service", "admin"}),
)
SYSTEM = Credential(id="local", role="owner", actor="ledger", actor_role="system", actor_roles=frozenset({"system"}))


class Prepared(Struct, array_like=True, gc=False):
    """A checked event, encoded and committed once, ready to be sealed. ``body`` is the event's canonical bytes.

    ``names`` and ``disclosures`` are those of the ``private`` values, by name. ``lifecycle_data`` is what the lifecycle
    reads of it, ``heeds`` the other stream that it looks at. ``actor_given`` and ``role_given`` say whether the caller
    named them; ``reads_private`` that its credential may read what others posted. Plain data, which another process may
    have made (``ledger.preparer``).
    """

    type: str
    id: str
    source: str
    stream: str
    member: str | None
    actor_role: str
    forced: str | None
    expected_version: int | None
    body: bytes
    names: tuple[str, ...]
    disclosures: tuple[bytes, ...]
    lifecycle_data: dict[str, Any]
    heeds: str | None
    actor_given: bool
    role_given: bool
    by: str
    reads_private: bool

    @property
    def private(self) -> dict[str, Any]:
        """The private values by name, read from their disclosures."""
        return dict(map(privacy.open_disclosure, self.disclosures))


_decode = msgspec.json.Decoder(CloudEvent).decode
_decode_names = msgspec.json.Decoder(_Names).decode
_decode_unmatched = msgspec.json.Decoder(_Unmatched).decode
_matches = re.compile(f"{_TEXT} {_SOURCE} {_STREAM} {STREAM_ID} {STREAM_ID}").fullmatch  # none of them holds a space
_encode = msgspec.json.Encoder().encode
_AT = re.compile(r" - at `(.*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(.*)`$", re.DOTALL)
_JSON_TYPE = re.compile(r"(application|text)/json|[a-z0-9!#$&^_.-]+/[a-z0-9!#$&^_.+-]+\+json")  # RFC 6838, section 4.2
_NOTHING: dict[str, Any] = {}


def fault(error: Exception, prefix: str = "$") -> MalformedEvent | InvalidEvent:
    """Our error for what a msgspec decoder raised, with the JSON path; ``prefix`` is where the decoded part stood."""
    if isinstance(error, UnicodeDecodeError):
        return MalformedEvent(f"not valid UTF-8: {error.reason}", prefix)
    if isinstance(error, RecursionError):
        return InvalidEvent("nested too deeply", prefix)
    detail, path = str(error), prefix
    if (at := _AT.search(detail)) is not None:
        detail, path = detail[: at.start()], prefix + at[1][1:]
    detail = in_words(detail)
    for pattern in (_UNKNOWN, _MISSING):
        if (named := pattern.search(detail)) is not None:
            path = f"{path}.{named[1]}"
    kind = InvalidEvent if isinstance(error, msgspec.ValidationError) else MalformedEvent
    return kind(detail if detail.startswith("JSON") else detail[:1].lower() + detail[1:], path)


def glimpse(raw: bytes | Raw) -> tuple[str, str, str, str | None] | None:
    """The source, id, stream and member that an event seems to have; None where that does not read at first sight.

    Nothing is decided by it: it only tells what is worth looking up before the event is prepared.
    """
    text = bytes(raw)
    try:
        names = _decode_names(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if b"\\" in text and not f"{names.source}{names.id}{names.subject}{names.member}".isprintable():
        return None  # by an escape it may be a text that a database refuses to be asked for
    return names.source, names.id, names.subject, names.member


def prepare(raw: bytes | Raw, credential: Credential, salts: Iterator[bytes] | None = None) -> Prepared:
    """Check one CloudEvent's bytes, settle who acts, commit to its private fields and encode it for its entry.

    ``salts`` are ``privacy.drawn``; without them each is drawn by itself. Raises ``MalformedEvent``,
    ``InvalidEvent``, ``OversizedEvent`` or ``RoleDenied``, each with the JSON path.
    """
    text = bytes(raw)
    if len(text) > MAX_EVENT_BODY:
        raise OversizedEvent(f"the event takes more than {MAX_EVENT_BODY:,} bytes")
    cloud = _read(text)
    kind = catalog.get(cloud.type)
    try:
        data = kind.decode(cloud.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise fault(error, "$.data") from None
    public, private = kind.split(data)
    _refuse_duplicates(text, cloud, _encode(data) if private else public)
    _check_envelope(cloud, kind, credential)
    if kind.goes_to is not None:
        _check_stream(cloud, f"{kind.kind}:{kind.goes_to(data)}")
    committed: Sequence[privacy.Committed] = ()
    if private:
        committed = [privacy.commit(name, private[name], next(salts) if salts else None) for name in sorted(private)]
    return _prepared(cloud, kind, credential, public, committed)


def _read(text: bytes) -> CloudEvent:
    """The envelope. What is not right at first sight is read again for what is wrong, in the order of the text."""
    try:
        cloud = _decode_unmatched(text)
        # An absent one reads as "UNSET", which is a good id.
        if _matches(f"{cloud.id} {cloud.source} {cloud.subject} {cloud.member} {cloud.actor}"):
            return cloud
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise fault(error) from None


def _refuse_duplicates(text: bytes, cloud: CloudEvent, data: bytes) -> None:
    """Refuse a repeated key in the envelope or in its data; ``data`` is any re-encoding of the latter.

    As ``canonical.refuse_duplicates``, but counted once for both. Of the envelope, each attribute is a name and a text:
    four quotes, but two where it holds a number or the data.
    """
    names = len(CloudEvent.__struct_fields__) - astuple(cloud).count(UNSET)
    numbers = cloud.expectedversion is not UNSET
    if text.count(b'"') == 4 * names - 2 * numbers - 2 + data.count(b'"') and b"\\" not in text:
        return  # a parser only ever drops strings, so neither part has lost one
    refuse_duplicates(text, _encode(cloud))
    try:
        refuse_duplicates(bytes(cloud.data), data)
    except MalformedEvent as error:
        raise MalformedEvent(error.detail, f"$.data{error.path[1:]}") from None


def _check_envelope(cloud: CloudEvent, kind: catalog.EventType, credential: Credential) -> None:
    """Normalise ``time`` in place and refuse what the types alone can't: stream kind, member, roles, content type."""
    try:
        cloud.time = normal(cloud.time)
    except ValueError as error:
        raise InvalidEvent(f"{error}", "$.time") from None
    stream_kind, _, rest = cloud.subject.partition(":")
    if stream_kind != kind.kind:
        raise InvalidEvent(
            f"expected a stream {kind.kind}:…, as the type is {kind.name}, got {cloud.subject}", "$.subject"
        )
    if stream_kind == "member" and cloud.member != rest:
        if cloud.member is not UNSET:
            raise InvalidEvent(f"expected {rest}, the member that the stream names, got {cloud.member}", "$.member")
        cloud.member = rest
    if cloud.datacontenttype is not UNSET and not _is_json(cloud.datacontenttype):
        raise InvalidEvent(f"expected a JSON media type, got {cloud.datacontenttype!r}", "$.datacontenttype")
    role = cloud.actorrole if cloud.actorrole is not UNSET else credential.actor_role
    if role not in credential.actor_roles:
        allowed = ", ".join(sorted(credential.actor_roles))
        raise RoleDenied(f"credential {credential.id} may not act as {role}, only as {allowed}", "$.actorrole")
    if kind.issued_by_ledger and role != "system":
        raise RoleDenied(f"{kind.name} is written by the ledger itself and can't be posted", "$.type")
    if kind.posted_by is not None and credential.role not in kind.posted_by:
        allowed = " or ".join(sorted(kind.posted_by, reverse=True))
        raise RoleDenied(f"{kind.name} is for the API role {allowed} to post, not for {credential.role}", "$.type")
    if cloud.forced is not UNSET and role != "admin":
        raise RoleDenied(f"only role admin may force an event, not {role}", "$.forced")


def _check_stream(cloud: CloudEvent, expected: str) -> None:
    """Check that an event whose data belong to one stream goes to it."""
    if cloud.subject != expected:
        raise InvalidEvent(f"expected the stream {expected}, as its data say, got {cloud.subject}", "$.subject")


def _is_json(media_type: str) -> bool:
    essence = media_type.partition(";")[0].strip(" \t").lower()
    return essence == "application/json" or _JSON_TYPE.fullmatch(essence) is not None


def _prepared(
    cloud: CloudEvent,
    kind: catalog.EventType,
    credential: Credential,
    public: bytes,
    committed: Sequence[privacy.Committed],
) -> Prepared:
    role = credential.actor_role if cloud.actorrole is UNSET else cloud.actorrole
    body = encode_body(
        EventBody(
            actor=Actor(credential.actor if cloud.actor is UNSET else cloud.actor, role),
            correlation=cloud.correlationid,
            data=Raw(public),
            forced=cloud.forced,
            id=cloud.id,
            member=cloud.member,
            private={one.name: one.commitment for one in committed} if committed else UNSET,
            source=cloud.source,
            stream=cloud.subject,
            tags=sorted(set(cloud.tags.split(" "))) if cloud.tags is not UNSET else UNSET,
            time=cloud.time,
            type=kind.name,
            v=kind.version,
        )
    )
    if len(body) > MAX_ENTRY:
        raise OversizedEvent(
            f"the event takes {len(body):,} bytes, of at most {MAX_ENTRY:,} with its seal",
            advice="store large content elsewhere and record its digest and place",
        )
    lifecycle_data = orjson.loads(public) if kind.reads_data else _NOTHING
    return Prepared(  # by place: by name it takes twice the time
        kind.name,
        cloud.id,
        cloud.source,
        cloud.subject,
        None if cloud.member is UNSET else cloud.member,
        role,
        None if cloud.forced is UNSET else cloud.forced,
        None if cloud.expectedversion is UNSET else cloud.expectedversion,
        body,
        tuple([one.name for one in committed]) if committed else (),
        tuple([one.disclosure for one in committed]) if committed else (),
        lifecycle_data,
        kind.heeds(lifecycle_data) if kind.heeds is not None else None,
        cloud.actor is not UNSET,
        cloud.actorrole is not UNSET,
        credential.id,
        credential.role in ("owner", "admin"),
    )


def difference(request: Prepared, stored: EventBody, disclosed: dict[str, Any]) -> str | None:
    """The attribute in which a request differs from the stored event of the same source and id, or None for a retry.

    ``disclosed`` holds the stored private values that still open; erased ones compare as equal, as do an actor and a
    role that the request leaves to its credential.
    """
    asked = msgspec.json.decode(request.body, type=EventBody)
    for attribute in ("type", "stream", "member", "time", "correlation", "tags", "forced"):
        if getattr(asked, attribute) != getattr(stored, attribute):
            return attribute
    if request.actor_given and asked.actor.id != stored.actor.id:
        return "actor"
    if request.role_given and asked.actor.role != stored.actor.role:
        return "actorrole"
    # As bytes, here and below: in Python 1 equals True, in JSON it does not.
    if bytes(asked.data) != bytes(stored.data) and bytes(asked.data) != canonical.dumps(
        catalog.get(request.type).upcast(stored.v, stored.public())
    ):
        return "data"
    if set(request.names) != set(stored.commitments()):
        return "set of private fields"
    private = request.private
    for name, value in disclosed.items():
        if canonical.dumps(private[name]) != canonical.dumps(value):
            return f"value of data.{name}"
    return None


def to_cloudevent(
    entry: Entry | bytes, disclosed: dict[str, Any] | None = None, withheld: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """An entry as a CloudEvent, private values filled in where given.

    The seal travels as the extension attributes ``ledgerposition``, ``ledgerversion`` and ``ledgerrecorded``, so that a
    reader sees what the ledger added; ``ledgerwithheld`` names the private fields that are not shown, each with the
    rule that withheld it, as ``name=rule``. Raises ``StoreError`` when the bytes are no entry.
    """
    stored = decode(entry) if isinstance(entry, bytes) else entry
    body, seal = stored.event, stored.seal
    kind = catalog.get(body.type)
    cloud: dict[str, Any] = {
        "specversion": "1.0",
        "id": body.id,
        "source": body.source,
        "type": body.type,
        "subject": body.stream,
        "time": body.time,
        "datacontenttype": "application/json",
        "member": body.member,
        "actor": body.actor.id,
        "actorrole": body.actor.role,
        "correlationid": body.correlation,
        "tags": " ".join(body.tags) if body.tags else UNSET,
        "forced": body.forced,
        "ledgerposition": seal.position,
        "ledgerversion": seal.version,
        "ledgerrecorded": seal.recorded,
        "ledgerwithheld": " ".join(f"{name}={rule}" for name, rule in withheld.items()) if withheld else UNSET,
        "data": kind.join(kind.upcast(body.v, body.public()), disclosed or {}),
    }
    return {name: value for name, value in cloud.items() if value is not UNSET}
