"""Arrays in PostgreSQL's binary format, made from whole columns.

Owns the encoding of the three types that a ledger's tables have. The driver does the same value by value, in four times
the time: more than all else that finding the ids of a flush asks of this process. Rows of COPY are left to it: it makes
those in C.

Source: ``array_recv`` in PostgreSQL's src/backend/utils/adt/arrayfuncs.c.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types.string import BytesBinaryDumper

_NULL = struct.pack("!i", -1)
_length = struct.Struct("!i").pack
_number = struct.Struct("!iq").pack


class Encoded(bytes):
    """A parameter in binary; its type is what the statement says."""


class _EncodedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Encoded) -> bytes:
        return obj


def accept_encoded(connection: Connection[Any]) -> None:
    """Let the statements of a connection take ``Encoded`` parameters.

    And have its rows of COPY made in C throughout: for a ``bytea`` the driver's own choice is a method in Python.
    """
    connection.adapters.register_dumper(Encoded, _EncodedDumper)
    connection.adapters.register_dumper(bytes, BytesBinaryDumper)


def array(kind: str, values: Sequence[Any]) -> Encoded:
    """An array of ``kind`` (``int8``, ``text`` or ``bytea``), for a statement that says so: ``%b::text[]``."""
    if not values:
        return Encoded(struct.pack("!iii", 0, 0, _OIDS[kind]))
    opening = struct.pack("!iiiii", 1, None in values, _OIDS[kind], len(values), 1)
    return Encoded(opening + b"".join(_FIELDS[kind](values)))


def _numbers(values: Iterable[int | None]) -> list[bytes]:
    return [_NULL if value is None else _number(8, value) for value in values]


def _texts(values: Iterable[str | None]) -> list[bytes]:
    return [_NULL if value is None else _length(len(text := value.encode())) + text for value in values]


def _blobs(values: Iterable[bytes | None]) -> list[bytes]:
    return [_NULL if value is None else _length(len(value)) + value for value in values]


_FIELDS: dict[str, Callable[[Any], list[bytes]]] = {"int8": _numbers, "text": _texts, "bytea": _blobs}
_OIDS = {"int8": 20, "text": 25, "bytea": 17}
