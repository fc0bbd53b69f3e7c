"""The form of entries: canonical bytes of an event and then a seal, and what they state that has to be checked further.

Owns the decision whether bytes are an entry of this format. Entries are read many at a time by one regular expression,
which knows the one spelling of nearly all of them. Whatever it does not know is read one by one, by decoding and
encoding again, and that way alone says what is wrong. Never reads a store, never compares an entry with another.

Invariant: the way of many accepts nothing that the way of one refuses, and reads the same from it. For this it needs
no parser: an entry is canonical if it is put together, without gaps, from texts that are. Strings and integers the
expression bounds by itself; the objects and lists that it finds are decoded and encoded again, so it matters nothing
how it finds their ends. Two texts are left to whoever compares them with what they have to be, and so bounds them:
``prevs`` and ``recorded``. At the first that is not that (it may even hold the end of a line, and what follows stand
beside other entries), ``fault_of_form`` has the first word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import msgspec
import orjson
from msgspec import UNSET, Meta, Struct

from ledger import canonical
from ledger.canonical import MAX_INTEGER
from ledger.entry import MAX_ENTRY, decode
from ledger.errors import LedgerError

KNOWN_TEXTS = 2_000
KNOWN_BYTES = 256
"""How many texts that were found canonical are remembered, and of what length on average: a megabyte at most."""


class Stated(Struct, frozen=True):
    """What entries state of themselves, in columns of one length. Texts are bytes, as they stand in the entries.

    ``positions`` are decimals. ``prevs`` and ``recorded`` may hold anything but quotes. ``types``, ``sources`` and
    ``ids`` are there only if they were asked for.
    """

    streams: Sequence[bytes]
    versions: Sequence[int]
    members: Sequence[bytes | None]
    member_versions: Sequence[int | None]
    positions: Sequence[bytes]
    prevs: Sequence[bytes]
    recorded: Sequence[bytes]
    types: Sequence[bytes] = ()
    sources: Sequence[bytes] = ()
    ids: Sequence[bytes] = ()

    def and_then(self, later: Stated) -> Stated:
        """These entries and the later ones."""
        return Stated(*([*ours, *theirs] for ours, theirs in zip(self._columns(), later._columns(), strict=True)))

    def _columns(self) -> Iterable[Sequence[Any]]:
        return msgspec.structs.astuple(self)


NOTHING = Stated((), (), (), (), (), (), ())


class Form:
    """Reads the entries of one ledger; ``places`` asks for all that says where they belong."""

    def __init__(self, *, places: bool = False) -> None:
        self._places = places
        self._entry = _PLACED if places else _ENTRY
        self._data = _Texts(_decode_data, KNOWN_TEXTS, None)
        self._private = _Texts(_decode_private, 0, None)  # commitments don't repeat
        self._tags = _Texts(_decode_tags, KNOWN_TEXTS, in_order)

    def read(self, entries: Sequence[bytes]) -> tuple[Stated, str | None]:
        """What the entries state, up to the first that is none; and what keeps that one from being an entry."""
        if not entries:
            return NOTHING, None
        many = self._read_many(entries)
        if many is not None:
            return many, None
        if len(entries) == 1:
            return read_one(entries[0], places=self._places)
        half = len(entries) // 2  # most of them may still be read together
        before, fault = self.read(entries[:half])
        if fault is not None:
            return before, fault
        after, fault = self.read(entries[half:])
        return before.and_then(after), fault

    def _read_many(self, entries: Sequence[bytes]) -> Stated | None:
        """What all of them state; None if any is no entry, or is spelt in a way that the expression does not know."""
        if max(map(len, entries)) > MAX_ENTRY:
            return None
        text = b"\n".join([*entries, b""])
        parts: list[Any] = self._entry.split(text)
        width = self._entry.groups + 1
        if len(parts) != width * len(entries) + 1 or any(parts[::width]):
            return None  # as many matches as entries, and nothing between them: one of each
        found = {name: parts[group::width] for name, group in self._entry.groupindex.items()}
        if not (self._data.hold(found["data"]) and self._private.hold(found["private"])):
            return None
        if not self._tags.hold(found["tags"]):
            return None
        return Stated(
            found["stream"],
            _counts(found["version"]),
            found["member"],
            _counts(found["member_version"]),
            found["position"],
            found["prev"],
            found["recorded"],
            *(found[name] for name in _PLACES if self._places),
        )


class _Texts:
    """Texts of one type that occur in entries. Those found canonical are remembered, since many repeat."""

    def __init__(self, decoder: msgspec.json.Decoder[Any], kept: int, allows: Callable[[Any], bool] | None) -> None:
        self._decode_lines = decoder.decode_lines
        self._kept = kept
        self._allows = allows
        self._known: set[bytes | None] = {None}

    def hold(self, texts: Iterable[bytes | None]) -> bool:
        """Whether each of these texts, of one line, is canonical JSON of the type; None stands for none."""
        fresh: Any = set(texts) - self._known
        if not fresh:
            return True
        text = b"\n".join([*fresh, b""])
        try:
            values = self._decode_lines(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        # Encoding writes a line for each value and no other line feed, so each text is one line. Left out is what it
        # might spell otherwise than RFC 8785 (escapes), or sort otherwise (keys beyond ASCII).
        if _encode_lines(values) != text or b"\\" in text or not (text.isascii() or not _FOREIGN_KEY.search(text)):
            return False
        if self._allows is not None and not all(map(self._allows, values)):
            return False
        if len(text) <= len(fresh) * KNOWN_BYTES and len(fresh) < self._kept:
            if len(self._known) + len(fresh) > self._kept:
                self._known = {None}
            self._known |= fresh
        return True


def read_one(entry: bytes, *, places: bool = False) -> tuple[Stated, str | None]:
    """What one entry states; or nothing, and why it is none."""
    fault = fault_of_form(entry)
    if fault is not None:
        return NOTHING, fault
    content = decode(entry)
    event, seal = content.event, content.seal
    stated = Stated(
        (event.stream.encode(),),
        (seal.version,),
        (None if event.member is UNSET else event.member.encode(),),
        (None if seal.member_version is UNSET else seal.member_version,),
        (b"%d" % seal.position,),
        (seal.prev.encode(),),
        (seal.recorded.encode(),),
        *((text.encode(),) for text in (event.type, event.source, event.id) if places),
    )
    return stated, None


def fault_of_form(entry: bytes) -> str | None:
    """What keeps bytes from being an entry (canonical, an event and then a seal, each of known fields), or None."""
    if len(entry) > MAX_ENTRY:
        return f"it has {len(entry):,} bytes, of at most {MAX_ENTRY:,}"
    try:
        value = orjson.loads(entry)
        canonical.check(value, "$", -2)  # the limit of depth is that of data, which stands two levels down
        if orjson.dumps(value, option=orjson.OPT_SORT_KEYS) != entry:
            return "its bytes are not the canonical ones of their content"
        body = decode(entry).event
    except (LedgerError, ValueError, RecursionError) as error:
        return f"it does not read: {error}"
    if not isinstance(value["event"]["data"], dict):
        return "its data is not an object"
    if body.private is not UNSET and not body.private:
        return "it has an empty set of private fields"
    if body.tags is not UNSET and not in_order(body.tags):
        return "its tags are not in order"
    return None


def in_order(tags: Sequence[str]) -> bool:
    """Whether tags stand as an entry has them: some, sorted, none twice."""
    return bool(tags) and list(tags) == sorted(set(tags))


# --- The expression ---------------------------------------------------------------------------------------------------
# Possessive quantifiers (`*+`) never give back what they took, which saves the room to do so.

_TEXT = rb"[ !#-\[\]-~]"  # what stands for itself in a string: printable ASCII but for quote and backslash
_STRING = b'"%b*+"' % _TEXT
_NATURAL = rb"(?:0|[1-9][0-9]{0,14}+)"  # 15 digits: below 2^53
_COUNT = rb"[1-9][0-9]{0,14}+"
_PLACES = ("type", "source", "id")


def _expression(*, places: bool) -> re.Pattern[bytes]:
    """The expression of an entry and a line feed; its groups cost time, so those of ``places`` are made on demand."""

    def text(name: bytes) -> bytes:
        return b'"(?P<%b>%b*+)"' % (name, _TEXT) if places else _STRING

    return re.compile(
        b"".join(
            (
                b'{"event":{"actor":{"id":%b,"role":%b},"' % (_STRING, _STRING),
                b'(?:correlation":%b,"|)' % _STRING,
                b'data":(?P<data>{(?:[^}]*+})+?),"',  # up to the first brace after which the rest fits
                b'(?:forced":%b,"|)' % _STRING,
                b'id":%b,"' % text(b"id"),
                b'(?:member":"(?P<member>%b*+)","|)' % _TEXT,
                b'(?:private":(?:{%b:%b}|(?P<private>{[^}]*+})),"|)' % (_STRING, _STRING),
                b'source":%b,"' % text(b"source"),
                b'stream":"(?P<stream>%b*+)","' % _TEXT,
                b'(?:tags":(?P<tags>\\[[^]]*+]),"|)',
                b'time":%b,"type":%b,"v":%b},' % (_STRING, text(b"type"), _NATURAL),
                b'"seal":{"by":%b,"' % _STRING,
                b'(?:member_version":(?P<member_version>%b),"|)' % _COUNT,
                b'position":(?P<position>%b),"prev":"(?P<prev>[^"]*+)",' % _NATURAL,
                b'"recorded":"(?P<recorded>[^"]*+)","version":(?P<version>%b)}}\n' % _COUNT,
            )
        )
    )


_ENTRY = _expression(places=False)
_PLACED = _expression(places=True)
_FOREIGN_KEY = re.compile(rb'[^\x00-\x7f][^"]*":')  # where nothing is escaped, a quote before a colon ends a key

_Integer = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
_Flat = bool | _Integer | str | None
_Shallow = bool | _Integer | str | list[_Flat] | dict[str, _Flat] | None
_Data = dict[str, bool | _Integer | str | list[_Shallow] | dict[str, _Shallow] | None]
"""Public data without floats, down to a depth that nearly all have; deeper ones are looked at one by one."""

_decode_data = msgspec.json.Decoder(_Data)
_decode_private = msgspec.json.Decoder(Annotated[dict[str, str], Meta(min_length=1)])
_decode_tags = msgspec.json.Decoder(list[str])
_encode_lines = msgspec.json.Encoder(order="deterministic").encode_lines


_SMALL: dict[bytes | None, int | None] = {b"%d" % number: number for number in range(1_000)} | {None: None}


def _counts(texts: Sequence[bytes | None]) -> list[Any]:
    """Numbers of their texts, None of None. Most are small, and a look-up is faster than reading them."""
    try:
        return list(map(_SMALL.__getitem__, texts))
    except KeyError:
        return [None if text is None else int(text) for text in texts]
