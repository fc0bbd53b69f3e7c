"""What a projection declares, and the shapes that pass between its handlers and whoever stores its rows.

Owns the declarations: tables with typed rows and a key, and for each event type the handler that folds it. Pure: a
handler gets one event and its seal and changes rows through a ``Work``. Never reads or writes a store, never a clock.

Invariants: rows depend on the log alone, so any of them can be thrown away. What a handler needs to know of earlier
events it finds in its own projection's rows. No row holds a private value: it holds the commitment and the position
where the disclosure stands (``Commitments``), so that erasing the disclosure is all that erasing takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger import catalog
from ledger.entry import Actor, Seal
from ledger.errors import StoreError

if TYPE_CHECKING:
    from projections.work import Work

Values = tuple[str | int | None, ...]
"""A row as a store holds it: the values of its columns, in their order."""

Key = str | int | tuple[str | int, ...]
"""What tells the rows of a table apart: the value of the key column, or a tuple where the key has several."""

Json = Annotated[str, Meta(extra={"json": True})]
"""JSON text of a list or an object, in canonical form."""

Commitments = Annotated[str, Meta(extra={"json": True, "commitments": True})]
"""The private fields of what a row shows: JSON of ``{name: [position, commitment]}``, with the position of the entry
that holds the commitment. A reader who may see the value opens the disclosure that stands beside that entry."""


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The event of a stored entry as handlers see it: ``ledger.entry.EventBody`` with its public data read.

    ``data`` is in the current shape of its type; ``private`` maps the names of private fields to commitments.
    """

    actor: Actor
    correlation: str | UnsetType = UNSET
    data: dict[str, Any]
    forced: str | UnsetType = UNSET
    id: str
    member: str | UnsetType = UNSET
    private: dict[str, str] | UnsetType = UNSET
    source: str
    stream: str
    tags: list[str] | UnsetType = UNSET
    time: str
    type: str
    v: int


class Folded(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A stored entry as projections read it."""

    event: Event
    seal: Seal


_VERSIONS: Final = {name: catalog.get(name).version for name in catalog.names()}
_decode = msgspec.json.Decoder(Folded).decode


def read(entry: bytes) -> Folded:
    """The content of an entry's bytes, its data upcast to the current version of its type.

    Raises ``StoreError`` when the bytes are no entry, ``InvalidEvent`` for a type this program doesn't know.
    """
    try:
        folded = _decode(entry)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"an entry does not read: {error}") from None
    event = folded.event
    if _VERSIONS.get(event.type) == event.v:
        return folded
    upcast = catalog.get(event.type).upcast(event.v, event.data)
    return Folded(msgspec.structs.replace(event, data=upcast), folded.seal)


def read_all(entries: Sequence[bytes]) -> list[Folded]:
    """The content of entries, as ``read`` gives that of each. Raises as it does, at the first that does not read."""
    try:
        found = list(map(_decode, entries))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return list(map(read, entries))
    if {(one.event.type, one.event.v) for one in found} <= _VERSIONS.items():
        return found
    return list(map(read, entries))


class Row(Struct, gc=False):
    """The base of all rows: a subclass declares a table's columns as fields, the key's first.

    A field is ``str``, ``int``, ``Json`` or ``Commitments``, or one of these ``| None``, with a description in its
    ``Meta``. Rows are mutable: a handler that got one by ``Work.change`` sets what the event says.
    """


class Column(NamedTuple):
    """A column of a table. Times, dates and decimals are ``text``; ``json`` is text that holds a list or an object."""

    name: str
    type: Literal["text", "integer", "json"]
    description: str
    required: bool
    commitments: bool


R = TypeVar("R", bound=Row)
_SCALARS: Final[dict[Any, Literal["text", "integer"]]] = {str: "text", int: "integer"}


class Table(Generic[R]):
    """A table: its name, the type of its rows, and how many of the first columns make the key.

    ``by_stream``: the key is the stream of the events that touch it, so that the rows a batch needs are known before
    it is folded. ``indexes``: further columns to find rows by, each a tuple of names.
    """

    def __init__(
        self,
        name: str,
        row: type[R],
        description: str,
        *,
        key_length: int = 1,
        by_stream: bool = False,
        indexes: tuple[tuple[str, ...], ...] = (),
    ) -> None:
        self.name = name
        self.row = row
        self.description = description
        self.columns = tuple(_columns(row))
        self.key = self.columns[:key_length]
        self.by_stream = by_stream
        self.indexes = indexes
        names = {column.name for column in self.columns}
        if not self.key or not all(column.required for column in self.key) or (by_stream and key_length != 1):
            raise ValueError(f"{name}: the key is the first columns, and they are required; one where it is the stream")
        if unknown := {column for index in indexes for column in index} - names:
            raise ValueError(f"{name}: indexes on columns it hasn't: {', '.join(sorted(unknown))}")
        self.key_of: Callable[[R], Key] = attrgetter(*(column.name for column in self.key))

    def __repr__(self) -> str:
        return f"Table({self.name!r})"

    def make(self, values: Values) -> R:
        """The row that a store holds as these values."""
        build: Callable[..., R] = self.row
        return build(*values)

    def column(self, name: str) -> Column:
        """The column of that name. Raises ``KeyError``."""
        return next((column for column in self.columns if column.name == name), None) or _no_column(self.name, name)

    def shape(self) -> str:
        """All that must be as it was for stored rows to fit."""
        columns = ",".join(f"{one.name} {one.type}{'!' if one.required else ''}" for one in self.columns)
        indexes = ";".join(",".join(index) for index in self.indexes)
        return f"{self.name}/{len(self.key)}({columns})[{indexes}]"


def _no_column(table: str, name: str) -> Column:
    raise KeyError(f"{table} has no column {name}")


def _columns(row: type[Row]) -> Iterator[Column]:
    for name, hint in get_type_hints(row, include_extras=True).items():
        described, required = _parts(hint)
        metas = [part for part in described[1:] if isinstance(part, Meta)]
        extra = {key: value for meta in metas for key, value in (meta.extra or {}).items()}
        description = next((meta.description for meta in metas if meta.description), "")
        if described[0] not in _SCALARS or not description:
            raise TypeError(f"{row.__name__}.{name}: a column is str, int or JSON, and says what it holds")
        kind = "json" if extra.get("json") else _SCALARS[described[0]]
        yield Column(name, kind, description, required, bool(extra.get("commitments")))


def _parts(hint: Any) -> tuple[list[Any], bool]:
    """The type of a column followed by its annotations, and whether a value is required."""
    described = list(get_args(hint)) if get_origin(hint) is Annotated else [hint]
    required = True
    if isinstance(described[0], UnionType) or get_origin(described[0]) is not None:
        inner = [part for part in get_args(described[0]) if part is not type(None)]
        required = len(inner) == len(get_args(described[0]))
        nested, _ = _parts(inner[0])
        described = [*nested, *described[1:]]
    return described, required


Handler = Callable[["Work", Event, Seal], None]
"""Folds one event: changes rows through the work it is given."""

H = TypeVar("H", bound=Handler)

BatchHandler = Callable[["Work", Sequence[Folded]], None]
"""Folds entries that follow each other, as a handler that is given each of them would."""

B = TypeVar("B", bound=BatchHandler)


class Projection:
    """One read model. ``version`` rises with each change of what its handlers answer; rows of another are made anew."""

    def __init__(self, name: str, *, version: int, tables: tuple[Table[Any], ...]) -> None:
        self.name = name
        self.version = version
        self.tables = tables
        self.handlers: dict[str, Handler] = {}
        self.batch_handler: BatchHandler | None = None

    def __repr__(self) -> str:
        return f"Projection({self.name!r}, version={self.version})"

    def on(self, *types: str) -> Callable[[H], H]:
        """Register the handler of these event types. Raises ``InvalidEvent`` for a type there isn't."""

        def register(handler: H) -> H:
            for name in types:
                if self.handlers.setdefault(catalog.get(name).name, handler) is not handler:
                    raise ValueError(f"{self.name} has a handler of {name} already")
            return handler

        return register

    def on_all(self, handler: B) -> B:
        """Register the handler of all event types, which is given a batch at once: for what counts and looks at little.

        Raises ``ValueError`` when there are handlers already.
        """

        def each(work: Work, event: Event, seal: Seal) -> None:
            handler(work, [Folded(event, seal)])

        if self.handlers:
            raise ValueError(f"{self.name} has handlers already")
        self.on(*catalog.names())(each)
        self.batch_handler = handler
        return handler

    def fingerprint(self) -> str:
        """All that must be as it was for stored rows to stay good: version, columns, and the versions of the types."""
        types = ",".join(f"{name}/{catalog.get(name).version}" for name in sorted(self.handlers))
        return f"{self.version}|{'|'.join(table.shape() for table in self.tables)}|{types}"


def types_of(kind: str) -> tuple[str, ...]:
    """The names of all event types of a kind of stream."""
    return tuple(name for name in catalog.names() if catalog.get(name).kind == kind)
