"""A disk that fails where a test says: SQLite's writes, truncations and syncs, counted and refused one by one.

Owns a layer between SQLite and its default VFS, put in through ctypes: SQLite's own interface for it ("The OS Interface
or VFS" in its documentation), so that everything above is the real thing. It takes a shared libsqlite3, as most builds
of Python have; elsewhere ``Unavailable`` says so. Owns no fixtures and no assertions.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from enum import Enum
from typing import Any


class Unavailable(Exception):
    """This Python's SQLite can't be reached; the message says why."""


class Fault(Enum):
    """What an operation comes to: the result codes into which SQLite's own VFS turns errno."""

    EIO = "an input/output error"
    ENOSPC = "no space left on the device"
    TORN = "half of it is written, then an input/output error"


_CODES = {
    "write": {
        Fault.EIO: sqlite3.SQLITE_IOERR_WRITE,
        Fault.ENOSPC: sqlite3.SQLITE_FULL,
        Fault.TORN: sqlite3.SQLITE_IOERR_WRITE,
    },
    "sync": dict.fromkeys(Fault, sqlite3.SQLITE_IOERR_FSYNC),
    "truncate": dict.fromkeys(Fault, sqlite3.SQLITE_IOERR_TRUNCATE),
}

_Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)
_Open = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p, c_int, POINTER(c_int))


class _Methods(Structure):
    """``sqlite3_io_methods``, version 3."""

    _fields_ = (
        ("iVersion", c_int),
        ("xClose", c_void_p),
        ("xRead", c_void_p),
        ("xWrite", _Write),
        ("xTruncate", _Truncate),
        ("xSync", _Sync),
        ("others", c_void_p * 13),
    )


class _File(Structure):
    """``sqlite3_file``; what the VFS keeps behind it is its own."""

    _fields_ = (("pMethods", POINTER(_Methods)),)


class _VFS(Structure):
    """``sqlite3_vfs``, as far as we need it."""

    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", _Open),
    )


class FaultyDisk:
    """Counts the operations on files whose name holds ``part``, and fails the one that it was told to."""

    def __init__(self, part: str) -> None:
        self._part = part.encode()
        self._names: dict[int, bytes] = {}  # by the address of the open file
        self._made: dict[int, tuple[_Methods, _Methods]] = {}  # by the address of the original; they must live
        self._fault: Fault | None = None
        self._left = 0
        self._for_ever = False
        self.failed: list[str] = []
        """The operations that were failed, as ``write ledger.db-wal``."""

    def fail(self, fault: Fault, number: int, *, for_ever: bool = False) -> None:
        """Fail the ``number``-th operation from now on, from 1; and all that follow, if ``for_ever``."""
        self._fault, self._left, self._for_ever, self.failed = fault, number, for_ever, []

    def heal(self) -> None:
        """Fail nothing any more."""
        self._fault = None

    def opened(self, file: int, name: bytes | None) -> None:
        """Put our methods in place of a file's own."""
        self._names[file] = name or b""
        pointer = ctypes.cast(file, POINTER(_File)).contents
        if not pointer.pMethods:
            return
        address = ctypes.addressof(pointer.pMethods.contents)
        if address not in self._made:
            theirs = _Methods.from_address(address)
            ours = _Methods.from_buffer_copy(theirs)
            ours.xWrite = _Write(lambda *arguments: self._write(theirs, *arguments))
            ours.xTruncate = _Truncate(lambda at, size: self._code("truncate", at) or theirs.xTruncate(at, size))
            ours.xSync = _Sync(lambda at, flags: self._code("sync", at) or theirs.xSync(at, flags))
            self._made[address] = (theirs, ours)
        pointer.pMethods = ctypes.pointer(self._made[address][1])

    def _write(self, theirs: _Methods, file: int, content: int, count: int, offset: int) -> int:
        torn = self._fault is Fault.TORN
        code = self._code("write", file)
        if code and torn:
            theirs.xWrite(file, content, count // 2, offset)
        return code or int(theirs.xWrite(file, content, count, offset))

    def _code(self, kind: str, file: int) -> int:
        """What an operation comes to; 0 for what may go on."""
        name = self._names.get(file, b"")
        if self._fault is None or self._part not in name:
            return 0
        self._left -= 1
        if self._left > 0 or (self._left < 0 and not self._for_ever):
            return 0
        self.failed.append(f"{kind} {name.rpartition(b'/')[2].decode()}")
        return _CODES[kind][self._fault]


_forever: list[Any] = []
"""What SQLite may call for as long as a file stays open."""


@contextmanager
def faulty_disk(part: str) -> Iterator[FaultyDisk]:
    """While it lasts, databases that are opened are on the faulty disk. Raises ``Unavailable``."""
    try:
        find = ctypes.CDLL(_sqlite3.__file__).sqlite3_vfs_find
    except (AttributeError, OSError) as error:
        raise Unavailable(f"SQLite is built into this Python and can't be reached: {error}") from None
    find.restype, find.argtypes = POINTER(_VFS), [c_char_p]
    vfs = find(None).contents
    disk = FaultyDisk(part)
    theirs = _Open(ctypes.cast(vfs.xOpen, c_void_p).value or 0)

    def opening(this: int, name: bytes | None, file: int, flags: int, out: Any) -> int:
        code = int(theirs(this, name, file, flags, out))
        if code == sqlite3.SQLITE_OK:
            disk.opened(file, name)
        return code

    ours = _Open(opening)
    _forever.extend((disk, ours, theirs))
    vfs.xOpen = ours
    try:
        yield disk
    finally:
        vfs.xOpen = theirs
        disk.heal()
