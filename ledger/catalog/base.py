"""What an event type is: its data, which fields are private, and how both become bytes.

Owns ``EventType`` and the registry that ``event_type`` fills. Never looks at an envelope, a stream's state, a key or a
clock: it is told bytes and gives structs, and the other way round.

Invariants, each checked when a type is declared, so that a wrong declaration fails at import:

- The fields of every struct, nested ones too, are declared in the order of their JSON names, so that plain encoding
  gives canonical JSON (RFC 8785 as restricted in ``docs/format.md``) with no sorting on the hot path.
- Private fields stand at the top of ``data`` only. What is private never reaches the public bytes.
- Instants stand at the top of ``data`` only, each checked to exist.
- Optional fields are ``UNSET`` when absent. ``null`` is never a value of a declared field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import UNSET, Meta, Struct

from ledger import moment
from ledger.errors import InvalidEvent

T = TypeVar("T")
Data = TypeVar("Data", bound="type[EventData]")
Upcast = Callable[[dict[str, Any]], dict[str, Any]]
Heeds = Callable[[Mapping[str, Any]], str | None]

Private = Annotated[T, Meta(extra={"private": True}, extra_json_schema={"x-private": True})]
"""A field that an entry holds as a commitment only; its value stands beside it, encrypted. At the top of ``data``."""

Secret = Annotated[
    T,
    Meta(
        extra={"private": True, "withheld": True},
        extra_json_schema={"x-private": True, "x-withheld": True},
    ),
]
"""A ``Private`` field that no redaction rule ever discloses, whoever asks: tokens and the like."""

Notes = Private[Annotated[str, Meta(description="free text for people")]]
"""What people say to people, wherever they say it."""

RETENTION = {
    "ledger": "kept as long as the ledger; holds nothing of a person",
    "identity": "who a member is; the values go when the member is erased",
    "service": "what was done for a member; the values go when the member is erased",
    "evidence": "what a decision rested on; outlives the service, the values go when the member is erased",
    "secret": "of use for a short time only, and never disclosed",
    "record": "a record of a declared collection; the values go when it is purged, 30 days after the trash",
    "media": "a photo, note, proof or original; the values go when it is purged, 30 days after the trash",
    "operation": "how the studio and its ledger are run; kept as long as the ledger",
}
"""The retention classes, and what each means. Periods are policy, not code."""

_NAME = re.compile(r"[a-z]+\.[a-z][a-z_]*")


class EventData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the data of every event type, and of the objects nested in it.

    A field that the type doesn't name is refused. Subclasses repeat ``frozen=True, kw_only=True``, which Python's
    typing rules and msgspec don't let them inherit.
    """

    def check(self) -> None:
        """Check what the types alone can't say, such as the order of two dates.

        Raises ``InvalidEvent`` with a path from ``$.data`` on. Called by ``EventType.decode`` where overridden.
        """


class EventType:
    """One type of event: its name and version, the struct of its data, and the way to and from bytes.

    ``name`` is ``kind.verb``; ``kind`` is also the kind of the stream the event goes to. ``private`` and ``withheld``
    are sorted JSON field names. ``retention`` is a key of ``RETENTION``. ``issued_by_ledger`` types can't be posted;
    others by credentials with one of the API roles ``posted_by``, or by whoever may append where that is None.
    ``reads_data`` says that the lifecycle looks into the public data. ``goes_to`` gives the id of the one stream that
    some data belongs to, for types of which not every stream of their kind will do. ``heeds`` gives the other stream
    whose state the lifecycle has to see too, or None, from public data; such a type ``reads_data``.
    """

    def __init__(
        self,
        name: str,
        data: type[EventData],
        *,
        retention: str,
        version: int = 1,
        issued_by_ledger: bool = False,
        posted_by: Iterable[str] | None = None,
        reads_data: bool = False,
        goes_to: Callable[[Any], str] | None = None,
        heeds: Heeds | None = None,
        upcasts: Mapping[int, Upcast] | None = None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name}: a type is named kind.verb, in lower case")
        if retention not in RETENTION:
            raise ValueError(f"{name}: no retention class {retention!r}; there are {', '.join(RETENTION)}")
        self.name = name
        self.kind = name.partition(".")[0]
        self.version = version
        self.data = data
        self.retention = retention
        self.issued_by_ledger = issued_by_ledger
        self.posted_by = None if posted_by is None else frozenset(posted_by)
        self.reads_data = reads_data
        self.goes_to = goes_to
        self.heeds = heeds
        if heeds is not None and not reads_data:
            raise ValueError(f"{name}: the lifecycle has to read the data that say what it heeds")
        self.upcasts: dict[int, Upcast] = dict(upcasts or {})
        if sorted(self.upcasts) != list(range(1, version)):
            raise ValueError(f"{name}: version {version} needs an upcast from each of its earlier versions")
        if not data.__struct_config__.forbid_unknown_fields:
            raise ValueError(f"{name}: the data must refuse unknown fields")
        require_canonical_order(data)
        private = [(field.encode_name, field.name, extra) for field, extra in _private_fields(data)]
        self.private: tuple[str, ...] = tuple(sorted(encoded for encoded, _, _ in private))
        self.withheld: tuple[str, ...] = tuple(sorted(encoded for encoded, _, extra in private if "withheld" in extra))
        self._private = tuple((attribute, encoded) for encoded, attribute, _ in private)
        self._instants = tuple(_instants(data))
        self._without_private = {attribute: UNSET for attribute, _ in self._private}
        self._decode = msgspec.json.Decoder(data).decode
        self._encode = msgspec.json.Encoder().encode
        self._checks = data.check is not EventData.check

    def __repr__(self) -> str:
        return f"EventType({self.name!r}, version={self.version})"

    def decode(self, raw: bytes | msgspec.Raw) -> EventData:
        """Return the checked data in the JSON text ``raw``.

        Raises ``msgspec.ValidationError`` for an unknown or missing field, a wrong type or range (``ledger.event``
        makes an ``InvalidEvent`` of it), ``InvalidEvent`` for what ``check`` refuses. Never sees duplicate keys.
        """
        data = self._decode(raw)
        if self._instants:
            self._check_instants(data)
        if self._checks:
            data.check()
        return data

    def _check_instants(self, data: EventData) -> None:
        """Check that each instant exists, which no pattern can say. Raises ``InvalidEvent``."""
        for attribute, name in self._instants:
            text = getattr(data, attribute)
            if text is not UNSET:
                try:
                    moment.normal(text)
                except ValueError as error:
                    raise InvalidEvent(f"{error}, got {text}", f"$.data.{name}") from None

    def split(self, data: EventData) -> tuple[bytes, dict[str, Any]]:
        """Return the public part as canonical JSON bytes, and the private values present, by JSON name."""
        private: dict[str, Any] = {}
        for attribute, name in self._private:
            value = getattr(data, attribute)
            if value is not UNSET:
                private[name] = value if type(value) is str else msgspec.to_builtins(value)
        if private:
            data = msgspec.structs.replace(data, **self._without_private)
        return self._encode(data), private

    def join(self, public: dict[str, Any], disclosed: dict[str, Any]) -> dict[str, Any]:
        """Return the data as a reader sees it: ``public`` with the ``disclosed`` private values in their places.

        ``split`` and ``join`` are inverse where everything is disclosed. Neither argument is changed.
        """
        return {**public, **disclosed}

    def upcast(self, version: int, data: dict[str, Any]) -> dict[str, Any]:
        """Return the public ``data`` of an entry written under schema ``version`` in the shape of the current one.

        Stored bytes never change; readers call this. Raises ``InvalidEvent`` for a version this program doesn't know.
        """
        if version == self.version:
            return data
        if not 1 <= version < self.version:
            raise InvalidEvent(
                f"{self.name} version {version} is not known here; the newest known is {self.version}",
                "$.v",
                advice="read it with the program version that wrote it, or a later one",
            )
        for step in range(version, self.version):
            data = self.upcasts[step](data)
        return data


_REGISTRY: dict[str, EventType] = {}


def registry() -> dict[str, EventType]:
    """Return the registered types by name: the registry itself, for ``ledger.catalog`` alone to use."""
    return _REGISTRY


def event_type(
    name: str,
    *,
    retention: str,
    version: int = 1,
    issued_by_ledger: bool = False,
    posted_by: Iterable[str] | None = None,
    reads_data: bool = False,
    goes_to: Callable[[Any], str] | None = None,
    heeds: Heeds | None = None,
    upcasts: Mapping[int, Upcast] | None = None,
    made_by: type[EventType] = EventType,
) -> Callable[[Data], Data]:
    """Register the decorated ``EventData`` class as the data of the type ``name``; see ``EventType`` for the rest.

    ``made_by`` is a subclass of ``EventType`` where a type splits in its own way. Raises ``ValueError`` for a name that
    is taken or a class that breaks an invariant of this module.
    """

    def register(data: Data) -> Data:
        if name in _REGISTRY:
            raise ValueError(f"{name} is declared twice")
        _REGISTRY[name] = made_by(
            name,
            data,
            retention=retention,
            version=version,
            issued_by_ledger=issued_by_ledger,
            posted_by=posted_by,
            reads_data=reads_data,
            goes_to=goes_to,
            heeds=heeds,
            upcasts=upcasts,
        )
        return data

    return register


def _private_fields(data: type[EventData]) -> Iterator[tuple[msgspec.inspect.Field, dict[str, Any]]]:
    for field in _fields(data):
        extra = _extra(field.type)
        if extra.get("private"):
            yield field, extra


def _instants(data: type[EventData]) -> Iterator[tuple[str, str]]:
    """Yield the attribute and the JSON name of each instant at the top of ``data``."""
    return ((field.name, field.encode_name) for field in _fields(data) if _extra(field.type).get("instant"))


def _extra(declared: msgspec.inspect.Type) -> dict[str, Any]:
    """Return what the Meta annotations around a type say in ``extra``, the outer over the inner."""
    if not isinstance(declared, msgspec.inspect.Metadata):
        return {}
    return {**_extra(declared.type), **(declared.extra or {})}


def _fields(struct: type[Struct]) -> tuple[msgspec.inspect.Field, ...]:
    return cast("msgspec.inspect.StructType", msgspec.inspect.type_info(struct)).fields


_CANONICAL = (
    msgspec.inspect.BoolType,
    msgspec.inspect.DateType,
    msgspec.inspect.IntType,
    msgspec.inspect.LiteralType,
    msgspec.inspect.StrType,
)


def require_canonical_order(data: type[Struct]) -> None:
    """Raise ``ValueError`` unless plain encoding of the public part of ``data`` is canonical JSON.

    So in it, and in every struct in it, fields are in the order of their JSON names, each of a type with one byte form,
    and none but those at the top is private.
    """
    pending: list[tuple[type[Struct], bool]] = [(data, True)]
    while pending:
        struct, top = pending.pop()
        names = [field.encode_name for field in _fields(struct)]
        if names != sorted(names) or not all(name.isascii() for name in names):
            raise ValueError(f"{struct.__name__}: declare fields in the order of their JSON names: {sorted(names)}")
        for field in _fields(struct):
            extra = _extra(field.type)
            if extra.get("sorted"):
                continue  # a mapping: the type's own ``split`` writes it in the order of its names
            if not extra.get("private"):
                where = f"{struct.__name__}.{field.name}"
                if not top and extra.get("instant"):
                    raise ValueError(f"{where}: an instant stands at the top of data only, where it is checked")
                pending.extend((nested, False) for nested in _structs_in(field.type, where))
            elif not top:
                raise ValueError(f"{struct.__name__}.{field.name}: a private field stands at the top of data only")


def _structs_in(declared: msgspec.inspect.Type, where: str) -> Iterator[type[Struct]]:
    """Yield the structs directly inside a declared type, through annotations, alternatives and lists.

    Raises ``ValueError`` for a type that has no one byte form, such as a float or a mapping.
    """
    if isinstance(declared, msgspec.inspect.StructType):
        yield declared.cls
    elif isinstance(declared, msgspec.inspect.Metadata):
        yield from _structs_in(declared.type, where)
    elif isinstance(declared, msgspec.inspect.UnionType):
        for choice in declared.types:
            yield from _structs_in(choice, where)
    elif isinstance(declared, msgspec.inspect.ListType):
        yield from _structs_in(declared.item_type, where)
    elif not isinstance(declared, _CANONICAL):
        raise ValueError(f"{where}: a {type(declared).__name__.removesuffix('Type').lower()} is not for public data")
