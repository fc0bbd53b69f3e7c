"""A disk that is soon full: a small tmpfs that only one process of the test sees.

Owns the mounting, in a mount namespace of the child's own, so that nothing is left behind and nobody else sees it. It
takes root, or a user who may make namespaces; elsewhere ``run_on`` says why not. Owns no fixtures and no assertions.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.integration.children import start

MEBIBYTE = 1024 * 1024
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


class Unavailable(Exception):
    """This machine lets us mount nothing; the message says why."""


def run_on(mebibytes: int, scenario: Callable[..., None], *arguments: Any, seconds: float = 150) -> None:
    """Run ``scenario(folder, *arguments)`` in a process of its own, ``folder`` being a disk of that size.

    Raises ``Unavailable``, or ``AssertionError`` with what went wrong there.
    """
    folder = Path(tempfile.mkdtemp(prefix="continuity-small-"))
    process, pipe = start(_live, folder, mebibytes, scenario, *arguments)
    try:
        if not pipe.poll(seconds):
            raise AssertionError(f"{scenario.__name__} did not end within {seconds} s")
        outcome, text = pipe.recv()
    finally:
        process.kill()
        process.join()
        shutil.rmtree(folder)
    if outcome == "unavailable":
        raise Unavailable(text)
    if outcome == "failed":
        raise AssertionError(text)


def fill(folder: Path, leave: int = 0) -> Path:
    """Use up what room there is, but for ``leave`` bytes; the file to delete for it to be free again."""
    filler = folder / "filler"
    if leave:
        filler.write_bytes(bytes(shutil.disk_usage(folder).free - leave))
        return filler
    with filler.open("wb", buffering=0) as file:
        for size in (MEBIBYTE, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def _live(pipe: Connection, folder: Path, mebibytes: int, scenario: Callable[..., None], *arguments: Any) -> None:
    try:
        _mount(folder, mebibytes)
    except OSError as error:
        pipe.send(("unavailable", f"no tmpfs can be mounted here: {error}"))
        return
    try:
        scenario(folder, *arguments)
    except BaseException:  # noqa: BLE001 - it is raised to the test
        pipe.send(("failed", traceback.format_exc()))
    else:
        pipe.send(("done", ""))


def _mount(folder: Path, mebibytes: int) -> None:
    """Mount a tmpfs over ``folder``, for this process and its children alone. Raises ``OSError``."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(function: Any, *arguments: Any) -> None:
        if function(*arguments):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    user, group = os.getuid(), os.getgid()
    call(libc.unshare, CLONE_NEWNS if user == 0 else CLONE_NEWNS | CLONE_NEWUSER)
    if user:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    call(libc.mount, b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    options = f"size={mebibytes}m,mode=0700".encode()
    call(libc.mount, b"continuity", bytes(folder), b"tmpfs", 0, options)
