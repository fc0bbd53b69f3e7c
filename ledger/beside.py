"""Processes beside this one that work for it, each over a line of its own.

Owns their start and their end. Each is a new interpreter that imports one module of ours alone, not the program that
runs it (a service, a script without a guard), and calls its ``serve``. It ends when our end of its line closes, however
we come to an end, and never hears the terminal's interrupt. Never knows what is said on a line.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe

END_SECONDS = 5.0
"""How long a process may take to end by itself."""
_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from {} import serve; serve(int(sys.argv[1]))"


def start(module: str) -> tuple[Connection, subprocess.Popen[bytes]]:
    """Start the ``serve`` of a module with the descriptor of its end of a line; our end, and the process.

    Raises ``OSError`` where there is no room for another process.
    """
    ours, theirs = Pipe()
    try:
        command = [sys.executable, "-c", _PROGRAM.format(module), str(theirs.fileno()), *sys.path]
        process = subprocess.Popen(  # noqa: S603 - this interpreter and our own program
            command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return ours, process


def end(process: subprocess.Popen[bytes]) -> None:
    """See a process end that has been told to, and bring that about if it takes too long. Idempotent."""
    with suppress(subprocess.TimeoutExpired):
        try:
            process.wait(END_SECONDS)
        finally:
            process.kill()
            process.wait()
